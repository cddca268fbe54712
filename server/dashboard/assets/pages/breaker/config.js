// @ts-check
// The configuration of a breaker: each value, and where it comes from.
import { escaped, get, isAbort } from '../../api.js';
import { add, fill, h } from '../../dom.js';
import { empty, errorBox, panel, table } from '../../parts.js';
import { link } from '../../router.js';
import { SOURCES, meaning, sourceOf } from '../../words.js';

/** @param {string} name @param {AbortSignal} signal */
export function configPanel(name, signal) {
  const box = h('div');
  const more = h('a', {
    href: link('policies', '', { explain: name }),
    text: 'Which policies match',
  });
  return {
    element: panel('Configuration', { aside: more, class: 'config' }, box),
    async load() {
      try {
        const explained = await get(`config/${escaped(name)}`, {}, signal);
        fill(box, configTable(explained.values));
      } catch (error) {
        if (!isAbort(error)) fill(box, errorBox(error));
      }
    },
  };
}

/**
 * The values of a configuration as the server explains them.
 * @param {any[]} values
 */
export function configTable(values) {
  if (values.length === 0) return empty('Nothing is set.');
  const { element, body } = table('Values of the configuration', ['Value', 'Set to', 'Where from']);
  element.classList.add('config-table');
  add(
    body,
    values.map(({ key, value, source, policy }) => {
      const from = sourceOf(source);
      const where = policy
        ? h('span', {}, 'policy ', h('a', { href: link('policies', policy), text: policy }))
        : meaning(SOURCES, from);
      return h(
        'tr',
        { data: { source: from } },
        h('th', { scope: 'row' }, h('code', { text: key })),
        h('td', {}, valueText(value)),
        h('td', {}, where),
      );
    }),
  );
  return element;
}

/** @param {string} json as it stands in a configuration file; empty where it is off */
function valueText(json) {
  if (json === '') return h('span', { class: 'quiet', text: 'not set' });
  return json === 'false'
    ? h('span', { class: 'quiet', text: 'off' })
    : h('code', { class: 'wrap', text: pretty(json) });
}

/** @param {string} json */
function pretty(json) {
  try {
    return plain(JSON.parse(json));
  } catch {
    return json;
  }
}

/** @param {any} value */
const isTable = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** @param {any} value @returns {string} */
function plain(value) {
  if (Array.isArray(value))
    return value.length === 0
      ? 'none'
      : value.map((one) => (isTable(one) ? `(${plain(one)})` : plain(one))).join(', ');
  if (isTable(value)) {
    const { name, ...rest } = value;
    const told = Object.entries(rest).map(
      ([key, one]) => `${key} ${isTable(one) ? `(${plain(one)})` : plain(one)}`,
    );
    return [name, ...told].filter(Boolean).join(', ');
  }
  return String(value);
}
