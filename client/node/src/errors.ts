import type { DenialReason, Level, Mode, State } from './words';

/** Why a call was denied, and what is known of the breaker that denied it. */
export interface Denial {
  readonly breaker: string;
  readonly reason: DenialReason;
  readonly state: State;
  readonly mode: Mode;
  /** When asking again can have another answer, in milliseconds from now, where that is known. */
  readonly retryAfter: number | undefined;
  /** The level, if the breaker has levels. */
  readonly level: Level | undefined;
}

/** A call was denied: nothing was called. */
export class BreakerOpenError extends Error implements Denial {
  override readonly name = 'BreakerOpenError';
  readonly code = 'BREAKER_OPEN';
  readonly breaker: string;
  readonly reason: DenialReason;
  readonly state: State;
  readonly mode: Mode;
  readonly retryAfter: number | undefined;
  readonly level: Level | undefined;

  constructor(denial: Denial) {
    const { breaker, reason, retryAfter } = denial;
    const again = retryAfter === undefined ? '' : `, ask again in ${Math.ceil(retryAfter)} ms`;
    super(`${breaker} denied the call: ${reason}${again}`);
    this.breaker = breaker;
    this.reason = reason;
    this.state = denial.state;
    this.mode = denial.mode;
    this.retryAfter = retryAfter;
    this.level = denial.level;
  }

  /** The word for what to serve on this level, such as `degraded`. */
  get serve(): string | undefined {
    return this.level?.serve;
  }
}

/** A call took longer than the breaker's `call_timeout`, or than its permit is good for. */
export class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
  readonly code = 'CALL_TIMEOUT';

  constructor(
    readonly breaker: string,
    /** How long the call was allowed to take, in milliseconds. */
    readonly timeout: number,
  ) {
    super(`the call guarded by ${breaker} took longer than ${timeout} ms`);
  }
}
