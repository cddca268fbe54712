import { type Backoff } from './backoff';
import { TokenBucket } from './bucket';
import type { Clock, Timer } from './clock';
import type { Logger } from './events';
import { type Part, type Run, WaitingRuns } from './runs';
import type { RpcError } from './transport/rpc-error';
import {
  ReportRequest,
  ReportResponse,
  type ReportResponseMessage,
  type RunMessage,
} from './wire/messages';
import { fromOutcome } from './wire/states';
import { fromBigInt, fromMs } from './wire/values';

/** How soon a prompt report goes out, in milliseconds: what ends together goes together. */
const PROMPT = 5;
/** Prompt reports are paid from a bucket of so many, refilled by so many a second. */
const BURST = 5;
const PER_SECOND = 5;
/** The protocol knows no age above a day, in milliseconds. */
const MAX_AGE = 24 * 60 * 60 * 1_000;

/** What a reporter needs. Times are milliseconds. */
export interface ReporterOptions {
  readonly clock: Clock;
  /** Sends a report; its rejection is an `RpcError`. */
  readonly send: (request: Uint8Array, timeout: number) => Promise<Uint8Array>;
  readonly reporterId: string;
  readonly reportInterval: number;
  readonly requestTimeout: number;
  readonly backoff: () => Backoff;
  /** Hears what a report was answered. */
  readonly answered: (answer: ReportResponseMessage) => void;
  readonly log: Logger;
}

/** Brings outcomes to the server, in batches, one in flight. */
export class Reporter {
  readonly waiting = new WaitingRuns();
  readonly #options: ReporterOptions;
  readonly #bucket: TokenBucket;
  readonly #flushes = new Set<() => void>();
  #timer: Timer | undefined;
  #due = Infinity;
  #isPrompt = false;
  #isSending = false;
  #isClosed = false;
  #sequence = 0;
  #refused = 0;
  /** Cuts the wait before a repetition short. */
  #wake: (() => void) | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(BURST, PER_SECOND, options.clock.now());
  }

  /** Calls whose outcomes were given up: for want of room, or because they are wrong themselves. */
  get givenUp(): number {
    return this.waiting.givenUp + this.#refused;
  }

  /** Whether nothing waits and nothing is in flight. */
  get isIdle(): boolean {
    return this.waiting.size === 0 && !this.#isSending;
  }

  /** Something waits that is to go out at once. */
  prompt(): void {
    if (this.#isPrompt) return;
    this.#isPrompt = true;
    this.#plan();
  }

  /** Something waits that has time. */
  soon(): void {
    if (this.#timer === undefined && !this.#isSending) this.#plan();
  }

  /** Sends all that waits now; says whether it got there within so many milliseconds. */
  flush(timeout: number): Promise<boolean> {
    if (this.isIdle) return Promise.resolve(true);
    if (this.#isClosed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel();
        this.#flushes.delete(settle);
        resolve(this.isIdle);
      };
      // An application that waits for this is not to end meanwhile.
      const timer = this.#options.clock.after(timeout, settle, 'holds');
      this.#flushes.add(settle);
      if (this.#isSending) this.#wake?.();
      else this.#send();
    });
  }

  /** Ends all of it. What still waits is lost, and counted as given up. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#refused += this.waiting.clear();
    this.#wake?.();
    for (const settle of [...this.#flushes]) settle();
  }

  /** Sets the timer for the next report, unless one is in flight: its end plans anew. */
  #plan(): void {
    if (this.#isSending || this.#isClosed || this.waiting.size === 0) return;
    const { clock, reportInterval } = this.#options;
    const now = clock.now();
    const isUrgent = this.#flushes.size > 0;
    const prompt = this.#isPrompt ? Math.max(this.#bucket.wait(now), PROMPT) : Infinity;
    const due = now + (isUrgent ? 0 : Math.min(prompt, reportInterval));
    if (this.#timer !== undefined && this.#due <= due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = clock.after(due - now, () => this.#send());
  }

  #send(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#due = Infinity;
    const now = this.#options.clock.now();
    if (this.#isPrompt) this.#bucket.take(now);
    this.#isPrompt = false;
    const parts = this.waiting.take(now);
    if (parts.length === 0) return;
    this.#isSending = true;
    this.#deliver(parts)
      .catch((error: unknown) => {
        this.#options.log({ level: 'warn', message: 'a report was lost', error });
      })
      .finally(() => {
        this.#isSending = false;
        if (this.isIdle) for (const settle of [...this.#flushes]) settle();
        // More breakers than a report may have: the rest goes at once.
        if (this.waiting.size > 0 && this.#flushes.size > 0) this.#send();
        else this.#plan();
      });
  }

  /** Delivers runs, by halves where something among them is wrong. */
  async #deliver(parts: Part[]): Promise<void> {
    const batches = [parts];
    for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
      const refusal = await this.#repeat(batch);
      if (refusal === undefined) continue;
      const halves = halved(batch);
      if (halves.length > 0) {
        batches.push(...halves.reverse());
        continue;
      }
      for (const { runs } of batch) for (const run of runs) this.#refused += run.count;
      const message = `an outcome of ${batch[0]?.breaker ?? 'a breaker'} was refused`;
      this.#options.log({ level: 'warn', message, error: refusal });
    }
  }

  /** Repeats one report until it is answered; gives the error if it is wrong. */
  async #repeat(parts: readonly Part[]): Promise<RpcError | undefined> {
    const { backoff, requestTimeout } = this.#options;
    const waits = backoff();
    this.#sequence += 1;
    const sequence = this.#sequence;
    while (!this.#isClosed) {
      try {
        const answer = await this.#options.send(this.#encode(parts, sequence), requestTimeout);
        this.#options.answered(ReportResponse.decode(answer));
        return undefined;
      } catch (error) {
        if ((error as RpcError).isWrong) return error as RpcError;
        await this.#pause(waits.next());
      }
    }
    for (const { runs } of parts) for (const run of runs) this.#refused += run.count;
    return undefined;
  }

  /** Waits before a repetition, unless a flush or the end cuts it short. */
  async #pause(ms: number): Promise<void> {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #encode(parts: readonly Part[], sequence: number): Uint8Array {
    const now = this.#options.clock.now();
    return ReportRequest.encode({
      reporterId: this.#options.reporterId,
      sequence,
      reports: parts.map(({ breaker, generation, late, runs }) => ({
        breaker,
        generation: fromBigInt(generation),
        late,
        runs: runs.map((run) => toMessage(run, now)),
      })),
    });
  }
}

function toMessage(run: Run, now: number): RunMessage {
  return {
    outcome: fromOutcome(run.outcome),
    count: run.count,
    totalDuration: fromMs(run.total),
    maxDuration: fromMs(run.longest),
    slowCount: run.isSlow ? run.count : 0,
    errorKind: run.kind,
    age: fromMs(Math.min(now - run.endedAt, MAX_AGE)),
    permitId: fromBigInt(run.permit),
  };
}

/** Two reports in place of one, in the same order; none if it holds one run only. */
export function halved(parts: readonly Part[]): Part[][] {
  const total = parts.reduce((sum, { runs }) => sum + runs.length, 0);
  if (total < 2) return [];
  let left = Math.floor(total / 2);
  const [first, second]: [Part[], Part[]] = [[], []];
  for (const part of parts) {
    const [mine, others] = [part.runs.slice(0, left), part.runs.slice(left)];
    left -= mine.length;
    if (mine.length > 0) first.push({ ...part, runs: mine });
    if (others.length > 0) second.push({ ...part, runs: others });
  }
  return [first, second];
}
