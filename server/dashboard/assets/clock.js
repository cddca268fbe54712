// @ts-check
// The server's time, and what grows with it on the page.
//
// The clocks of two machines are never compared. The server says what time it is with what it sends;
// from there on the browser's stop watch, which nobody sets, counts on.
import { h, say } from './dom.js';
import { dateTime, duration } from './format.js';

/** The server's time when the stop watch stood at `at`. @type {{ time: number, at: number } | null} */
let known = null;
/** Set while the connection is lost: nothing grows then, because nobody knows. @type {number | null} */
let stopped = null;

/** @type {Set<WeakRef<HTMLElement>>} */
const ticking = new Set();
/** @type {WeakMap<HTMLElement, () => string>} */
const texts = new WeakMap();

/** The stop watch, in milliseconds. */
export const now = () => stopped ?? performance.now();

/** @param {string} text a time of the server, as of now */
export function setServerTime(text) {
  const time = Date.parse(text);
  if (!Number.isNaN(time)) known = { time, at: performance.now() };
}

/** The server's time in milliseconds since 1970, or null while it is not known. */
export function serverTime() {
  return known === null ? null : known.time + (now() - known.at);
}

/** @param {boolean} isLost */
export function stopWhile(isLost) {
  stopped = isLost ? (stopped ?? performance.now()) : null;
}

/**
 * Keeps the text of an element up to date, second by second, for as long as it is on the page.
 * @template {HTMLElement} E
 * @param {E} element
 * @param {() => string} text
 * @returns {E}
 */
export function tick(element, text) {
  if (!texts.has(element)) ticking.add(new WeakRef(element));
  texts.set(element, text);
  say(element, text());
  return element;
}

setInterval(() => {
  if (stopped !== null || document.hidden) return;
  for (const reference of ticking) {
    const element = reference.deref();
    if (element === undefined) ticking.delete(reference);
    else if (element.isConnected) say(element, texts.get(element)?.() ?? '');
  }
}, 1000);

/**
 * What is said of a time of the server: how long ago it was, or how long it takes until then.
 * @param {number} time
 */
export function relative(time) {
  const current = serverTime();
  if (current === null) return dateTime(time);
  const gone = current - time;
  if (gone < -999) return `in ${duration(-gone)}`;
  return gone < 1000 ? 'just now' : `${duration(gone)} ago`;
}

/**
 * A time of the server: relative, with the whole of it to be seen on request.
 * @param {string} text RFC 3339
 */
export function ago(text) {
  const time = Date.parse(text);
  return tick(h('time', { datetime: text, title: dateTime(time) }), () => relative(time));
}
