// @ts-check
// How each namespace is doing.
import { h, keyed, say } from '../../dom.js';
import { count, health } from '../../format.js';
import { live } from '../../live.js';
import { panel, table } from '../../parts.js';
import { link } from '../../router.js';
import { healthBar } from './health.js';

/** @param {AbortSignal} signal */
export function namespacePanel(signal) {
  const { element: box, body } = table('Health by namespace, the lowest first', [
    'Namespace',
    { text: 'Health', class: 'number' },
    { text: 'States', class: 'wide' },
    { text: 'Breakers', class: 'number' },
    { text: 'CLOSED', class: 'number wide' },
    { text: 'OPEN', class: 'number' },
    { text: 'HALF_OPEN', class: 'number' },
  ]);
  const more = h('p', { class: 'quiet small panel-foot' });
  const element = panel('Namespaces', { class: 'namespaces' }, box, more);
  const show = keyed(body, { key: (/** @type {any} */ one) => one.namespace, make: row });

  /** @param {any} told */
  function tell({ namespaces, namespace_count: all }) {
    show(namespaces);
    more.hidden = all <= namespaces.length;
    say(more, `The ${count(namespaces.length)} with the lowest health of ${count(all)}.`);
  }

  live.addEventListener('health', () => tell(live.health), { signal });
  if (live.health !== null) tell(live.health);
  return { element };
}

/** @param {any} first */
function row(first) {
  const bar = healthBar();
  const cells = ['health_percent', 'breakers', 'closed', 'open', 'half_open'].map((field) => ({
    field,
    cell: h('td', { class: field === 'closed' ? 'number wide' : 'number' }),
  }));
  const [percent, ...numbers] = cells.map(({ cell }) => cell);
  const name = h(
    'th',
    { scope: 'row' },
    h('a', { href: link('breakers', '', { ns: first.namespace }), text: first.namespace }),
  );
  const element = h(
    'tr',
    {},
    name,
    percent,
    h('td', { class: 'wide bar-cell' }, bar.element),
    ...numbers,
  );
  return {
    element,
    /** @param {any} one */
    show(one) {
      bar.show(one);
      for (const { field, cell } of cells) {
        const value = Number(one[field]);
        say(cell, field === 'health_percent' ? `${health(value)} %` : count(value));
        if (field === 'open' || field === 'half_open') cell.dataset.none = String(value === 0);
      }
    },
  };
}
