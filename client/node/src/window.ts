/** The share of bad calls in a window is computed from these. */
export interface Sums {
  calls: number;
  failures: number;
  slow: number;
}

/** The last calls, or those of the last while. */
export interface Window {
  readonly sums: Readonly<Sums>;
  /** Takes in one call that ended at `now`, in milliseconds. */
  push(isFailure: boolean, isSlow: boolean, now: number): void;
}

/** Makes the window of a configuration. Takes no memory before the first call. */
export function windowOf(size: { calls: number } | { duration: number }): Window {
  return 'calls' in size ? new LastCalls(size.calls) : new LastWhile(size.duration);
}

const FAILURE = 1;
const SLOW = 2;

class LastCalls implements Window {
  readonly sums: Sums = { calls: 0, failures: 0, slow: 0 };
  readonly #kept: number[] = [];
  #oldest = 0;

  constructor(readonly capacity: number) {}

  push(isFailure: boolean, isSlow: boolean): void {
    const call = (isFailure ? FAILURE : 0) | (isSlow ? SLOW : 0);
    if (this.#kept.length < this.capacity) {
      this.#kept.push(call);
    } else {
      this.#count(this.#kept[this.#oldest] ?? 0, -1);
      this.#kept[this.#oldest] = call;
      this.#oldest = (this.#oldest + 1) % this.capacity;
    }
    this.#count(call, 1);
  }

  #count(call: number, by: 1 | -1): void {
    this.sums.calls += by;
    if (call & FAILURE) this.sums.failures += by;
    if (call & SLOW) this.sums.slow += by;
  }
}

const BUCKETS = 100;

/** A row of buckets. The oldest leaves as a whole, so the window is up to one bucket shorter. */
class LastWhile implements Window {
  readonly sums: Sums = { calls: 0, failures: 0, slow: 0 };
  readonly #width: number;
  readonly #buckets: (Sums & { index: number })[] = [];

  constructor(duration: number) {
    this.#width = Math.max(duration / BUCKETS, Number.MIN_VALUE);
  }

  push(isFailure: boolean, isSlow: boolean, now: number): void {
    const index = Math.floor(now / this.#width);
    while (this.#buckets[0] !== undefined && this.#buckets[0].index <= index - BUCKETS) {
      add(this.sums, this.#buckets[0], -1);
      this.#buckets.shift();
    }
    let last = this.#buckets.at(-1);
    if (last?.index !== index) {
      last = { index, calls: 0, failures: 0, slow: 0 };
      this.#buckets.push(last);
    }
    const call = { calls: 1, failures: Number(isFailure), slow: Number(isSlow) };
    add(last, call, 1);
    add(this.sums, call, 1);
  }
}

function add(sums: Sums, more: Sums, by: 1 | -1): void {
  sums.calls += by * more.calls;
  sums.failures += by * more.failures;
  sums.slow += by * more.slow;
}
