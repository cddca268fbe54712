import type { Outcome } from './words';

/** At most so many runs wait. */
export const MAX_WAITING = 10_000;
/** A report has at most so many breakers. */
const MAX_BREAKERS = 1_000;
/** A run has at most so many calls. */
const MAX_COUNT = 1_000_000;
/**
 * How long after its first call a run takes in more, in milliseconds. Its age is that of its last
 * call, so without an end a run of a long outage would pass off its old calls as fresh ones.
 */
const MAX_SPAN = 1_000;
/** Outcomes older than this when their report is made are history, in milliseconds. */
const LATE_AFTER = 15_000;
/** After a gathering that was of no use, so many runs are given up before the next one. */
const GATHER_PAUSE = 500;

/** How one call ended. Times are milliseconds. */
export interface Ended {
  readonly breaker: string;
  readonly generation: bigint;
  /** 0 without one. */
  readonly permit: bigint;
  readonly outcome: Outcome;
  readonly kind: string;
  readonly isSlow: boolean;
  readonly duration: number;
  readonly endedAt: number;
}

/** Calls of one breaker and generation that ended one after another in the same way. */
export class Run {
  readonly breaker: string;
  readonly generation: bigint;
  readonly permit: bigint;
  readonly outcome: Outcome;
  readonly kind: string;
  readonly isSlow: boolean;
  count = 1;
  /** The durations added up, and the longest one. */
  total: number;
  longest: number;
  /** When its first and its last call ended. */
  beganAt: number;
  endedAt: number;
  /** Whether it waits and was not gathered, so that calls can still be added. */
  isOpen = true;

  constructor(call: Ended) {
    this.breaker = call.breaker;
    this.generation = call.generation;
    this.permit = call.permit;
    this.outcome = call.outcome;
    this.kind = call.kind;
    this.isSlow = call.isSlow;
    this.total = this.longest = call.duration;
    this.beganAt = this.endedAt = call.endedAt;
  }

  /** Takes in one more call without a permit, if it is of the same run. */
  takes(
    generation: bigint,
    outcome: Outcome,
    kind: string,
    isSlow: boolean,
    duration: number,
    endedAt: number,
  ): boolean {
    if (
      !this.isOpen ||
      this.outcome !== outcome ||
      this.kind !== kind ||
      this.isSlow !== isSlow ||
      this.permit !== 0n ||
      this.generation !== generation ||
      this.count >= MAX_COUNT ||
      endedAt - this.beganAt > MAX_SPAN
    ) {
      return false;
    }
    this.count += 1;
    this.total += duration;
    if (duration > this.longest) this.longest = duration;
    this.endedAt = endedAt;
    return true;
  }

  /**
   * Takes in another run of the same outcome, whatever lay between. It is as old as the oldest of
   * both from then on, and takes in no more calls.
   */
  join(other: Run): void {
    this.count += other.count;
    this.total += other.total;
    this.longest = Math.max(this.longest, other.longest);
    this.beganAt = this.endedAt = Math.min(this.beganAt, other.beganAt);
    this.isOpen = false;
  }
}

/** The runs of one breaker and generation in a report, in the order in which they ended. */
export interface Part {
  readonly breaker: string;
  readonly generation: bigint;
  /** They are history: they reach the metrics and nothing else. */
  readonly late: boolean;
  readonly runs: Run[];
}

/** The runs that wait for a report, oldest first, bounded. */
export class WaitingRuns {
  #runs: Run[] = [];
  #pause = 0;
  /** How many calls were given up for want of room. */
  givenUp = 0;

  constructor(readonly limit = MAX_WAITING) {}

  get size(): number {
    return this.#runs.length;
  }

  /** Lets one more run wait. Where there is no room something is gathered, or given up. */
  push(run: Run): void {
    this.#runs.push(run);
    if (this.#runs.length > this.limit) this.#makeRoom(run.endedAt);
  }

  /** Takes what goes into one report made now: as many breakers as it may have. */
  take(now: number): Part[] {
    const parts = new Map<string, Part>();
    const breakers = new Set<string>();
    const left: Run[] = [];
    for (const run of this.#runs) {
      if (!breakers.has(run.breaker) && breakers.size >= MAX_BREAKERS) {
        left.push(run);
        continue;
      }
      breakers.add(run.breaker);
      run.isOpen = false;
      const late = now - run.endedAt > LATE_AFTER;
      const key = `${run.breaker} ${run.generation} ${late}`;
      const part = parts.get(key);
      if (part !== undefined) part.runs.push(run);
      else parts.set(key, { breaker: run.breaker, generation: run.generation, late, runs: [run] });
    }
    this.#runs = left;
    return [...parts.values()];
  }

  /** Forgets all that waits; says how many calls that were. */
  clear(): number {
    const calls = this.#runs.reduce((sum, run) => sum + run.count, 0);
    for (const run of this.#runs) run.isOpen = false;
    this.#runs = [];
    return calls;
  }

  /** First what is history is gathered, then everything; if that is not enough the oldest go. */
  #makeRoom(now: number): void {
    if (this.#pause > 0) {
      this.#pause -= 1;
    } else {
      this.#gather((run) => now - run.endedAt > LATE_AFTER);
      if (this.#runs.length > this.limit) this.#gather(() => true);
      // What cannot be gathered now cannot be gathered a moment later either.
      if (this.#runs.length > this.limit) this.#pause = GATHER_PAUSE;
    }
    while (this.#runs.length > this.limit) {
      const oldest = this.#runs.shift();
      if (oldest === undefined) return;
      oldest.isOpen = false;
      this.givenUp += oldest.count;
    }
  }

  /** Joins runs of one breaker, generation, outcome, kind and slowness, whatever their order. */
  #gather(isMeant: (run: Run) => boolean): void {
    const gathered = new Map<string, Run>();
    this.#runs = this.#runs.filter((run) => {
      if (run.permit !== 0n || !isMeant(run)) return true;
      const key = `${run.breaker} ${run.generation} ${run.outcome} ${run.isSlow} ${run.kind}`;
      const first = gathered.get(key);
      if (first === undefined || first.count + run.count > MAX_COUNT) {
        gathered.set(key, run);
        return true;
      }
      first.join(run);
      run.isOpen = false;
      return false;
    });
  }
}
