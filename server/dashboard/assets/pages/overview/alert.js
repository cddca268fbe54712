// @ts-check
// An alert in one line.
import { ago } from '../../clock.js';
import { fill, h, say } from '../../dom.js';
import { alertMark, severityMark } from '../../parts.js';
import { link } from '../../router.js';
import { alertStateOf, severityOf } from '../../words.js';

/** @param {any} alert */
export function alertLine(alert) {
  const [marks, text, when] = [
    h('span', { class: 'marks' }),
    h('span', { class: 'wrap' }),
    h('span', { class: 'quiet small' }),
  ];
  const words =
    alert.breaker === ''
      ? text
      : h('a', { class: 'plain', href: link('breakers', alert.breaker) }, text);
  const element = h(
    'li',
    { class: 'alert-line' },
    h('div', { class: 'alert-line-head' }, marks, when),
    words,
  );
  let revision = '';
  return {
    element,
    /** @param {any} one */
    show(one) {
      if (one.revision === revision) return;
      revision = one.revision;
      fill(marks, severityMark(severityOf(one.severity)), alertMark(alertStateOf(one.state)));
      say(text, one.summary);
      fill(
        when,
        ago(one.end_time ?? one.start_time),
        one.acknowledgement && `, acknowledged by ${one.acknowledgement.actor || 'somebody'}`,
      );
    },
  };
}
