// @ts-check
// The breakers that are not healthy.
import { now, tick } from '../../clock.js';
import { fill, h, keyed, say } from '../../dom.js';
import { count, duration, toMillis } from '../../format.js';
import { breakerLink, modeMark, panel, share, stateMark, table } from '../../parts.js';
import { icon } from '../../icons.js';
import { link } from '../../router.js';
import { modeOf, stateOf } from '../../words.js';

export function unhealthyPanel() {
  const all = h('a', { href: link('breakers', '', { state: 'OPEN,HALF_OPEN' }) });
  const { element: box, body } = table('Breakers that are not healthy, those for longest first', [
    'Breaker',
    'State',
    { text: 'Failure rate', class: 'number' },
    { text: 'In state', class: 'number' },
    { text: 'Retry in', class: 'number wide' },
  ]);
  const none = h(
    'p',
    { class: 'empty empty-good' },
    icon('closed', 20),
    h('span', { text: 'Every breaker is CLOSED.' }),
  );
  const element = panel('Unhealthy breakers', { class: 'unhealthy', aside: all }, box, none);
  const show = keyed(body, { key: (/** @type {any} */ one) => one.breaker, make: row });
  return {
    element,
    /** @param {any} told */
    show({ unhealthy, summary }) {
      show(unhealthy);
      box.hidden = unhealthy.length === 0;
      none.hidden = unhealthy.length > 0;
      all.hidden = unhealthy.length === 0;
      say(
        all,
        Number(summary.unhealthy) > unhealthy.length
          ? `All ${count(summary.unhealthy)}`
          : 'In the list',
      );
    },
  };
}

function row() {
  const [state, since, retry] = [h('div', { class: 'marks' }), h('span'), h('span')];
  const rate = share();
  const name = h('th', { scope: 'row' });
  const element = h(
    'tr',
    {},
    name,
    h('td', {}, state),
    h('td', { class: 'number' }, rate.element),
    h('td', { class: 'number' }, since),
    h('td', { class: 'number wide' }, retry),
  );
  let was = '';
  return {
    element,
    /** @param {any} one */
    show(one) {
      const [began, ends] = [now() - (toMillis(one.time_in_state) ?? 0), toMillis(one.retry_after)];
      const retryAt = ends === undefined ? undefined : now() + ends;
      const is = [one.state, one.mode, one.level].join();
      if (is !== was) {
        const mode = modeOf(one.mode);
        if (was === '') name.append(breakerLink(one.breaker));
        fill(
          state,
          stateMark(stateOf(one.state)),
          mode !== 'NORMAL' && modeMark(mode),
          one.level && h('span', { class: 'mark mark-plain', text: one.level }),
        );
        was = is;
      }
      rate.show(one.failure_rate);
      tick(since, () => duration(now() - began));
      tick(retry, () => (retryAt === undefined ? '–' : duration(retryAt - now())));
    },
  };
}
