// @ts-check
// Dialogs. `<dialog>` keeps the focus inside, closes on Esc, and gives the focus back.
import { h } from './dom.js';
import { icon } from './icons.js';

/**
 * Opens a dialog.
 * @param {string} title
 * @param {(close: () => void) => any} content
 * @param {{ class?: string }} [more]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, more = {}) {
  const close = () => dialog.close();
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  const button = h(
    'button',
    { class: 'tool', type: 'button', 'aria-label': 'Close', on: { click: close } },
    icon('close'),
  );
  const dialog = h('dialog', { class: `dialog ${more.class ?? ''}`, 'aria-labelledby': id });
  dialog.append(
    h('header', { class: 'dialog-head' }, h('h2', { id, text: title, class: 'wrap' }), button),
    content(close),
  );
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    // What lies outside of the box is the dialog itself, its veil.
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    if (x < box.left || x > box.right || y < box.top || y > box.bottom) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Whether a dialog is open. */
export const hasDialog = () => document.querySelector('dialog[open]') !== null;
