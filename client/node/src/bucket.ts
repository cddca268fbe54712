/** Pays for prompt reports: holds so many at most, refilled steadily. */
export class TokenBucket {
  #tokens: number;
  #filledAt: number;

  constructor(
    readonly capacity: number,
    readonly perSecond: number,
    now: number,
  ) {
    this.#tokens = capacity;
    this.#filledAt = now;
  }

  /** How long it takes until one can be taken, in milliseconds; 0 if now. */
  wait(now: number): number {
    this.#fill(now);
    // A sum of fractions may miss one by the last bit.
    const missing = 1 - this.#tokens;
    return missing <= 1e-9 ? 0 : (missing * 1_000) / this.perSecond;
  }

  /** Takes one. A timer that comes a little early borrows what is missing. */
  take(now: number): void {
    this.#fill(now);
    this.#tokens = Math.max(this.#tokens - 1, -1);
  }

  #fill(now: number): void {
    const passed = Math.max(now - this.#filledAt, 0);
    this.#tokens = Math.min(this.#tokens + (passed * this.perSecond) / 1_000, this.capacity);
    this.#filledAt = now;
  }
}
