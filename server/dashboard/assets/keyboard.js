// @ts-check
// Keys, and the dialog that tells of them. Single keys can be turned off: to those who speak to their
// computer, or press a key by mistake, they do harm.
import { hasDialog, openDialog } from './dialog.js';
import { h } from './dom.js';
import { go } from './router.js';
import { remember, remembered } from './store.js';

/** @type {Record<string, string>} */
const PAGES = { o: 'overview', b: 'breakers', a: 'alerts', p: 'policies', h: 'history' };
/** How long `g` waits for the next key, in milliseconds. */
const PATIENCE = 1500;

/** @type {[string, [string, string][]][]} */
const GROUPS = [
  [
    'Everywhere',
    [
      ['/', 'search'],
      ['g o', 'overview'],
      ['g b', 'breakers'],
      ['g a', 'alerts'],
      ['g p', 'policies'],
      ['g h', 'history'],
      ['?', 'this help'],
      ['Esc', 'close a dialog, leave a field'],
    ],
  ],
  [
    'In the list of breakers',
    [
      ['↑ ↓', 'move'],
      ['PgUp PgDn Home End', 'move far'],
      ['Enter', 'open the breaker’s page; from the search into the list'],
      ['Space', 'select or unselect'],
    ],
  ],
  [
    'On a breaker’s page',
    [
      ['f', 'force open'],
      ['c', 'force close'],
      ['r', 'release'],
      ['t', 'trip'],
      ['x', 'reset'],
    ],
  ],
];

/** Keys of the page that is shown. @type {Record<string, () => void>} */
let ofPage = {};

/** @param {Record<string, () => void>} keys @param {AbortSignal} signal ends them */
export function keysOfPage(keys, signal) {
  ofPage = keys;
  signal.addEventListener('abort', () => {
    if (ofPage === keys) ofPage = {};
  });
}

const areOn = () => remembered('keys') !== 'off';

/** @param {() => void} search */
export function startKeys(search) {
  let isGoing = false;
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const isTyping = target.closest?.('input:not([type=checkbox]), textarea, select') !== null;
    if (event.key === 'Escape' && isTyping && !hasDialog()) return target.blur();
    if (isTyping || hasDialog() || !areOn()) return;
    const run = isGoing ? pageKey(event.key) : key(event.key);
    const wasGoing = isGoing;
    isGoing = event.key === 'g' && !wasGoing;
    clearTimeout(timer);
    if (isGoing) timer = setTimeout(() => (isGoing = false), PATIENCE);
    if (run === undefined) return;
    event.preventDefault();
    run();
  });

  /** @param {string} pressed */
  function key(pressed) {
    if (pressed === '/') return search;
    if (pressed === '?') return openHelp;
    return ofPage[pressed];
  }

  /** @param {string} pressed */
  function pageKey(pressed) {
    const page = PAGES[pressed];
    return page === undefined ? undefined : () => go(`#/${page}`);
  }
}

/** Shows which keys there are. */
export function openHelp() {
  openDialog('Keyboard and help', () => {
    const groups = GROUPS.map(([title, keys]) =>
      h(
        'section',
        {},
        h('h3', { text: title }),
        h('dl', { class: 'keys' }, ...keys.map(([names, what]) => row(names, what))),
      ),
    );
    const isOn = h('input', {
      type: 'checkbox',
      on: { change: () => remember('keys', isOn.checked ? null : 'off') },
    });
    isOn.checked = areOn();
    return h(
      'div',
      { class: 'dialog-body' },
      ...groups,
      h('label', { class: 'check' }, isOn, h('span', { text: 'Single keys do something' })),
      h('p', {
        class: 'quiet small',
        text: 'In selectors, * stays within a part of a name and ** does not: payments/*, **stripe**. All that is shown here is under /api/v1/ as JSON; /api/v1/openapi.json describes it.',
      }),
    );
  });
}

/** @param {string} names @param {string} what */
function row(names, what) {
  const keys = names.split(' ').map((name) => h('kbd', { text: name }));
  return h('div', {}, h('dt', {}, ...keys), h('dd', { text: what }));
}
