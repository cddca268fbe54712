// @ts-check
// Short messages at the edge of the page, and what is only said to those who listen.
import { h } from './dom.js';
import { icon } from './icons.js';

const SHOWN_FOR = 8_000;
const MOST = 4;
const ICONS = { good: 'check', bad: 'critical', fair: 'high' };

/**
 * @param {string} text
 * @param {{ kind?: 'good' | 'bad' | 'fair', action?: { text: string, run: () => void } }} [more] one
 * with something to do stays until it is closed
 */
export function toast(text, { kind = 'good', action } = {}) {
  const box = /** @type {HTMLElement} */ (document.getElementById('toasts'));
  const close = () => element.remove();
  const element = h(
    'div',
    { class: 'toast', data: { kind } },
    icon(ICONS[kind]),
    h('p', { class: 'wrap', text }),
    action &&
      h('button', {
        class: 'button',
        type: 'button',
        text: action.text,
        on: { click: action.run },
      }),
    h(
      'button',
      { class: 'tool', type: 'button', 'aria-label': 'Close', on: { click: close } },
      icon('close'),
    ),
  );
  box.append(element);
  while (box.childElementCount > MOST) box.firstElementChild?.remove();
  announce(text);
  if (action === undefined) setTimeout(close, SHOWN_FOR);
}

/** @type {string[]} */
let waiting = [];

/** Says something to those who listen. What comes at once is said together. @param {string} text */
export function announce(text) {
  if (waiting.push(text) > 1) return;
  setTimeout(() => {
    const said = waiting.slice(0, MOST);
    if (waiting.length > MOST) said.push(`and ${waiting.length - MOST} more`);
    waiting = [];
    const box = document.getElementById('announcer');
    if (box !== null) box.textContent = said.join('. ');
  }, 300);
}
