// @ts-check
// The thresholds in force, how near the breaker is to each, and why they are what they are.
import { h, keyed, say } from '../../dom.js';
import { count, exact, percent, plural } from '../../format.js';
import { panel } from '../../parts.js';
import { DURATION_REASONS, THRESHOLD_REASONS, meaning, stateOf } from '../../words.js';

/** @typedef {{ key: string, title: string, value: string, why: string, share: number | null }} Condition */

export function conditionPanel() {
  const list = h('ul', { class: 'conditions' });
  const show = keyed(list, { key: (/** @type {Condition} */ one) => one.key, make: line });
  return {
    element: panel('Thresholds in force', {}, list),
    /** @param {any} breaker */
    show(breaker) {
      show(conditions(breaker));
    },
  };
}

/**
 * What of a breaker's configuration is in force.
 * @param {any} breaker
 * @returns {Condition[]}
 */
function conditions({ state, counts, metrics, permits_out: permits }) {
  const { effective, config, level, admit_percent: admitted } = state;
  const [is, all] = [stateOf(state.state), /** @type {Condition[]} */ ([])];
  const isClosed = is === 'CLOSED';
  /** @param {string} key @param {string} title @param {string} value @param {string} why @param {number | null} [share] */
  const tell = (key, title, value, why, share = null) =>
    all.push({ key, title, value, why, share });

  if (effective.failure_threshold > 0) {
    const why = meaning(THRESHOLD_REASONS, effective.threshold_reason);
    tell(
      'failures',
      'Failures',
      `${count(counts.failure_count)} of ${count(effective.failure_threshold)}`,
      why,
      isClosed ? counts.failure_count / effective.failure_threshold : null,
    );
  }
  if (config.consecutive_failures > 0) {
    tell(
      'row',
      'Failures in a row',
      `${count(counts.consecutive_failures)} of ${count(config.consecutive_failures)}`,
      'as configured',
      isClosed ? counts.consecutive_failures / config.consecutive_failures : null,
    );
  }
  for (const [key, title, rule, rate] of [
    ['rate', 'Failure rate', config.failure_rate, metrics.failure_rate],
    ['slow', 'Slow rate', config.slow_call_rate, metrics.slow_rate],
  ]) {
    if (!rule?.percent) continue;
    const isEnough = counts.window_calls >= rule.minimum_calls;
    const least = isEnough
      ? 'as configured'
      : `counts from ${plural(rule.minimum_calls, 'call')} in the window, there ${counts.window_calls === 1 ? 'is' : 'are'} ${count(counts.window_calls)}`;
    const slow = key === 'slow' ? `slow is longer than ${exact(rule.duration)}; ` : '';
    tell(
      key,
      title,
      `${percent(rate)} of ${rule.percent} %`,
      slow + least,
      isClosed && isEnough ? (rate * 100) / rule.percent : null,
    );
  }
  tell(
    'open',
    'Open duration',
    exact(effective.open_duration),
    meaning(DURATION_REASONS, effective.duration_reason) +
      (config.backoff?.multiplier > 0
        ? `; × ${config.backoff.multiplier} with each re-open, up to ${exact(config.backoff.max)}`
        : ''),
  );
  const isHalf = is === 'HALF_OPEN';
  if (config.probe_calls?.calls > 0) {
    tell(
      'probes',
      'Probes',
      `${plural(config.probe_calls.calls, 'probe')} judged together`,
      `re-opens at ${config.probe_calls.failure_percent} % failed`,
    );
  } else {
    tell(
      'probes',
      'Successful probes',
      isHalf
        ? `${count(counts.success_count)} of ${count(effective.success_threshold)}`
        : count(effective.success_threshold),
      'close it',
      isHalf ? counts.success_count / effective.success_threshold : null,
    );
  }
  tell(
    'permits',
    'Probes at once',
    isHalf
      ? `${count(permits)} of ${count(effective.max_probes)} out`
      : count(effective.max_probes),
    'in the whole fleet',
  );
  if (admitted !== undefined)
    tell(
      'ramp',
      'Ramp',
      `${admitted} % admitted`,
      `of ${config.ramp.percents.join(', ')} %, ${exact(config.ramp.step)} each`,
      admitted / 100,
    );
  if (config.min_reporters > 1)
    tell(
      'reporters',
      'Reporters',
      `at least ${count(config.min_reporters)}`,
      'have to see failures',
    );
  if (config.max_reporter_share > 0)
    tell(
      'share',
      'One reporter brings',
      `at most ${config.max_reporter_share} %`,
      'of what trips it',
    );
  if (level)
    tell(
      'level',
      'Level',
      level.name,
      `number ${level.number + 1} of ${config.levels?.levels?.length || '?'}; clients serve ${level.serve || 'nothing'} while calls are denied`,
    );
  return all;
}

function line() {
  const [title, value, why, bar] = [
    h('span', { class: 'condition-title' }),
    h('span', { class: 'condition-value' }),
    h('span', { class: 'condition-why quiet small' }),
    h('span', { class: 'condition-bar' }),
  ];
  const track = h('span', { class: 'condition-track', 'aria-hidden': 'true' }, bar);
  const element = h('li', { class: 'condition' }, title, value, track, why);
  return {
    element,
    /** @param {Condition} one */
    show(one) {
      say(title, one.title);
      say(value, one.value);
      say(why, one.why);
      track.hidden = one.share === null;
      bar.style.inlineSize = `${Math.min(1, one.share ?? 0) * 100}%`;
      bar.dataset.grade = (one.share ?? 0) >= 1 ? 'bad' : (one.share ?? 0) >= 0.6 ? 'fair' : 'good';
    },
  };
}
