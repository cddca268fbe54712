// @ts-check
// The dialog in which somebody changes breakers: what, for how long, who and why.
//
// One breaker is changed with a press of a button. Of several the dialog says first how many they are,
// and has the number or the glob typed.
import { get, isAbort, post } from './api.js';
import { openDialog } from './dialog.js';
import { fill, h, say } from './dom.js';
import { fleet } from './fleet.js';
import { count, plural } from './format.js';
import { isGlob } from './glob.js';
import { icon } from './icons.js';
import { errorBox } from './parts.js';
import { remember, remembered } from './store.js';
import { toast } from './toast.js';
import { stateOf } from './words.js';

/**
 * What can be done to a breaker. `path` is the request, `lasts` whether it ends by itself after a time.
 * @type {Record<string, { title: string, done: string, text: string, lasts?: boolean, danger?: boolean }>}
 */
export const ACTIONS = {
  forceOpen: { title: 'Force open', done: 'forced open', text: 'Every call is denied until Release or the end of the time to live.', lasts: true, danger: true },
  forceClose: { title: 'Force close', done: 'forced closed', text: 'Every call is allowed until Release or the end of the time to live.', lasts: true },
  disable: { title: 'Disable', done: 'disabled', text: 'Every call is allowed and only metrics are recorded, until Release or the end of the time to live.', lasts: true },
  shadow: { title: 'Shadow', done: 'put into SHADOW', text: 'Transitions happen but no call is denied, until Release or the end of the time to live.', lasts: true },
  release: { title: 'Release', done: 'released', text: 'Ends the override: FORCED_OPEN goes to HALF_OPEN, to probe first, every other mode to CLOSED. Breakers without an override stay as they are.' },
  trip: { title: 'Trip', done: 'tripped', text: 'OPEN now, for the open duration; the automatic life goes on.', danger: true },
  reset: { title: 'Reset', done: 'reset', text: 'CLOSED now, with fresh counters and on the first level; the automatic life goes on.' },
};

/** Times to live to choose from, in seconds; 0 is until Release. */
const LIVES = [[600, '10 minutes'], [1800, '30 minutes'], [3600, '1 hour'], [14_400, '4 hours'], [86_400, '1 day'], [604_800, '7 days'], [0, 'until released']];
const USUAL_LIFE = 3600;
/** Most breakers that are counted of a glob. */
const MOST_COUNTED = 20_000;
/** Requests at a time where breakers are changed one by one. */
const AT_A_TIME = 4;

/**
 * Opens the dialog: for some breakers by name, or for a selector that can still be changed.
 * @param {{ names?: string[], selector?: string, action?: string, done?: () => void }} what
 */
export function openAction({ names, selector, action, done }) {
  const title = action ? ACTIONS[action].title : names ? `Act on ${plural(names.length, 'breaker')}` : 'Act on a glob';
  const abort = new AbortController();
  const dialog = openDialog(title, (close) => form({ names, selector, action, done, close, signal: abort.signal }));
  dialog.addEventListener('close', () => abort.abort());
}

/** @param {{ names?: string[], selector?: string, action?: string, done?: () => void, close: () => void, signal: AbortSignal }} what */
function form({ names, selector: first, action: fixed, done, close, signal }) {
  let action = fixed ?? 'forceOpen';
  /** How many breakers are meant; null while that is not known. @type {number | null} */
  let matched = names?.length ?? null;

  const text = h('p', { class: 'quiet' });
  const which = h('select', { on: { change: () => choose(which.value) } }, ...Object.entries(ACTIONS).map(([key, one]) => h('option', { value: key, text: one.title })));
  const glob = h('input', { type: 'text', class: 'mono', value: first ?? '', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: true, on: { input: () => countSoon() } });
  const preview = h('div', { class: 'preview', 'aria-live': 'polite' });
  const life = h('select', {}, ...LIVES.map(([seconds, words]) => h('option', { value: seconds, text: words })));
  life.value = String(USUAL_LIFE);
  const actor = h('input', { type: 'text', value: remembered('actor') ?? '', autocomplete: 'username', maxlength: '200', required: true });
  const reason = h('textarea', { rows: '2', maxlength: '1000', required: true });
  const durable = h('input', { type: 'checkbox' });
  const confirm = h('input', { type: 'text', class: 'mono', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', on: { input: () => check() } });
  const [confirmLabel, result] = [h('span'), h('div')];
  const send = h('button', { class: 'button button-strong', type: 'submit' });
  const cancel = h('button', { class: 'button', type: 'button', text: 'Cancel', on: { click: close } });
  const lifeField = field('Time to live', life);
  const confirmField = h('label', { class: 'field field-confirm' }, confirmLabel, confirm);
  const onlyDurable = h('label', { class: 'check' }, durable, h('span', { text: 'Only if it can be written to disk' }));
  const element = h(
    'form',
    { class: 'dialog-body form', novalidate: true },
    names ? whom(names) : field('Selector', glob, 'A name, or a glob in which * stays within a part and ** does not.'),
    !names && preview,
    !fixed && field('Action', which),
    text,
    lifeField,
    h('div', { class: 'fields' }, field('Who', actor), field('Why', reason)),
    onlyDurable,
    confirmField,
    result,
    h('footer', { class: 'dialog-foot' }, cancel, send),
  );

  /** @param {string} next */
  function choose(next) {
    action = next;
    which.value = next;
    const about = ACTIONS[action];
    say(text, about.text);
    lifeField.hidden = !about.lasts;
    send.classList.toggle('button-danger', Boolean(about.danger));
    check();
  }

  const target = () => glob.value.trim();
  const isMany = () => (names ? names.length > 1 : isGlob(target()));

  /** Whether it can be sent, and what has to be typed before. */
  function check() {
    const amount = matched ?? 0;
    confirmField.hidden = !isMany() || amount < 2;
    const number = String(amount);
    fill(confirmLabel, 'Type ', h('code', { text: number }), !names && ' or ', !names && h('code', { text: target() }), ' to confirm');
    const typed = confirm.value.trim();
    const isConfirmed = confirmField.hidden || typed === number || typed.replaceAll(',', '') === number || (!names && typed === target());
    send.disabled = !isConfirmed || matched === null || (!names && target() === '');
    say(send, isMany() && matched !== null ? `${ACTIONS[action].title} ${plural(matched, 'breaker')}` : ACTIONS[action].title);
  }

  /** @type {ReturnType<typeof setTimeout>} */
  let soon;
  /** @type {AbortController | undefined} */
  let counting;
  function countSoon() {
    clearTimeout(soon);
    counting?.abort();
    matched = null;
    confirm.value = '';
    fill(preview, h('p', { class: 'quiet', text: target() === '' ? 'Which breakers?' : 'Counting …' }));
    check();
    if (target() !== '') soon = setTimeout(countNow, 250);
  }

  async function countNow() {
    counting = new AbortController();
    const both = AbortSignal.any([signal, counting.signal]);
    try {
      const found = await matching(target(), both);
      matched = found.amount;
      fill(preview, found.element);
    } catch (error) {
      if (isAbort(error)) return;
      fill(preview, errorBox(error));
    }
    check();
  }

  element.addEventListener('submit', async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (send.disabled) return;
    const lacking = [actor, reason].find((one) => one.value.trim() === '');
    if (lacking !== undefined) {
      fill(result, notice('bad', lacking === actor ? 'Say who you are: it is kept with the transition.' : 'Say why: it is kept with the transition.'));
      return lacking.focus();
    }
    remember('actor', actor.value.trim());
    const seconds = Number(life.value);
    const body = {
      target: { actor: actor.value.trim(), reason: reason.value.trim(), require_durable: durable.checked },
      ...(ACTIONS[action].lasts && seconds > 0 ? { time_to_live: `${seconds}s` } : {}),
    };
    send.disabled = true;
    fill(result, notice('calm', 'Waiting for the server …'));
    const told = await apply(action, names ?? [target()], body, (done) => {
      if (names && names.length > 1) fill(result, notice('calm', `${count(done)} of ${count(names.length)} …`));
    });
    done?.();
    if (told.failed.length === 0 && told.durable) {
      toast(sentence(action, names, target(), told.matched));
      return close();
    }
    fill(result, ...outcome(action, names, target(), told));
    say(cancel, 'Close');
    if (told.failed.length > 0 && !signal.aborted) check();
  });

  choose(action);
  if (names) check();
  else countSoon();
  // The first thing to say is who and why; where the actor is known, why.
  setTimeout(() => (names ? (actor.value === '' ? actor : reason) : glob).focus());
  return element;
}

/** @param {string} label @param {HTMLElement} control @param {string} [hint] */
function field(label, control, hint) {
  return h('label', { class: 'field' }, h('span', { text: label }), control, hint && h('span', { class: 'quiet small', text: hint }));
}

/** @param {string} kind @param {string} text */
function notice(kind, text) {
  const shape = { bad: 'critical', fair: 'high', good: 'check', calm: 'medium' }[kind] ?? 'medium';
  return h('p', { class: 'notice', data: { kind }, role: kind === 'bad' ? 'alert' : 'status' }, icon(shape), h('span', { class: 'wrap', text }));
}

/** @param {string[]} names */
function whom(names) {
  if (names.length === 1) return h('p', { class: 'target mono wrap', text: names[0] });
  const list = h('ul', { class: 'mono small' }, ...names.map((name) => h('li', { text: name })));
  return h('details', { class: 'target' }, h('summary', { text: plural(names.length, 'breaker') }), list);
}

/**
 * How many breakers a selector means, and the first of them.
 * @param {string} selector
 * @param {AbortSignal} signal
 */
async function matching(selector, signal) {
  /** @type {Record<string, number>} */
  const states = {};
  /** @type {string[]} */
  const first = [];
  let [amount, token] = [0, ''];
  do {
    const page = await get('breakers', { selector, page_size: 1000, page_token: token, view: 'BREAKER_VIEW_BASIC' }, signal);
    for (const breaker of page.breakers) {
      const state = stateOf(breaker.state.state);
      states[state] = (states[state] ?? 0) + 1;
      if (first.length < 5) first.push(breaker.name);
    }
    amount += page.breakers.length;
    token = page.next_page_token;
  } while (token !== '' && amount < MOST_COUNTED);
  const known = Object.entries(states).map(([state, number]) => `${count(number)} ${state}`).join(', ');
  const more = token === '' ? '' : 'at least ';
  const element = h(
    'div',
    {},
    h('p', {}, h('strong', { text: `${more}${plural(amount, 'breaker')} ${amount === 1 ? 'matches' : 'match'}` }), known && h('span', { class: 'quiet', text: `: ${known}` })),
    first.length > 0 && h('p', { class: 'mono small quiet wrap', text: first.join(', ') + (amount > first.length ? ', …' : '') }),
  );
  return { amount, element };
}

/** @typedef {{ matched: number, durable: boolean, failed: { name: string, error: any }[] }} Told */

/**
 * Sends it for each target, a few at a time.
 * @param {string} action
 * @param {string[]} targets
 * @param {any} body
 * @param {(done: number) => void} progress
 * @returns {Promise<Told>}
 */
async function apply(action, targets, body, progress) {
  const told = { matched: 0, durable: true, /** @type {{ name: string, error: any }[]} */ failed: [] };
  const waiting = [...targets];
  let done = 0;
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      try {
        const { result } = await post(`breakers:${action}`, { ...body, target: { ...body.target, selector: name } });
        told.matched += result.matched_count;
        told.durable &&= result.durable;
        if (fleet.scope !== null) fleet.learn(result.breakers.filter((/** @type {any} */ one) => fleet.rows.has(one.name)));
      } catch (error) {
        told.failed.push({ name, error });
      }
      progress((done += 1));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return told;
}

/** @param {string} action @param {string[] | undefined} names @param {string} selector @param {number} matched */
function sentence(action, names, selector, matched) {
  const whom = names?.length === 1 ? names[0] : names ? plural(matched, 'breaker') : `${plural(matched, 'breaker')} of ${selector}`;
  return `${whom}: ${ACTIONS[action].done}`;
}

/** @param {string} action @param {string[] | undefined} names @param {string} selector @param {Told} told */
function outcome(action, names, selector, told) {
  const parts = [];
  if (told.failed.length === 1) parts.push(errorBox(told.failed[0].error));
  if (told.failed.length > 1) {
    parts.push(notice('bad', `${plural(told.failed.length, 'breaker')} could not be changed.`));
    parts.push(h('ul', { class: 'failures small' }, ...told.failed.map(({ name, error }) => h('li', {}, h('code', { text: name }), ` ${error.message}`))));
  }
  const isDone = told.failed.length < (names?.length ?? 1);
  if (isDone && told.failed.length > 0) parts.push(notice('good', sentence(action, names, selector, told.matched)));
  if (isDone && !told.durable) {
    parts.push(notice('fair', `${sentence(action, names, selector, told.matched)}. It is in force, but not on disk yet: the database is away. It is written when that is back; a server that is killed before forgets it.`));
  }
  return parts;
}

/** The buttons for one breaker. @param {string} name */
export function actionButtons(name) {
  const buttons = Object.entries(ACTIONS).map(([action, { title }]) =>
    h('button', { class: 'button', type: 'button', text: title, data: { action }, on: { click: () => openAction({ names: [name], action }) } }),
  );
  const element = h('div', { class: 'actions needs-write', role: 'group', 'aria-label': 'Actions' }, ...buttons);
  return {
    element,
    /** Only what makes sense just now is offered. @param {string} mode */
    show(mode) {
      const isAutomatic = mode === 'NORMAL' || mode === 'SHADOW';
      for (const button of buttons) {
        const { action } = button.dataset;
        if (action === 'release') button.hidden = mode === 'NORMAL';
        else if (action === 'trip' || action === 'reset') button.hidden = !isAutomatic;
        else button.hidden = { forceOpen: 'FORCED_OPEN', forceClose: 'FORCED_CLOSED', disable: 'DISABLED', shadow: 'SHADOW' }[action] === mode;
        button.classList.toggle('button-strong', action === 'release');
      }
    },
  };
}
