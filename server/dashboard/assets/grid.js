// @ts-check
// A list of any length: only the rows that are seen are elements. For those who listen it is a grid
// that says how many rows there are; the keyboard moves a mark through it.
import { h } from './dom.js';

/** Rows that are made beyond what is seen, at each end. */
const AHEAD = 6;

/**
 * @template T
 * @typedef {object} Options
 * @property {string} label
 * @property {HTMLElement} head the row of the headings
 * @property {(item: T) => string} key
 * @property {() => Line<T>} make a row
 * @property {(item: T) => void} open
 * @property {(() => void) | undefined} [onSelect] without it nothing can be selected
 */

/**
 * @template T
 * @typedef {{ element: HTMLElement, show: (item: T, isSelected: boolean) => void }} Line
 */

/** @template T */
export class Grid {
  /** @type {Set<string>} the keys of what is selected */
  selected = new Set();
  /** @type {T[]} */
  items = [];
  /** When it was last scrolled, on the stop watch. */
  scrolledAt = -Infinity;

  /** @type {Options<T>} */
  #options;
  /** The rows in order: the first shows the item of number `#first`. @type {Line<T>[]} */
  #rows = [];
  #first = 0;
  #active = -1;
  #isDue = false;
  #height = 40;

  /** @param {Options<T>} options @param {AbortSignal} signal */
  constructor(options, signal) {
    this.#options = options;
    this.window = h('div', { class: 'grid-window', role: 'presentation' });
    this.body = h('div', { class: 'grid-body', role: 'rowgroup' }, this.window);
    this.element = h(
      'div',
      {
        class: 'grid',
        role: 'grid',
        tabindex: '0',
        'aria-label': options.label,
        'aria-multiselectable': options.onSelect ? 'true' : null,
      },
      h('div', { class: 'grid-head', role: 'rowgroup' }, options.head),
      this.body,
    );
    this.element.addEventListener('scroll', () => this.#scroll(), { passive: true });
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) =>
      this.#key(event),
    );
    this.element.addEventListener('click', (/** @type {MouseEvent} */ event) => this.#click(event));
    const observer = new ResizeObserver(() => this.#measure());
    observer.observe(this.element);
    signal.addEventListener('abort', () => observer.disconnect());
  }

  #scroll() {
    this.scrolledAt = performance.now();
    this.#draw();
  }

  /** @param {T[]} items */
  show(items) {
    const active = this.items[this.#active];
    const key = active && this.#options.key(active);
    this.items = items;
    this.#active =
      key === undefined ? -1 : items.findIndex((item) => this.#options.key(item) === key);
    this.element.setAttribute('aria-rowcount', String(items.length + 1));
    this.#size();
    this.#draw();
  }

  /** The items that are seen just now. */
  seen() {
    const [first, last] = this.#range(0);
    return this.items.slice(first, last);
  }

  /** Draws the rows again: something about them, or what is selected, is another one. */
  refresh() {
    this.#draw();
  }

  #measure() {
    const height = Number.parseInt(getComputedStyle(this.element).getPropertyValue('--row'), 10);
    this.#height = height;
    this.#size();
    this.#draw();
  }

  #size() {
    this.body.style.blockSize = `${this.items.length * this.#height}px`;
  }

  /** @param {number} ahead */
  #range(ahead) {
    const count = Math.ceil(this.element.clientHeight / this.#height);
    const top = Math.floor(this.element.scrollTop / this.#height);
    // A list that has become shorter than where it was scrolled to shows its end.
    const last = Math.min(this.items.length, top + count + ahead);
    return [Math.max(0, Math.min(top, this.items.length - count) - ahead), last];
  }

  /** Draws at the next frame, once, whatever happens until then. */
  #draw() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const [first, last] = this.#range(AHEAD);
    this.#turn(first - this.#first);
    while (this.#rows.length > last - first) this.#rows.pop()?.element.remove();
    while (this.#rows.length < last - first) {
      const row = this.#options.make();
      this.#rows.push(row);
      this.window.append(row.element);
    }
    this.#first = first;
    this.window.style.transform = `translateY(${first * this.#height}px)`;
    this.#rows.forEach((row, at) => this.#place(row, first + at));
    const active = this.#rows[this.#active - first];
    if (active === undefined) this.element.removeAttribute('aria-activedescendant');
    else this.element.setAttribute('aria-activedescendant', active.element.id);
  }

  /**
   * Moves the rows that are seen no more to the other end. The order of the elements is that of the
   * list, for those who read it element by element. After a leap every row shows another item anyhow.
   * @param {number} by
   */
  #turn(by) {
    if (Math.abs(by) >= this.#rows.length) return;
    if (by > 0) {
      const moved = this.#rows.splice(0, by);
      this.#rows.push(...moved);
      this.window.append(...moved.map(({ element }) => element));
    } else if (by < 0) {
      const moved = this.#rows.splice(by);
      this.#rows.unshift(...moved);
      this.window.prepend(...moved.map(({ element }) => element));
    }
  }

  /** @param {Line<T>} row @param {number} at */
  #place({ element, show }, at) {
    const item = this.items[at];
    const isSelected = this.selected.has(this.#options.key(item));
    const index = String(at + 2);
    if (element.getAttribute('aria-rowindex') !== index) {
      element.id = `row-${at}`;
      element.setAttribute('aria-rowindex', index);
    }
    element.classList.toggle('is-active', at === this.#active);
    if (this.#options.onSelect) {
      const told = String(isSelected);
      if (element.getAttribute('aria-selected') !== told)
        element.setAttribute('aria-selected', told);
    }
    show(item, isSelected);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const element = /** @type {HTMLElement | null} */ (target.closest('.grid-body [role=row]'));
    if (element === null) return;
    const at = Number(element.getAttribute('aria-rowindex')) - 2;
    const item = this.items[at];
    if (item === undefined) return;
    this.#active = at;
    if (target.closest('input') !== null) this.#toggle(item);
    else if (target.closest('a, button') === null && getSelection()?.isCollapsed !== false)
      this.#options.open(item);
    this.#draw();
  }

  /** @param {T} item */
  #toggle(item) {
    const key = this.#options.key(item);
    if (!this.selected.delete(key)) this.selected.add(key);
    this.#options.onSelect?.();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#height) - 2);
    const end = this.items.length - 1;
    const item = this.items[this.#active];
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: this.#active + 1,
      ArrowUp: Math.max(this.#active, 1) - 1,
      PageDown: this.#active + page,
      PageUp: this.#active - page,
      Home: 0,
      End: end,
    };
    const to = moves[event.key];
    if (to !== undefined && end >= 0) this.#moveTo(Math.min(end, Math.max(0, to)));
    else if (event.key === 'Enter' && item !== undefined) this.#options.open(item);
    else if (event.key === ' ' && item !== undefined && this.#options.onSelect) this.#toggle(item);
    else return;
    event.preventDefault();
    this.#draw();
  }

  /** @param {number} at */
  #moveTo(at) {
    this.#active = at;
    const top = at * this.#height;
    const head = this.element.firstElementChild?.clientHeight ?? 0;
    const [from, to] = [
      this.element.scrollTop,
      this.element.scrollTop + this.element.clientHeight - head,
    ];
    if (top < from) this.element.scrollTop = top;
    else if (top + this.#height > to)
      this.element.scrollTop = top + this.#height - this.element.clientHeight + head;
  }
}
