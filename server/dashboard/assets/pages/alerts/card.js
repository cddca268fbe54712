// @ts-check
// One alert, with all that is known of it.
import { ago } from '../../clock.js';
import { fill, h, say } from '../../dom.js';
import { plural } from '../../format.js';
import { icon } from '../../icons.js';
import { alertMark, breakerLink, severityMark } from '../../parts.js';
import { RULES, alertStateOf, meaning, ruleOf, severityOf } from '../../words.js';

/** @param {(alert: any) => void} acknowledge */
export function card(acknowledge) {
  const [marks, summary, about, seen] = [
    h('div', { class: 'marks' }),
    h('p', { class: 'alert-summary wrap' }),
    h('p', { class: 'quiet small wrap' }),
    h('p', { class: 'alert-seen small wrap' }),
  ];
  const button = h('button', { class: 'button needs-write', type: 'button' });
  const element = h(
    'li',
    { class: 'alert-card' },
    marks,
    h('div', { class: 'alert-text' }, summary, about, seen),
    button,
  );
  let [revision, shown] = ['', /** @type {any} */ (null)];
  button.addEventListener('click', () => acknowledge(shown));
  return {
    element,
    /** @param {any} alert */
    show(alert) {
      shown = alert;
      if (alert.revision === revision) return;
      revision = alert.revision;
      const isFiring = alertStateOf(alert.state) === 'FIRING';
      element.dataset.alert = alertStateOf(alert.state);
      fill(marks, severityMark(severityOf(alert.severity)), alertMark(alertStateOf(alert.state)));
      say(summary, alert.summary);
      fill(
        about,
        alert.breaker === '' ? 'the server' : breakerLink(alert.breaker),
        ` · ${meaning(RULES, ruleOf(alert.rule))} · `,
        isFiring ? 'since ' : 'began ',
        ago(alert.start_time),
        alert.end_time && ', over ',
        alert.end_time && ago(alert.end_time),
        alert.repeat_count > 0 && ` · told again ${plural(alert.repeat_count, 'time')}`,
      );
      const by = alert.acknowledgement;
      seen.hidden = by === undefined;
      if (by)
        fill(
          seen,
          icon('check', 14),
          h(
            'span',
            {},
            'Acknowledged by ',
            h('strong', { text: by.actor || 'somebody' }),
            ' ',
            ago(by.time),
            by.comment && ': ',
            by.comment && h('q', { text: by.comment }),
          ),
        );
      button.hidden = !isFiring;
      say(button, by === undefined ? 'Acknowledge' : 'Acknowledge again');
      button.setAttribute('aria-label', `${button.textContent}: ${alert.summary}`);
    },
  };
}
