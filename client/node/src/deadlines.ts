import type { Clock } from './clock';

/** What ends by a deadline unless it is removed before. A node of the list that it waits in. */
export interface Bounded {
  /** When it ends, by the clock; kept by the list. */
  endsAt: number;
  next: Bounded | undefined;
  previous: Bounded | undefined;
  /** Called once, at the deadline. Must not throw. */
  expire(): void;
}

/** How many different durations have a list of their own. */
const MAX_LISTS = 64;

/**
 * Deadlines of many calls, nearly all of which are gone before they come.
 *
 * Calls that may take equally long end in the order in which they began, so each duration has a list
 * in which a call goes in at the tail and out from anywhere, and one timer that looks at the head.
 * A call costs two links and no timer. No timer holds the process.
 */
export class Deadlines {
  readonly #lists = new Map<number, List>();

  constructor(readonly clock: Clock) {}

  /** Bounds something by so many milliseconds from `now`. The list is told again to remove it. */
  add(bounded: Bounded, ms: number, now: number): List {
    let list = this.#lists.get(ms);
    if (list === undefined) {
      list = new List(this.clock, ms);
      // Durations that come once, such as what is left of a permit, must not pile up.
      if (this.#lists.size >= MAX_LISTS) this.#forgetOne();
      this.#lists.set(ms, list);
    }
    list.add(bounded, now);
    return list;
  }

  /** The oldest list is forgotten here; what waits in it still ends by its own timer. */
  #forgetOne(): void {
    for (const ms of this.#lists.keys()) {
      this.#lists.delete(ms);
      return;
    }
  }
}

/** Those that may take equally long, the first to end first. */
export class List {
  #head: Bounded | undefined;
  #tail: Bounded | undefined;
  #isArmed = false;

  constructor(
    readonly clock: Clock,
    readonly ms: number,
  ) {}

  add(bounded: Bounded, now: number): void {
    bounded.endsAt = now + this.ms;
    bounded.previous = this.#tail;
    if (this.#tail === undefined) this.#head = bounded;
    else this.#tail.next = bounded;
    this.#tail = bounded;
    if (!this.#isArmed) this.#arm(this.ms);
  }

  remove(bounded: Bounded): void {
    const { previous, next } = bounded;
    if (previous === undefined) this.#head = next;
    else previous.next = next;
    if (next === undefined) this.#tail = previous;
    else next.previous = previous;
    bounded.previous = bounded.next = undefined;
  }

  /** The timer stays as it is when the head leaves: it looks again when it comes. */
  #arm(ms: number): void {
    this.#isArmed = true;
    this.clock.after(ms, () => this.#look());
  }

  #look(): void {
    this.#isArmed = false;
    const now = this.clock.now();
    while (this.#head !== undefined && this.#head.endsAt <= now) {
      const ended = this.#head;
      this.remove(ended);
      ended.expire();
    }
    if (this.#head !== undefined) this.#arm(this.#head.endsAt - now);
  }
}
