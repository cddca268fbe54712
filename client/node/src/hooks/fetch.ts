import type { Breaker } from '../breaker';
import { BreakerOpenError } from '../errors';
import type { Verdict } from '../verdict';

type Fetch = typeof globalThis.fetch;

/** How `guardedFetch` judges and answers. */
export interface GuardedFetchOptions {
  /** What fetches [the global `fetch`]. */
  fetch?: Fetch;
  /** Which answers are failures, by their status [5xx and 429]. The kind is `http.` and the status. */
  isFailure?: (status: number) => boolean;
  /** What a denied call gives [`throw`]: a `BreakerOpenError`, or a `503` with `retry-after`. */
  denied?: 'throw' | 'response';
}

/**
 * A `fetch` whose every request is guarded. A request ends with its headers: an answer whose body
 * takes long is no TIMEOUT. The caller's signal holds for the body too.
 */
export function guardedFetch(breaker: Breaker, options: GuardedFetchOptions = {}): Fetch {
  const { fetch = globalThis.fetch, isFailure = isBad, denied = 'throw' } = options;
  const classifyResult = (result: unknown): Verdict => {
    const { status } = result as Response;
    return isFailure(status) ? { outcome: 'failure', kind: `http.${status}` } : 'success';
  };
  return async (input, init) => {
    const outer = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    try {
      return await breaker.run<Response>(
        (call) => fetch(input, { ...init, signal: either(call.signal, outer) }),
        { classifyResult, ...(outer && { signal: outer }) },
      );
    } catch (error) {
      if (denied === 'response' && error instanceof BreakerOpenError) return answerOf(error);
      throw error;
    }
  };
}

const isBad = (status: number): boolean => status >= 500 || status === 429;

/** What a denied call looks like to somebody who knows HTTP only. */
function answerOf(error: BreakerOpenError): Response {
  const headers: Record<string, string> = { 'content-type': 'text/plain' };
  if (error.retryAfter !== undefined)
    headers['retry-after'] = String(Math.ceil(error.retryAfter / 1_000));
  return new Response(error.message, { status: 503, headers });
}

/** Aborted with either. Node 18 has no `AbortSignal.any`. */
function either(own: AbortSignal, outer: AbortSignal | undefined): AbortSignal {
  if (outer === undefined) return own;
  const { any } = AbortSignal as { any?: (signals: AbortSignal[]) => AbortSignal };
  if (any !== undefined) return any.call(AbortSignal, [own, outer]);
  const controller = new AbortController();
  for (const signal of [own, outer]) {
    if (signal.aborted) controller.abort(signal.reason);
    else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}
