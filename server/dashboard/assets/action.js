// @ts-check
// What can be done to breakers, and the buttons for it.
import { form } from './action/form.js';
import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { plural } from './format.js';
import { ACTIONS } from './action/table.js';

/**
 * Opens the dialog: for some breakers by name, or for a selector that can still be changed.
 * @param {{ names?: string[], selector?: string, action?: string, done?: () => void }} what
 */
export function openAction({ names, selector, action, done }) {
  const title = action
    ? ACTIONS[action].title
    : names
      ? `Act on ${plural(names.length, 'breaker')}`
      : 'Act on a glob';
  const abort = new AbortController();
  const dialog = openDialog(title, (close) =>
    form({ names, selector, action, done, close, signal: abort.signal }),
  );
  dialog.addEventListener('close', () => abort.abort());
}

/** The buttons for one breaker. @param {string} name */
export function actionButtons(name) {
  const buttons = Object.entries(ACTIONS).map(([action, { title }]) =>
    h('button', {
      class: 'button',
      type: 'button',
      text: title,
      data: { action },
      on: { click: () => openAction({ names: [name], action }) },
    }),
  );
  const element = h(
    'div',
    { class: 'actions needs-write', role: 'group', 'aria-label': 'Actions' },
    ...buttons,
  );
  return {
    element,
    /** Only what makes sense just now is offered. @param {string} mode */
    show(mode) {
      const isAutomatic = mode === 'NORMAL' || mode === 'SHADOW';
      for (const button of buttons) {
        const { action } = button.dataset;
        if (action === 'release') button.hidden = mode === 'NORMAL';
        else if (action === 'trip' || action === 'reset') button.hidden = !isAutomatic;
        else button.hidden = ACTIONS[action].mode === mode;
        button.classList.toggle('button-strong', action === 'release');
      }
    },
  };
}
