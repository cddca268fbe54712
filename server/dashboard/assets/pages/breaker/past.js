// @ts-check
// What has become of a breaker: its states as a strip, and its transitions.
import { get, isAbort } from '../../api.js';
import { serverTime } from '../../clock.js';
import { fill, h } from '../../dom.js';
import { errorBox, empty, panel } from '../../parts.js';
import { link } from '../../router.js';
import { spans, timeline } from '../../timeline.js';
import { transitionTable } from '../transitions.js';

/** Spans to look back over, in milliseconds. */
const RANGES = [
  [15, '15 min'],
  [60, '1 h'],
  [360, '6 h'],
  [1440, '24 h'],
  [10_080, '7 d'],
].map(([minutes, text]) => ({ length: Number(minutes) * 60_000, text: String(text) }));
/** Transitions that are looked at for the strip; what was before the first of them is not told. */
const MOST = 1_000;
/** Transitions that are shown one by one. */
const SHOWN = 12;

/** @param {string} name @param {AbortSignal} signal */
export function historyPanels(name, signal) {
  let range = RANGES[1];
  /** @type {any[]} */
  let transitions = [];
  /** @type {{ state: string, mode: string, created: number } | null} */
  let current = null;
  let isCut = false;

  const strip = timeline();
  const buttons = RANGES.map((one) =>
    h('button', {
      type: 'button',
      text: one.text,
      'aria-pressed': String(one === range),
      on: { click: () => choose(one) },
    }),
  );
  const choices = h(
    'div',
    { class: 'segments', role: 'group', 'aria-label': 'Look back over' },
    ...buttons,
  );
  const past = transitionTable({ withBreaker: false });
  const [none, problem] = [empty('It has never changed since its history is kept.'), h('div')];
  const all = h('a', { href: link('history', '', { selector: name }), text: 'All transitions' });

  /** @param {typeof range} next */
  function choose(next) {
    range = next;
    buttons.forEach((button, at) =>
      button.setAttribute('aria-pressed', String(RANGES[at] === next)),
    );
    load();
  }

  async function load() {
    const time = serverTime();
    if (time === null) return void setTimeout(load, 500);
    try {
      const start = new Date(time - range.length).toISOString();
      const [within, latest] = await Promise.all([
        get('transitions', { selector: name, page_size: MOST, start_time: start }, signal),
        get('transitions', { selector: name, page_size: SHOWN }, signal),
      ]);
      transitions = within.transitions;
      isCut = within.next_page_token !== '';
      past.show(latest.transitions);
      past.element.hidden = latest.transitions.length === 0;
      none.hidden = latest.transitions.length > 0;
      fill(problem);
      draw();
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) fill(problem, errorBox(error));
    }
  }

  function draw() {
    const time = serverTime();
    if (time === null || current === null) return;
    const oldest = transitions.at(-1);
    const kept = isCut && oldest ? Date.parse(oldest.time) : time - range.length;
    // Before it was created it was in no state; a clock that was set back must not turn this around.
    const from = Math.min(Math.max(kept, current.created), time - 1000);
    strip.show(spans(transitions, current, from, time), isCut);
  }

  return {
    timeline: panel('State', { aside: choices, class: 'timeline-panel' }, strip.element),
    transitions: panel('Transitions', { aside: all }, past.element, none, problem),
    load,
    /** @param {{ state: string, mode: string, created: number }} is `created` in milliseconds since 1970 */
    now(is) {
      current = is;
      draw();
    },
  };
}
