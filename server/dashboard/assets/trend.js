// @ts-check
// A small line of the last values of something, without axes.
import { s } from './dom.js';

const [WIDTH, HEIGHT] = [160, 36];

/**
 * @param {string} name of its colour: a class
 */
export function trend(name) {
  const area = s('path', { class: 'trend-area' });
  const line = s('path', { class: 'trend-line', fill: 'none' });
  const element = s(
    'svg',
    {
      class: `trend ${name}`,
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    },
    area,
    line,
  );
  /** @param {number[]} values the oldest first */
  const show = (values) => {
    if (values.length < 2) return;
    const top = Math.max(...values) || 1;
    const points = values.map((value, at) => {
      const x = (at / (values.length - 1)) * WIDTH;
      const y = HEIGHT - 2 - (value / top) * (HEIGHT - 4);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    line.setAttribute('d', `M${points.join('L')}`);
    area.setAttribute('d', `M0,${HEIGHT}L${points.join('L')}L${WIDTH},${HEIGHT}Z`);
  };
  return { element, show };
}
