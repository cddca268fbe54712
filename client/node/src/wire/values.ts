import type { DurationMessage, Wide } from './messages';

const NANOS_PER_MS = 1_000_000;

/** A 64-bit number as it is kept: a bigint, which loses nothing. */
export function toBigInt(wide: Wide): bigint {
  return (BigInt(wide.high >>> 0) << 32n) | BigInt(wide.low >>> 0);
}

/** A 64-bit number as protobufjs writes it. */
export function fromBigInt(value: bigint): Wide {
  const low = Number(BigInt.asUintN(32, value)) | 0;
  const high = Number(BigInt.asUintN(32, value >> 32n)) | 0;
  return { low, high, unsigned: true };
}

/** Seconds lie far within what a number holds exactly. */
function toSeconds(seconds: Wide | number): number {
  return typeof seconds === 'number' ? seconds : seconds.high * 2 ** 32 + (seconds.low >>> 0);
}

/** A duration in milliseconds; `undefined` where none is set. */
export function toMs(message: DurationMessage | null | undefined): number | undefined {
  if (!message) return undefined;
  return toSeconds(message.seconds) * 1_000 + message.nanos / NANOS_PER_MS;
}

/** A duration of so many milliseconds, never below 0. */
export function fromMs(ms: number): DurationMessage {
  const nanos = Math.max(Math.round(ms * NANOS_PER_MS), 0);
  const seconds = Math.floor(nanos / 1_000_000_000);
  return { seconds, nanos: nanos - seconds * 1_000_000_000 };
}

/**
 * How many milliseconds one instant of the server lies after another one. Seconds are subtracted
 * first: as milliseconds since 1970 with a fraction they would not be exact.
 */
export function between(
  later: DurationMessage | null | undefined,
  earlier: DurationMessage | null | undefined,
): number | undefined {
  if (!later || !earlier) return undefined;
  const seconds = toSeconds(later.seconds) - toSeconds(earlier.seconds);
  return seconds * 1_000 + (later.nanos - earlier.nanos) / NANOS_PER_MS;
}
