// @ts-check
// For how long something is to last.
import { h } from '../dom.js';
import { field } from '../parts.js';

/** Times to live to choose from, in seconds; 0 is until Release. @type {[string, string][]} */
const LIVES = [
  ['600', '10 minutes'],
  ['1800', '30 minutes'],
  ['3600', '1 hour'],
  ['14400', '4 hours'],
  ['86400', '1 day'],
  ['604800', '7 days'],
  ['0', 'until released'],
  ['other', 'another time …'],
];
const USUAL = '3600';
/** @type {Record<string, number>} */
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

export function lifeField() {
  const choice = h(
    'select',
    { on: { change: show } },
    ...LIVES.map(([value, text]) => h('option', { value, text })),
  );
  choice.value = USUAL;
  const typed = h('input', {
    type: 'text',
    class: 'mono',
    placeholder: '90m',
    autocomplete: 'off',
  });
  const other = field('Time to live, such as 45s, 90m or 1d 12h', typed);
  function show() {
    other.hidden = choice.value !== 'other';
    if (!other.hidden) typed.focus();
  }
  show();
  return {
    element: h('div', { class: 'form-part' }, field('Time to live', choice), other),
    /** In seconds; 0 is until Release, null what cannot be understood. */
    seconds: () => (choice.value === 'other' ? parsed(typed.value) : Number(choice.value)),
    focus: () => typed.focus(),
  };
}

/** @param {string} text such as `1h 30m` */
function parsed(text) {
  const parts = [...text.trim().matchAll(/\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/gy)];
  const read = parts.reduce((length, [part]) => length + part.length, 0);
  if (parts.length === 0 || read !== text.trim().length) return null;
  const sum = parts.reduce(
    (seconds, [, amount, unit]) => seconds + Number(amount) * UNITS[unit],
    0,
  );
  // The server takes no finer ones, and refuses those that are too short or too long.
  return Math.round(sum * 1000) / 1000;
}
