/**
 * The wait between attempts: doubled each time from `least` to `most`, in milliseconds, and shortened
 * by chance by up to a half, so that many clients do not come back together.
 */
export class Backoff {
  #next: number;

  constructor(
    readonly least: number,
    readonly most: number,
    readonly chance: () => number = Math.random,
  ) {
    this.#next = least;
  }

  /** How long to wait now, in milliseconds. */
  next(): number {
    const whole = Math.min(this.#next, this.most);
    this.#next = whole * 2;
    return whole * (1 - this.chance() / 2);
  }

  /** Begins afresh: something was answered. */
  reset(): void {
    this.#next = this.least;
  }
}
