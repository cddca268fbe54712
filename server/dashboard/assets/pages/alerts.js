// @ts-check
// Alerts: what fires, what is over, and who has seen it.
import { get, isAbort, post } from '../api.js';
import { ago } from '../clock.js';
import { openDialog } from '../dialog.js';
import { add, fill, h, keyed, say } from '../dom.js';
import { plural } from '../format.js';
import { matcher } from '../glob.js';
import { icon } from '../icons.js';
import { live } from '../live.js';
import { alertMark, breakerLink, empty, errorBox, severityMark } from '../parts.js';
import { go, link } from '../router.js';
import { remember, remembered } from '../store.js';
import { toast } from '../toast.js';
import { ALERT_STATES, RULES, SEVERITIES, alertStateOf, meaning, ruleOf, severityOf } from '../words.js';
import { choice } from './breakers.js';

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
  const [counted, problem, none] = [h('p', { class: 'quiet', role: 'status' }), h('div'), empty('No alerts are like that.')];
  const more = h('button', { class: 'button', type: 'button', text: 'Show earlier ones', on: { click: () => load(true) } });
  const show = keyed(list, { key: (/** @type {any} */ one) => one.id, make: () => card((alert) => openAcknowledge(alert, learn)) });
  none.hidden = true;
  more.hidden = true;
  add(main, [
    h('header', { class: 'page-head' }, h('h1', { text: 'Alerts' }), counted),
    bar.element,
    problem,
    h('section', { class: 'panel live', 'aria-label': 'Alerts' }, list, none, h('p', { class: 'panel-more' }, more)),
  ]);

  /** @param {boolean} isMore */
  async function load(isMore) {
    more.disabled = true;
    const wanted = filter;
    try {
      const answer = await get('alerts', { ...asked(wanted), page_size: PAGE, page_token: isMore ? token : '' }, signal);
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
    if (before === undefined || Number(before.revision) <= Number(alert.revision)) known.set(alert.id, alert);
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

  live.addEventListener('alerts', (event) => learn(/** @type {CustomEvent} */ (event).detail.alerts), { signal });
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
  const one = (/** @type {string} */ name, /** @type {string[]} */ words) => (words.includes(query.get(name) ?? '') ? (query.get(name) ?? '') : '');
  return { state: one('state', ALERT_STATES), severity: one('severity', SEVERITIES), rule: one('rule', Object.keys(RULES)), selector: query.get('selector') ?? '' };
}

/** @param {Filter} filter */
function asked({ state, severity, rule, selector }) {
  return { state: state && `ALERT_STATE_${state}`, min_severity: severity && `ALERT_SEVERITY_${severity}`, rules: rule === '' ? [] : [`ALERT_RULE_${rule}`], selector };
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
  const selector = h('input', { type: 'search', 'aria-label': 'Breaker or glob', placeholder: 'A breaker or a glob: payments/*', data: { search: '' }, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', on: { change: () => set({ selector: selector.value.trim() }) } });
  const state = choice('State', 'Firing and resolved', (value) => set({ state: value }));
  const severity = choice('Severity', 'Any severity', (value) => set({ severity: value }));
  const rule = choice('Rule', 'Any rule', (value) => set({ rule: value }));
  state.options(ALERT_STATES, (word) => word.toLowerCase());
  severity.options(SEVERITIES, (word) => (word === 'CRITICAL' ? 'CRITICAL' : `${word} and worse`));
  rule.options(Object.keys(RULES), (word) => meaning(RULES, word));
  return {
    element: h('div', { class: 'filters', role: 'search' }, h('div', { class: 'search' }, icon('search'), selector), state.element, severity.element, rule.element),
    /** @param {Filter} filter */
    show(filter) {
      selector.value = filter.selector;
      state.show(filter.state);
      severity.show(filter.severity);
      rule.show(filter.rule);
    },
  };
}

/** @param {(alert: any) => void} acknowledge */
function card(acknowledge) {
  const [marks, summary, about, seen] = [h('div', { class: 'marks' }), h('p', { class: 'alert-summary wrap' }), h('p', { class: 'quiet small wrap' }), h('p', { class: 'alert-seen small wrap' })];
  const button = h('button', { class: 'button needs-write', type: 'button' });
  const element = h('li', { class: 'alert-card' }, marks, h('div', { class: 'alert-text' }, summary, about, seen), button);
  let [revision, shown] = ['', /** @type {any} */ (null)];
  button.addEventListener('click', () => acknowledge(shown));
  return {
    element,
    /** @param {any} alert */
    show(alert) {
      shown = alert;
      if (alert.revision === revision) return;
      revision = alert.revision;
      const isFiring = alertStateOf(alert.state) === 'FIRING';
      element.dataset.alert = alertStateOf(alert.state);
      fill(marks, severityMark(severityOf(alert.severity)), alertMark(alertStateOf(alert.state)));
      say(summary, alert.summary);
      fill(
        about,
        alert.breaker === '' ? 'the server' : breakerLink(alert.breaker),
        ` · ${meaning(RULES, ruleOf(alert.rule))} · `,
        isFiring ? 'since ' : 'began ',
        ago(alert.start_time),
        alert.end_time && ', over ',
        alert.end_time && ago(alert.end_time),
        alert.repeat_count > 0 && ` · told again ${plural(alert.repeat_count, 'time')}`,
      );
      const by = alert.acknowledgement;
      seen.hidden = by === undefined;
      if (by) fill(seen, icon('check', 14), h('span', {}, 'Acknowledged by ', h('strong', { text: by.actor || 'somebody' }), ' ', ago(by.time), by.comment && ': ', by.comment && h('q', { text: by.comment })));
      button.hidden = !isFiring;
      say(button, by === undefined ? 'Acknowledge' : 'Acknowledge again');
      button.setAttribute('aria-label', `${button.textContent}: ${alert.summary}`);
    },
  };
}

/** @param {any} alert @param {(changed: any[]) => void} learn */
function openAcknowledge(alert, learn) {
  openDialog('Acknowledge', (close) => {
    const actor = h('input', { type: 'text', value: remembered('actor') ?? '', autocomplete: 'username', maxlength: '200' });
    const comment = h('textarea', { rows: '3', maxlength: '1000' });
    const [result, send] = [h('div'), h('button', { class: 'button button-strong', type: 'submit', text: 'Acknowledge' })];
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (actor.value.trim() === '') return actor.focus();
      remember('actor', actor.value.trim());
      send.disabled = true;
      try {
        const answer = await post(`alerts/${alert.id}:acknowledge`, { actor: actor.value.trim(), comment: comment.value.trim() });
        learn([answer.alert]);
        toast('The alert is acknowledged; it is not told again.');
        close();
      } catch (error) {
        fill(result, errorBox(error));
        send.disabled = false;
      }
    };
    setTimeout(() => (actor.value === '' ? actor : comment).focus());
    const field = (/** @type {string} */ title, /** @type {any} */ control) => h('label', { class: 'field' }, h('span', { text: title }), control);
    return h(
      'form',
      { class: 'dialog-body form', on: { submit } },
      h('p', { class: 'target wrap', text: alert.summary }),
      field('Who', actor),
      field('Comment', comment),
      result,
      h('footer', { class: 'dialog-foot' }, h('button', { class: 'button', type: 'button', text: 'Cancel', on: { click: close } }), send),
    );
  });
}
