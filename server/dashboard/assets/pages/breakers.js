// @ts-check
// All breakers, live.
import { openAction } from '../action.js';
import { get } from '../api.js';
import { add, fill, h, say } from '../dom.js';
import { EVERYTHING, MOST, fleet } from '../fleet.js';
import { count } from '../format.js';
import { selector } from '../glob.js';
import { Grid } from '../grid.js';
import { live } from '../live.js';
import { errorBox } from '../parts.js';
import { go, link, note } from '../router.js';
import { filterBar, selectionBar } from './breakers/bar.js';
import { SORTS, address, apply, read } from './breakers/filter.js';
import { headings, line } from './breakers/line.js';

/** @typedef {import('../row.js').Row} Row */

/** How often what is seen is looked at again, in milliseconds. */
const LOOK = 2_000;
/** How often all is loaded again where the order depends on what no event tells. */
const REFRESH = 30_000;
/** News come in bursts: they are shown so often, in milliseconds. */
const SHOW = 200;
/** So long they wait for the end of scrolling. */
const LONGEST_WAIT = 600;
/** How long to wait for the next letter before the server is asked. */
const TYPING = 300;

/** Where the list was scrolled to, by its address, so that going back leads to the same place. */
const places = new Map();

/** @type {import('../app.js').Page} */
export function breakers(main, route, signal) {
  let filter = read(route.query);
  /** @type {string[]} */
  let known = [];
  /** Of which version of the fleet the choices are. */
  let offered = -1;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let due;
  const head = headings({ sort: sortBy, all: selectAll });
  /** @type {Grid<Row>} */
  const grid = new Grid(
    {
      label: 'Breakers',
      head: head.element,
      key: (row) => row.name,
      make: line,
      open: (row) => go(link('breakers', row.name)),
      onSelect: showSelection,
    },
    signal,
  );
  const bar = filterBar(set, () => grid.element.focus());
  const [counted, problem, notice] = [
    h('p', { class: 'quiet', role: 'status' }),
    h('div'),
    h('p', { class: 'notice', data: { kind: 'fair' }, hidden: true }),
  ];
  const none = h('p', { class: 'empty grid-empty', hidden: true });
  const selection = selectionBar(
    () => openAction({ names: [...grid.selected], done: clearSelection }),
    clearSelection,
  );
  const onGlob = h('button', {
    class: 'button needs-write',
    type: 'button',
    text: 'Act on a glob …',
    on: { click: actOnGlob },
  });
  add(main, [
    h(
      'header',
      { class: 'page-head' },
      h('h1', { text: 'Breakers' }),
      counted,
      h('div', { class: 'actions' }, onGlob),
    ),
    bar.element,
    notice,
    problem,
    h('div', { class: 'grid-frame live' }, grid.element, none),
    selection.element,
  ]);

  /** @param {Partial<import('./breakers/filter.js').Filter>} change @param {boolean} [isTyping] */
  function set(change, isTyping = false) {
    const to = address({ ...filter, ...change });
    if (isTyping) {
      note(to);
      show({ ...filter, ...change });
    } else {
      go(to);
    }
  }

  /** @param {string} by */
  function sortBy(by) {
    const opposite = filter.dir === 'asc' ? 'desc' : 'asc';
    set({ sort: by, dir: filter.sort === by ? opposite : SORTS[by].first });
  }

  /** @param {import('./breakers/filter.js').Filter} next */
  function show(next) {
    filter = next;
    bar.show(filter);
    load();
    draw();
  }

  /** A fleet that can be loaded is, once; another one is asked for what is wanted of it. */
  function load() {
    const total = Number(live.dashboard?.summary.breakers ?? 0);
    const isTooLarge = fleet.isTooLarge || total > MOST;
    const text = filter.q;
    const isNarrow =
      text !== '' || filter.ns !== '' || filter.state.length + filter.mode.length > 0;
    if (!isTooLarge || !isNarrow) return void fleet.load(EVERYTHING);
    clearTimeout(due);
    const scope = { selector: selector(text, filter.ns), states: filter.state, modes: filter.mode };
    due = setTimeout(() => fleet.load(scope), TYPING);
  }

  function draw() {
    const { rows, byState } = apply(fleet.rows.values(), filter);
    grid.show(rows);
    bar.counts(byState);
    showChoices();
    const whole =
      fleet.scope?.selector === '' && !fleet.hasMore ? ` of ${count(fleet.rows.size)}` : '';
    say(
      counted,
      fleet.isComplete || fleet.rows.size > 0
        ? `${count(rows.length)}${whole}${fleet.isComplete ? '' : ', loading …'}`
        : 'Loading …',
    );
    none.hidden = rows.length > 0 || !fleet.isComplete;
    say(
      none,
      fleet.rows.size === 0 && filter.q === ''
        ? 'There are no breakers yet. One is created when a client first asks for it.'
        : 'No breaker is like that.',
    );
    notice.hidden = !fleet.hasMore;
    say(
      notice,
      `These are the first ${count(MOST)} by name, and there are more. Search by a part of a name or a glob, or choose a namespace or a state: then the server is asked.`,
    );
    fill(problem, fleet.error && errorBox(fleet.error));
    showSelection();
  }

  /** The namespaces and levels there are: looked at again only when there are others. */
  function showChoices() {
    if (offered === fleet.version) return;
    offered = fleet.version;
    const [namespaces, levels] = [new Set(known), new Set()];
    for (const { namespace, level } of fleet.rows.values()) {
      namespaces.add(namespace);
      if (level !== '') levels.add(level);
    }
    bar.options([...namespaces].sort(), [...levels].sort());
  }

  /** Of a fleet that is too large to be loaded the server tells which namespaces there are. */
  async function loadNamespaces() {
    if (!fleet.isTooLarge || known.length > 0) return;
    const { namespaces } = await get('health', {}, signal);
    known = namespaces.map((/** @type {{ namespace: string }} */ one) => one.namespace);
    offered = -1;
    draw();
  }

  function showSelection() {
    for (const name of grid.selected)
      if (fleet.isComplete && !fleet.rows.has(name)) grid.selected.delete(name);
    const amount = grid.selected.size;
    const all = amount > 0 && grid.items.every((row) => grid.selected.has(row.name));
    head.show(filter, all ? true : amount > 0 ? 'some' : false);
    selection.show(amount);
  }

  function selectAll() {
    const all = grid.items.length > 0 && grid.items.every((row) => grid.selected.has(row.name));
    grid.selected = new Set(all ? [] : grid.items.map((row) => row.name));
    showSelection();
    grid.refresh();
  }

  function clearSelection() {
    grid.selected.clear();
    showSelection();
    grid.refresh();
  }

  function actOnGlob() {
    openAction({ selector: selector(filter.q, filter.ns) || '**', done: clearSelection });
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let showing;
  /** Nothing is put in order while somebody scrolls, unless that goes on. @param {number} since */
  function showNews(since) {
    const current = performance.now();
    if (current - grid.scrolledAt < SHOW && current - since < LONGEST_WAIT) {
      showing = setTimeout(showNews, SHOW, since);
      return;
    }
    showing = undefined;
    draw();
  }
  fleet.addEventListener(
    'change',
    () => {
      // Without them all else of the list is there.
      loadNamespaces().catch(() => {});
      showing ??= setTimeout(showNews, SHOW, performance.now());
    },
    { signal },
  );
  fleet.addEventListener('look', () => grid.refresh(), { signal });
  live.addEventListener('reload', () => load(), { signal });

  const timers = [
    setInterval(() => {
      const isScrolled = performance.now() - grid.scrolledAt < SHOW;
      if (document.hidden || isScrolled || live.connection !== 'live') return;
      fleet.look(grid.seen().map((row) => row.name)).catch(() => {});
    }, LOOK),
    setInterval(() => grid.refresh(), 1000),
    setInterval(() => {
      if (['failure_rate', 'response', 'calls', 'denied'].includes(filter.sort)) fleet.refresh();
      else load();
    }, REFRESH),
  ];
  signal.addEventListener('abort', () => {
    timers.forEach(clearInterval);
    clearTimeout(showing);
    clearTimeout(due);
    places.set(address(filter), lastTop);
  });
  let lastTop = 0;
  grid.element.addEventListener('scroll', () => (lastTop = grid.element.scrollTop), {
    passive: true,
  });

  show(filter);
  requestAnimationFrame(() => (grid.element.scrollTop = places.get(address(filter)) ?? 0));
  return { title: 'Breakers', update: (next) => show(read(next.query)) };
}
