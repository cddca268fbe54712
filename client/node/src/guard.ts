import type { Admission } from './admission';
import { kindOf } from './kinds';
import type { Outcome } from './words';

/** Takes in how a call ended. Times are milliseconds. */
export interface Recorder {
  record(admission: Admission, outcome: Outcome, kind: string, startedAt: number): void;
}

/** A call that has not ended yet. */
class Pending {
  isOpen = true;

  constructor(
    readonly recorder: Recorder,
    readonly admission: Admission,
    readonly startedAt: number,
  ) {}

  end(outcome: Outcome, kind: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.recorder.record(this.admission, outcome, kind, this.startedAt);
  }
}

/** A guard that nobody can end any more was a call without an outcome. */
const lost = new FinalizationRegistry<Pending>((pending) => pending.end('ignored', ''));

/** Symbol.dispose, where this Node does not have it under the name that compilers then use. */
const dispose: typeof Symbol.dispose =
  (Symbol as { dispose?: typeof Symbol.dispose }).dispose ??
  (Symbol.for('Symbol.dispose') as typeof Symbol.dispose);

/**
 * Leave to make one call. Exactly one of `success`, `failure`, `timeout` and `ignored` ends it; what
 * is said afterwards changes nothing. Without an end it is IGNORED: when it leaves the scope of a
 * `using`, or is garbage.
 */
export class Guard {
  readonly #pending: Pending;

  /** @internal */
  constructor(recorder: Recorder, admission: Admission, startedAt: number) {
    this.#pending = new Pending(recorder, admission, startedAt);
    lost.register(this, this.#pending, this);
  }

  /** Whether the call is a probe, under a permit of the server. */
  get probe(): boolean {
    return this.#pending.admission.permit !== 0n;
  }

  /** The generation of the breaker under which the call was admitted. */
  get generation(): bigint {
    return this.#pending.admission.generation;
  }

  /** How long the call may take, in milliseconds; one that took longer is a TIMEOUT. */
  get callTimeout(): number {
    return this.#pending.admission.bound;
  }

  /** The call did what it was meant to do. */
  success(): void {
    this.#end('success', '');
  }

  /** The call failed: with an error, or with a kind of your own such as `http.503`. */
  failure(error: unknown = ''): void {
    this.#end('failure', typeof error === 'string' ? error : kindOf(error));
  }

  /** The call took too long. */
  timeout(): void {
    this.#end('timeout', '');
  }

  /** The call counts for nothing: it was cancelled, or the mistake was the caller's. */
  ignored(): void {
    this.#end('ignored', '');
  }

  /** IGNORED, unless the call has ended otherwise. */
  [dispose](): void {
    this.ignored();
  }

  #end(outcome: Outcome, kind: string): void {
    lost.unregister(this);
    this.#pending.end(outcome, kind);
  }
}
