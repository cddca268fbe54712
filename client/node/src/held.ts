import { Admission } from './admission';
import type { BreakerConfig } from './config';
import type { Level, Mode, Standing, State } from './words';

/** What is known of a breaker. Times are milliseconds by this process's clock. */
export interface Held {
  readonly state: State;
  readonly mode: Mode;
  readonly generation: bigint;
  readonly revision: bigint;
  /** When OPEN ends by itself. */
  readonly retryAt: number | undefined;
  /** When the operator's override ends by itself. */
  readonly overrideEndsAt: number | undefined;
  readonly config: BreakerConfig;
  /** The share of the calls that a breaker on its ramp lets through, in percent. */
  readonly admitPercent: number | undefined;
  readonly level: Level | undefined;
}

/** What the copy holds of one breaker. Never changes: news of a breaker replace it. */
export class HeldBreaker implements Held {
  readonly state: State;
  readonly mode: Mode;
  readonly generation: bigint;
  readonly revision: bigint;
  readonly retryAt: number | undefined;
  readonly overrideEndsAt: number | undefined;
  readonly config: BreakerConfig;
  readonly admitPercent: number | undefined;
  readonly level: Level | undefined;
  /** Leave to make a call without a permit, the same for every call. */
  readonly admission: Admission;
  /** Whether every call is allowed without another look. */
  readonly allowsAll: boolean;

  constructor(held: Held) {
    this.state = held.state;
    this.mode = held.mode;
    this.generation = held.generation;
    this.revision = held.revision;
    this.retryAt = held.retryAt;
    this.overrideEndsAt = held.overrideEndsAt;
    this.config = held.config;
    this.admitPercent = held.admitPercent;
    this.level = held.level;
    this.admission = new Admission(held.generation, held.config);
    this.allowsAll =
      held.mode === 'forced_closed' ||
      held.mode === 'disabled' ||
      (held.mode !== 'forced_open' && held.state === 'closed');
  }
}

/** State, mode and level number, as transitions tell them. */
export function standingOf(held: Held): Standing {
  return { state: held.state, mode: held.mode, level: held.level?.number };
}
