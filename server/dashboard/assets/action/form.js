// @ts-check
// The form in which somebody changes breakers: what, for how long, who and why.
//
// One breaker is changed with a press of a button. Of several the form says first how many they are,
// and has the number or the glob typed.
import { isAbort } from '../api.js';
import { fill, h, say } from '../dom.js';
import { count, plural } from '../format.js';
import { isGlob } from '../glob.js';
import { errorBox, field, notice } from '../parts.js';
import { remember, remembered } from '../store.js';
import { toast } from '../toast.js';
import { lifeField } from './life.js';
import { matching } from './matching.js';
import { apply, outcome, sentence } from './send.js';
import { ACTIONS } from './table.js';

/** @param {{ names?: string[], selector?: string, action?: string, done?: () => void, close: () => void, signal: AbortSignal }} what */
export function form({ names, selector: first, action: fixed, done, close, signal }) {
  let action = fixed ?? 'forceOpen';
  /** How many breakers are meant; null while that is not known. @type {number | null} */
  let matched = names?.length ?? null;

  const text = h('p', { class: 'quiet' });
  const which = h(
    'select',
    { on: { change: () => choose(which.value) } },
    ...Object.entries(ACTIONS).map(([key, one]) => h('option', { value: key, text: one.title })),
  );
  const glob = h('input', {
    type: 'text',
    class: 'mono',
    value: first ?? '',
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    required: true,
    on: { input: () => countSoon() },
  });
  const preview = h('div', { class: 'preview', 'aria-live': 'polite' });
  const life = lifeField();
  const actor = h('input', {
    type: 'text',
    value: remembered('actor') ?? '',
    autocomplete: 'username',
    maxlength: '200',
    required: true,
  });
  const reason = h('textarea', { rows: '2', maxlength: '1000', required: true });
  const durable = h('input', { type: 'checkbox' });
  const confirm = h('input', {
    type: 'text',
    class: 'mono',
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    on: { input: () => check() },
  });
  const [confirmLabel, result] = [h('span'), h('div')];
  const send = h('button', { class: 'button button-strong', type: 'submit' });
  const cancel = h('button', {
    class: 'button',
    type: 'button',
    text: 'Cancel',
    on: { click: close },
  });
  const confirmField = h('label', { class: 'field field-confirm' }, confirmLabel, confirm);
  const onlyDurable = h(
    'label',
    { class: 'check' },
    durable,
    h('span', { text: 'Only if it can be written to disk' }),
  );
  const element = h(
    'form',
    { class: 'dialog-body form', novalidate: true },
    names
      ? whom(names)
      : field(
          'Selector',
          glob,
          'A name, or a glob in which * stays within a part and ** does not.',
        ),
    !names && preview,
    !fixed && field('Action', which),
    text,
    life.element,
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
    life.element.hidden = !about.mode;
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
    fill(
      confirmLabel,
      'Type ',
      h('code', { text: number }),
      !names && ' or ',
      !names && h('code', { text: target() }),
      ' to confirm',
    );
    const typed = confirm.value.trim();
    const isConfirmed =
      confirmField.hidden ||
      typed === number ||
      typed.replaceAll(',', '') === number ||
      (!names && typed === target());
    send.disabled = !isConfirmed || matched === null || (!names && target() === '');
    say(
      send,
      isMany() && matched !== null
        ? `${ACTIONS[action].title} ${plural(matched, 'breaker')}`
        : ACTIONS[action].title,
    );
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
    fill(
      preview,
      h('p', { class: 'quiet', text: target() === '' ? 'Which breakers?' : 'Counting …' }),
    );
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
      fill(
        result,
        notice(
          'bad',
          lacking === actor
            ? 'Say who you are: it is kept with the transition.'
            : 'Say why: it is kept with the transition.',
        ),
      );
      return lacking.focus();
    }
    const seconds = ACTIONS[action].mode ? life.seconds() : 0;
    if (seconds === null) {
      fill(result, notice('bad', 'The time to live is not one such as 45s, 90m or 1d 12h.'));
      return life.focus();
    }
    remember('actor', actor.value.trim());
    const body = {
      target: {
        actor: actor.value.trim(),
        reason: reason.value.trim(),
        require_durable: durable.checked,
      },
      ...(seconds > 0 ? { time_to_live: `${seconds}s` } : {}),
    };
    send.disabled = true;
    fill(result, notice('calm', 'Waiting for the server …'));
    const told = await apply(action, names ?? [target()], body, (done) => {
      if (names && names.length > 1)
        fill(result, notice('calm', `${count(done)} of ${count(names.length)} …`));
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

/** @param {string[]} names */
function whom(names) {
  if (names.length === 1) return h('p', { class: 'target mono wrap', text: names[0] });
  const list = h('ul', { class: 'mono small' }, ...names.map((name) => h('li', { text: name })));
  return h(
    'details',
    { class: 'target' },
    h('summary', { text: plural(names.length, 'breaker') }),
    list,
  );
}
