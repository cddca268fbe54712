// @ts-check
// The icons, as paths on a grid of 16 by 16.
import { s } from './dom.js';

/** @type {Record<string, { line?: string, fill?: string }>} */
const PATHS = {
  // States: a tick, a cross, a half. Each has a shape of its own, so that no colour is needed.
  closed: { line: 'M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5M5.2 8.2l2 2l3.7-4.1' },
  open: {
    line: 'M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4zM5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2',
  },
  half: { line: 'M8 1.75l6.25 6.25L8 14.25L1.75 8z', fill: 'M8 1.75L1.75 8L8 14.25z' },
  unknown: { line: 'M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5' },
  // Modes.
  lock: { line: 'M4.2 7.2h7.6v6H4.2zM5.7 7.2V5a2.3 2.3 0 0 1 4.6 0v2.2' },
  disabled: { line: 'M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5M3.8 12.2l8.4-8.4' },
  shadow: {
    line: 'M1.6 8S4 3.6 8 3.6S14.4 8 14.4 8S12 12.4 8 12.4S1.6 8 1.6 8M8 6.2a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 0 0 0-3.6',
  },
  // Severities.
  medium: { line: 'M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5M8 7.4v3.4M8 5v.2' },
  high: { line: 'M8 2.2l6.4 11.3H1.6zM8 6.4v3.4M8 11.6v.2' },
  critical: {
    line: 'M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4zM8 4.8v3.8M8 10.9v.2',
  },
  // Pages.
  overview: { line: 'M2.2 8.6a5.9 5.9 0 1 1 11.6 0M8 9.4l2.8-3.2M4.6 13h6.8' },
  breakers: {
    line: 'M1.4 10.6h3M11.6 10.6h3M5.9 9.6l4.7-4.5',
    fill: 'M5.2 9.4a1.3 1.3 0 1 0 0 2.5a1.3 1.3 0 0 0 0-2.5M10.9 9.4a1.3 1.3 0 1 0 0 2.5a1.3 1.3 0 0 0 0-2.5',
  },
  alerts: {
    line: 'M3.6 11.4c1-1 1.1-2 1.1-4.2a3.3 3.3 0 0 1 6.6 0c0 2.2.1 3.2 1.1 4.2zM6.8 13.6h2.4',
  },
  policies: { line: 'M3 2.6h10M3 6.2h10M3 9.8h6M3 13.4h4M11.9 9.2v5M9.4 11.7h5' },
  history: { line: 'M2.2 5.6A6.2 6.2 0 1 1 1.8 8M2 2.4v3.4h3.4M8 4.8V8l2.3 1.6' },
  // Things to do and to see.
  search: { line: 'M7 2.4a4.6 4.6 0 1 0 0 9.2a4.6 4.6 0 0 0 0-9.2M10.4 10.4l3.4 3.4' },
  close: { line: 'M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4' },
  sun: {
    line: 'M8 5.1a2.9 2.9 0 1 0 0 5.8a2.9 2.9 0 0 0 0-5.8M8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M12.8 3.2l-1.1 1.1M4.3 11.7l-1.1 1.1',
  },
  moon: { line: 'M13.4 9.6A5.8 5.8 0 1 1 6.4 2.6a4.7 4.7 0 0 0 7 7' },
  system: { line: 'M1.8 2.8h12.4v8.2H1.8zM5.6 13.6h4.8M8 11v2.6' },
  help: {
    line: 'M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5M6.2 6.3a1.85 1.85 0 1 1 2.7 1.7c-.6.3-.9.7-.9 1.3M8 11.3v.2',
  },
  up: { line: 'M4 9.8l4-4l4 4' },
  down: { line: 'M4 6.2l4 4l4-4' },
  right: { line: 'M6.2 4l4 4l-4 4' },
  arrow: { line: 'M2.6 8h10.4M9.4 4.2L13.2 8l-3.8 3.8' },
  live: { fill: 'M8 4.4a3.6 3.6 0 1 0 0 7.2a3.6 3.6 0 0 0 0-7.2' },
  lost: {
    line: 'M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8',
  },
  check: { line: 'M3 8.6l3.2 3.2L13 4.8' },
  storage: {
    line: 'M2.8 3.8c0-1 2.3-1.8 5.2-1.8s5.2.8 5.2 1.8s-2.3 1.8-5.2 1.8s-5.2-.8-5.2-1.8v8.4c0 1 2.3 1.8 5.2 1.8s5.2-.8 5.2-1.8V3.8M2.8 8c0 1 2.3 1.8 5.2 1.8s5.2-.8 5.2-1.8',
  },
};

/**
 * An icon. It says nothing to those who listen: a word stands beside it.
 * @param {string} name
 * @param {number} [size] in pixels
 * @returns {SVGElement}
 */
export function icon(name, size = 16) {
  const path = PATHS[name] ?? PATHS.unknown;
  const svg = s('svg', { viewBox: '0 0 16 16', width: size, height: size, 'aria-hidden': 'true' });
  if (path.fill) svg.append(s('path', { d: path.fill, fill: 'currentColor' }));
  if (path.line) {
    const pen = { fill: 'none', stroke: 'currentColor', 'stroke-width': 1.5 };
    const ends = { 'stroke-linecap': 'round', 'stroke-linejoin': 'round' };
    svg.append(s('path', { d: path.line, ...pen, ...ends }));
  }
  return svg;
}
