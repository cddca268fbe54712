// @ts-check
// What a policy sets.
import { h } from '../../dom.js';
import { exact } from '../../format.js';

/**
 * The values that are set of a configuration, or of alert rules.
 * @param {Record<string, any> | undefined} config
 */
export function settings(config) {
  const set = Object.entries(config ?? {}).filter(([, value]) => !isUnset(value));
  if (set.length === 0) return h('p', { class: 'quiet', text: 'Nothing of its own.' });
  return h(
    'dl',
    { class: 'settings' },
    ...set.map(([key, value]) =>
      h(
        'div',
        {},
        h('dt', {}, h('code', { text: key })),
        h('dd', { class: 'mono wrap', text: told(value) }),
      ),
    ),
  );
}

/** @param {any} value */
const isUnset = (value) => typeof value === 'string' && value.endsWith('_UNSPECIFIED');

/** @param {any} value @returns {string} */
function told(value) {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(told).join(', ');
  if (value !== null && typeof value === 'object') {
    if (value.off === true) return 'off';
    const parts = Object.entries(value).filter(
      ([key, one]) =>
        one !== 0 && !(key === 'off' && one === false) && !(Array.isArray(one) && one.length === 0),
    );
    return parts.length === 0
      ? 'as by default'
      : parts
          .map(
            ([key, one]) =>
              `${key} ${typeof one === 'object' && !Array.isArray(one) ? `(${told(one)})` : told(one)}`,
          )
          .join(', ');
  }
  if (typeof value === 'string' && /^\d+(\.\d+)?s$/.test(value)) return exact(value);
  return String(value)
    .replace(/^ON_UNAVAILABLE_|^EXPIRED_PROBE_/, '')
    .toString();
}
