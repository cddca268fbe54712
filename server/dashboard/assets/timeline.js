// @ts-check
// The states of a breaker as a strip, told by its transitions.
import { fill, h, s, say } from './dom.js';
import { dateTime, duration, percent, plural, timeOfDay } from './format.js';
import { stateIcon } from './parts.js';
import { STATES, modeOf, stateOf } from './words.js';

/** @typedef {{ state: string, mode: string, from: number, to: number }} Span times in milliseconds */

const [WIDTH, HEIGHT] = [1000, 34];

/**
 * The spans between `from` and `to`.
 * @param {any[]} transitions the latest first
 * @param {{ state: string, mode: string }} current
 * @param {number} from
 * @param {number} to
 * @returns {Span[]} the earliest first
 */
export function spans(transitions, current, from, to) {
  const found = [];
  let [state, mode, end] = [current.state, current.mode, to];
  for (const transition of transitions) {
    const time = Date.parse(transition.time);
    if (time > end) continue;
    if (time <= from) break;
    found.push({ state, mode, from: time, to: end });
    [state, mode, end] = [stateOf(transition.from_state), modeOf(transition.from_mode), time];
  }
  found.push({ state, mode, from, to: end });
  return joined(found.reverse());
}

/** Spans of the same that follow one another are one. @param {Span[]} all */
function joined(all) {
  /** @type {Span[]} */
  const result = [];
  for (const span of all) {
    const last = result.at(-1);
    if (last !== undefined && last.state === span.state && last.mode === span.mode)
      last.to = span.to;
    else result.push({ ...span });
  }
  return result;
}

export function timeline() {
  const strip = s('svg', {
    class: 'timeline-strip',
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    role: 'img',
  });
  const [from, to] = [h('span'), h('span')];
  const shares = h('ul', { class: 'timeline-shares' });
  const element = h(
    'div',
    { class: 'timeline' },
    strip,
    h('p', { class: 'timeline-ends quiet small' }, from, to),
    shares,
  );
  return {
    element,
    /** @param {Span[]} all @param {boolean} isCut whether there may have been more before */
    show(all, isCut) {
      const [begin, end] = [all[0].from, /** @type {Span} */ (all.at(-1)).to];
      const scale = WIDTH / Math.max(1, end - begin);
      strip.replaceChildren(...patterns(), ...all.map((span) => piece(span, begin, scale)));
      say(
        from,
        `${isCut ? 'not before ' : ''}${end - begin > 86_400_000 ? dateTime(begin) : timeOfDay(begin)}`,
      );
      say(to, 'now');
      const told = STATES.map((state) => {
        const of = all.filter((span) => span.state === state);
        const lasted = of.reduce((sum, span) => sum + span.to - span.from, 0);
        return { state, lasted, times: of.length };
      });
      const opened = told[1];
      strip.setAttribute(
        'aria-label',
        `State over the last ${duration(end - begin)}: OPEN ${plural(opened.times, 'time')}, ${percent(opened.lasted / (end - begin))} of the time`,
      );
      fill(
        shares,
        ...told.map(({ state, lasted, times }) =>
          h(
            'li',
            { data: { state } },
            stateIcon(state),
            h('span', { class: 'share-word', text: state }),
            h('span', {
              class: 'quiet',
              text:
                lasted === 0
                  ? 'never'
                  : `${percent(lasted / (end - begin))}, ${duration(lasted)}${state === 'OPEN' ? `, ${times} ×` : ''}`,
            }),
          ),
        ),
      );
    },
  };
}

/** OPEN is hatched and HALF_OPEN dotted, so that they differ without colours. */
function patterns() {
  const open = s(
    'pattern',
    {
      id: 'hatch',
      width: 7,
      height: 7,
      patternUnits: 'userSpaceOnUse',
      patternTransform: 'rotate(45)',
    },
    s('rect', { width: 2, height: 7, class: 'pattern-mark' }),
  );
  const half = s(
    'pattern',
    { id: 'dots', width: 8, height: 8, patternUnits: 'userSpaceOnUse' },
    s('rect', { x: 2, y: 2, width: 3, height: 3, class: 'pattern-mark' }),
  );
  return [s('defs', {}, open, half)];
}

/** @param {Span} span @param {number} begin @param {number} scale */
function piece({ state, mode, from, to }, begin, scale) {
  const place = {
    x: ((from - begin) * scale).toFixed(2),
    y: state === 'CLOSED' ? 10 : state === 'OPEN' ? 0 : 5,
    width: Math.max(1.5, (to - from) * scale).toFixed(2),
    height: state === 'CLOSED' ? 24 : state === 'OPEN' ? 34 : 29,
  };
  const group = s('g', { class: 'piece', 'data-state': state }, s('rect', place));
  if (state !== 'CLOSED')
    group.append(s('rect', { ...place, fill: state === 'OPEN' ? 'url(#hatch)' : 'url(#dots)' }));
  const words = mode === 'NORMAL' ? state : `${state}, ${mode}`;
  const title = s('title');
  title.textContent = `${words} for ${duration(to - from)}, from ${dateTime(from)}`;
  group.append(title);
  return group;
}
