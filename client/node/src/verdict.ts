import { cleanKind, kindOf } from './kinds';
import type { Outcome } from './words';

/** What a call amounts to: an outcome, with a kind of error where the default does not suit. */
export type Verdict = Outcome | { readonly outcome: Outcome; readonly kind?: string };

/**
 * Says what a call that threw, or rejected, amounts to; `undefined` leaves it to the default: a
 * failure under the name of the error's type, but IGNORED for an `AbortError`.
 */
export type ClassifyError = (error: unknown) => Verdict | undefined;

/** Says what the result of a call amounts to; `undefined` is a success. */
export type ClassifyResult = (result: unknown) => Verdict | undefined;

/** How a call ended, and what is reported of it. */
export interface Judged {
  readonly outcome: Outcome;
  readonly kind: string;
}

export const SUCCESS: Judged = { outcome: 'success', kind: '' };
export const IGNORED: Judged = { outcome: 'ignored', kind: '' };
/** Without a kind it is a failure whatever `failure_errors` says. */
export const TIMEOUT: Judged = { outcome: 'timeout', kind: '' };

/**
 * What an error amounts to.
 *
 * @throws TypeError if it was given no verdict.
 */
export function judgeError(error: unknown, verdict: Verdict | undefined): Judged {
  const kind = cleanKind(kindOf(error));
  if (verdict === undefined) return kind === 'AbortError' ? IGNORED : { outcome: 'failure', kind };
  if (typeof verdict === 'string') return judged(verdict, kind);
  return judged(verdict.outcome, verdict.kind ?? kind);
}

/**
 * What a result amounts to.
 *
 * @throws TypeError if it was given no verdict.
 */
export function judgeResult(verdict: Verdict | undefined): Judged {
  if (verdict === undefined) return SUCCESS;
  if (typeof verdict === 'string') return judged(verdict, '');
  return judged(verdict.outcome, verdict.kind ?? '');
}

/**
 * The kind of a success, or of what is ignored, tells nobody anything.
 *
 * @throws TypeError if a classification gave something else than a verdict.
 */
function judged(outcome: unknown, kind: unknown): Judged {
  if (outcome === 'success') return SUCCESS;
  if (outcome === 'ignored') return IGNORED;
  if (!isOutcome(outcome) || typeof kind !== 'string') {
    throw new TypeError(`not a verdict: outcome ${String(outcome)}, kind ${String(kind)}`);
  }
  return { outcome, kind: cleanKind(kind) };
}

const isOutcome = (outcome: unknown): outcome is Outcome =>
  outcome === 'failure' || outcome === 'timeout';
