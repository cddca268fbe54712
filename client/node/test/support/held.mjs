import { DEFAULT_CONFIG } from '../../dist/config.js';
import { HeldBreaker } from '../../dist/held.js';

/** What the copy holds of a breaker, with what a test does not care about left as it usually is. */
export function held({ config, ...more } = {}) {
  return new HeldBreaker({
    state: 'closed',
    mode: 'normal',
    generation: 1n,
    revision: 1n,
    retryAt: undefined,
    overrideEndsAt: undefined,
    admitPercent: undefined,
    level: undefined,
    ...more,
    config: { ...DEFAULT_CONFIG, ...config },
  });
}
