// @ts-check
// What can be done to breakers, in the words of the protocol.

/**
 * What can be done to a breaker. By the name of its request: `mode` is what an override makes of it.
 * @type {Record<string, { title: string, done: string, text: string, mode?: string, danger?: boolean }>}
 */
export const ACTIONS = {
  forceOpen: {
    mode: 'FORCED_OPEN',
    title: 'Force open',
    done: 'forced open',
    text: 'Every call is denied until Release or the end of the time to live.',
    danger: true,
  },
  forceClose: {
    mode: 'FORCED_CLOSED',
    title: 'Force close',
    done: 'forced closed',
    text: 'Every call is allowed until Release or the end of the time to live.',
  },
  disable: {
    mode: 'DISABLED',
    title: 'Disable',
    done: 'disabled',
    text: 'Every call is allowed and only metrics are recorded, until Release or the end of the time to live.',
  },
  shadow: {
    mode: 'SHADOW',
    title: 'Shadow',
    done: 'put into SHADOW',
    text: 'Transitions happen but no call is denied, until Release or the end of the time to live.',
  },
  release: {
    title: 'Release',
    done: 'released',
    text: 'Ends the override: FORCED_OPEN goes to HALF_OPEN, to probe first, every other mode to CLOSED. Breakers without an override stay as they are.',
  },
  trip: {
    title: 'Trip',
    done: 'tripped',
    text: 'OPEN now, for the open duration; the automatic life goes on.',
    danger: true,
  },
  reset: {
    title: 'Reset',
    done: 'reset',
    text: 'CLOSED now, with fresh counters and on the first level; the automatic life goes on.',
  },
};
