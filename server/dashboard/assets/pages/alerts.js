// @ts-check
// Alerts: what fires, what is over, and who has seen it.
import { get, isAbort } from '../api.js';
import { choice } from '../choice.js';
import { add, fill, h, keyed, say } from '../dom.js';
import { plural } from '../format.js';
import { matcher } from '../glob.js';
import { icon } from '../icons.js';
import { live } from '../live.js';
import { empty, errorBox } from '../parts.js';
import { go, link } from '../router.js';
import {
  ALERT_STATES,
  RULES,
  SEVERITIES,
  alertStateOf,
  meaning,
  ruleOf,
  severityOf,
} from '../words.js';
import { openAcknowledge } from './alerts/acknowledge.js';
import { card } from './alerts/card.js';

const PAGE = 100;

/** @typedef {{ state: string, severity: string, rule: string, selector: string }} Filter `severity` and worse */

/** @type {import('../app.js').Page} */
export function alerts(main, route, signal) {
  let filter = read(route.query);
  /** What is shown, by id. @type {Map<string, any>} */
  let known = new Map();
  let token = '';
  let isLoaded = false;

  const bar = filterBar((change) => go(link('alerts', '', { ...filter, ...change })));
  const list = h('ul', { class: 'alert-list' });
  const [counted, problem, none] = [
    h('p', { class: 'quiet', role: 'status' }),
    h('div'),
    empty('No alerts are like that.'),
  ];
  const more = h('button', {
    class: 'button',
    type: 'button',
    text: 'Show earlier ones',
    on: { click: () => load(true) },
  });
  const show = keyed(list, {
    key: (/** @type {any} */ one) => one.id,
    make: () => card((alert) => openAcknowledge(alert, learn)),
  });
  none.hidden = true;
  more.hidden = true;
  add(main, [
    h('header', { class: 'page-head' }, h('h1', { text: 'Alerts' }), counted),
    bar.element,
    problem,
    h(
      'section',
      { class: 'panel live', 'aria-label': 'Alerts' },
      list,
      none,
      h('p', { class: 'panel-more' }, more),
    ),
  ]);

  /** @param {boolean} isMore */
  async function load(isMore) {
    more.disabled = true;
    const wanted = filter;
    try {
      const answer = await get(
        'alerts',
        { ...asked(wanted), page_size: PAGE, page_token: isMore ? token : '' },
        signal,
      );
      if (wanted !== filter) return;
      if (!isMore) known = new Map();
      for (const alert of answer.alerts) put(alert);
      token = answer.next_page_token;
      isLoaded = true;
      fill(problem);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      fill(problem, errorBox(error));
    }
    more.disabled = false;
    draw();
  }

  /** What is told twice may come in either order. @param {any} alert */
  function put(alert) {
    const before = known.get(alert.id);
    if (before === undefined || Number(before.revision) <= Number(alert.revision))
      known.set(alert.id, alert);
  }

  /** @param {any[]} changed */
  function learn(changed) {
    if (!isLoaded) return;
    changed.forEach(put);
    draw();
  }

  function draw() {
    const passed = [...known.values()].filter((alert) => passes(alert, filter));
    passed.sort((a, b) => Number(b.revision) - Number(a.revision));
    show(passed);
    none.hidden = passed.length > 0 || !isLoaded;
    more.hidden = token === '';
    const firing = passed.filter((alert) => alertStateOf(alert.state) === 'FIRING').length;
    say(counted, isLoaded ? `${plural(passed.length, 'alert')} shown, ${firing} firing` : '');
  }

  live.addEventListener(
    'alerts',
    (event) => learn(/** @type {CustomEvent} */ (event).detail.alerts),
    { signal },
  );
  live.addEventListener('reload', () => load(false), { signal });
  bar.show(filter);
  load(false);
  return {
    title: 'Alerts',
    update: (next) => {
      filter = read(next.query);
      bar.show(filter);
      draw();
      load(false);
    },
  };
}

/** @param {URLSearchParams} query @returns {Filter} */
function read(query) {
  const one = (/** @type {string} */ name, /** @type {string[]} */ words) =>
    words.includes(query.get(name) ?? '') ? (query.get(name) ?? '') : '';
  return {
    state: one('state', ALERT_STATES),
    severity: one('severity', SEVERITIES),
    rule: one('rule', Object.keys(RULES)),
    selector: query.get('selector') ?? '',
  };
}

/** @param {Filter} filter */
function asked({ state, severity, rule, selector }) {
  return {
    state: state && `ALERT_STATE_${state}`,
    min_severity: severity && `ALERT_SEVERITY_${severity}`,
    rules: rule === '' ? [] : [`ALERT_RULE_${rule}`],
    selector,
  };
}

/** Whether an alert that was told is one that was asked for. @param {any} alert @param {Filter} filter */
function passes(alert, { state, severity, rule, selector }) {
  if (state !== '' && alertStateOf(alert.state) !== state) return false;
  if (SEVERITIES.indexOf(severityOf(alert.severity)) < SEVERITIES.indexOf(severity)) return false;
  if (rule !== '' && ruleOf(alert.rule) !== rule) return false;
  if (selector === '') return true;
  return selector.includes('*') ? matcher(selector)(alert.breaker) : alert.breaker === selector;
}

/** @param {(change: Partial<Filter>) => void} set */
function filterBar(set) {
  const selector = h('input', {
    type: 'search',
    'aria-label': 'Breaker or glob',
    placeholder: 'A breaker or a glob: payments/*',
    data: { search: '' },
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    on: { change: () => set({ selector: selector.value.trim() }) },
  });
  const state = choice('State', 'Firing and resolved', (value) => set({ state: value }));
  const severity = choice('Severity', 'Any severity', (value) => set({ severity: value }));
  const rule = choice('Rule', 'Any rule', (value) => set({ rule: value }));
  state.options(ALERT_STATES, (word) => word.toLowerCase());
  severity.options(SEVERITIES, (word) => (word === 'CRITICAL' ? 'CRITICAL' : `${word} and worse`));
  rule.options(Object.keys(RULES), (word) => meaning(RULES, word));
  return {
    element: h(
      'div',
      { class: 'filters', role: 'search' },
      h('div', { class: 'search' }, icon('search'), selector),
      state.element,
      severity.element,
      rule.element,
    ),
    /** @param {Filter} filter */
    show(filter) {
      selector.value = filter.selector;
      state.show(filter.state);
      severity.show(filter.severity);
      rule.show(filter.rule);
    },
  };
}
