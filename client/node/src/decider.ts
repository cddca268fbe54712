import { Admission, type Learner } from './admission';
import { type BreakerConfig, DEFAULT_CONFIG, localGuardConfig } from './config';
import type { Engine } from './engine';
import type { Denial } from './errors';
import type { HeldBreaker } from './held';
import { LocalBreaker } from './local';
import { Permits } from './permits';
import type { AcquireResponseMessage } from './wire/messages';
import { toDenial, toMode, toState } from './wire/states';
import { toBigInt, toMs } from './wire/values';
import type { DenialReason, OnUnavailable, Outcome, State } from './words';

/** Leave to make a call, or why there is none. */
export type Decision = Admission | Denial;

/** Leave for a breaker that does not exist yet: the first outcome makes it. */
const NEW = new Admission(0n, DEFAULT_CONFIG);

/** Decides the calls of one breaker: from the copy, by asking the server, or without it. */
export class Decider {
  readonly #name: string;
  readonly #engine: Engine;
  readonly #permits: Permits;
  /** What the copy holds of the breaker. */
  held: HeldBreaker | undefined;
  /** Whether a complete snapshot would have brought the breaker, if it existed. */
  isCovered: boolean;
  /** Stands in while the server is away; made when it is first asked. */
  #local: LocalBreaker | undefined;
  /** The second breaker beside the fleet's, where the client is built with one. */
  #localGuard: LocalBreaker | undefined;
  /**
   * What of a ramp's share was not used yet, in hundredths of a call. It begins by chance, so that
   * many clients with few calls let the share through together.
   */
  #credit = Math.floor(Math.random() * 100);

  constructor(name: string, engine: Engine) {
    this.#name = name;
    this.#engine = engine;
    this.#permits = new Permits(name, engine.permits);
    this.held = engine.copy.get(name);
    this.isCovered = engine.copy.covers(name);
    const { localGuard } = engine.settings;
    if (localGuard) {
      this.#localGuard = new LocalBreaker(localGuardConfig(localGuard, this.config), 'closed');
    }
  }

  /** The configuration as it was last known. */
  get config(): BreakerConfig {
    return this.held?.config ?? DEFAULT_CONFIG;
  }

  /** Whether the copy decides, and not what stands in for it while the server is away. */
  get isFromCopy(): boolean {
    const { isStale, usesCopy } = this.#engine;
    if (!usesCopy || (this.held === undefined && !this.isCovered)) return false;
    return !(isStale && this.#isDoubtful);
  }

  /**
   * Whether a stale copy is not trusted to let calls flow: the dependency may have died since, and
   * the breaker of this process finds that out without the server.
   */
  get #isDoubtful(): boolean {
    const { held } = this;
    const flows = held === undefined || (held.mode === 'normal' && held.state === 'closed');
    return flows && this.#policy === 'local';
  }

  /** What decides while the server is away. */
  get #policy(): OnUnavailable {
    return this.config.onUnavailable ?? this.#engine.settings.onUnavailable;
  }

  /** Takes what the copy holds now. A local breaker that began from another state is of no use. */
  take(held: HeldBreaker | undefined): void {
    if (stateOf(held) !== stateOf(this.held)) this.forgetLocal();
    this.held = held;
    const { localGuard } = this.#engine.settings;
    if (localGuard) this.#localGuard?.reconfigure(localGuardConfig(localGuard, this.config));
  }

  /** The fleet's state wins again. */
  forgetLocal(): void {
    this.#local = undefined;
  }

  /** Teaches the breakers of this process how a call ended, `duration` ms after its begin. */
  learn(admission: Admission, outcome: Outcome, kind: string, duration: number, now: number): void {
    const local = this.#local;
    let isToldLocal = local === undefined;
    for (const learner of admission.learners) {
      learner.local.record(learner.ticket, outcome, kind, duration, now);
      isToldLocal ||= learner.local === local;
    }
    // A call that the copy allowed has ended without the server: whoever decides now wants to know.
    if (!isToldLocal) local?.record(undefined, outcome, kind, duration, now);
  }

  /** Decides one call at `now`. Only where the server is asked there is something to wait for. */
  decide(now: number): Decision | Promise<Decision> {
    const guard = this.#localGuard;
    if (guard === undefined) return this.#decide(now);
    const local = guard.acquire(now);
    if (local.ticket === undefined)
      return this.#denial('local_open', local.retryAfter, guard.state);
    const learner = { local: guard, ticket: local.ticket };
    const decision = this.#decide(now);
    if (!(decision instanceof Promise)) return this.#both(decision, learner);
    return decision.then((decided) => this.#both(decided, learner));
  }

  /** What the fleet's breaker decides, whose leave is needed as well. */
  #both(decision: Decision, learner: Learner): Decision {
    if (decision instanceof Admission) return decision.taughtTo(learner);
    learner.local.record(learner.ticket, 'ignored', '', 0, this.#engine.clock.now());
    return decision;
  }

  #decide(now: number): Decision | Promise<Decision> {
    if (!this.isFromCopy) return this.#withoutServer(now);
    const held = this.held;
    if (held === undefined) return NEW;
    if (held.allowsAll) return held.admission;
    if (held.mode === 'forced_open') {
      return this.#denial('forced_open', left(held.overrideEndsAt, now));
    }
    let decision = this.#withoutPermit(held, now);
    if (decision === undefined) {
      if (this.#permits.mayAsk(held.config.maxProbes)) return this.#ask(held);
      decision = this.#denial('no_permit', undefined);
    }
    return held.mode === 'shadow' ? held.admission : decision;
  }

  /** What the copy says of a breaker that is not CLOSED; `undefined` if the server has to say. */
  #withoutPermit(held: HeldBreaker, now: number): Decision | undefined {
    if (held.state === 'open') {
      // Without a time OPEN does not end by itself.
      if (held.retryAt !== undefined && held.retryAt <= now) return undefined;
      return this.#denial('open', left(held.retryAt, now));
    }
    if (held.admitPercent !== undefined) {
      this.#credit += held.admitPercent;
      if (this.#credit < 100) return this.#denial('ramp', undefined);
      this.#credit -= 100;
      return held.admission;
    }
    return undefined;
  }

  async #ask(held: HeldBreaker): Promise<Decision> {
    const askedAt = this.#engine.clock.now();
    const answer = await this.#permits.ask();
    if (answer === undefined) {
      return held.mode === 'shadow'
        ? held.admission
        : this.#withoutServer(this.#engine.clock.now());
    }
    // The server is there: what was decided without it is over.
    this.forgetLocal();
    if (answer.allowed) return admissionOf(answer, held.config, this.#engine.clock.now() - askedAt);
    const { level } = answer;
    return {
      breaker: this.#name,
      reason: toDenial(answer.reason),
      state: toState(answer.state),
      mode: toMode(answer.mode),
      retryAfter: toMs(answer.retryAfter),
      level: level ? { name: level.name, number: level.number, serve: level.serve } : undefined,
    };
  }

  /** Decides by `on_unavailable`. */
  #withoutServer(now: number): Decision {
    const { config, held } = this;
    const generation = held?.generation ?? 0n;
    const policy = this.#policy;
    if (policy === 'allow') return held?.admission ?? NEW;
    if (policy === 'deny') return this.#denial('unavailable', undefined);
    const begin = stateOf(held) === 'closed' ? 'closed' : 'half_open';
    const local = (this.#local ??= new LocalBreaker(config, begin));
    const { ticket, retryAfter } = local.acquire(now);
    if (ticket === undefined) return this.#denial('local_open', retryAfter, local.state);
    return new Admission(generation, config, 0n, { learners: [{ local, ticket }] });
  }

  #denial(reason: DenialReason, retryAfter: number | undefined, state = this.held?.state): Denial {
    return {
      breaker: this.#name,
      reason,
      state: state ?? 'closed',
      mode: this.held?.mode ?? 'normal',
      retryAfter: retryAfter === undefined ? undefined : Math.max(retryAfter, 0),
      level: this.held?.level,
    };
  }
}

/** A breaker that is not held begins CLOSED. */
function stateOf(held: HeldBreaker | undefined): State {
  return held?.state ?? 'closed';
}

function left(until: number | undefined, now: number): number | undefined {
  return until === undefined ? undefined : until - now;
}

/**
 * An answer is taken as it is: its state may be newer than the copy's.
 *
 * The time of a permit began somewhere between asking and its answer, `took` ms apart. A success must
 * not be told of a probe whose permit is over, so the worse is assumed, up to a half of the time.
 */
function admissionOf(
  answer: AcquireResponseMessage,
  known: BreakerConfig,
  took: number,
): Admission {
  const { permit, settings } = answer;
  const callTimeout = toMs(settings?.callTimeout) ?? known.callTimeout;
  const slow = settings ? toMs(settings.slowCallDuration) : known.slowCallRate?.duration;
  const slowCallRate =
    slow === undefined ? undefined : { percent: 0, minimumCalls: 0, duration: slow };
  const config = { callTimeout, slowCallRate };
  const id = permit ? toBigInt(permit.id) : 0n;
  const left = toMs(permit?.timeLeft);
  const bound = left === undefined ? undefined : Math.max(left - took, left / 2);
  return new Admission(toBigInt(answer.generation), config, id, { bound });
}
