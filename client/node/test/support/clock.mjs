/** A clock that stands still until a test makes time pass. */
export class TestClock {
  time = 1_000;
  #timers = [];

  now() {
    return this.time;
  }

  after(ms, run) {
    const timer = { at: this.time + Math.max(ms, 0), run };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  afterReading(run) {
    run();
  }

  /** How many timers are set. */
  get pending() {
    return this.#timers.length;
  }

  /** Lets so many milliseconds pass, timer by timer, and lets promises go on in between. */
  async pass(ms) {
    const until = this.time + ms;
    await settled();
    for (;;) {
      const next = this.#timers.reduce(
        (a, b) => (a === undefined || b.at < a.at ? b : a),
        undefined,
      );
      if (next === undefined || next.at > until) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.run();
      await settled();
    }
    this.time = until;
  }
}

/** All that can happen without time has happened. */
export async function settled() {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
