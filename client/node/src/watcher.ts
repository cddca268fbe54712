import type { Backoff } from './backoff';
import type { Clock, Timer } from './clock';
import type { Logger } from './events';
import { Selection } from './names';
import type { Call } from './transport/connection';
import { RpcError } from './transport/rpc-error';
import type { Round, Servers } from './transport/servers';
import { WatchRequest, WatchResponse, type WatchResponseMessage } from './wire/messages';

/** How soon a new name is watched, in milliseconds. Names that come together are one change. */
const GATHER = 5;
const NO_TOKEN = new Uint8Array();

/** Hears of the stream. */
export interface WatchHandlers {
  /** A stream was asked for. */
  begin(selection: Selection, isResumed: boolean): void;
  message(message: WatchResponseMessage): void;
  /** The stream was cut, or is silent. */
  lost(): void;
}

/** What a watcher needs. */
export interface WatcherOptions {
  readonly clock: Clock;
  readonly servers: Servers;
  readonly backoff: Backoff;
  /** What to watch; asked once names that came together are all there. */
  readonly select: () => Selection;
  /** A stream that is silent for so long is cut, in milliseconds. */
  readonly staleAfter: number;
  readonly log: Logger;
}

/** Keeps one Watch stream up, whatever happens to it. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #handlers: WatchHandlers;
  #selection = new Selection([]);
  #call: Call | undefined;
  #round: Round | undefined;
  /** The next attempt, and a change of the selectors. */
  #next: Timer | undefined;
  #change: Timer | undefined;
  #silence: Timer | undefined;
  #heardAt = 0;
  /** The last token, once the snapshot before it was complete. */
  #token = NO_TOKEN;
  #isComplete = false;
  #isClosed = false;

  constructor(options: WatcherOptions, handlers: WatchHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** What is to be watched may have changed. */
  changed(): void {
    if (this.#isClosed) return;
    this.#change ??= this.#options.clock.after(GATHER, () => {
      this.#change = undefined;
      this.#watch(this.#options.select());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#call?.cancel();
    this.#next?.cancel();
    this.#change?.cancel();
    this.#silence?.cancel();
  }

  #watch(selection: Selection): void {
    if (selection.selectors.length === 0 || selection.equals(this.#selection)) return;
    this.#selection = selection;
    this.#token = NO_TOKEN;
    this.#next?.cancel();
    // A stream that lives is replaced by another one: nothing is lost, and its silence goes on.
    if (this.#call === undefined) this.#heardAt = this.#options.clock.now();
    this.#call?.cancel();
    this.#begin();
  }

  #begin(): void {
    this.#round = this.#options.servers.round();
    this.#attempt(this.#round);
  }

  #attempt(round: Round): void {
    const { servers } = this.#options;
    const selection = this.#selection;
    const isResumed = this.#token.length > 0;
    const { address } = round;
    let isFirst = true;
    this.#isComplete = isResumed;
    this.#handlers.begin(selection, isResumed);
    const request = WatchRequest.encode({
      selectors: selection.selectors,
      resumeToken: this.#token,
    });
    const call = servers.connection(address).request('Watch', request, {
      message: (bytes) => {
        if (isFirst) servers.prefer(address);
        isFirst = false;
        this.#heard(bytes);
      },
      end: (error) => this.#lost(error ?? new RpcError('UNAVAILABLE', 'the stream has ended')),
    });
    this.#call = call;
    this.#armSilence(this.#options.staleAfter);
  }

  #heard(bytes: Uint8Array): void {
    this.#heardAt = this.#options.clock.now();
    this.#options.backoff.reset();
    // Whoever has answered may be asked again at once when the stream is cut.
    this.#round = undefined;
    let message: WatchResponseMessage;
    try {
      message = WatchResponse.decode(bytes);
    } catch (error) {
      this.#cut(`a message cannot be read: ${String(error)}`);
      return;
    }
    if (message.reset) {
      this.#isComplete = false;
      this.#token = NO_TOKEN;
    }
    this.#isComplete ||= message.snapshotComplete;
    // A copy: what was read is a part of all that has arrived with it.
    if (this.#isComplete && message.resumeToken.length > 0)
      this.#token = Uint8Array.from(message.resumeToken);
    this.#handlers.message(message);
  }

  #cut(reason: string): void {
    this.#call?.cancel();
    this.#lost(new RpcError('UNAVAILABLE', reason));
  }

  #lost(error: RpcError): void {
    if (this.#isClosed) return;
    const { backoff, clock, log, servers } = this.#options;
    this.#call = undefined;
    this.#silence?.cancel();
    this.#handlers.lost();
    const level = error.isWrong || error.code === 'UNAUTHENTICATED' ? 'warn' : 'info';
    log({ level, message: 'the watch stream was lost', error });
    this.#round ??= servers.round();
    this.#next?.cancel();
    const hasNext = this.#round.next(error);
    const again = (): void => {
      this.#heardAt = clock.now();
      if (hasNext && this.#round !== undefined) this.#attempt(this.#round);
      else this.#begin();
    };
    this.#next = clock.after(hasNext ? 0 : backoff.next(), again);
  }

  /** The timer is not moved at each message: it looks again when it comes. */
  #armSilence(ms: number): void {
    const { clock, staleAfter } = this.#options;
    this.#silence?.cancel();
    this.#silence = clock.after(ms, () => {
      // After a long computation of the application messages may lie there unread.
      clock.afterReading(() => {
        if (this.#isClosed || this.#call === undefined) return;
        const left = this.#heardAt + staleAfter - clock.now();
        if (left > 0) this.#armSilence(left);
        else this.#cut(`nothing was heard for ${staleAfter} ms`);
      });
    });
  }
}
