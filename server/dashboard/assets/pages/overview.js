// @ts-check
// How the whole fleet is doing.
import { get, isAbort } from '../api.js';
import { add, fill, h, keyed, say } from '../dom.js';
import { capital, count, duration, plural, rate, toMillis } from '../format.js';
import { icon } from '../icons.js';
import { live } from '../live.js';
import { empty, errorBox, panel } from '../parts.js';
import { link } from '../router.js';
import { trend } from '../trend.js';
import { alertLine } from './overview/alert.js';
import { busyPanel } from './overview/busy.js';
import { healthPanel } from './overview/health.js';
import { namespacePanel } from './overview/namespaces.js';
import { unhealthyPanel } from './overview/unhealthy.js';

/** Points of the small lines: one for each time that the server told of the whole. */
const POINTS = 90;
/** @type {{ calls: number, failures: number, denied: number }[]} */
const recent = [];
live.addEventListener('dashboard', () => {
  recent.push(live.dashboard.rates);
  if (recent.length > POINTS) recent.shift();
});

/** @type {import('../app.js').Page} */
export function overview(main, _route, signal) {
  const version = h('p', { class: 'quiet small' });
  const head = h('header', { class: 'page-head' }, h('h1', { text: 'Overview' }), version);
  const [wholeHealth, traffic, alerting, storage] = [
    healthPanel(),
    trafficPanel(),
    alertPanel(),
    storagePanel(),
  ];
  const [unhealthy, namespaces] = [unhealthyPanel(), namespacePanel(signal)];
  const busiest = busyPanel('Busiest', 'calls', 'Nobody calls anything just now.');
  const slowest = busyPanel('Slowest', 'time', 'No successes have been reported.');
  const denied = busyPanel('Most denied', 'denied', 'No calls are denied just now.');
  const body = h(
    'div',
    { class: 'overview live' },
    wholeHealth.element,
    traffic.element,
    h(
      'div',
      { class: 'overview-pair' },
      h('div', { class: 'stack' }, unhealthy.element, namespaces.element),
      h('div', { class: 'stack' }, alerting.element, storage.element),
    ),
    h('div', { class: 'overview-three' }, busiest.element, slowest.element, denied.element),
  );
  const waiting = empty('Waiting for the server …');
  add(main, [head, waiting]);

  const show = () => {
    const told = live.dashboard;
    if (told === null) return;
    if (!body.isConnected) waiting.replaceWith(body);
    wholeHealth.show(told.summary);
    traffic.show(told);
    unhealthy.show(told);
    alerting.show(told);
    storage.show(told.storage);
    busiest.show(told.busiest);
    slowest.show(told.slowest);
    denied.show(told.most_denied);
    const uptime = duration(toMillis(told.uptime) ?? 0);
    say(
      version,
      `breakerd ${told.server_version}, leading for ${uptime}, ${plural(told.watch_streams, 'watch stream')}`,
    );
  };
  live.addEventListener('dashboard', show, { signal });
  show();
  if (live.dashboard === null) {
    get('dashboard', {}, signal).then(
      (told) => {
        live.dashboard ??= told;
        show();
      },
      (error) => {
        if (!isAbort(error) && live.dashboard === null) fill(waiting, errorBox(error));
      },
    );
  }
  return { title: 'Overview' };
}

function trafficPanel() {
  const parts = [
    figure('Calls', 'calls', '/s'),
    figure('Failures', 'failures', '/s'),
    figure('Failing', 'share', '%'),
    figure('Denied', 'denied', '/s'),
  ];
  const element = h(
    'section',
    { class: 'panel figures', 'aria-label': 'Traffic of the whole fleet' },
    ...parts.map((part) => part.element),
  );
  const share = (/** @type {any} */ rates) =>
    rates.calls === 0 ? 0 : (rates.failures / rates.calls) * 100;
  /** @param {any} told */
  const show = ({ rates }) => {
    const values = [
      (/** @type {any} */ one) => one.calls,
      (/** @type {any} */ one) => one.failures,
      share,
      (/** @type {any} */ one) => one.denied,
    ];
    parts.forEach((part, at) => part.show(values[at](rates), recent.map(values[at])));
  };
  return { element, show };
}

/** @param {string} title @param {string} name @param {string} unit */
function figure(title, name, unit) {
  const number = h('span', { class: 'figure-number' });
  const line = trend(`trend-${name}`);
  const value = h('p', {}, number, h('span', { class: 'figure-unit', text: ` ${unit}` }));
  const element = h(
    'div',
    { class: 'figure' },
    h('h2', { class: 'figure-title', text: title }),
    value,
    line.element,
  );
  /** @param {number} current @param {number[]} last */
  const show = (current, last) => {
    say(number, rate(current));
    line.show(last);
  };
  return { element, show };
}

function alertPanel() {
  const counts = h('p', { class: 'alert-counts' });
  const list = h('ul', { class: 'alert-lines' });
  const none = empty('No alerts in the last hour.');
  const all = h('a', { href: link('alerts'), text: 'All alerts' });
  const element = panel('Alerts of the last hour', { aside: all }, counts, list, none);
  const show = keyed(list, { key: (/** @type {any} */ alert) => alert.id, make: alertLine });
  return {
    element,
    /** @param {any} told */
    show({ alerts, alert_counts: counted }) {
      show(alerts);
      none.hidden = alerts.length > 0;
      counts.hidden = counted.critical + counted.high + counted.medium === 0;
      fill(
        counts,
        ...['critical', 'high', 'medium'].map((severity) =>
          h(
            'span',
            { class: 'mark', data: { severity: severity.toUpperCase() } },
            icon(severity, 14),
            h('span', { text: `${count(counted[severity])} ${severity.toUpperCase()}` }),
          ),
        ),
        h('span', { class: 'quiet', text: `${count(counted.firing)} firing` }),
      );
    },
  };
}

function storagePanel() {
  const line = h('p', { class: 'storage-line' });
  const why = h('p', { class: 'quiet small wrap' });
  const element = panel('Storage', { class: 'storage' }, line, why);
  return {
    element,
    /** @param {any} storage */
    show(storage) {
      const waiting = Number(storage.waiting_breakers) + Number(storage.waiting_transitions);
      element.dataset.kind = storage.degraded ? 'bad' : 'good';
      const text = storage.degraded
        ? `Writing fails for ${duration(toMillis(storage.failing_for) ?? 0)}`
        : 'Everything is written';
      fill(
        line,
        icon(storage.degraded ? 'critical' : 'storage'),
        h('span', { text: waiting > 0 && !storage.degraded ? 'Writing' : text }),
      );
      const queue = `${plural(Number(storage.waiting_breakers), 'breaker')} and ${plural(Number(storage.waiting_transitions), 'transition')} wait to be written.`;
      say(
        why,
        storage.degraded
          ? `${capital(storage.error)}. ${queue} What is decided goes on from memory.`
          : queue,
      );
    },
  };
}
