import type { Admission } from './admission';
import type { Bounded, Deadlines, List } from './deadlines';
import { type BreakerOpenError, CallTimeoutError } from './errors';
import { callSafely, isThenable, type Logger } from './events';
import type { Recorder } from './guard';
import {
  type ClassifyError,
  type ClassifyResult,
  IGNORED,
  judgeError,
  judgeResult,
  type Judged,
  SUCCESS,
  TIMEOUT,
} from './verdict';

/** What a guarded function gets to know of its call. */
export interface Call {
  /** Aborted when the call takes too long, and when the caller's own signal is. */
  readonly signal: AbortSignal;
  /** How long the call may take, in milliseconds. */
  readonly timeout: number;
}

/** How one guarded function is called. */
export interface CallOptions<T> {
  /** Aborts the call: its promise rejects with the signal's reason, and its outcome is IGNORED. */
  signal?: AbortSignal;
  /** Answers in place of a call that was denied, failed or took too long. */
  fallback?: (error: unknown) => T | PromiseLike<T>;
  /** Answers in place of a denied call, by the word that the breaker's level serves. */
  serve?: Readonly<Record<string, (error: BreakerOpenError) => T | PromiseLike<T>>>;
  classifyError?: ClassifyError;
  classifyResult?: ClassifyResult;
}

/** What every call of a client has in common. */
export interface Surroundings {
  readonly deadlines: Deadlines;
  readonly log: Logger;
  readonly classifyError: ClassifyError | undefined;
  readonly classifyResult: ClassifyResult | undefined;
}

/** The breaker that guards a call. */
export interface Target extends Recorder {
  readonly name: string;
  readonly surroundings: Surroundings;
}

/** One guarded call on its way to its end. The first end counts. */
export class Execution<T> implements Bounded, Call {
  endsAt = 0;
  next: Bounded | undefined;
  previous: Bounded | undefined;
  readonly #target: Target;
  readonly #options: CallOptions<T>;
  readonly #resolve: (value: T | PromiseLike<T>) => void;
  readonly #reject: (error: unknown) => void;
  #list: List | undefined;
  #admission: Admission | undefined;
  #startedAt = 0;
  #isOver = false;
  #controller: AbortController | undefined;
  #unlisten: (() => void) | undefined;

  constructor(
    target: Target,
    options: CallOptions<T>,
    resolve: (value: T | PromiseLike<T>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#target = target;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    if (options.signal !== undefined) this.#follow(options.signal);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get timeout(): number {
    return this.#admission?.bound ?? 0;
  }

  /** A signal costs more than the rest of the call: it is made when it is asked for. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      const outer = this.#options.signal;
      if (outer?.aborted) this.#abort(outer.reason);
    }
    return this.#controller.signal;
  }

  /** Calls the function. */
  start(admission: Admission, now: number, run: (call: Call) => T | PromiseLike<T>): void {
    this.#admission = admission;
    this.#startedAt = now;
    // The caller went away while leave was asked for.
    if (this.#isOver) return this.#record(IGNORED);
    let value: T | PromiseLike<T>;
    try {
      value = run(this);
    } catch (error) {
      return this.#failed(error);
    }
    if (!isThenable(value)) return this.#succeeded(value);
    this.#list = this.#target.surroundings.deadlines.add(this, admission.bound, now);
    try {
      value.then(
        (result) => this.#succeeded(result),
        (error: unknown) => this.#failed(error),
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends a call that was denied. */
  deny(error: BreakerOpenError): void {
    if (!this.#close()) return;
    const serve = error.serve === undefined ? undefined : this.#options.serve?.[error.serve];
    this.#answer(error, serve ? () => serve(error) : this.#options.fallback);
  }

  /** Ends it at its deadline. */
  expire(): void {
    this.#list = undefined;
    if (!this.#close()) return;
    const error = new CallTimeoutError(this.#target.name, this.timeout);
    this.#record(TIMEOUT);
    this.#abort(error);
    this.#answer(error, this.#options.fallback);
  }

  #succeeded(value: T): void {
    if (!this.#close()) return;
    const classify = this.#options.classifyResult ?? this.#target.surroundings.classifyResult;
    this.#record(
      classify
        ? this.#judge(
            () => judgeResult(classify(value)),
            () => SUCCESS,
          )
        : SUCCESS,
    );
    this.#resolve(value);
  }

  #failed(error: unknown): void {
    if (!this.#close()) return;
    const classify = this.#options.classifyError ?? this.#target.surroundings.classifyError;
    const judged = this.#judge(
      () => judgeError(error, classify?.(error)),
      () => judgeError(error, undefined),
    );
    this.#record(judged);
    // What was cancelled, or is the caller's own mistake, is no case for a substitute.
    this.#answer(error, judged.outcome === 'ignored' ? undefined : this.#options.fallback);
  }

  /** A classification that fails is logged, and the default holds. */
  #judge(judge: () => Judged, otherwise: () => Judged): Judged {
    try {
      return judge();
    } catch (error) {
      const message = 'a classification failed';
      this.#target.surroundings.log({ level: 'warn', message, error });
      return otherwise();
    }
  }

  #answer(error: unknown, fallback: ((error: unknown) => T | PromiseLike<T>) | undefined): void {
    if (fallback === undefined) return this.#reject(error);
    try {
      this.#resolve(fallback(error));
    } catch (failure) {
      this.#reject(failure);
    }
  }

  #record(judged: Judged): void {
    const admission = this.#admission;
    if (admission === undefined) return;
    this.#target.record(admission, judged.outcome, judged.kind, this.#startedAt);
  }

  #follow(signal: AbortSignal): void {
    const aborted = (): void => {
      if (!this.#close()) return;
      this.#record(IGNORED);
      this.#abort(signal.reason);
      this.#reject(signal.reason);
    };
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    this.#unlisten = () => signal.removeEventListener('abort', aborted);
  }

  /** Listeners of the signal are the application's. */
  #abort(reason: unknown): void {
    const log = this.#target.surroundings.log;
    callSafely(
      () => this.#controller?.abort(reason),
      (error) => log({ level: 'warn', message: 'a listener of an abort signal failed', error }),
    );
  }

  /** Takes the one chance to end the call. */
  #close(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#list?.remove(this);
    this.#list = undefined;
    this.#unlisten?.();
    return true;
  }
}
