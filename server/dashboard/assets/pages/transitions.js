// @ts-check
// Transitions as a table.
import { ago } from '../clock.js';
import { add, fill, h } from '../dom.js';
import { count } from '../format.js';
import { icon } from '../icons.js';
import { breakerLink, modeMark, stateMark, table } from '../parts.js';
import { CAUSES, causeOf, meaning, modeOf, stateOf } from '../words.js';

/** @param {{ withBreaker: boolean }} how */
export function transitionTable({ withBreaker }) {
  const columns = ['When', ...(withBreaker ? ['Breaker'] : []), 'Change', 'Cause', 'Who and why'];
  const { element, body } = table('Transitions, the latest first', columns);
  element.classList.add('stacks');
  return {
    element,
    /** @param {any[]} transitions */
    show(transitions) {
      fill(body, ...transitions.map((one) => row(one, withBreaker)));
    },
    /** @param {any[]} transitions */
    more(transitions) {
      add(
        body,
        transitions.map((one) => row(one, withBreaker)),
      );
    },
  };
}

/** @param {any} transition @param {boolean} withBreaker */
function row(transition, withBreaker) {
  const { counts, actor, reason } = transition;
  const cause = causeOf(transition.cause);
  const numbers =
    counts.window_calls > 0
      ? `${count(counts.window_failures)} of ${count(counts.window_calls)} calls in the window failed`
      : '';
  return h(
    'tr',
    {},
    h('td', { class: 'nowrap' }, ago(transition.time)),
    withBreaker && h('th', { scope: 'row' }, breakerLink(transition.breaker)),
    h('td', {}, change(transition)),
    h(
      'td',
      { title: cause },
      h('span', { text: meaning(CAUSES, cause) }),
      numbers && h('span', { class: 'quiet small block', text: numbers }),
    ),
    h(
      'td',
      { class: 'wrap' },
      actor
        ? h('strong', { text: actor })
        : h('span', { class: 'quiet', text: reason ? '' : 'by itself' }),
      reason && h('span', { class: 'quiet block', text: reason }),
    ),
  );
}

/** @param {any} transition */
function change(transition) {
  const [from, to] = [stateOf(transition.from_state), stateOf(transition.to_state)];
  const [before, after] = [modeOf(transition.from_mode), modeOf(transition.to_mode)];
  const lines = [];
  if (from !== to || (before === after && transition.from_level === transition.to_level))
    lines.push(h('span', { class: 'change' }, stateMark(from), to_(), stateMark(to)));
  if (before !== after)
    lines.push(h('span', { class: 'change' }, modeMark(before), to_(), modeMark(after)));
  if (transition.from_level !== transition.to_level) {
    const [low, high] = [transition.from_level || 'no level', transition.to_level || 'no level'];
    lines.push(
      h(
        'span',
        { class: 'change' },
        h('span', { class: 'mark mark-plain', text: low }),
        to_(),
        h('span', { class: 'mark mark-plain', text: high }),
      ),
    );
  }
  return h('span', { class: 'changes' }, ...lines);
}

const to_ = () =>
  h(
    'span',
    { class: 'change-to' },
    icon('arrow', 12),
    h('span', { class: 'unseen', text: ' to ' }),
  );
