import { KindGlobs } from './names';
import type { OnUnavailable } from './words';

/** The part of a breaker's configuration that a client needs. Durations are milliseconds. */
export interface BreakerConfig {
  /** Failures that trip a CLOSED breaker; 0 is off. */
  readonly failureThreshold: number;
  /** By how much a success lowers the count of failures. */
  readonly failureDecay: number;
  /** Failures in a row that trip it; 0 is off. */
  readonly consecutiveFailures: number;
  /** Trips at this share of failures in the window. */
  readonly failureRate: Rate | undefined;
  /** Trips at this share of slow calls in the window. */
  readonly slowCallRate: (Rate & { readonly duration: number }) | undefined;
  /** What the rates are computed over: so many calls, or so long. */
  readonly window: { readonly calls: number } | { readonly duration: number };
  /** How long OPEN lasts. */
  readonly openDuration: number;
  /** Successful probes that close a HALF_OPEN breaker. */
  readonly successThreshold: number;
  /** Probes at once. */
  readonly maxProbes: number;
  /** A longer call is a TIMEOUT. */
  readonly callTimeout: number;
  /** Which error kinds are failures. */
  readonly failureErrors: KindGlobs;
  /** Which error kinds count for nothing. */
  readonly ignoredErrors: KindGlobs;
  /** How calls are decided while breakerd is away; `undefined` where the server did not say. */
  readonly onUnavailable: OnUnavailable | undefined;
}

/** A share of calls, in percent, once the window holds enough of them. */
export interface Rate {
  readonly percent: number;
  readonly minimumCalls: number;
}

/** The configuration of a breaker of which nothing is known. */
export const DEFAULT_CONFIG: BreakerConfig = {
  failureThreshold: 5,
  failureDecay: 1,
  consecutiveFailures: 0,
  failureRate: undefined,
  slowCallRate: undefined,
  window: { calls: 100 },
  openDuration: 60_000,
  successThreshold: 3,
  maxProbes: 3,
  callTimeout: 10_000,
  failureErrors: new KindGlobs(['*']),
  ignoredErrors: new KindGlobs([]),
  onUnavailable: undefined,
};

/** A configuration for `localGuard`; what is not set is as in the breaker's own. */
export interface LocalGuardConfig {
  /** Failures that trip it; 0 is off. */
  failureThreshold?: number;
  /** By how much a success lowers the count of failures. */
  failureDecay?: number;
  /** Failures in a row that trip it; 0 is off. */
  consecutiveFailures?: number;
  /** Trips at this share of failures, in percent, once the window holds `minimumCalls`. */
  failureRate?: Rate;
  /** Trips at this share of calls longer than `duration` ms. */
  slowCallRate?: Rate & { readonly duration: number };
  /** What the rates are computed over: the last so many calls, or those of the last `duration` ms. */
  window?: { readonly calls: number } | { readonly duration: number };
  /** How long OPEN lasts, in ms. */
  openDuration?: number;
  /** Successful probes that close it. */
  successThreshold?: number;
  /** Probes at once; as many as `successThreshold` where only that is set. */
  maxProbes?: number;
  /** Globs over the error kinds that are failures, such as `http.5*`. */
  failureErrors?: readonly string[];
  /** Globs over the error kinds that count for nothing. */
  ignoredErrors?: readonly string[];
}

/** The configuration of a local guard, over the breaker's own. */
export function localGuardConfig(own: LocalGuardConfig, breakers: BreakerConfig): BreakerConfig {
  const { failureErrors, ignoredErrors, ...numbers } = own;
  return {
    ...breakers,
    ...(own.successThreshold !== undefined && { maxProbes: own.successThreshold }),
    ...numbers,
    ...(failureErrors && { failureErrors: new KindGlobs(failureErrors) }),
    ...(ignoredErrors && { ignoredErrors: new KindGlobs(ignoredErrors) }),
  };
}
