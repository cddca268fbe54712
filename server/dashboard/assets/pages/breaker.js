// @ts-check
// One breaker: what it is doing, what it has done, and why.
import { actionButtons, openAction } from '../action.js';
import { escaped, get, isAbort } from '../api.js';
import { ago } from '../clock.js';
import { add, fill, h } from '../dom.js';
import { icon } from '../icons.js';
import { keysOfPage } from '../keyboard.js';
import { live } from '../live.js';
import { errorBox, modeMark, stateMark } from '../parts.js';
import { link } from '../router.js';
import { announce } from '../toast.js';
import { modeOf, stateOf } from '../words.js';
import { activityPanels } from './breaker/activity.js';
import { conditionPanel } from './breaker/conditions.js';
import { configPanel } from './breaker/config.js';
import { factPanel } from './breaker/facts.js';
import { historyPanels } from './breaker/past.js';

/** How often it is looked at again, in milliseconds: its numbers change without an event. */
const LOOK = 2_000;
/** Looks at the numbers for one look at its activity. */
const LOOKS_PER_ACTIVITY = 3;

/** @type {import('../app.js').Page} */
export function breaker(main, route, signal) {
  const { name } = route;
  const namespace = name.slice(0, name.indexOf('/'));
  const marks = h('div', { class: 'marks breaker-marks' });
  const actions = actionButtons(name);
  const trail = h(
    'nav',
    { class: 'trail', 'aria-label': 'Where this is' },
    h('a', { href: link('breakers'), text: 'Breakers' }),
    ' / ',
    h('a', { href: link('breakers', '', { ns: namespace }), text: namespace }),
  );
  const [override, problem] = [h('div'), h('div')];
  const head = h(
    'header',
    { class: 'page-head' },
    trail,
    h('h1', { class: 'wrap', text: name }),
    marks,
    actions.element,
  );
  const facts = factPanel();
  const conditions = conditionPanel();
  const activity = activityPanels(name, signal);
  const past = historyPanels(name, signal);
  const config = configPanel(name, signal);
  const body = h(
    'div',
    { class: 'breaker-page live', hidden: true },
    facts.element,
    past.timeline,
    h('div', { class: 'charts' }, ...activity.charts),
    h(
      'div',
      { class: 'breaker-pair' },
      h('div', { class: 'stack' }, conditions.element, activity.reporters),
      past.transitions,
    ),
    config.element,
  );
  add(main, [head, override, problem, body]);
  actions.element.hidden = true;

  let [looks, revision, state] = [0, '', ''];
  let [isAsked, isAskedAgain] = [false, false];

  async function look() {
    if (isAsked) {
      isAskedAgain = true;
      return;
    }
    [isAsked, isAskedAgain] = [true, false];
    try {
      const { breaker: told } = await get(`breakers/${escaped(name)}`, {}, signal);
      show(told);
    } catch (error) {
      if (!isAbort(error)) fail(error);
    } finally {
      isAsked = false;
    }
    // The answer may be older than what was heard while it was on its way.
    if (isAskedAgain && !signal.aborted) look();
  }

  /** @param {any} told */
  function show(told) {
    fill(problem);
    body.hidden = false;
    actions.element.hidden = false;
    const mode = modeOf(told.state.mode);
    actions.show(mode);
    facts.show(told);
    conditions.show(told);
    past.now({ state: stateOf(told.state.state), mode, created: Date.parse(told.create_time) });
    if (told.state.revision === revision) return;
    const is = stateOf(told.state.state);
    if (state !== '' && is !== state) announce(`${name} is ${is}`);
    [revision, state] = [told.state.revision, is];
    const { level } = told.state;
    fill(
      marks,
      stateMark(is),
      mode !== 'NORMAL' && modeMark(mode),
      level && h('span', { class: 'mark mark-plain', title: 'level', text: level.name }),
    );
    fill(override, told.override && overrideNotice(told.override));
    past.load();
    config.load();
  }

  /** @param {any} error */
  function fail(error) {
    if (error.status !== 'NOT_FOUND') return fill(problem, errorBox(error));
    body.hidden = true;
    actions.element.hidden = true;
    [revision, state] = ['', ''];
    fill(marks);
    fill(override);
    fill(
      problem,
      h(
        'div',
        { class: 'panel lonely' },
        h('p', { text: 'There is no such breaker.' }),
        h('p', {
          class: 'quiet',
          text: 'It is created from its policy when a client first asks for it.',
        }),
        h(
          'p',
          {},
          h('a', {
            href: link('policies', '', { explain: name }),
            text: 'Which configuration it would have',
          }),
          ' · ',
          h('a', {
            href: link('history', '', { selector: name }),
            text: 'What is kept of its history',
          }),
        ),
      ),
    );
  }

  const again = () => {
    if (document.hidden || live.connection !== 'live') return;
    look();
    looks += 1;
    if (looks % LOOKS_PER_ACTIVITY === 0) activity.load();
  };
  const timer = setInterval(again, LOOK);
  signal.addEventListener('abort', () => clearInterval(timer));
  live.addEventListener(
    'changes',
    (event) => {
      const { breakers, deleted } = /** @type {CustomEvent} */ (event).detail;
      const mine = breakers.find((/** @type {any} */ one) => one.name === name);
      if (deleted.includes(name) || (mine && mine.state.revision !== revision)) look();
    },
    { signal },
  );
  live.addEventListener(
    'reload',
    () => {
      revision = '';
      look();
      activity.load();
    },
    { signal },
  );
  const key = (/** @type {string} */ action) => () => {
    const button = actions.element.querySelector(`[data-action=${action}]`);
    if (live.server?.writable && button && !button.hidden && !actions.element.hidden)
      openAction({ names: [name], action });
  };
  keysOfPage(
    {
      f: key('forceOpen'),
      c: key('forceClose'),
      r: key('release'),
      t: key('trip'),
      x: key('reset'),
    },
    signal,
  );
  look();
  activity.load();
  return { title: name, update: () => {} };
}

/** @param {any} override */
function overrideNotice({ mode, actor, reason, set_time: set, expire_time: ends }) {
  const end =
    ends === undefined ? 'Only Release ends it.' : h('span', {}, 'It ends ', ago(ends), '.');
  return h(
    'div',
    { class: 'notice override', data: { kind: 'info' } },
    icon(modeOf(mode) === 'SHADOW' ? 'shadow' : modeOf(mode) === 'DISABLED' ? 'disabled' : 'lock'),
    h(
      'p',
      { class: 'wrap' },
      h('strong', { text: modeOf(mode) }),
      ' by ',
      h('strong', { text: actor || 'somebody' }),
      ' ',
      ago(set),
      reason && ': ',
      reason && h('q', { text: reason }),
      '. ',
      end,
    ),
  );
}
