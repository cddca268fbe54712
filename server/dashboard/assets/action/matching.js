// @ts-check
// Which breakers a selector means.
import { get } from '../api.js';
import { h } from '../dom.js';
import { count, plural } from '../format.js';
import { stateOf } from '../words.js';

/** Most breakers that are counted of a glob. */
const MOST_COUNTED = 20_000;
/**
 * How many breakers a selector means, and the first of them.
 * @param {string} selector
 * @param {AbortSignal} signal
 */
export async function matching(selector, signal) {
  /** @type {Record<string, number>} */
  const states = {};
  /** @type {string[]} */
  const first = [];
  let [amount, token] = [0, ''];
  do {
    const page = await get(
      'breakers',
      { selector, page_size: 1000, page_token: token, view: 'BREAKER_VIEW_BASIC' },
      signal,
    );
    for (const breaker of page.breakers) {
      const state = stateOf(breaker.state.state);
      states[state] = (states[state] ?? 0) + 1;
      if (first.length < 5) first.push(breaker.name);
    }
    amount += page.breakers.length;
    token = page.next_page_token;
  } while (token !== '' && amount < MOST_COUNTED);
  const known = Object.entries(states)
    .map(([state, number]) => `${count(number)} ${state}`)
    .join(', ');
  const more = token === '' ? '' : 'at least ';
  const element = h(
    'div',
    {},
    h(
      'p',
      {},
      h('strong', {
        text: `${more}${plural(amount, 'breaker')} ${amount === 1 ? 'matches' : 'match'}`,
      }),
      known && h('span', { class: 'quiet', text: `: ${known}` }),
    ),
    first.length > 0 &&
      h('p', {
        class: 'mono small quiet wrap',
        text: first.join(', ') + (amount > first.length ? ', …' : ''),
      }),
  );
  return { amount, element };
}
