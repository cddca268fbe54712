// @ts-check
// The fields above the list, and what is said of the selection below it.
import { choice } from '../../choice.js';
import { h, say } from '../../dom.js';
import { count, plural } from '../../format.js';
import { icon } from '../../icons.js';
import { MODES, STATES } from '../../words.js';
import { SORTS } from './filter.js';

/** So many can be acted on one by one; for more there are globs. */
const MOST_SELECTED = 500;

/**
 * The fields that say what is shown.
 * @param {(change: Partial<import('./filter.js').Filter>, isTyping?: boolean) => void} set
 * @param {() => void} enter goes from the search into the list
 */
export function filterBar(set, enter) {
  const q = h('input', {
    type: 'search',
    'aria-label': 'Search by name or glob',
    placeholder: 'Search: a part of a name, or a glob',
    data: { search: '' },
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    on: {
      input: () => set({ q: q.value.trim().toLowerCase() }, true),
      keydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === 'Enter' || event.key === 'ArrowDown') enter();
      },
    },
  });
  const ns = choice('Namespace', 'All namespaces', (value) => set({ ns: value }));
  const mode = choice('Mode', 'All modes', (value) => set({ mode: value === '' ? [] : [value] }));
  const level = choice('Level', 'All levels', (value) => set({ level: value }));
  const sort = choice('Sort by', '', (value) => set({ sort: value, dir: SORTS[value].first }));
  mode.options(MODES);
  sort.options(Object.keys(SORTS), (key) => `by ${SORTS[key].title.toLowerCase()}`);
  sort.element.classList.add('only-narrow');
  /** @type {string[]} */
  let chosen = [];
  const states = STATES.map((state) => {
    const number = h('span', { class: 'chip-count' });
    const shape = icon(state === 'HALF_OPEN' ? 'half' : state.toLowerCase(), 14);
    const toggle = () =>
      set({
        state: chosen.includes(state) ? chosen.filter((one) => one !== state) : [...chosen, state],
      });
    const button = h(
      'button',
      { type: 'button', class: 'chip', data: { state }, on: { click: toggle } },
      shape,
      h('span', { text: state }),
      number,
    );
    return { state, button, number };
  });
  const find = h(
    'div',
    { class: 'search' },
    icon('search'),
    q,
    h('kbd', { text: '/', 'aria-hidden': 'true' }),
  );
  const element = h(
    'div',
    { class: 'filters', role: 'search' },
    find,
    h(
      'div',
      { class: 'chips', role: 'group', 'aria-label': 'States' },
      ...states.map(({ button }) => button),
    ),
    ns.element,
    mode.element,
    level.element,
    sort.element,
  );
  return {
    element,
    /** @param {import('./filter.js').Filter} filter */
    show(filter) {
      if (q.value.trim().toLowerCase() !== filter.q) q.value = filter.q;
      ns.show(filter.ns);
      mode.show(filter.mode[0] ?? '');
      level.show(filter.level);
      sort.show(filter.sort);
      chosen = filter.state;
      for (const { state, button } of states)
        button.setAttribute('aria-pressed', String(chosen.includes(state)));
    },
    /** @param {string[]} namespaces @param {string[]} levels */
    options(namespaces, levels) {
      ns.options(namespaces);
      level.options(levels);
    },
    /** @param {Record<string, number>} byState */
    counts(byState) {
      for (const { state, number } of states) say(number, count(byState[state]));
    },
  };
}

/** @param {() => void} act @param {() => void} clear */
export function selectionBar(act, clear) {
  const text = h('p', { 'aria-live': 'polite' });
  const send = h('button', {
    class: 'button button-strong',
    type: 'button',
    text: 'Act on them …',
    on: { click: act },
  });
  const element = h(
    'div',
    { class: 'selection needs-write', hidden: true, role: 'region', 'aria-label': 'Selection' },
    text,
    send,
    h('button', { class: 'button', type: 'button', text: 'Clear', on: { click: clear } }),
  );
  return {
    element,
    /** @param {number} amount */
    show(amount) {
      element.hidden = amount === 0;
      send.disabled = amount > MOST_SELECTED;
      const more =
        amount > MOST_SELECTED
          ? `, more than the ${count(MOST_SELECTED)} that can be acted on one by one: use a glob`
          : '';
      say(text, `${plural(amount, 'breaker')} selected${more}`);
    },
  };
}
