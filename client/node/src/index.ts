export { Breaker, type BreakerEvents, type BreakerStatus } from './breaker';
export { Client } from './client';
export type { LocalGuardConfig, Rate } from './config';
export type { ClientEvents } from './engine';
export { BreakerOpenError, CallTimeoutError, type Denial } from './errors';
export type { LogEntry, Logger } from './events';
export type { Call, CallOptions } from './execution';
export { Guard } from './guard';
export { guardedFetch, type GuardedFetchOptions } from './hooks/fetch';
export type { ClientOptions } from './settings';
export type { TlsOptions } from './transport/address';
export type { ClassifyError, ClassifyResult, Verdict } from './verdict';
export type {
  ClientState,
  DenialReason,
  Level,
  Mode,
  OnUnavailable,
  Outcome,
  Standing,
  State,
  StateChange,
  Transition,
} from './words';
