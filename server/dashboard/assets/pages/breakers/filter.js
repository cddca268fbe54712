// @ts-check
// What of the fleet the list shows and in which order: it all stands in the address.
import { matcher } from '../../glob.js';
import { link } from '../../router.js';
import { MODES, STATES } from '../../words.js';

/** @typedef {import('../../row.js').Row} Row */

/**
 * @typedef {object} Filter
 * @property {string} q a part of a name, or a glob
 * @property {string} ns a namespace; empty for all
 * @property {string[]} state
 * @property {string[]} mode
 * @property {string} level
 * @property {string} sort
 * @property {'asc' | 'desc'} dir
 */

/** What the list can be sorted by; the first word is what people read. @type {Record<string, { title: string, by: (row: Row) => string | number, first: 'asc' | 'desc' }>} */
export const SORTS = {
  name: { title: 'Breaker', by: (row) => row.name, first: 'asc' },
  state: {
    title: 'State',
    by: (row) => ['CLOSED', 'HALF_OPEN', 'OPEN'].indexOf(row.state),
    first: 'desc',
  },
  mode: { title: 'Mode', by: (row) => MODES.indexOf(row.mode), first: 'desc' },
  level: { title: 'Level', by: (row) => row.levelNumber, first: 'desc' },
  failure_rate: { title: 'Failure rate', by: (row) => row.failureRate, first: 'desc' },
  response: { title: 'Response', by: (row) => row.responseMs, first: 'desc' },
  calls: { title: 'Calls', by: (row) => row.totalCalls, first: 'desc' },
  denied: { title: 'Denied', by: (row) => row.denied, first: 'desc' },
  // The longest in its state is the one whose state began first.
  since: { title: 'In state', by: (row) => -row.since, first: 'asc' },
  retry: { title: 'Retry in', by: (row) => row.retryAt ?? Infinity, first: 'asc' },
};

/** @param {URLSearchParams} query @returns {Filter} */
export function read(query) {
  const list = (/** @type {string} */ name, /** @type {string[]} */ known) =>
    (query.get(name) ?? '').split(',').filter((word) => known.includes(word));
  const asked = query.get('sort') ?? '';
  const sort = asked in SORTS ? asked : 'name';
  const dir = query.get('dir');
  return {
    q: (query.get('q') ?? '').trim().toLowerCase(),
    ns: query.get('ns') ?? '',
    state: list('state', STATES),
    mode: list('mode', MODES),
    level: query.get('level') ?? '',
    sort,
    dir: dir === 'asc' || dir === 'desc' ? dir : SORTS[sort].first,
  };
}

/** The address of what a filter shows. @param {Filter} filter */
export function address({ q, ns, state, mode, level, sort, dir }) {
  return link('breakers', '', {
    ...{ q, ns, state: state.join(), mode: mode.join(), level },
    sort: sort === 'name' && dir === 'asc' ? '' : sort,
    dir: dir === SORTS[sort].first ? '' : dir,
  });
}

/**
 * The rows that pass, in order, and how many would in each state if no state was asked for.
 * @param {Iterable<Row>} rows
 * @param {Filter} filter
 */
export function apply(rows, filter) {
  const matches = matcher(filter.q);
  /** @type {Record<string, number>} */
  const byState = { CLOSED: 0, OPEN: 0, HALF_OPEN: 0 };
  /** @type {Row[]} */
  const passed = [];
  for (const row of rows) {
    if (filter.ns !== '' && row.namespace !== filter.ns) continue;
    if (filter.mode.length > 0 && !filter.mode.includes(row.mode)) continue;
    if (filter.level !== '' && row.level !== filter.level) continue;
    if (!matches(row.name)) continue;
    byState[row.state] += 1;
    if (filter.state.length === 0 || filter.state.includes(row.state)) passed.push(row);
  }
  return { rows: sorted(passed, filter), byState };
}

/** @param {Row[]} rows @param {Filter} filter */
function sorted(rows, { sort, dir }) {
  const { by } = SORTS[sort];
  const sign = dir === 'asc' ? 1 : -1;
  const keys = rows.map((row) => ({ row, key: by(row) }));
  keys.sort((a, b) => {
    if (a.key !== b.key) return a.key < b.key ? -sign : sign;
    return a.row.name < b.row.name ? -1 : 1;
  });
  return keys.map(({ row }) => row);
}
