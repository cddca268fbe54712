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
 * @property {() => { element: HTMLElement, show: (item: T, isSelected: boolean) => void }} make a row
 * @property {(item: T) => void} open
 * @property {(() => void) | undefined} [onSelect] without it nothing can be selected
 */

/** @template T */
export class Grid {
  /** @type {Set<string>} the keys of what is selected */
  selected = new Set();
  /** @type {T[]} */
  items = [];

  /** @type {Options<T>} */
  #options;
  /** Which item a row shows. @type {Map<number, { element: HTMLElement, show: (item: T, isSelected: boolean) => void }>} */
  #rows = new Map();
  /** @type {{ element: HTMLElement, show: (item: T, isSelected: boolean) => void }[]} */
  #spare = [];
  #active = -1;
  #isDue = false;
  #height = 40;

  /** @param {Options<T>} options @param {AbortSignal} signal */
  constructor(options, signal) {
    this.#options = options;
    this.body = h('div', { class: 'grid-body', role: 'rowgroup' });
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
    this.element.addEventListener('scroll', () => this.#draw(), { passive: true });
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) =>
      this.#key(event),
    );
    this.element.addEventListener('click', (/** @type {MouseEvent} */ event) => this.#click(event));
    const observer = new ResizeObserver(() => this.#measure());
    observer.observe(this.element);
    signal.addEventListener('abort', () => observer.disconnect());
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
    if (height !== this.#height) {
      this.#height = height;
      for (const { element } of this.#rows.values()) element.remove();
      this.#rows.clear();
    }
    this.#size();
    this.#draw();
  }

  #size() {
    this.body.style.blockSize = `${this.items.length * this.#height}px`;
  }

  /** @param {number} ahead */
  #range(ahead) {
    const first = Math.floor(this.element.scrollTop / this.#height) - ahead;
    const count = Math.ceil(this.element.clientHeight / this.#height) + 2 * ahead;
    return [Math.max(0, first), Math.min(this.items.length, first + count)];
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
    for (const [at, row] of this.#rows) {
      if (at >= first && at < last) continue;
      this.#rows.delete(at);
      this.#spare.push(row);
    }
    /** @type {Element | null} */
    let after = null;
    for (let at = last - 1; at >= first; at -= 1) {
      const row = this.#rows.get(at) ?? this.#spare.pop() ?? this.#options.make();
      this.#rows.set(at, row);
      this.#place(row, at);
      // The order of the elements is that of the list, for those who read it element by element.
      if (row.element.nextElementSibling !== after || row.element.parentElement !== this.body)
        this.body.insertBefore(row.element, after);
      after = row.element;
    }
    for (const { element } of this.#spare) element.remove();
    const active = this.#rows.get(this.#active);
    if (active === undefined) this.element.removeAttribute('aria-activedescendant');
    else this.element.setAttribute('aria-activedescendant', active.element.id);
  }

  /**
   * @param {{ element: HTMLElement, show: (item: T, isSelected: boolean) => void }} row
   * @param {number} at
   */
  #place({ element, show }, at) {
    const item = this.items[at];
    const isSelected = this.selected.has(this.#options.key(item));
    const index = String(at + 2);
    if (element.getAttribute('aria-rowindex') !== index) {
      element.id = `row-${at}`;
      element.setAttribute('aria-rowindex', index);
      element.style.transform = `translateY(${at * this.#height}px)`;
    }
    element.classList.toggle('is-active', at === this.#active);
    if (this.#options.onSelect) element.setAttribute('aria-selected', String(isSelected));
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
