// @ts-check
// The numbers of a breaker, and its last calls.
import { ago, now, tick } from '../../clock.js';
import { fill, h, s, say } from '../../dom.js';
import { count, dateTime, duration, millis, percent, toMillis, toTime } from '../../format.js';
import { outcomeOf } from '../../words.js';

/** A shape for each outcome, so that colours are not needed. @type {Record<string, string>} */
const SHAPES = {
  SUCCESS: 'M4 8.4l2.6 2.6L12 5.4',
  FAILURE: 'M5 5l6 6M11 5l-6 6',
  TIMEOUT: 'M8 4.4V8l2.4 1.8M8 2.6a5.4 5.4 0 1 0 0 10.8a5.4 5.4 0 0 0 0-10.8',
  IGNORED: 'M4.5 8h7',
};

export function factPanel() {
  const facts = [
    'In state',
    'Retry in',
    'Failure rate',
    'Slow rate',
    'Response time',
    'Calls',
    'Denied',
    'Last failure',
  ].map((title) => fact(title));
  const [inState, retry, failing, slow, response, calls, denied, failure] = facts;
  const outcomes = h('ul', { class: 'outcomes' });
  const last = h(
    'div',
    { class: 'fact fact-outcomes' },
    h('dt', { text: 'Last calls, the latest last' }),
    h('dd', {}, outcomes),
  );
  const element = h(
    'section',
    { class: 'panel facts', 'aria-label': 'Numbers' },
    h('dl', {}, ...facts.map((one) => one.element), last),
  );
  let was = '';
  return {
    element,
    /** @param {any} breaker */
    show({ metrics, state, time_in_state: lasted, retry_after: rest, counts }) {
      const since = now() - (toMillis(lasted) ?? 0);
      tick(inState.value, () => duration(now() - since));
      inState.value.title = state.since ? `since ${dateTime(toTime(state.since))}` : '';
      const after = toMillis(rest);
      const retryAt = after === undefined ? null : now() + after;
      retry.element.hidden = retryAt === null;
      tick(retry.value, () => (retryAt === null ? '–' : duration(retryAt - now())));
      say(failing.value, percent(metrics.failure_rate));
      say(
        failing.more,
        `${count(counts.window_failures)} of ${count(counts.window_calls)} in the window`,
      );
      say(slow.value, percent(metrics.slow_rate));
      say(response.value, millis(metrics.average_response_time_ms));
      say(response.more, 'successes, on average');
      say(calls.value, count(metrics.total_calls));
      say(
        calls.more,
        [
          `${count(metrics.failures)} failed`,
          `${count(metrics.timeouts)} timed out`,
          Number(metrics.ignored) > 0 && `${count(metrics.ignored)} ignored`,
          Number(metrics.late) > 0 && `${count(metrics.late)} late`,
        ]
          .filter(Boolean)
          .join(', '),
      );
      say(denied.value, count(metrics.denied));
      const when = metrics.last_failure_time;
      if (failure.value.dataset.when !== (when ?? '')) {
        failure.value.dataset.when = when ?? '';
        fill(failure.value, when ? ago(when) : 'never');
      }
      say(failure.more, metrics.last_failure_kind);
      const shown = metrics.last_outcomes.join();
      if (shown !== was || shown === '') showOutcomes(metrics.last_outcomes.map(outcomeOf));
      was = shown;
    },
  };

  /** @param {string[]} words */
  function showOutcomes(words) {
    fill(
      outcomes,
      ...words.map((word) =>
        h(
          'li',
          { class: 'outcome', data: { outcome: word }, title: word },
          shape(word),
          h('span', { class: 'unseen', text: word }),
        ),
      ),
    );
    if (words.length === 0) fill(outcomes, h('li', { class: 'quiet', text: 'none yet' }));
  }
}

/** @param {string} title */
function fact(title) {
  const [value, more] = [
    h('span', { class: 'fact-value' }),
    h('span', { class: 'quiet small wrap' }),
  ];
  return {
    value,
    more,
    element: h('div', { class: 'fact' }, h('dt', { text: title }), h('dd', {}, value, more)),
  };
}

/** @param {string} word */
function shape(word) {
  const path = s('path', {
    d: SHAPES[word] ?? SHAPES.IGNORED,
    fill: 'none',
    stroke: 'currentColor',
    'stroke-width': 1.8,
    'stroke-linecap': 'round',
    'stroke-linejoin': 'round',
  });
  return s('svg', { viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true' }, path);
}
