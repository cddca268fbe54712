// @ts-check
// The audit history: every transition that is kept, who caused it and why.
import { get, isAbort } from '../api.js';
import { add, fill, h, say } from '../dom.js';
import { plural } from '../format.js';
import { live } from '../live.js';
import { empty, errorBox, field } from '../parts.js';
import { go, link } from '../router.js';
import { CAUSES, meaning } from '../words.js';
import { transitionTable } from './transitions.js';

const PAGE = 100;
/** A page may hold nothing and still have a next one; so many of them are gone through at once. */
const MOST_EMPTY = 20;
/** News come in bursts: so long is waited for more, in milliseconds. */
const PAUSE = 1_000;

/** Causes that are asked for together. @type {Record<string, string[]>} */
const GROUPS = {
  'done by people': [
    'FORCED_OPEN',
    'FORCED_CLOSED',
    'DISABLED',
    'SHADOWED',
    'RELEASED',
    'TRIPPED',
    'RESET',
  ],
  'trips and re-opens': [
    'FAILURE_THRESHOLD',
    'CONSECUTIVE_FAILURES',
    'FAILURE_RATE',
    'SLOW_CALL_RATE',
    'PROBE_FAILED',
    'PROBE_EXPIRED',
    'PROBE_RATE',
  ],
  recoveries: ['OPEN_ELAPSED', 'PROBES_SUCCEEDED', 'RAMP_COMPLETED', 'DEESCALATED'],
};

/** @typedef {{ selector: string, cause: string, actor: string, from: string, to: string }} Filter times as an input has them */

/** @type {import('../app.js').Page} */
export function history(main, route, signal) {
  /** @type {Filter} */
  let filter = read(route.query);
  /** @type {any[]} */
  let shown = [];
  let token = '';
  /** @type {AbortController | null} */
  let loading = null;

  const form = filterForm((next) => go(address(next)));
  const past = transitionTable({ withBreaker: true });
  const [counted, problem, none] = [
    h('p', { class: 'quiet', role: 'status' }),
    h('div'),
    empty('Nothing like that is kept.'),
  ];
  const more = h('button', {
    class: 'button',
    type: 'button',
    text: 'Show earlier ones',
    on: { click: () => load(true) },
  });
  none.hidden = true;
  more.hidden = true;
  add(main, [
    h('header', { class: 'page-head' }, h('h1', { text: 'History' }), counted),
    form.element,
    problem,
    h(
      'section',
      { class: 'panel live', 'aria-label': 'Transitions' },
      past.element,
      none,
      h('p', { class: 'panel-more' }, more),
    ),
  ]);

  /** @param {string} from the token of the page @param {AbortSignal} until */
  const page = (from, until) =>
    get('transitions', { ...asked(filter), page_size: PAGE, page_token: from }, until);

  /** @param {boolean} isMore */
  async function load(isMore) {
    loading?.abort();
    loading = new AbortController();
    const until = AbortSignal.any([signal, loading.signal]);
    more.disabled = true;
    try {
      let found = /** @type {any[]} */ ([]);
      let next = isMore ? token : '';
      for (let pages = 0; pages < MOST_EMPTY && found.length === 0; pages += 1) {
        const answer = await page(next, until);
        [found, next] = [answer.transitions, answer.next_page_token];
        if (next === '') break;
      }
      token = next;
      shown = isMore ? [...shown, ...found] : found;
      if (isMore) past.more(found);
      else past.show(found);
      fill(problem);
    } catch (error) {
      if (isAbort(error) || until.aborted) return;
      fill(problem, errorBox(error));
    }
    more.disabled = false;
    tell();
  }

  function tell() {
    past.element.hidden = shown.length === 0;
    none.hidden = shown.length > 0;
    more.hidden = token === '';
    say(more, shown.length === 0 ? 'Look further back' : 'Show earlier ones');
    say(
      counted,
      shown.length === 0
        ? ''
        : `the latest ${plural(shown.length, 'transition')}${token === '' ? ', all that are kept' : ''}`,
    );
  }

  /** What is new comes on top; what is shown already stays where it is. */
  async function look() {
    if (document.hidden || filter.to !== '') return;
    try {
      const { transitions } = await page('', signal);
      const known = new Set(shown.map((one) => one.id));
      const fresh = transitions.filter((/** @type {any} */ one) => !known.has(one.id));
      if (fresh.length === 0) return;
      // More has come than fits on a page: what is between is not known, so all begins anew.
      if (fresh.length === PAGE) return void load(false);
      shown = [...fresh, ...shown];
      past.show(shown);
      tell();
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) fill(problem, errorBox(error));
    }
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let due;
  live.addEventListener(
    'changes',
    () => {
      due ??= setTimeout(() => {
        due = undefined;
        look();
      }, PAUSE);
    },
    { signal },
  );
  live.addEventListener('reload', () => load(false), { signal });
  signal.addEventListener('abort', () => clearTimeout(due));

  form.show(filter);
  load(false);
  return {
    title: 'History',
    update: (next) => {
      filter = read(next.query);
      form.show(filter);
      load(false);
    },
  };
}

/** @param {URLSearchParams} query @returns {Filter} */
function read(query) {
  const of = (/** @type {string} */ name) => query.get(name) ?? '';
  return {
    selector: of('selector'),
    cause: of('cause'),
    actor: of('actor'),
    from: of('from'),
    to: of('to'),
  };
}

/** @param {Filter} filter */
const address = (filter) => link('history', '', { ...filter });

/** What is asked of the server. @param {Filter} filter */
function asked({ selector, cause, actor, from, to }) {
  const causes = cause === '' ? [] : (GROUPS[cause] ?? [cause]).map((one) => `CAUSE_${one}`);
  return { selector, actor, causes, start_time: toServer(from), end_time: toServer(to) };
}

/** A time as somebody typed it, in their time zone. @param {string} local */
function toServer(local) {
  const time = new Date(local);
  return local === '' || Number.isNaN(time.getTime()) ? '' : time.toISOString();
}

/** @param {(filter: Filter) => void} set */
function filterForm(set) {
  const text = { type: 'text', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' };
  const selector = h('input', { ...text, placeholder: 'payments/*', data: { search: '' } });
  const cause = h(
    'select',
    {},
    h('option', { value: '', text: 'any' }),
    h(
      'optgroup',
      { label: 'Together' },
      ...Object.keys(GROUPS).map((group) => h('option', { value: group, text: group })),
    ),
    h(
      'optgroup',
      { label: 'One cause' },
      ...Object.keys(CAUSES).map((one) => h('option', { value: one, text: meaning(CAUSES, one) })),
    ),
  );
  const actor = h('input', text);
  const from = h('input', { type: 'datetime-local', step: '1' });
  const to = h('input', { type: 'datetime-local', step: '1' });
  const apply = () =>
    set({
      selector: selector.value.trim(),
      cause: cause.value,
      actor: actor.value.trim(),
      from: from.value,
      to: to.value,
    });
  const clear = h('button', {
    class: 'button',
    type: 'button',
    text: 'Clear',
    on: { click: () => set({ selector: '', cause: '', actor: '', from: '', to: '' }) },
  });
  const element = h(
    'form',
    {
      class: 'filters filters-form',
      role: 'search',
      on: {
        submit: (/** @type {Event} */ event) => (event.preventDefault(), apply()),
        change: apply,
      },
    },
    field('Breaker or glob', selector),
    field('Cause', cause),
    field('Who, exactly', actor),
    field('From', from),
    field('Until', to),
    h('button', { class: 'button', type: 'submit', text: 'Search' }),
    clear,
  );
  return {
    element,
    /** @param {Filter} filter */
    show(filter) {
      for (const [control, value] of [
        [selector, filter.selector],
        [cause, filter.cause],
        [actor, filter.actor],
        [from, filter.from],
        [to, filter.to],
      ]) {
        if (control.value !== value) control.value = value;
      }
      clear.hidden = Object.values(filter).every((value) => value === '');
    },
  };
}
