// @ts-check
// The words of the protocol, and what they mean to people.

/** @param {string | undefined} value such as `STATE_OPEN` @param {string} prefix */
const without = (value, prefix) => (value ?? '').replace(prefix, '').replace('UNSPECIFIED', '');

export const STATES = ['CLOSED', 'OPEN', 'HALF_OPEN'];
export const MODES = ['NORMAL', 'FORCED_OPEN', 'FORCED_CLOSED', 'DISABLED', 'SHADOW'];
export const SEVERITIES = ['MEDIUM', 'HIGH', 'CRITICAL'];
export const ALERT_STATES = ['FIRING', 'RESOLVED'];

/** @param {string} [value] */ export const stateOf = (value) => without(value, 'STATE_');
/** @param {string} [value] */ export const modeOf = (value) => without(value, 'MODE_');
/** @param {string} [value] */ export const causeOf = (value) => without(value, 'CAUSE_');
/** @param {string} [value] */ export const ruleOf = (value) => without(value, 'ALERT_RULE_');
/** @param {string} [value] */ export const severityOf = (value) =>
  without(value, 'ALERT_SEVERITY_');
/** @param {string} [value] */ export const alertStateOf = (value) =>
  without(value, 'ALERT_STATE_');
/** @param {string} [value] */ export const outcomeOf = (value) => without(value, 'OUTCOME_');
/** @param {string} [value] */ export const sourceOf = (value) => without(value, 'CONFIG_SOURCE_');

/** @type {Record<string, string>} */
export const STATE_MEANS = {
  CLOSED: 'calls flow',
  OPEN: 'calls are refused',
  HALF_OPEN: 'a few calls, the probes, find out whether calls can flow again',
};

/** @type {Record<string, string>} */
export const MODE_MEANS = {
  NORMAL: 'it leads its automatic life',
  FORCED_OPEN: 'every call is denied',
  FORCED_CLOSED: 'every call is allowed',
  DISABLED: 'every call is allowed, and only metrics are recorded',
  SHADOW: 'transitions happen and are reported, calls are never denied',
};

/** Why a breaker changed. @type {Record<string, string>} */
export const CAUSES = {
  FAILURE_THRESHOLD: 'failure count reached its threshold',
  CONSECUTIVE_FAILURES: 'too many failures in a row',
  FAILURE_RATE: 'failure rate reached its percent',
  SLOW_CALL_RATE: 'slow rate reached its percent',
  OPEN_ELAPSED: 'open duration elapsed',
  PROBES_SUCCEEDED: 'probes succeeded',
  PROBE_FAILED: 'a probe failed',
  PROBE_EXPIRED: 'a probe never came back',
  PROBE_RATE: 'too many probes failed',
  RAMP_COMPLETED: 'ramp completed',
  FORCED_OPEN: 'forced open',
  FORCED_CLOSED: 'forced closed',
  DISABLED: 'disabled',
  SHADOWED: 'put into shadow',
  RELEASED: 'released',
  OVERRIDE_EXPIRED: 'override expired',
  TRIPPED: 'tripped',
  RESET: 'reset',
  DEESCALATED: 'came down one level',
};

/** @type {Record<string, string>} */
export const RULES = {
  STATE_CHANGE: 'state change',
  PROLONGED_OUTAGE: 'prolonged outage',
  FLAPPING: 'flapping',
  FORCED_TOO_LONG: 'forced too long',
  REPORTERS_LOST: 'reporters lost',
  STORAGE_DEGRADED: 'storage degraded',
};

/** @type {Record<string, string>} */
export const SOURCES = {
  BUILT_IN: 'built in',
  SERVER: 'server defaults',
  BREAKER: 'the breaker itself',
  POLICY: 'policy',
};

/** @type {Record<string, string>} */
export const THRESHOLD_REASONS = {
  THRESHOLD_REASON_CONFIGURED: 'as configured',
  THRESHOLD_REASON_LEVEL: 'that of its level',
  THRESHOLD_REASON_HIGH_FAILURE_RATE: 'lowered: many of the recent calls failed',
  THRESHOLD_REASON_LOW_FAILURE_RATE: 'raised: few of the recent calls failed',
};

/** @type {Record<string, string>} */
export const DURATION_REASONS = {
  DURATION_REASON_CONFIGURED: 'as configured',
  DURATION_REASON_LEVEL: 'that of its level',
  DURATION_REASON_SLOW_RESPONSES: 'longer: successes were slow at trips',
  DURATION_REASON_FAST_RESPONSES: 'shorter: successes were fast at trips',
};

/**
 * What is known of a word, or the word itself: a newer server may say ones that are not known here.
 * @param {Record<string, string>} table
 * @param {string} word
 */
export function meaning(table, word) {
  return table[word] ?? word.toLowerCase().replaceAll('_', ' ');
}
