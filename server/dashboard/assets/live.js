// @ts-check
// The stream of events of the server.
//
// It is read by `fetch` and not by `EventSource`, which hides the server's signs of life (they are
// comments) and what the server says when it refuses.
//
// Events: `hello`, `changes`, `dashboard`, `health` and `alerts` with what the server sent as `detail`;
// `reload` when everything has to be loaded anew; `connection` when that is lost, tried or there again.
import { get, problem } from './api.js';
import { setServerTime, stopWhile } from './clock.js';

/** A connection on which nothing was heard for so long is lost, in milliseconds. */
const SILENCE = 12_000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

/** @typedef {'connecting' | 'live' | 'lost'} Connection */

class Live extends EventTarget {
  /** @type {Connection} */
  connection = 'connecting';
  /** Why the connection was lost. */
  reason = '';
  /** When the connection was lost, and when the next try is, on the stop watch. */
  lostAt = 0;
  retryAt = 0;
  /** The last that was said of the whole, if anything was. @type {any} */
  dashboard = null;
  /** The last that was said of the namespaces. @type {any} */
  health = null;
  /** @type {{ version: string, writable: boolean } | null} */
  server = null;

  #pause = FIRST_PAUSE;
  #wake = () => {};
  #hasBeenLive = false;
  /** The stop watch when something was last heard. */
  #heardAt = 0;

  /** Connects, and keeps connecting, until the page goes. */
  async start() {
    addEventListener('online', () => this.tryNow());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.tryNow();
    });
    for (;;) {
      const error = await this.#follow().catch((/** @type {Error} */ failure) => failure);
      this.#lose(error === undefined ? 'The server has ended the connection.' : told(error));
      await this.#rest();
    }
  }

  /** Does not wait for the next try. */
  tryNow() {
    this.#wake();
  }

  async #follow() {
    const abort = new AbortController();
    this.#heardAt = performance.now();
    const watchdog = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENCE) {
        abort.abort(new Error(`Nothing was heard of the server for ${SILENCE / 1000} s.`));
      }
    }, 500);
    try {
      const response = await reached(
        fetch('api/v1/events', { signal: abort.signal, cache: 'no-store' }),
      );
      if (!response.ok || response.body === null) {
        throw problem(await response.json().catch(() => undefined), response.status);
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { done, value } = await reached(reader.read());
        if (done) return undefined;
        this.#heardAt = performance.now();
        const messages = (rest + value).split('\n\n');
        rest = messages.pop() ?? '';
        for (const message of messages) this.#hear(message);
      }
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : error;
    } finally {
      clearInterval(watchdog);
      abort.abort();
    }
  }

  /** @param {string} message */
  #hear(message) {
    let [name, data] = ['message', ''];
    for (const line of message.split('\n')) {
      if (line.startsWith('event: ')) name = line.slice(7);
      else if (line.startsWith('data: ')) data += line.slice(6);
    }
    if (data === '') return;
    const detail = JSON.parse(data);
    if (name === 'error') throw problem(detail, 0);
    if (name === 'hello') return this.#greet(detail);
    if (name === 'resync')
      return void this.dispatchEvent(new CustomEvent('reload', { detail: 'resync' }));
    if (name === 'dashboard') {
      setServerTime(detail.server_time);
      this.dashboard = detail;
    }
    if (name === 'health') this.health = detail;
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {{ version: string, writable: boolean, server_time: string }} hello */
  #greet(hello) {
    stopWhile(false);
    setServerTime(hello.server_time);
    const isNew = this.server !== null && this.server.version !== hello.version;
    this.server = hello;
    this.connection = 'live';
    this.reason = '';
    this.#pause = FIRST_PAUSE;
    this.dispatchEvent(new CustomEvent('hello', { detail: { ...hello, isNew } }));
    this.dispatchEvent(new Event('connection'));
    if (this.#hasBeenLive) this.dispatchEvent(new CustomEvent('reload', { detail: 'connection' }));
    this.#hasBeenLive = true;
  }

  /** @param {string} reason */
  #lose(reason) {
    if (this.connection !== 'lost') this.lostAt = performance.now();
    stopWhile(true);
    this.connection = 'lost';
    this.reason = reason;
  }

  /** Waits before the next try, longer each time, and not as long as all others do. */
  async #rest() {
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    this.retryAt = performance.now() + pause;
    this.dispatchEvent(new Event('connection'));
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      this.#wake = () => (clearTimeout(timer), resolve(undefined));
    });
    this.#wake = () => {};
    this.retryAt = 0;
    this.dispatchEvent(new Event('connection'));
  }
}

/**
 * @template T
 * @param {Promise<T>} promise
 */
async function reached(promise) {
  try {
    return await promise;
  } catch {
    throw new Error('The server cannot be reached.');
  }
}

/** @param {Error & { leader?: string }} error */
function told({ message, leader }) {
  const sentence = message.endsWith('.') ? message : `${message}.`;
  return leader ? `${sentence} The leader is ${leader}.` : sentence;
}

export const live = new Live();

/** Whether the server lets this page change anything; false until that is known. */
export async function loadServer() {
  const server = await get('server');
  live.server ??= server;
  return server;
}
