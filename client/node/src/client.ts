import { Breaker } from './breaker';
import { machineClock } from './clock';
import { type ClientEvents, Engine } from './engine';
import { flushAtExit, forgetAtExit } from './exit';
import { checkName } from './names';
import { type ClientOptions, toSettings } from './settings';
import type { ClientState } from './words';

/** How long things are waited for, in milliseconds; the end of a client never takes longer. */
const TIMEOUT = 5_000;

/**
 * A client of breakerd. Building it touches no network; it connects when the first breaker is asked
 * for, and never holds the process. What goes wrong inside it never reaches a guarded call.
 */
export class Client {
  readonly #engine: Engine;

  /** @throws TypeError that names the option that is wrong, and why. */
  constructor(options: ClientOptions = {}) {
    this.#engine = new Engine(toSettings(options), machineClock);
  }

  /** READY, STALE or FALLBACK: how fresh the copy of the breakers is. */
  get state(): ClientState {
    return this.#engine.freshness.state;
  }

  /** Since when the state holds. */
  get since(): Date {
    return this.#engine.freshness.since;
  }

  /** Calls whose outcomes were given up: for want of room, refused by the server, or at shutdown. */
  get outcomesGivenUp(): number {
    return this.#engine.reporter.givenUp;
  }

  /** How many runs of outcomes wait to be reported. */
  get outcomesWaiting(): number {
    return this.#engine.reporter.waiting.size;
  }

  /**
   * The breaker of a name, which is watched from now on. Cheap, and the same for the same name.
   *
   * @throws TypeError that says which rule the name breaks.
   */
  breaker(name: string): Breaker {
    const { breakers } = this.#engine;
    const known = breakers.get(name);
    if (known !== undefined) return known;
    checkName(name);
    const breaker = new Breaker(name, this.#engine);
    breakers.set(name, breaker);
    this.#start();
    return breaker;
  }

  /**
   * Waits for READY, for so many milliseconds at most [5,000]; says whether it came. Nobody has to
   * wait: calls before that are decided as in FALLBACK.
   */
  ready(timeout: number = TIMEOUT): Promise<boolean> {
    this.#start();
    return this.#engine.ready(timeout);
  }

  /** Listens to all breakers, and to the client. A listener that fails is logged and harms nothing. */
  on<E extends keyof ClientEvents>(event: E, listener: (news: ClientEvents[E]) => unknown): this {
    this.#engine.listeners.add(event, listener);
    this.#start();
    return this;
  }

  /** Listens no more. */
  off<E extends keyof ClientEvents>(event: E, listener: (news: ClientEvents[E]) => unknown): this {
    this.#engine.listeners.remove(event, listener);
    return this;
  }

  /** Reports what waits now; says whether it got there within so many milliseconds [5,000]. */
  flush(timeout: number = TIMEOUT): Promise<boolean> {
    return this.#engine.reporter.flush(timeout);
  }

  /**
   * Reports what waits, for so many milliseconds at most [5,000, and never longer], and ends all that
   * the client has started; says whether all was reported. Calls afterwards are decided as in
   * FALLBACK, and not reported. Never rejects.
   */
  shutdown(timeout: number = TIMEOUT): Promise<boolean> {
    forgetAtExit(this.#engine.reporter);
    return this.#engine.shutdown(Math.min(timeout, TIMEOUT));
  }

  #start(): void {
    if (this.#engine.isShutDown) return;
    flushAtExit(this.#engine.reporter);
    this.#engine.watch();
  }
}
