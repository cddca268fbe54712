// @ts-check
// A breaker as the list shows it.
import { now } from './clock.js';
import { toMillis } from './format.js';
import { modeOf, stateOf } from './words.js';

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} namespace
 * @property {string} state
 * @property {string} mode
 * @property {string} level empty without levels
 * @property {number} levelNumber -1 without levels
 * @property {number} failureRate 0 to 1
 * @property {number} responseMs
 * @property {number} totalCalls
 * @property {number} denied
 * @property {number | null} callsPerSecond null until it has been looked at twice
 * @property {number} since when the state began, on the stop watch
 * @property {string} sinceTime the same by the server's clock
 * @property {number | null} retryAt when OPEN ends by itself, on the stop watch
 * @property {string} overrideEnds when the override ends by itself, by the server's clock
 * @property {number} revision
 * @property {number} at when all this was so, on the stop watch
 */

/**
 * @param {any} breaker as BREAKER_VIEW_BASIC or more tells it
 * @param {Row} [before] what was known of it
 * @returns {Row}
 */
export function toRow(breaker, before) {
  const { name, state, metrics } = breaker;
  const at = now();
  const retry = toMillis(breaker.retry_after);
  const totalCalls = Number(metrics.total_calls);
  return {
    name,
    namespace: name.slice(0, name.indexOf('/')),
    state: stateOf(state.state),
    mode: modeOf(state.mode),
    level: state.level?.name ?? '',
    levelNumber: state.level?.number ?? -1,
    failureRate: metrics.failure_rate,
    responseMs: metrics.average_response_time_ms,
    totalCalls,
    denied: Number(metrics.denied),
    callsPerSecond: pace(totalCalls, at, before),
    since: at - (toMillis(breaker.time_in_state) ?? 0),
    sinceTime: state.since ?? '',
    retryAt: retry === undefined ? null : at + retry,
    overrideEnds: breaker.override?.expire_time ?? '',
    revision: Number(state.revision),
    at,
  };
}

/** Two looks closer to each other say little. */
const LEAST_PAUSE = 900;
/** Two looks farther from each other say nothing of now. */
const LONGEST_PAUSE = 10_000;

/**
 * @param {number} totalCalls
 * @param {number} at
 * @param {Row} [before]
 */
function pace(totalCalls, at, before) {
  if (before === undefined) return null;
  const pause = at - before.at;
  if (pause < LEAST_PAUSE) return before.callsPerSecond;
  if (pause > LONGEST_PAUSE || totalCalls < before.totalCalls) return null;
  return ((totalCalls - before.totalCalls) / pause) * 1000;
}
