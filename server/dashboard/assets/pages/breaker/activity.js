// @ts-check
// What a breaker has been doing lately, as charts, and who reports it.
import { escaped, get, isAbort } from '../../api.js';
import { now, tick } from '../../clock.js';
import { chart } from '../../chart.js';
import { h, keyed, say } from '../../dom.js';
import { count, duration, millis, percent, toMillis } from '../../format.js';
import { empty, panel, table } from '../../parts.js';

/** @param {string} name @param {AbortSignal} signal */
export function activityPanels(name, signal) {
  const whole = (/** @type {number} */ value) => count(value);
  const rates = chart(
    {
      title: 'Failure and slow rate',
      top: 1,
      unit: (value) => `${Math.round(value * 100)} %`,
      series: [
        { title: 'failed', colour: '--open-fill', text: percent },
        { title: 'slow', colour: '--line-2', text: percent, dash: [5, 4] },
      ],
    },
    signal,
  );
  const response = chart(
    {
      title: 'Response time of successes',
      unit: millis,
      series: [{ title: 'average', colour: '--line-1', text: millis }],
    },
    signal,
  );
  const calls = chart(
    {
      title: 'Calls by outcome',
      unit: whole,
      stacked: true,
      series: [
        { title: 'timeouts', colour: '--half-fill', text: whole, bars: true },
        { title: 'failures', colour: '--open-fill', text: whole, bars: true },
        { title: 'successes', colour: '--closed-fill', text: whole, bars: true },
        { title: 'denied', colour: '--line-3', text: whole, dash: [2, 3] },
      ],
    },
    signal,
  );
  const reporters = reporterPanel();
  let isAsked = false;

  async function load() {
    if (isAsked) return;
    isAsked = true;
    try {
      const told = await get(`activity/${escaped(name)}`, {}, signal);
      const samples = spaced(told);
      const of = (/** @type {(sample: any) => number} */ value) =>
        samples.map(({ sample }) => (sample === null ? null : value(sample)));
      const times = samples.map(({ time }) => time);
      const whole = (/** @type {string} */ field) => of((sample) => Number(sample[field]));
      rates.show([times, of((sample) => sample.failure_rate), of((sample) => sample.slow_rate)]);
      response.show([times, of((sample) => sample.average_response_time_ms)]);
      calls.show([
        times,
        whole('timeouts'),
        whole('failures'),
        whole('successes'),
        whole('denied'),
      ]);
      calls.element.querySelector('h3').textContent =
        `Calls by outcome, each ${duration(toMillis(told.sample_interval) ?? 0)}`;
      reporters.show(told.reporters);
    } catch (error) {
      // It is asked for again soon; what the breaker itself says of it stands on the page.
      if (!isAbort(error)) reporters.show([]);
    } finally {
      isAsked = false;
    }
  }

  return {
    charts: [rates.element, response.element, calls.element],
    reporters: reporters.element,
    load,
  };
}

/**
 * The samples with a hole where nothing happened, so that no line is drawn over it.
 * @param {any} activity
 * @returns {{ time: number, sample: any }[]} times in seconds
 */
function spaced({ samples, sample_interval: interval, server_time: current }) {
  const step = (toMillis(interval) ?? 5000) / 1000;
  /** @type {{ time: number, sample: any }[]} */
  const all = [];
  for (const sample of samples) {
    const time = Date.parse(sample.time) / 1000;
    const last = all.at(-1);
    if (last !== undefined && time - last.time > 1.6 * step)
      all.push({ time: last.time + step, sample: null });
    all.push({ time, sample });
  }
  const end = Date.parse(current) / 1000;
  const last = all.at(-1);
  if (last !== undefined && end - last.time > 1.6 * step)
    all.push({ time: last.time + step, sample: null }, { time: end, sample: null });
  return all;
}

function reporterPanel() {
  const { element: box, body } = table('Reporters, the last first', [
    'Reporter',
    { text: 'Last report', class: 'number' },
    { text: 'Calls', class: 'number' },
  ]);
  const none = empty('Nobody has reported calls since the server leads.');
  const show = keyed(body, { key: (/** @type {any} */ one) => one.reporter_id, make: row });
  return {
    element: panel('Reporters', {}, box, none),
    /** @param {any[]} reporters */
    show(reporters) {
      show(reporters);
      box.hidden = reporters.length === 0;
      none.hidden = reporters.length > 0;
    },
  };
}

/** @param {any} first */
function row(first) {
  const [when, calls] = [h('span'), h('td', { class: 'number' })];
  const name =
    first.reporter_id === ''
      ? h('span', { class: 'quiet', text: 'without an id' })
      : h('span', { class: 'mono wrap', text: first.reporter_id });
  const element = h(
    'tr',
    {},
    h('th', { scope: 'row' }, name),
    h('td', { class: 'number' }, when),
    calls,
  );
  return {
    element,
    /** @param {any} one */
    show(one) {
      const at = now() - (toMillis(one.last_report_age) ?? 0);
      tick(when, () => `${duration(now() - at)} ago`);
      say(calls, count(one.calls));
    },
  };
}
