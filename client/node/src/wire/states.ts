import { type BreakerConfig, DEFAULT_CONFIG, type Rate } from '../config';
import { HeldBreaker } from '../held';
import { KindGlobs } from '../names';
import type { DenialReason, Mode, OnUnavailable, Outcome, State } from '../words';
import type {
  ConfigMessage,
  DurationMessage,
  EffectiveMessage,
  RateMessage,
  StateMessage,
} from './messages';
import { between, toBigInt, toMs } from './values';

const STATES: readonly State[] = ['closed', 'closed', 'open', 'half_open'];
const MODES: readonly Mode[] = [
  'normal',
  'normal',
  'forced_open',
  'forced_closed',
  'disabled',
  'shadow',
];
const ON_UNAVAILABLE = [undefined, 'allow', 'deny', 'local'] as const;
const OUTCOMES: Readonly<Record<Outcome, number>> = {
  success: 1,
  failure: 2,
  timeout: 3,
  ignored: 4,
};
/** `AcquireReason`; where the call is allowed nobody reads it. */
const DENIALS: readonly (DenialReason | undefined)[] = [
  ...[undefined, undefined, undefined, undefined, undefined, undefined],
  ...(['open', 'no_permit', 'forced_open', undefined, 'ramp'] as const),
];

// A word of a newer server that this client does not know is taken for the harmless one.
export const toState = (value: number): State => STATES[value] ?? 'closed';
export const toMode = (value: number): Mode => MODES[value] ?? 'normal';
export const toOnUnavailable = (value: number): OnUnavailable | undefined => ON_UNAVAILABLE[value];
export const toDenial = (value: number): DenialReason => DENIALS[value] ?? 'open';
export const fromOutcome = (outcome: Outcome): number => OUTCOMES[outcome];

/**
 * A state as the copy holds it. Times of the server become durations at once, and begin at `now`, the
 * moment at which the message came.
 */
export function toHeld(
  message: StateMessage,
  serverTime: DurationMessage | null | undefined,
  now: number,
): HeldBreaker {
  const left = between(message.retryTime, serverTime);
  const overrideLeft = between(message.overrideExpireTime, serverTime);
  const hasShare = Object.prototype.hasOwnProperty.call(message, 'admitPercent');
  return new HeldBreaker({
    state: toState(message.state),
    mode: toMode(message.mode),
    generation: toBigInt(message.generation),
    revision: toBigInt(message.revision),
    retryAt: left === undefined ? undefined : now + left,
    overrideEndsAt: overrideLeft === undefined ? undefined : now + overrideLeft,
    config: toConfig(message.config, message.effective),
    admitPercent: hasShare ? message.admitPercent : undefined,
    level: message.level
      ? { name: message.level.name, number: message.level.number, serve: message.level.serve }
      : undefined,
  });
}

/** What adapts, or follows a level, is taken as it is just now. */
function toConfig(
  config: ConfigMessage | null | undefined,
  effective: EffectiveMessage | null | undefined,
): BreakerConfig {
  if (!config) return DEFAULT_CONFIG;
  const windowDuration = toMs(config.window?.duration);
  const calls = config.window?.calls ?? 0;
  const slow = toRate(config.slowCallRate);
  return {
    failureThreshold: effective?.failureThreshold ?? config.failureThreshold,
    failureDecay: config.failureDecay,
    consecutiveFailures: config.consecutiveFailures,
    failureRate: toRate(config.failureRate),
    slowCallRate: slow && { ...slow, duration: toMs(config.slowCallRate?.duration) ?? Infinity },
    window:
      windowDuration === undefined
        ? { calls: calls === 0 ? 100 : calls }
        : { duration: windowDuration },
    openDuration:
      toMs(effective?.openDuration ?? config.openDuration) ?? DEFAULT_CONFIG.openDuration,
    successThreshold: effective?.successThreshold ?? config.successThreshold,
    maxProbes: Math.max(effective?.maxProbes ?? config.maxProbes, 1),
    callTimeout: toMs(config.callTimeout) ?? DEFAULT_CONFIG.callTimeout,
    failureErrors: toGlobs(config.failureErrors, DEFAULT_CONFIG.failureErrors),
    ignoredErrors: toGlobs(config.ignoredErrors, DEFAULT_CONFIG.ignoredErrors),
    onUnavailable: toOnUnavailable(config.onUnavailable),
  };
}

function toRate(message: RateMessage | null | undefined): Rate | undefined {
  if (!message || message.percent === 0) return undefined;
  return { percent: message.percent, minimumCalls: message.minimumCalls };
}

function toGlobs(message: { globs: string[] } | null | undefined, otherwise: KindGlobs): KindGlobs {
  return message ? new KindGlobs(message.globs) : otherwise;
}
