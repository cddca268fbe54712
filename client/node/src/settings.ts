import { randomBytes } from 'node:crypto';

import type { LocalGuardConfig } from './config';
import type { Logger } from './events';
import { checkSelector, MAX_SELECTORS } from './names';
import { type Address, parseAddress, type TlsOptions } from './transport/address';
import type { ClassifyError, ClassifyResult } from './verdict';
import type { OnUnavailable } from './words';

/** How a client is built. Every duration is in milliseconds. */
export interface ClientOptions {
  /** The servers, `host:port` each [`127.0.0.1:7420`]; they are tried in this order. */
  addresses?: readonly string[];
  /** Which process this is, for logs and metrics, 200 bytes at most [`node-PID-RANDOM`]. */
  clientId?: string;
  /** Names and globs (`payments/*`) that are watched besides the breakers that are asked for [none]. */
  selectors?: readonly string[];
  /** How calls are decided in FALLBACK where the breaker's own configuration does not say [`local`]. */
  onUnavailable?: OnUnavailable;
  /** Sent as `authorization: Bearer …`; a function is asked for each request. */
  token?: string | (() => string);
  /** Speaks TLS; `true` trusts whom Node trusts. */
  tls?: boolean | TlsOptions;
  /** A second breaker in this process beside the fleet's; `true` with the breaker's configuration [off]. */
  localGuard?: boolean | LocalGuardConfig;
  /** A stream that is silent for so long is cut [15,000]. */
  staleAfter?: number;
  /** STALE for so long is FALLBACK [60,000]. */
  maxStaleness?: number;
  /** How long a call waits for a permit at most [250]. */
  permitTimeout?: number;
  /** A report that was not answered in this time is repeated [1,000]. */
  requestTimeout?: number;
  /** Outcomes that are not urgent are reported within this time [1,000]. */
  reportInterval?: number;
  /** The wait between two attempts, at first and at most [100, 5,000]. */
  backoffLeast?: number;
  backoffMost?: number;
  /** How many calls' errors are classified, unless a call says otherwise. */
  classifyError?: ClassifyError;
  /** The same for results. */
  classifyResult?: ClassifyResult;
  /** Hears what goes wrong inside the client. Without it the client says nothing. */
  logger?: Logger;
}

/** The options, checked, with everything set. */
export interface Settings {
  readonly addresses: readonly Address[];
  readonly clientId: string;
  readonly reporterId: string;
  readonly selectors: readonly string[];
  readonly onUnavailable: OnUnavailable;
  readonly authorization: () => string | undefined;
  readonly tls: TlsOptions | undefined;
  readonly localGuard: LocalGuardConfig | undefined;
  readonly staleAfter: number;
  readonly maxStaleness: number;
  readonly permitTimeout: number;
  readonly requestTimeout: number;
  readonly reportInterval: number;
  readonly backoffLeast: number;
  readonly backoffMost: number;
  readonly classifyError: ClassifyError | undefined;
  readonly classifyResult: ClassifyResult | undefined;
  readonly logger: Logger | undefined;
}

const MAX_ID_BYTES = 200;
/** What the reporter id adds to the client's. */
const SUFFIX_BYTES = 1 + 16;
const ON_UNAVAILABLE: readonly unknown[] = ['allow', 'deny', 'local'];

/** @throws TypeError that names the option that is wrong, and why. */
export function toSettings(options: ClientOptions): Settings {
  const { addresses = ['127.0.0.1:7420'], selectors = [], onUnavailable = 'local' } = options;
  const { clientId = `node-${process.pid}-${randomBytes(4).toString('hex')}`, token } = options;
  if (Buffer.byteLength(clientId) > MAX_ID_BYTES) {
    throw new TypeError(`\`clientId\` is longer than ${MAX_ID_BYTES} bytes`);
  }
  if (!ON_UNAVAILABLE.includes(onUnavailable)) {
    throw new TypeError(`\`onUnavailable\` is ${onUnavailable}; it is allow, deny or local`);
  }
  selectors.forEach(checkSelector);
  if (selectors.length > MAX_SELECTORS) {
    throw new TypeError(`${selectors.length} selectors; at most ${MAX_SELECTORS} are allowed`);
  }
  const parsed = addresses.map(parseAddress);
  const read = typeof token === 'function' ? token : () => token;
  return {
    addresses: parsed,
    clientId,
    reporterId: `${cut(clientId)}-${randomBytes(8).toString('hex')}`,
    selectors: [...selectors],
    onUnavailable,
    authorization: () => {
      const text = read();
      return text === undefined ? undefined : `Bearer ${text}`;
    },
    tls: toTls(options.tls, parsed),
    localGuard: toLocalGuard(options.localGuard),
    staleAfter: duration('staleAfter', options.staleAfter, 15_000),
    maxStaleness: duration('maxStaleness', options.maxStaleness, 60_000),
    permitTimeout: duration('permitTimeout', options.permitTimeout, 250),
    requestTimeout: duration('requestTimeout', options.requestTimeout, 1_000),
    reportInterval: duration('reportInterval', options.reportInterval, 1_000),
    backoffLeast: duration('backoffLeast', options.backoffLeast, 100),
    backoffMost: duration('backoffMost', options.backoffMost, 5_000),
    classifyError: options.classifyError,
    classifyResult: options.classifyResult,
    logger: options.logger,
  };
}

function duration(option: string, value: number | undefined, otherwise: number): number {
  const ms = value ?? otherwise;
  if (typeof ms === 'number' && ms > 0 && Number.isFinite(ms)) return ms;
  throw new TypeError(`\`${option}\` is ${String(ms)}; it is a number of milliseconds above 0`);
}

/** One client speaks TLS with all servers or with none, those that a server names included. */
function toTls(
  tls: boolean | TlsOptions | undefined,
  addresses: readonly Address[],
): TlsOptions | undefined {
  const asked =
    tls === undefined ? addresses.some(({ isSecure }) => isSecure === true) : tls !== false;
  for (const { text, isSecure } of addresses) {
    if (isSecure === undefined || isSecure === asked) continue;
    throw new TypeError(
      `the scheme of ${text} does not go with \`tls\`, or with the other addresses`,
    );
  }
  if (!asked) return undefined;
  return typeof tls === 'object' ? tls : {};
}

function toLocalGuard(guard: boolean | LocalGuardConfig | undefined): LocalGuardConfig | undefined {
  if (guard === undefined || guard === false) return undefined;
  return guard === true ? {} : guard;
}

/** Leaves room for the suffix, without cutting a character in two. */
function cut(clientId: string): string {
  const bytes = Buffer.from(clientId);
  if (bytes.length + SUFFIX_BYTES <= MAX_ID_BYTES) return clientId;
  let end = MAX_ID_BYTES - SUFFIX_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
