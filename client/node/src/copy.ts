import type { HeldBreaker } from './held';
import type { Selection } from './names';

/** News of breakers, as a message of the stream brings them. */
export interface News {
  readonly reset: boolean;
  readonly deleted: readonly string[];
  readonly changed: Iterable<readonly [name: string, breaker: HeldBreaker]>;
  readonly snapshotComplete: boolean;
}

/** Hears what becomes of a breaker in the copy; `undefined` is not to be there. */
export type Changed = (
  name: string,
  before: HeldBreaker | undefined,
  after: HeldBreaker | undefined,
) => void;

/** What this client knows of the breakers. It is never emptied while a new snapshot comes. */
export class Copy {
  readonly #held = new Map<string, HeldBreaker>();
  readonly #changed: Changed;
  #selection: Selection | undefined;
  /** What the snapshot under way has brought, and whether it begins everything anew. */
  #snapshot: { readonly brought: Set<string>; readonly isReset: boolean } | undefined;
  #covered: Selection | undefined;

  constructor(changed: Changed) {
    this.#changed = changed;
  }

  get(name: string): HeldBreaker | undefined {
    return this.#held.get(name);
  }

  /** Whether a breaker that is not held does not exist: a complete snapshot would have brought it. */
  covers(name: string): boolean {
    return this.#covered?.matches(name) ?? false;
  }

  /** A stream begins: with a snapshot, or with what has changed since the last token. */
  begin(selection: Selection, isResumed: boolean): void {
    this.#selection = selection;
    this.#snapshot = isResumed ? undefined : { brought: new Set(), isReset: false };
  }

  /** Takes in a message of the stream. */
  apply(news: News): void {
    if (news.reset) this.#snapshot = { brought: new Set(), isReset: true };
    for (const name of news.deleted) this.#remove(name);
    for (const [name, breaker] of news.changed) this.#take(name, breaker);
    if (!news.snapshotComplete) return;
    if (this.#snapshot !== undefined) this.#sweep(this.#snapshot.brought);
    this.#snapshot = undefined;
    this.#covered = this.#selection;
  }

  /** Takes in a state that came another way, if the breaker is held. */
  applyReported(name: string, breaker: HeldBreaker): void {
    const before = this.#held.get(name);
    if (before !== undefined && breaker.revision >= before.revision)
      this.#set(name, before, breaker);
  }

  #take(name: string, breaker: HeldBreaker): void {
    const before = this.#held.get(name);
    const snapshot = this.#snapshot;
    // After a reset revisions may begin lower: each breaker's first state is believed.
    const isBelieved = snapshot?.isReset === true && !snapshot.brought.has(name);
    snapshot?.brought.add(name);
    if (before !== undefined && breaker.revision < before.revision && !isBelieved) return;
    this.#set(name, before, breaker);
  }

  #set(name: string, before: HeldBreaker | undefined, after: HeldBreaker): void {
    this.#held.set(name, after);
    this.#changed(name, before, after);
  }

  #remove(name: string): void {
    const before = this.#held.get(name);
    if (before === undefined) return;
    this.#held.delete(name);
    this.#changed(name, before, undefined);
  }

  #sweep(brought: ReadonlySet<string>): void {
    for (const name of [...this.#held.keys()]) {
      if (!brought.has(name)) this.#remove(name);
    }
  }
}
