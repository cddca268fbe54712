// @ts-check
// What several pages show: states, modes, severities, shares, panels.
import { h, say } from './dom.js';
import { percent } from './format.js';
import { icon } from './icons.js';
import { link } from './router.js';
import { MODE_MEANS, STATE_MEANS, meaning } from './words.js';

/** @type {Record<string, string>} */
const STATE_ICONS = { CLOSED: 'closed', OPEN: 'open', HALF_OPEN: 'half' };
/** @type {Record<string, string>} */
const MODE_ICONS = {
  FORCED_OPEN: 'lock',
  FORCED_CLOSED: 'lock',
  DISABLED: 'disabled',
  SHADOW: 'shadow',
};
/** @type {Record<string, string>} */
const SEVERITY_ICONS = { MEDIUM: 'medium', HIGH: 'high', CRITICAL: 'critical' };

/** @param {string} state */
export const stateIcon = (state) => icon(STATE_ICONS[state] ?? 'unknown');

/** A state: a shape, a word and a colour. @param {string} state */
export function stateMark(state) {
  const title = meaning(STATE_MEANS, state);
  return h(
    'span',
    { class: 'mark', data: { state }, title },
    stateIcon(state),
    h('span', { text: state }),
  );
}

/** A mode; NORMAL is nothing to speak of. @param {string} mode */
export function modeMark(mode) {
  if (mode === 'NORMAL' || mode === '') return h('span', { class: 'mark-none', text: 'NORMAL' });
  const title = meaning(MODE_MEANS, mode);
  return h(
    'span',
    { class: 'mark', data: { mode }, title },
    icon(MODE_ICONS[mode], 14),
    h('span', { text: mode }),
  );
}

/** @param {string} severity */
export function severityMark(severity) {
  return h(
    'span',
    { class: 'mark', data: { severity } },
    icon(SEVERITY_ICONS[severity], 14),
    h('span', { text: severity }),
  );
}

/** @param {string} word FIRING or RESOLVED */
export function alertMark(word) {
  const shape = word === 'FIRING' ? 'live' : 'check';
  return h(
    'span',
    { class: 'mark mark-plain', data: { alert: word } },
    icon(shape, 14),
    h('span', { text: word }),
  );
}

/** The name of a breaker, as a link to its page. @param {string} name @param {Record<string, any>} [props] */
export function breakerLink(name, props = {}) {
  const cut = name.lastIndexOf('/') + 1;
  return h(
    'a',
    { class: 'breaker-name', href: link('breakers', name), ...props },
    h('span', { class: 'breaker-path', text: name.slice(0, cut) }),
    h('span', { text: name.slice(cut) }),
  );
}

/** A share as a number and a bar, which can be set again. */
export function share() {
  const number = h('span', { class: 'share-number' });
  const bar = h('span', { class: 'share-bar' });
  const element = h('span', { class: 'share' }, h('span', { class: 'share-track' }, bar), number);
  let was = -1;
  /** @param {number} value 0 to 1 */
  const show = (value) => {
    say(number, percent(value));
    if (value === was) return;
    was = value;
    bar.style.inlineSize = `${Math.min(100, value * 100)}%`;
    element.dataset.grade = value >= 0.5 ? 'bad' : value >= 0.1 ? 'fair' : 'good';
  };
  return { element, show };
}

/**
 * A part of a page with a heading.
 * @param {string} title
 * @param {Record<string, any>} [props]
 * @param {...any} children
 */
export function panel(title, { aside, ...props } = {}, ...children) {
  const id = `panel-${title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;
  const head = h('header', { class: 'panel-head' }, h('h2', { id, text: title }), aside);
  return h(
    'section',
    { ...props, class: `panel ${props.class ?? ''}`, 'aria-labelledby': id },
    head,
    ...children,
  );
}

/** What is said where there is nothing to show. @param {string} text @param {...any} more */
export const empty = (text, ...more) => h('p', { class: 'empty', text }, ...more);

/**
 * A table. Its box scrolls sideways where it has to, so it can be reached by keyboard.
 * @param {string} label
 * @param {(string | { text: string, class: string })[]} columns
 */
export function table(label, columns) {
  const body = h('tbody');
  const head = columns.map((column) =>
    typeof column === 'string'
      ? h('th', { scope: 'col', text: column })
      : h('th', { scope: 'col', text: column.text, class: column.class }),
  );
  const element = h(
    'div',
    { class: 'table-box', tabindex: '0', role: 'region', 'aria-label': label },
    h(
      'table',
      {},
      h('caption', { class: 'unseen', text: label }),
      h('thead', {}, h('tr', {}, ...head)),
      body,
    ),
  );
  return { element, body };
}

/** An error of the server, with every field that it names. @param {any} error */
export function errorBox(error) {
  const violations = (error.violations ?? []).map((/** @type {any} */ violation) =>
    h('li', {}, h('code', { text: violation.field }), ` ${violation.description}`),
  );
  return h(
    'div',
    { class: 'notice', data: { kind: 'bad' }, role: 'alert' },
    icon('critical'),
    h(
      'div',
      { class: 'wrap' },
      h('p', { text: error.message }),
      violations.length > 0 && h('ul', { class: 'violations' }, ...violations),
      error.leader && h('p', { text: `The leader is ${error.leader}.` }),
    ),
  );
}

/** A sentence that stands out. @param {'good' | 'bad' | 'fair' | 'calm'} kind @param {string} text */
export function notice(kind, text) {
  const shape = { bad: 'critical', fair: 'high', good: 'check', calm: 'medium' }[kind] ?? 'medium';
  return h(
    'p',
    { class: 'notice', data: { kind }, role: kind === 'bad' ? 'alert' : 'status' },
    icon(shape),
    h('span', { class: 'wrap', text }),
  );
}

/** A field of a form, with what it is for. @param {string} label @param {HTMLElement} control @param {string} [hint] */
export function field(label, control, hint) {
  return h(
    'label',
    { class: 'field' },
    h('span', { text: label }),
    control,
    hint && h('span', { class: 'quiet small', text: hint }),
  );
}
