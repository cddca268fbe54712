// @ts-check
// The breakers that do most of something.
import { fill, h, keyed, say } from '../../dom.js';
import { millis, percent, rate } from '../../format.js';
import { breakerLink, empty, panel, stateIcon } from '../../parts.js';
import { stateOf } from '../../words.js';

/** What a list is about. @type {Record<string, { value: (one: any) => number, text: (value: number) => string }>} */
const ABOUT = {
  calls: { value: (one) => one.rates.calls, text: (value) => `${rate(value)} /s` },
  time: { value: (one) => one.average_response_time_ms, text: millis },
  denied: { value: (one) => one.rates.denied, text: (value) => `${rate(value)} /s` },
};

/** @param {string} title @param {string} about @param {string} nothing */
export function busyPanel(title, about, nothing) {
  const { value, text } = ABOUT[about];
  const list = h('ol', { class: 'busy' });
  const none = empty(nothing);
  const element = panel(title, {}, list, none);
  let top = 1;
  const show = keyed(list, {
    key: (/** @type {any} */ one) => one.breaker,
    make: (one) => line(one.breaker),
  });

  /** @param {string} name */
  function line(name) {
    const [mark, number, more, bar] = [
      h('span'),
      h('span', { class: 'busy-number' }),
      h('span', { class: 'busy-more quiet small' }),
      h('span', { class: 'busy-bar' }),
    ];
    const item = h('li', {}, bar, mark, breakerLink(name), more, number);
    let was = '';
    return {
      element: item,
      /** @param {any} one */
      show(one) {
        const state = stateOf(one.state);
        if (state !== was) {
          fill(
            mark,
            h(
              'span',
              { class: 'mark mark-bare', data: { state }, title: state },
              stateIcon(state),
              h('span', { class: 'unseen', text: state }),
            ),
          );
        }
        was = state;
        say(number, text(value(one)));
        say(more, one.failure_rate > 0 ? `${percent(one.failure_rate)} fail` : '');
        bar.style.inlineSize = `${(value(one) / top) * 100}%`;
      },
    };
  }

  return {
    element,
    /** @param {any[]} ones */
    show(ones) {
      top = Math.max(...ones.map(value), 1e-9);
      show(ones);
      none.hidden = ones.length > 0;
    },
  };
}
