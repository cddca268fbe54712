// @ts-check
// Charts over time, drawn by uPlot. What the mark points at stands below, and in words for those who
// do not see the chart.
import { fill, h, say } from './dom.js';
import { timeOfDay } from './format.js';
import { colour, themes } from './theme.js';

/** @typedef {{ title: string, colour: string, text: (value: number) => string, dash?: number[], bars?: boolean }} Series */

const HEIGHT = 180;

/**
 * @param {{ title: string, series: Series[], unit: (value: number) => string, top?: number, stacked?: boolean }} options
 * @param {AbortSignal} signal
 */
export function chart({ title, series, unit, top, stacked = false }, signal) {
  const box = h('div', { class: 'chart-box' });
  const values = series.map(() => h('span', { class: 'legend-value' }));
  const when = h('span', { class: 'legend-time' });
  const legend = h(
    'p',
    { class: 'legend' },
    ...series.map((one, at) =>
      h('span', { class: 'legend-item' }, swatch(one), h('span', { text: one.title }), values[at]),
    ),
    when,
  );
  const spoken = h('p', { class: 'unseen' });
  const element = h(
    'figure',
    { class: 'chart panel' },
    h('figcaption', {}, h('h3', { text: title })),
    box,
    legend,
    spoken,
  );
  /** @type {any} */
  let plot = null;
  /** Times, and the values of each series as they are told. @type {(number | null)[][]} */
  let data = [[]];

  /** Shows the values at a point of time; by itself at the last. @param {number | null} at */
  function point(at) {
    const index = at ?? data[0].length - 1;
    const time = data[0][index];
    say(when, time === undefined || time === null || at === null ? '' : timeOfDay(time * 1000));
    series.forEach((one, number) => {
      const value = data[number + 1]?.[index];
      say(values[number], value === undefined || value === null ? '–' : one.text(value));
    });
  }

  function draw() {
    plot?.destroy();
    plot = null;
    if (data[0].length === 0)
      return fill(box, h('p', { class: 'empty', text: 'Nothing has happened lately.' }));
    fill(box);
    const axis = {
      stroke: colour('--text-3'),
      grid: { stroke: colour('--grid'), width: 1 },
      ticks: { show: false },
      font: `12px ${colour('--font')}`,
      gap: 6,
    };
    const uPlot = /** @type {any} */ (globalThis).uPlot;
    plot = new uPlot(
      {
        width: Math.max(120, box.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: {
          sync: { key: 'breaker' },
          drag: { x: false, y: false },
          points: { size: 7 },
          y: false,
        },
        scales: {
          x: { time: true },
          y: {
            range: (
              /** @type {any} */ _,
              /** @type {number} */ _low,
              /** @type {number} */ high,
            ) => [0, top ?? Math.max(high * 1.1, 1e-3)],
          },
        },
        axes: [
          {
            ...axis,
            size: 26,
            space: 70,
            values: (/** @type {any} */ _, /** @type {number[]} */ times) =>
              times.map((time) => timeOfDay(time * 1000).slice(0, 5)),
          },
          {
            ...axis,
            size: 58,
            space: 34,
            values: (/** @type {any} */ _, /** @type {number[]} */ marks) =>
              marks.map((mark) => (mark === 0 ? '0' : unit(mark))),
          },
        ],
        series: [{}, ...series.map((one) => line(one, uPlot))],
        hooks: { setCursor: [(/** @type {any} */ of) => point(of.cursor.idx ?? null)] },
      },
      drawn(),
      box,
    );
  }

  /** Bars lie upon one another, the last at the bottom; so the first, which is the highest, is drawn first. */
  function drawn() {
    if (!stacked) return data;
    const heights = data[0].map(() => 0);
    const sums = [...data];
    for (let number = series.length; number > 0; number -= 1) {
      if (!series[number - 1].bars) continue;
      sums[number] = data[number].map((value, at) =>
        value === null ? null : (heights[at] += value),
      );
    }
    return sums;
  }

  const observer = new ResizeObserver(() =>
    plot?.setSize({ width: Math.max(120, box.clientWidth), height: HEIGHT }),
  );
  observer.observe(box);
  signal.addEventListener('abort', () => {
    observer.disconnect();
    plot?.destroy();
  });
  themes.addEventListener('theme', draw, { signal });

  return {
    element,
    /** @param {(number | null)[][]} next times in seconds, then the values of each series */
    show(next) {
      data = next;
      if (plot === null || data[0].length === 0) draw();
      else plot.setData(drawn());
      if (plot?.cursor.idx === null || plot?.cursor.idx === undefined) point(null);
      const last = series.map((one, number) => {
        const value = data[number + 1]?.at(-1);
        return `${one.title} ${value === undefined || value === null ? 'unknown' : one.text(value)}`;
      });
      say(spoken, data[0].length === 0 ? '' : `Latest: ${last.join(', ')}.`);
    },
  };
}

/** @param {Series} one */
function swatch(one) {
  const element = h('span', {
    class: one.bars ? 'swatch swatch-bar' : 'swatch',
    'aria-hidden': 'true',
  });
  element.style.color = `var(${one.colour})`;
  element.dataset.dash = String(one.dash !== undefined);
  return element;
}

/** @param {Series} one @param {any} uPlot */
function line(one, uPlot) {
  const stroke = colour(one.colour);
  if (one.bars)
    return {
      stroke,
      fill: stroke,
      width: 0,
      paths: uPlot.paths.bars({ size: [0.8, 12], gap: 1 }),
      points: { show: false },
    };
  return { stroke, width: 2, dash: one.dash, points: { show: false }, spanGaps: false };
}
