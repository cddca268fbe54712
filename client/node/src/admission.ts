import type { BreakerConfig } from './config';
import type { LocalBreaker, LocalTicket } from './local';

/** Leave to make one call, and how its outcome is told. The same for many calls without a permit. */
export class Admission {
  /** How long the call may take, in milliseconds; a longer one is a TIMEOUT. */
  readonly bound: number;
  /** A call longer than this is slow, in milliseconds. */
  readonly slowAfter: number;
  /** The breakers of this process that learn from the outcome. */
  readonly learners: readonly Learner[];

  constructor(
    readonly generation: bigint,
    config: Pick<BreakerConfig, 'callTimeout' | 'slowCallRate'>,
    /** The permit of a probe; 0 for other calls. */
    readonly permit = 0n,
    more: { bound?: number | undefined; learners?: readonly Learner[] } = {},
  ) {
    this.bound = more.bound ?? config.callTimeout;
    this.slowAfter = config.slowCallRate?.duration ?? Infinity;
    this.learners = more.learners ?? NOBODY;
  }

  /** The same leave, given by one more breaker of this process. */
  taughtTo(learner: Learner): Admission {
    const slow = { percent: 0, minimumCalls: 0, duration: this.slowAfter };
    const config = { callTimeout: this.bound, slowCallRate: slow };
    const learners = [...this.learners, learner];
    return new Admission(this.generation, config, this.permit, { learners });
  }
}

/** A breaker of this process that has given its leave. */
export interface Learner {
  readonly local: LocalBreaker;
  readonly ticket: LocalTicket;
}

const NOBODY: readonly Learner[] = [];
