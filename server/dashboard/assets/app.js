// @ts-check
// The frame around the pages: where one is, whether the connection is alive, and what is new.
import { h, fill, say } from './dom.js';
import { count, duration, plural } from './format.js';
import { icon } from './icons.js';
import { openHelp, startKeys } from './keyboard.js';
import { live, loadServer } from './live.js';
import { alerts } from './pages/alerts.js';
import { breaker } from './pages/breaker.js';
import { breakers } from './pages/breakers.js';
import { history } from './pages/history.js';
import { overview } from './pages/overview.js';
import { policies } from './pages/policies.js';
import { go, here, note } from './router.js';
import { startThemes } from './theme.js';
import { announce, toast } from './toast.js';

/**
 * A page puts itself into `main`. What it listens to ends with `signal`.
 * @typedef {{ title: string, update?: (route: import('./router.js').Route) => void }} Shown
 * @typedef {(main: HTMLElement, route: import('./router.js').Route, signal: AbortSignal) => Shown} Page
 */

/** @type {Record<string, Page>} */
const PAGES = { overview, breakers, alerts, policies, history };

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

const main = byId('main');
/** @type {{ key: string, page: Shown, abort: AbortController } | null} */
let current = null;

function show() {
  const route = here();
  const page = route.page === 'breakers' && route.name !== '' ? breaker : PAGES[route.page];
  if (page === undefined) {
    note('#/overview');
    return show();
  }
  const key = `${route.page}/${route.page === 'breakers' ? route.name : ''}`;
  if (current?.key === key) return current.page.update?.(route);
  const isFirst = current === null;
  current?.abort.abort();
  main.replaceChildren();
  const abort = new AbortController();
  current = { key, abort, page: page(main, route, abort.signal) };
  document.title = `${current.page.title} · breakerd`;
  for (const tab of document.querySelectorAll('nav [data-page]')) {
    const isHere = /** @type {HTMLElement} */ (tab).dataset.page === route.page;
    if (isHere) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  if (isFirst) return;
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
  announce(current.page.title);
}

function search() {
  const field = /** @type {HTMLInputElement | null} */ (main.querySelector('[data-search]'));
  if (field !== null) return field.select();
  go('#/breakers');
  // The page is shown when the address has changed.
  addEventListener('hashchange', () => setTimeout(search), { once: true });
}

function startTabs() {
  for (const tab of document.querySelectorAll('nav [data-icon]')) {
    const { icon: name } = /** @type {HTMLElement} */ (tab).dataset;
    tab.prepend(icon(name ?? ''));
  }
  const badge = h('span', { class: 'count', hidden: true });
  const spoken = h('span', { class: 'unseen' });
  document.querySelector('nav [data-page=alerts]')?.append(badge, spoken);
  live.addEventListener('dashboard', () => {
    const { firing } = live.dashboard.alert_counts;
    badge.hidden = firing === 0;
    badge.setAttribute('aria-hidden', 'true');
    say(badge, firing > 99 ? '99+' : count(firing));
    say(spoken, firing === 0 ? '' : `, ${plural(firing, 'alert')} firing`);
  });
}

/** Says whether what is shown is as it is now. */
function startConnection() {
  const [line, banner] = [byId('connection'), byId('lost')];
  const told = h('span', { role: 'alert' });
  const again = h('button', {
    class: 'button',
    type: 'button',
    text: 'Try now',
    on: { click: () => live.tryNow() },
  });
  const why = h('span', { class: 'lost-why' });
  fill(banner, icon('lost'), h('p', { class: 'lost-text' }, told, ' ', why), again);
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Connection lost' };
  let was = live.connection;
  const change = () => {
    document.body.dataset.connection = line.dataset.state = live.connection;
    fill(
      line,
      icon(live.connection === 'live' ? 'live' : 'lost', 14),
      h('span', { text: words[live.connection] }),
    );
    if (live.server) line.title = `breakerd ${live.server.version}`;
    banner.hidden = live.connection !== 'lost';
    say(told, banner.hidden ? '' : 'Connection lost. What is shown is as it was then.');
    if (was === 'lost' && live.connection === 'live')
      announce('Connected again. Everything is loaded anew.');
    was = live.connection;
    count();
  };
  const count = () => {
    if (live.connection !== 'lost') return;
    const next = live.retryAt - performance.now();
    const when =
      live.retryAt === 0 ? 'Connecting …' : `Next try in ${Math.max(1, Math.ceil(next / 1000))} s.`;
    const gone = performance.now() - live.lostAt;
    say(why, `${live.reason} ${gone < 1000 ? '' : `That was ${duration(gone)} ago. `}${when}`);
  };
  live.addEventListener('connection', change);
  setInterval(count, 1000);
  change();
}

function startWritable() {
  const set = () => {
    document.body.dataset.writable = String(live.server?.writable ?? false);
  };
  live.addEventListener('hello', (event) => {
    set();
    if (/** @type {CustomEvent} */ (event).detail.isNew) {
      toast('The server is of another version now.', {
        kind: 'fair',
        action: { text: 'Reload', run: () => location.reload() },
      });
    }
  });
  loadServer().then(set, () => {});
  set();
}

/** Tells those who listen of alerts that begin. */
function startAlerts() {
  const told = new Set();
  live.addEventListener('alerts', (event) => {
    for (const alert of /** @type {CustomEvent} */ (event).detail.alerts) {
      const isNew =
        alert.state === 'ALERT_STATE_FIRING' && alert.severity !== 'ALERT_SEVERITY_MEDIUM';
      if (!isNew || told.has(alert.id)) continue;
      told.add(alert.id);
      announce(alert.summary);
    }
  });
}

startThemes(byId('theme'));
byId('help').append(icon('help'));
byId('help').addEventListener('click', openHelp);
byId('skip').addEventListener('click', () => main.focus());
startTabs();
startConnection();
startWritable();
startAlerts();
startKeys(search);
addEventListener('hashchange', show);
show();
live.start();
