// The words of the protocol, as an application reads and writes them.

/** The state of a breaker: `closed` lets calls flow, `open` refuses them, `half_open` probes. */
export type State = 'closed' | 'open' | 'half_open';

/** What an operator made of a breaker. */
export type Mode = 'normal' | 'forced_open' | 'forced_closed' | 'disabled' | 'shadow';

/** What became of a call. */
export type Outcome = 'success' | 'failure' | 'timeout' | 'ignored';

/** How calls are decided while breakerd is away. */
export type OnUnavailable = 'allow' | 'deny' | 'local';

/** The state of the client: how fresh its copy of the breakers is. */
export type ClientState = 'ready' | 'stale' | 'fallback';

/** Why a call was denied. */
export type DenialReason =
  'open' | 'no_permit' | 'ramp' | 'forced_open' | 'unavailable' | 'local_open';

/** The level of a breaker that has levels. */
export interface Level {
  /** Its name, such as `critical`. */
  readonly name: string;
  /** Its number, from 0: the first is where a breaker lives. */
  readonly number: number;
  /** The word for what to serve while calls are denied, such as `degraded`. */
  readonly serve: string;
}

/** What a breaker was, or has become. */
export interface Standing {
  readonly state: State;
  readonly mode: Mode;
  /** The number of the level; `undefined` where the breaker has no levels. */
  readonly level: number | undefined;
}

/** A change of a breaker in the copy. */
export interface Transition {
  /** The breaker's name. */
  readonly breaker: string;
  readonly from: Standing;
  readonly to: Standing;
}

/** A change of the client's own state. */
export interface StateChange {
  readonly from: ClientState;
  readonly to: ClientState;
}
