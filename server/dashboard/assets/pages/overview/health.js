// @ts-check
// How many breakers are in which state and mode.
import { h, say } from '../../dom.js';
import { count, health, plural } from '../../format.js';
import { icon } from '../../icons.js';
import { panel } from '../../parts.js';
import { link } from '../../router.js';
import { MODE_MEANS, STATES } from '../../words.js';

/** @type {Record<string, string>} */
const FIELDS = {
  CLOSED: 'closed',
  OPEN: 'open',
  HALF_OPEN: 'half_open',
  NORMAL: 'normal',
  FORCED_OPEN: 'forced_open',
  FORCED_CLOSED: 'forced_closed',
  DISABLED: 'disabled',
  SHADOW: 'shadow',
};
/** @type {Record<string, string>} */
const ICONS = {
  CLOSED: 'closed',
  OPEN: 'open',
  HALF_OPEN: 'half',
  FORCED_OPEN: 'lock',
  FORCED_CLOSED: 'lock',
  DISABLED: 'disabled',
  SHADOW: 'shadow',
};
const OVERRIDES = ['FORCED_OPEN', 'FORCED_CLOSED', 'DISABLED', 'SHADOW'];

export function healthPanel() {
  const number = h('span', { class: 'health-number' });
  const all = h('p', { class: 'quiet' });
  const bar = healthBar();
  const states = STATES.map((state) => total(state, link('breakers', '', { state })));
  const modes = OVERRIDES.map((mode) => total(mode, link('breakers', '', { mode })));
  const element = panel(
    'Health',
    { class: 'health' },
    h(
      'div',
      { class: 'health-whole' },
      h('p', {}, number, h('span', { class: 'health-unit', text: '%' })),
      all,
    ),
    h(
      'div',
      { class: 'health-parts' },
      bar.element,
      h('ul', { class: 'totals' }, ...states.map((part) => part.element)),
    ),
    h(
      'div',
      { class: 'health-modes' },
      h('h3', { text: 'Overrides' }),
      h('ul', { class: 'totals totals-small' }, ...modes.map((part) => part.element)),
    ),
  );
  return {
    element,
    /** @param {any} summary */
    show(summary) {
      say(number, health(summary.health_percent));
      say(
        all,
        `of ${plural(Number(summary.breakers), 'breaker')} ${Number(summary.breakers) === 1 ? 'is' : 'are'} CLOSED`,
      );
      bar.show(summary);
      for (const part of [...states, ...modes]) part.show(summary);
    },
  };
}

/** @param {string} word @param {string} href */
function total(word, href) {
  const number = h('span', { class: 'total-number' });
  const kind = STATES.includes(word) ? { state: word } : { mode: word };
  const title = MODE_MEANS[word];
  const mark = h(
    'span',
    { class: 'total-word' },
    icon(ICONS[word], STATES.includes(word) ? 16 : 14),
    h('span', { text: word }),
  );
  const element = h('li', {}, h('a', { class: 'total', href, data: kind, title }, mark, number));
  return {
    element,
    /** @param {any} summary */
    show(summary) {
      const value = Number(summary[FIELDS[word]]);
      say(number, count(value));
      element.dataset.none = String(value === 0);
    },
  };
}

/** A bar of the states, whose numbers stand beside it. */
export function healthBar() {
  const parts = STATES.map((state) => h('span', { data: { state } }));
  const element = h('div', { class: 'health-bar', 'aria-hidden': 'true' }, ...parts);
  return {
    element,
    /** @param {any} summary */
    show(summary) {
      parts.forEach((part, at) => {
        const value = Number(summary[FIELDS[STATES[at]]]);
        part.style.flexGrow = String(value);
        part.hidden = value === 0;
      });
    },
  };
}
