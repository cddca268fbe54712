import { Backoff } from './backoff';
import type { Breaker } from './breaker';
import type { Clock } from './clock';
import { type Changed, Copy } from './copy';
import { Deadlines } from './deadlines';
import { harmless, Listeners, type Logger } from './events';
import type { Surroundings } from './execution';
import { Freshness } from './freshness';
import { standingOf } from './held';
import { Selection, selectionOf } from './names';
import type { PermitOptions } from './permits';
import { Reporter } from './reporter';
import { Run } from './runs';
import type { Settings } from './settings';
import { Servers } from './transport/servers';
import { Watcher } from './watcher';
import {
  AcquireRequest,
  AcquireResponse,
  type AcquireResponseMessage,
  type ReportResponseMessage,
  type WatchResponseMessage,
} from './wire/messages';
import { toHeld } from './wire/states';
import { toBigInt } from './wire/values';
import type { StateChange, Transition } from './words';

/** How long an answer to an Acquire is waited for so that its permit can be given back, in ms. */
const LATE_ANSWER = 30_000;
/**
 * Watched where an application waits for READY before it has asked for any breaker: the protocol takes
 * an empty list for every breaker of the fleet.
 */
const NOBODY = '-/-';

/** What listeners of a client hear. */
export interface ClientEvents {
  transition: Transition;
  state: StateChange;
}

/** The parts of a client, and how they hear of one another. */
export class Engine {
  readonly clock: Clock;
  readonly settings: Settings;
  readonly log: Logger;
  readonly surroundings: Surroundings;
  readonly listeners: Listeners<ClientEvents>;
  readonly breakers = new Map<string, Breaker>();
  readonly copy: Copy;
  readonly freshness: Freshness;
  readonly reporter: Reporter;
  readonly permits: PermitOptions;
  readonly #servers: Servers;
  readonly #watcher: Watcher;
  readonly #built: Selection;
  #heard = 0;
  #isReadyAwaited = false;
  isShutDown = false;

  constructor(settings: Settings, clock: Clock) {
    this.clock = clock;
    this.settings = settings;
    const log = (this.log = harmless(settings.logger));
    this.listeners = new Listeners(log);
    const { classifyError, classifyResult } = settings;
    this.surroundings = { deadlines: new Deadlines(clock), log, classifyError, classifyResult };
    this.#built = new Selection(settings.selectors);
    const { authorization, tls } = settings;
    this.#servers = new Servers(settings.addresses, { clock, tls, authorization });
    this.copy = new Copy(this.#changed);
    this.freshness = new Freshness(clock, settings.maxStaleness, (from, to) => {
      // The fleet's state wins again.
      if (to === 'ready')
        for (const breaker of this.breakers.values()) breaker.decider.forgetLocal();
      this.listeners.emit('state', { from, to });
    });
    const backoff = (): Backoff => new Backoff(settings.backoffLeast, settings.backoffMost);
    this.reporter = new Reporter({
      ...{ clock, log, backoff, reporterId: settings.reporterId },
      ...{ reportInterval: settings.reportInterval, requestTimeout: settings.requestTimeout },
      send: (request, timeout) => this.#servers.unary('Report', request, timeout),
      answered: (answer) => this.#reported(answer),
    });
    const { staleAfter } = settings;
    this.#watcher = new Watcher(
      {
        ...{ clock, log, staleAfter, servers: this.#servers, backoff: backoff() },
        select: () => this.#select(),
      },
      {
        begin: (selection, isResumed) => this.copy.begin(selection, isResumed),
        message: (message) => this.#watched(message),
        lost: () => this.freshness.lost(),
      },
    );
    this.permits = {
      ...{ clock, permitTimeout: settings.permitTimeout },
      ask: (breaker) => this.#acquire(breaker),
      heard: () => this.#heard,
      giveBack: (breaker, answer) => this.#giveBack(breaker, answer),
    };
  }

  /** Whether calls are decided from the copy, as it is or as it was. */
  get usesCopy(): boolean {
    return this.freshness.state !== 'fallback';
  }

  /** Whether the copy is as it was. */
  get isStale(): boolean {
    return this.freshness.state === 'stale';
  }

  /** Watches the breakers that the application has asked for. */
  watch(): void {
    this.#watcher.changed();
  }

  /** Waits for READY, even where there is nothing to watch yet. */
  ready(timeout: number): Promise<boolean> {
    if (this.isShutDown) return Promise.resolve(false);
    this.#isReadyAwaited = true;
    this.watch();
    return this.freshness.wait(timeout);
  }

  /** Reports what waits, and ends everything that was started. */
  async shutdown(timeout: number): Promise<boolean> {
    if (this.isShutDown) return this.reporter.isIdle;
    this.isShutDown = true;
    this.#watcher.close();
    this.freshness.end();
    const isFlushed = await this.reporter.flush(timeout);
    this.reporter.close();
    this.#servers.close();
    return isFlushed;
  }

  #select(): Selection {
    const selection = selectionOf(this.#built, this.breakers.keys());
    const isNothing = selection.selectors.length === 0 && this.#isReadyAwaited;
    return isNothing ? new Selection([NOBODY]) : selection;
  }

  #watched(message: WatchResponseMessage): void {
    const now = this.clock.now();
    this.#heard += 1;
    const changed = message.changed.map(
      (state) => [state.name, toHeld(state, message.serverTime, now)] as const,
    );
    const { deleted, reset, snapshotComplete } = message;
    this.copy.apply({ changed, deleted, reset, snapshotComplete });
    if (!snapshotComplete) return;
    for (const { name, decider } of this.breakers.values())
      decider.isCovered = this.copy.covers(name);
    this.freshness.ready();
  }

  #reported(answer: ReportResponseMessage): void {
    const now = this.clock.now();
    for (const state of answer.states) {
      this.copy.applyReported(state.name, toHeld(state, answer.serverTime, now));
    }
  }

  readonly #changed: Changed = (name, before, after) => {
    const breaker = this.breakers.get(name);
    breaker?.decider.take(after);
    if (before === undefined || after === undefined) return;
    const [from, to] = [standingOf(before), standingOf(after)];
    if (from.state === to.state && from.mode === to.mode && from.level === to.level) return;
    const transition: Transition = { breaker: name, from, to };
    breaker?.hear(transition);
    this.listeners.emit('transition', transition);
  };

  async #acquire(breaker: string): Promise<AcquireResponseMessage | undefined> {
    try {
      const request = AcquireRequest.encode({ breaker, clientId: this.settings.clientId });
      const answer = await this.#servers.unary('Acquire', request, LATE_ANSWER);
      this.#heard += 1;
      return AcquireResponse.decode(answer);
    } catch (error) {
      this.log({ level: 'info', message: `no answer to a call of ${breaker} for leave`, error });
      return undefined;
    }
  }

  /** A probe that nobody makes any more must not keep others from it. */
  #giveBack(breaker: string, { generation, permit }: AcquireResponseMessage): void {
    if (!permit || this.isShutDown) return;
    const endedAt = this.clock.now();
    const call = { breaker, generation: toBigInt(generation), permit: toBigInt(permit.id) };
    this.reporter.waiting.push(
      new Run({ ...call, outcome: 'ignored', kind: '', isSlow: false, duration: 0, endedAt }),
    );
    this.reporter.prompt();
  }
}
