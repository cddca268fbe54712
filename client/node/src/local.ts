import type { BreakerConfig, Rate } from './config';
import { type Window, windowOf } from './window';
import type { Outcome } from './words';

/** Leave of a local breaker. An outcome under the ticket of an older state moves nothing. */
export interface LocalTicket {
  readonly turn: number;
  readonly isProbe: boolean;
}

/** Local leave, or that there is none; `retryAfter` is in milliseconds, where it is known. */
export interface LocalDecision {
  readonly ticket: LocalTicket | undefined;
  readonly retryAfter?: number;
}

/** Where a local breaker stands. */
type Stance =
  | { state: 'closed'; failures: number; consecutive: number; window: Window | undefined }
  | { state: 'open'; retryAt: number }
  | { state: 'half_open'; successes: number; probes: Map<LocalTicket, number> };

/**
 * A breaker of this process alone: it decides while breakerd is away, and, as `localGuard`, beside
 * it. Nothing in it waits or reads a clock: times are milliseconds and come from outside.
 */
export class LocalBreaker {
  #config: BreakerConfig;
  #stance: Stance;
  /** Grows with each change of state. */
  #turn = 0;

  /** Begins CLOSED, or HALF_OPEN where the fleet's breaker was not CLOSED when it was last heard of. */
  constructor(config: BreakerConfig, begin: 'closed' | 'half_open') {
    this.#config = config;
    this.#stance = begin === 'closed' ? this.#closed() : halfOpen();
  }

  get state(): Stance['state'] {
    return this.#stance.state;
  }

  /** Takes over a changed configuration. Windows begin anew where they are to be others. */
  reconfigure(config: BreakerConfig): void {
    const of = ({ failureRate, slowCallRate, window }: BreakerConfig): string =>
      JSON.stringify([failureRate, slowCallRate, window]);
    const isSame = of(config) === of(this.#config);
    this.#config = config;
    if (!isSame && this.#stance.state === 'closed') this.#stance.window = this.#window();
  }

  /** Asks whether a call may be made. */
  acquire(now: number): LocalDecision {
    this.#advance(now);
    const stance = this.#stance;
    if (stance.state === 'closed') return { ticket: { turn: this.#turn, isProbe: false } };
    if (stance.state === 'open') return { ticket: undefined, retryAfter: stance.retryAt - now };
    if (stance.probes.size >= this.#config.maxProbes) return { ticket: undefined };
    const ticket = { turn: this.#turn, isProbe: true };
    stance.probes.set(ticket, now + this.#config.callTimeout);
    return { ticket };
  }

  /**
   * Takes in how the call of a ticket ended, after so many milliseconds. A call that somebody else
   * has allowed has no ticket, and is no probe.
   */
  record(
    ticket: LocalTicket | undefined,
    outcome: Outcome,
    kind: string,
    duration: number,
    now: number,
  ): void {
    this.#advance(now);
    if (ticket !== undefined && ticket.turn !== this.#turn) return;
    const stance = this.#stance;
    const isProbe = stance.state === 'half_open' && ticket !== undefined;
    if (isProbe) stance.probes.delete(ticket);
    if (outcome === 'ignored' || (outcome !== 'success' && this.#isPardoned(kind))) return;
    const isFailure = outcome !== 'success';
    if (stance.state === 'closed') this.#count(stance, isFailure, duration, now);
    else if (isProbe) this.#judge(stance, isFailure, now);
  }

  /** An error without a kind is always a failure. */
  #isPardoned(kind: string): boolean {
    const { failureErrors, ignoredErrors } = this.#config;
    return kind !== '' && (ignoredErrors.matches(kind) || !failureErrors.matches(kind));
  }

  /** What is due by now happens first: OPEN ends, and a probe that never came back is a TIMEOUT. */
  #advance(now: number): void {
    if (this.#stance.state === 'half_open') {
      // In the order in which they were handed out, so the first is due first.
      const [deadline] = this.#stance.probes.values();
      if (deadline !== undefined && deadline < now) this.#open(deadline);
    }
    if (this.#stance.state === 'open' && this.#stance.retryAt <= now) this.#enter(halfOpen());
  }

  #count(
    stance: Stance & { state: 'closed' },
    isFailure: boolean,
    duration: number,
    now: number,
  ): void {
    const config = this.#config;
    if (isFailure) {
      stance.failures += 1;
      stance.consecutive += 1;
    } else {
      stance.failures = Math.max(stance.failures - config.failureDecay, 0);
      stance.consecutive = 0;
    }
    stance.window?.push(isFailure, duration > (config.slowCallRate?.duration ?? Infinity), now);
    const reaches = (threshold: number, count: number): boolean =>
      isFailure && threshold !== 0 && count >= threshold;
    const { calls, failures, slow } = stance.window?.sums ?? { calls: 0, failures: 0, slow: 0 };
    const trips =
      reaches(config.failureThreshold, stance.failures) ||
      reaches(config.consecutiveFailures, stance.consecutive) ||
      isMet(config.failureRate, calls, failures) ||
      isMet(config.slowCallRate, calls, slow);
    if (trips) this.#open(now);
  }

  #judge(stance: Stance & { state: 'half_open' }, isFailure: boolean, now: number): void {
    if (isFailure) return this.#open(now);
    stance.successes += 1;
    if (stance.successes >= this.#config.successThreshold) this.#enter(this.#closed());
  }

  #open(failedAt: number): void {
    this.#enter({ state: 'open', retryAt: failedAt + this.#config.openDuration });
  }

  #enter(stance: Stance): void {
    this.#turn += 1;
    this.#stance = stance;
  }

  #closed(): Stance {
    return { state: 'closed', failures: 0, consecutive: 0, window: this.#window() };
  }

  /** Only the rates need one. */
  #window(): Window | undefined {
    const { failureRate, slowCallRate, window } = this.#config;
    return failureRate || slowCallRate ? windowOf(window) : undefined;
  }
}

function halfOpen(): Stance {
  return { state: 'half_open', successes: 0, probes: new Map() };
}

function isMet(rate: Rate | undefined, calls: number, bad: number): boolean {
  return rate !== undefined && calls >= rate.minimumCalls && bad * 100 >= rate.percent * calls;
}
