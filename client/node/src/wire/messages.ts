import { Root, type Type } from 'protobufjs/light';

import * as schema from '../schema.json';

// The shapes that protobufjs gives and takes. Only what the client reads or writes is named.

/** A 64-bit number, exactly. */
export interface Wide {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

export interface DurationMessage {
  seconds: Wide | number;
  nanos: number;
}

export interface RateMessage {
  percent: number;
  minimumCalls: number;
}

export interface ConfigMessage {
  failureThreshold: number;
  failureDecay: number;
  consecutiveFailures: number;
  failureRate?: RateMessage | null;
  slowCallRate?: (RateMessage & { duration?: DurationMessage | null }) | null;
  window?: { calls: number; duration?: DurationMessage | null } | null;
  openDuration?: DurationMessage | null;
  successThreshold: number;
  maxProbes: number;
  callTimeout?: DurationMessage | null;
  failureErrors?: { globs: string[] } | null;
  ignoredErrors?: { globs: string[] } | null;
  onUnavailable: number;
}

export interface EffectiveMessage {
  failureThreshold: number;
  openDuration?: DurationMessage | null;
  successThreshold: number;
  maxProbes: number;
}

export interface LevelMessage {
  name: string;
  number: number;
  serve: string;
}

export interface StateMessage {
  name: string;
  state: number;
  mode: number;
  generation: Wide;
  revision: Wide;
  retryTime?: DurationMessage | null;
  overrideExpireTime?: DurationMessage | null;
  config?: ConfigMessage | null;
  effective?: EffectiveMessage | null;
  admitPercent: number;
  level?: LevelMessage | null;
}

export interface WatchResponseMessage {
  changed: StateMessage[];
  deleted: string[];
  snapshotComplete: boolean;
  reset: boolean;
  resumeToken: Uint8Array;
  serverTime?: DurationMessage | null;
}

export interface AcquireResponseMessage {
  allowed: boolean;
  reason: number;
  state: number;
  mode: number;
  generation: Wide;
  permit?: { id: Wide; timeLeft?: DurationMessage | null } | null;
  retryAfter?: DurationMessage | null;
  level?: LevelMessage | null;
  settings?: {
    callTimeout?: DurationMessage | null;
    slowCallDuration?: DurationMessage | null;
  } | null;
}

export interface RunMessage {
  outcome: number;
  count: number;
  totalDuration: DurationMessage;
  maxDuration: DurationMessage;
  slowCount: number;
  errorKind: string;
  age: DurationMessage;
  permitId: Wide;
}

export interface ReportRequestMessage {
  reporterId: string;
  sequence: number;
  reports: { breaker: string; generation: Wide; runs: RunMessage[]; late: boolean }[];
}

export interface ReportResponseMessage {
  states: StateMessage[];
  serverTime?: DurationMessage | null;
}

export interface ErrorInfoMessage {
  reason: string;
  domain: string;
  metadata: Record<string, string>;
}

/** What of google.rpc the client reads. */
const RPC = {
  nested: {
    Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: {
      fields: {
        code: { type: 'int32', id: 1 },
        message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Any', id: 3 },
      },
    },
    ErrorInfo: {
      fields: {
        reason: { type: 'string', id: 1 },
        domain: { type: 'string', id: 2 },
        metadata: { keyType: 'string', type: 'string', id: 3 },
      },
    },
  },
};

/** A message that is written. */
export class Written<T extends object> {
  constructor(readonly type: Type) {}

  encode(message: T): Uint8Array {
    return this.type.encode(message).finish();
  }
}

/** A message that is read. A field that the sender left out has its default. */
export class Read<T> {
  constructor(readonly type: Type) {}

  /** @throws Error if the bytes are not such a message. */
  decode(bytes: Uint8Array): T {
    return this.type.decode(bytes) as unknown as T;
  }
}

const root = Root.fromJSON(schema);
const rpc = Root.fromJSON(RPC);
const type = (name: string): Type => root.lookupType(`breaker.v1.${name}`);

export const WatchRequest = new Written<{ selectors: readonly string[]; resumeToken: Uint8Array }>(
  type('WatchRequest'),
);
export const WatchResponse = new Read<WatchResponseMessage>(type('WatchResponse'));
export const AcquireRequest = new Written<{ breaker: string; clientId: string }>(
  type('AcquireRequest'),
);
export const AcquireResponse = new Read<AcquireResponseMessage>(type('AcquireResponse'));
export const ReportRequest = new Written<ReportRequestMessage>(type('ReportRequest'));
export const ReportResponse = new Read<ReportResponseMessage>(type('ReportResponse'));
export const RpcStatus = new Read<{ details: { typeUrl: string; value: Uint8Array }[] }>(
  rpc.lookupType('Status'),
);
export const ErrorInfo = new Read<ErrorInfoMessage>(rpc.lookupType('ErrorInfo'));
