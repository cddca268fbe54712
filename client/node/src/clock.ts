/** A timer that was set. */
export interface Timer {
  /** Stops it; afterwards it does nothing. */
  cancel(): void;
}

/** Where time comes from, so that tests can make it pass. All times are milliseconds. */
export interface Clock {
  /** The time by a clock that never runs backwards. */
  now(): number;
  /**
   * Runs a function later.
   *
   * @param holds - Whether the process lives on for it. Only what an application waits for by itself
   * (`ready`, `shutdown`, a permit) holds the process; everything else lets it end.
   */
  after(ms: number, run: () => void, holds?: 'holds'): Timer;
  /** Runs a function once what has arrived from the network was read. */
  afterReading(run: () => void): void;
}

/** The longest time that one timer of Node can wait. */
const LONGEST = 2_147_483_647;

/** The clock of this machine. */
export const machineClock: Clock = {
  now: () => performance.now(),
  after(ms, run, holds) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST));
    if (holds === undefined) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  afterReading(run) {
    setImmediate(run).unref();
  },
};
