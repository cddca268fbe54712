// @ts-check
// Light, dark, or as the system has it.
import { fill } from './dom.js';
import { icon } from './icons.js';
import { remember, remembered } from './store.js';

const ORDER = ['system', 'light', 'dark'];
/** @type {Record<string, string>} */
const ICONS = { system: 'system', light: 'sun', dark: 'moon' };
const system = matchMedia('(prefers-color-scheme: dark)');

/** Tells `theme` when what is drawn by hand has to be drawn anew. */
export const themes = new EventTarget();

const chosen = () => remembered('theme') ?? 'system';

function apply() {
  const theme = chosen();
  const isDark = theme === 'dark' || (theme === 'system' && system.matches);
  document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
  themes.dispatchEvent(new Event('theme'));
}

/** @param {HTMLElement} button goes through the themes */
export function startThemes(button) {
  const show = () => {
    const theme = chosen();
    const next = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    fill(button, icon(ICONS[theme]));
    button.setAttribute('aria-label', `Theme: ${theme}. Change to ${next}`);
    button.title = `Theme: ${theme}`;
  };
  button.addEventListener('click', () => {
    const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
    remember('theme', next === 'system' ? null : next);
    apply();
    show();
  });
  system.addEventListener('change', apply);
  apply();
  show();
}

/** A colour of the theme in force. @param {string} name such as `--open` */
export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
