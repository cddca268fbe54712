import { Admission } from './admission';
import { Decider } from './decider';
import type { Engine } from './engine';
import { BreakerOpenError, type Denial } from './errors';
import { Listeners } from './events';
import {
  type Call,
  type CallOptions,
  Execution,
  type Surroundings,
  type Target,
} from './execution';
import { Guard } from './guard';
import { cleanKind } from './kinds';
import { Run } from './runs';
import type { Level, Mode, Outcome, State, Transition } from './words';

/** What listeners of a breaker hear. */
export interface BreakerEvents {
  /** State, mode or level has changed. */
  transition: Transition;
  /** The state has become `open`. */
  open: Transition;
  /** The state has become `closed`. */
  close: Transition;
  /** The state has become `half_open`. */
  halfOpen: Transition;
}

/** What is known of a breaker. */
export interface BreakerStatus {
  /** `unknown` where the copy does not hold the breaker. */
  readonly state: State | 'unknown';
  readonly mode: Mode;
  readonly generation: bigint;
  readonly revision: bigint;
  readonly level: Level | undefined;
  /** When OPEN, or the operator's override, ends by itself: in milliseconds from now. */
  readonly retryAfter: number | undefined;
  /** Whether calls are decided from the copy, or as in FALLBACK. */
  readonly source: 'copy' | 'fallback';
}

const EVENTS = { open: 'open', closed: 'close', half_open: 'halfOpen' } as const;
const NO_OPTIONS = {};

/** One breaker of the fleet. The same name always gives the same breaker. */
export class Breaker {
  /** Its name, `namespace/name`. */
  readonly name: string;
  /** @internal */
  readonly decider: Decider;
  readonly #engine: Engine;
  readonly #listeners: Listeners<BreakerEvents>;
  readonly #target: Target;
  /** The run that the next outcome may be of. */
  #run: Run | undefined;
  /** Whether something was reported since the breaker was not held. */
  #isAnnounced = false;

  /** @internal */
  constructor(name: string, engine: Engine) {
    this.name = name;
    this.#engine = engine;
    this.decider = new Decider(name, engine);
    this.#listeners = new Listeners(engine.log);
    const surroundings: Surroundings = engine.surroundings;
    this.#target = { name, surroundings, record: this.#record };
  }

  /**
   * Calls a function, if the breaker allows it, and reports how that went.
   *
   * @returns What the function returns, or the promise it returns resolves to. The promise rejects
   * with `BreakerOpenError` if the call was denied, with `CallTimeoutError` if it took longer than
   * the breaker's `call_timeout`, and else with what the function threw.
   */
  fire<A extends unknown[], T>(fn: (...args: A) => T | PromiseLike<T>, ...args: A): Promise<T> {
    return this.#execute(() => fn(...args), NO_OPTIONS);
  }

  /**
   * The same for a function that wants to know of its call (its `signal`, and how long it may take),
   * with options for this call.
   */
  run<T>(fn: (call: Call) => T | PromiseLike<T>, options: CallOptions<T> = NO_OPTIONS): Promise<T> {
    return this.#execute(fn, options);
  }

  /** Makes a function whose every call is guarded. It keeps arguments and `this`. */
  wrap<This, A extends unknown[], T>(
    fn: (this: This, ...args: A) => T | PromiseLike<T>,
    options: CallOptions<T> = NO_OPTIONS,
  ): (this: This, ...args: A) => Promise<T> {
    const execute = (run: () => T | PromiseLike<T>): Promise<T> => this.#execute(run, options);
    return function (this: This, ...args: A): Promise<T> {
      return execute(() => fn.apply(this, args));
    };
  }

  /**
   * Asks for leave to make one call, to be ended by hand.
   *
   * @returns The guard of the call. The promise rejects with `BreakerOpenError` if it was denied.
   */
  async acquire(): Promise<Guard> {
    const now = this.#engine.clock.now();
    const decision = this.decider.decide(now);
    const decided = decision instanceof Promise ? await decision : decision;
    if (!(decided instanceof Admission)) throw new BreakerOpenError(decided);
    const startedAt = decision === decided ? now : this.#engine.clock.now();
    return new Guard(this.#target, decided, startedAt);
  }

  /** What is known of the breaker just now. */
  status(): BreakerStatus {
    const { held, isFromCopy } = this.decider;
    const now = this.#engine.clock.now();
    const ends = held?.mode === 'forced_open' ? held.overrideEndsAt : held?.retryAt;
    return {
      state: held?.state ?? 'unknown',
      mode: held?.mode ?? 'normal',
      generation: held?.generation ?? 0n,
      revision: held?.revision ?? 0n,
      level: held?.level,
      retryAfter: ends === undefined ? undefined : Math.max(ends - now, 0),
      source: isFromCopy ? 'copy' : 'fallback',
    };
  }

  /** Listens. A listener that throws or rejects is logged and harms nothing. */
  on<E extends keyof BreakerEvents>(event: E, listener: (news: BreakerEvents[E]) => unknown): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Listens no more. */
  off<E extends keyof BreakerEvents>(
    event: E,
    listener: (news: BreakerEvents[E]) => unknown,
  ): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  /** @internal */
  hear(transition: Transition): void {
    this.#listeners.emit('transition', transition);
    const { from, to } = transition;
    if (from.state !== to.state) this.#listeners.emit(EVENTS[to.state], transition);
  }

  #execute<T>(run: (call: Call) => T | PromiseLike<T>, options: CallOptions<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const execution = new Execution(this.#target, options, resolve, reject);
      if (execution.isOver) return;
      const now = this.#engine.clock.now();
      const decision = this.decider.decide(now);
      if (decision instanceof Admission) {
        execution.start(decision, now, run);
      } else if (decision instanceof Promise) {
        void decision.then((decided) => {
          this.#go(execution, decided, run);
        });
      } else {
        execution.deny(new BreakerOpenError(decision));
      }
    });
  }

  #go<T>(
    execution: Execution<T>,
    decision: Admission | Denial,
    run: (call: Call) => T | PromiseLike<T>,
  ): void {
    if (decision instanceof Admission) execution.start(decision, this.#engine.clock.now(), run);
    else execution.deny(new BreakerOpenError(decision));
  }

  readonly #record = (
    admission: Admission,
    outcome: Outcome,
    kind: string,
    startedAt: number,
  ): void => {
    const engine = this.#engine;
    const endedAt = engine.clock.now();
    const duration = endedAt - startedAt;
    const isLate = duration > admission.bound && outcome !== 'ignored';
    const ended = isLate ? 'timeout' : outcome;
    const cleaned = kind === '' || ended === 'ignored' ? '' : cleanKind(kind);
    this.decider.learn(admission, ended, cleaned, duration, endedAt);
    if (engine.isShutDown) return;
    const { generation, permit } = admission;
    const isSlow = duration > admission.slowAfter;
    const isOfRun =
      permit === 0n && this.#run?.takes(generation, ended, cleaned, isSlow, duration, endedAt);
    if (!isOfRun) {
      const call = { breaker: this.name, generation, permit, kind: cleaned, isSlow };
      this.#run = new Run({ ...call, outcome: ended, duration, endedAt });
      engine.reporter.waiting.push(this.#run);
    }
    const isHeld = this.decider.held !== undefined;
    const isFirst = !isHeld && !this.#isAnnounced;
    this.#isAnnounced = !isHeld;
    const isFailure = ended === 'failure' || ended === 'timeout';
    if (isFailure || permit !== 0n || isFirst) engine.reporter.prompt();
    else engine.reporter.soon();
  };
}
