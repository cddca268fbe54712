import type { Clock, Timer } from './clock';
import type { ClientState } from './words';

/** How fresh the copy is: READY, STALE when the stream was lost, FALLBACK when that lasts. */
export class Freshness {
  readonly #clock: Clock;
  readonly #maxStaleness: number;
  readonly #changed: (from: ClientState, to: ClientState) => void;
  readonly #waiting = new Set<(isReady: boolean) => void>();
  #timer: Timer | undefined;
  state: ClientState = 'fallback';
  /** Since when the state holds, for people. */
  since = new Date();

  /** @param maxStaleness - How long STALE lasts before it becomes FALLBACK, in milliseconds. */
  constructor(
    clock: Clock,
    maxStaleness: number,
    changed: (from: ClientState, to: ClientState) => void,
  ) {
    this.#clock = clock;
    this.#maxStaleness = maxStaleness;
    this.#changed = changed;
  }

  /** The copy is complete, and the stream lives. */
  ready(): void {
    this.#enter('ready');
    for (const resolve of [...this.#waiting]) resolve(true);
  }

  /** The stream was cut, or is silent. */
  lost(): void {
    if (this.state !== 'ready') return;
    this.#enter('stale');
    this.#timer = this.#clock.after(this.#maxStaleness, () => this.#enter('fallback'));
  }

  /** Nothing will come any more. */
  end(): void {
    this.#enter('fallback');
    for (const resolve of [...this.#waiting]) resolve(false);
  }

  /** Waits until the state is READY, for so many milliseconds at most; says whether it is. */
  wait(timeout: number): Promise<boolean> {
    if (this.state === 'ready') return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (isReady: boolean): void => {
        timer.cancel();
        this.#waiting.delete(settle);
        resolve(isReady);
      };
      const timer = this.#clock.after(timeout, () => settle(false), 'holds');
      this.#waiting.add(settle);
    });
  }

  #enter(state: ClientState): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (state === this.state) return;
    const from = this.state;
    this.state = state;
    this.since = new Date();
    this.#changed(from, state);
  }
}
