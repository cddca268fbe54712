// @ts-check
// The breakers that this page knows, kept equal to the server's by the stream of events.
//
// Up to `MOST` of them are loaded, page by page; a fleet that has more is asked for by selector.
// `change` is told when there are others than before, or others in what they are filtered by; `look`
// when only their numbers have been looked at again.
import { get, isAbort, post } from './api.js';
import { now } from './clock.js';
import { live } from './live.js';
import { toRow } from './row.js';

/** @typedef {{ selector: string, states: string[], modes: string[] }} Scope what the server is asked for */

export const MOST = 20_000;
const PAGE = 1_000;
/** A fleet in an uproar has everything loaded anew again and again; not more often than this, in milliseconds. */
const LEAST_PAUSE = 5_000;

/** @type {Scope} */
export const EVERYTHING = { selector: '', states: [], modes: [] };

class Fleet extends EventTarget {
  /** @type {Map<string, import('./row.js').Row>} */
  rows = new Map();
  /** @type {Scope | null} what was asked for; null while nothing was */
  scope = null;
  /** Whether all that was asked for is here. */
  isComplete = false;
  /** The server has more than are loaded. */
  hasMore = false;
  /** Grows when there are others than before, or others in what they are called by. */
  version = 0;
  /** @type {Error | null} */
  error = null;
  /** Is the whole fleet too large to be loaded? */
  isTooLarge = false;

  /** @type {AbortController | null} */
  #loading = null;
  #loadedAt = -Infinity;
  #isOld = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  /** Names that went while pages were loaded, which may still stand on one of them. @type {Set<string>} */
  #gone = new Set();

  constructor() {
    super();
    live.addEventListener('changes', (event) => {
      const { breakers, deleted } = /** @type {CustomEvent} */ (event).detail;
      if (this.scope !== null) this.learn(breakers, deleted);
    });
    live.addEventListener('reload', (event) => {
      this.#isOld = true;
      // Another server may answer now, and what it says is not to be waited for.
      if (/** @type {CustomEvent} */ (event).detail === 'connection') this.#loadedAt = -Infinity;
    });
  }

  /**
   * Loads what is asked for, unless it is here.
   * @param {Scope} scope
   */
  async load(scope) {
    const isSame = this.scope !== null && JSON.stringify(scope) === JSON.stringify(this.scope);
    if (isSame && this.error === null) {
      // One load ends before the next begins, or an uproar would have none of them end.
      if (this.#loading !== null || (this.isComplete && !this.#isOld)) return;
      const rest = this.#loadedAt + LEAST_PAUSE - performance.now();
      if (rest > 0) return this.#loadIn(rest);
    }
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    if (!isSame) {
      this.rows = new Map();
      this.version += 1;
      this.isComplete = false;
    }
    this.scope = scope;
    this.error = null;
    try {
      await this.#loadPages(scope, loading.signal);
    } catch (error) {
      if (isAbort(error)) return;
      this.error = /** @type {Error} */ (error);
    }
    this.#loading = null;
    if (this.#isOld && this.error === null) this.#loadIn(LEAST_PAUSE);
    this.#tell();
  }

  /** Loads what is asked for a little later, if it is still asked for then. @param {number} pause */
  #loadIn(pause) {
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      if (this.scope !== null) this.load(this.scope);
    }, pause);
  }

  /** Loads again what is here; it may be out of date in what no event tells. */
  async refresh() {
    if (this.scope === null || document.hidden) return;
    this.#isOld = true;
    await this.load(this.scope);
  }

  /**
   * @param {Scope} scope
   * @param {AbortSignal} signal
   */
  async #loadPages(scope, signal) {
    this.#isOld = false;
    this.#gone.clear();
    const began = now();
    const seen = new Set();
    let token = '';
    do {
      const query = {
        ...{
          page_size: PAGE,
          page_token: token,
          view: 'BREAKER_VIEW_BASIC',
          selector: scope.selector,
        },
        ...{
          states: scope.states.map((state) => `STATE_${state}`),
          modes: scope.modes.map((mode) => `MODE_${mode}`),
        },
      };
      const page = await get('breakers', query, signal);
      for (const breaker of page.breakers) {
        if (this.#gone.has(breaker.name)) continue;
        seen.add(breaker.name);
        this.#put(breaker);
      }
      token = page.next_page_token;
      if (!this.isComplete) this.#tell();
    } while (token !== '' && seen.size < MOST);
    // A change that came meanwhile may have brought one that stands on no page.
    for (const [name, row] of this.rows)
      if (!seen.has(name) && row.at < began && this.rows.delete(name)) this.version += 1;
    this.hasMore = token !== '';
    if (scope.selector === '' && scope.states.length + scope.modes.length === 0)
      this.isTooLarge = this.hasMore;
    this.isComplete = true;
    this.#loadedAt = performance.now();
  }

  /**
   * Takes over what the server tells of some breakers.
   * @param {any[]} breakers
   * @param {string[]} [deleted]
   */
  learn(breakers, deleted = []) {
    for (const name of deleted) {
      if (this.rows.delete(name)) this.version += 1;
      this.#gone.add(name);
    }
    for (const breaker of breakers) {
      this.#gone.delete(breaker.name);
      const isWanted =
        this.rows.has(breaker.name) || (!this.hasMore && this.scope?.selector === '');
      if (isWanted && this.rows.size < MOST) this.#put(breaker);
    }
    this.#tell();
  }

  /** @param {any} breaker */
  #put(breaker) {
    const before = this.rows.get(breaker.name);
    // An answer that was on its way while a change was told is older than that.
    if (before !== undefined && Number(breaker.state.revision) < before.revision) return;
    const row = toRow(breaker, before);
    if (before === undefined || before.level !== row.level) this.version += 1;
    // A row stays the same object, so that whoever shows it shows what is known of it now.
    if (before === undefined) this.rows.set(breaker.name, row);
    else Object.assign(before, row);
  }

  /** Looks again at some breakers: rates and averages change without an event. @param {string[]} names */
  async look(names) {
    if (names.length === 0) return;
    const { breakers } = await post('breakers:batchGet', { names, view: 'BREAKER_VIEW_BASIC' });
    for (const breaker of breakers) if (this.rows.has(breaker.name)) this.#put(breaker);
    this.dispatchEvent(new Event('look'));
  }

  #tell() {
    this.dispatchEvent(new Event('change'));
  }
}

export const fleet = new Fleet();
