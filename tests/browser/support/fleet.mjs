// A small fleet in which something of everything has happened.

export const NAMES = [
  'payments/stripe',
  'payments/adyen',
  'payments/ledger',
  'search/index',
  'search/suggest',
  'media/cdn',
  'inventory/warehouse',
];

export async function fill(daemon) {
  await daemon.api('POST', 'policies', {
    name: 'payments',
    selector: 'payments/*',
    priority: 10,
    // It stays OPEN for as long as the tests last.
    config: { failure_threshold: 3, open_duration: '3600s' },
    alerts: { forced_too_long: '60s' },
  });
  await daemon.api('POST', 'policies', {
    name: 'levels',
    selector: 'inventory/*',
    priority: 5,
    config: { levels: {} },
  });
  await daemon.report(NAMES.map((breaker) => ({ breaker, count: 40 })));
  await daemon.report([
    { breaker: 'payments/stripe', outcome: 'FAILURE', count: 3 },
    { breaker: 'search/index', outcome: 'TIMEOUT', seconds: 11 },
  ]);
  await daemon.act('forceOpen', 'media/cdn', { time_to_live: '600s' });
  await daemon.act('shadow', 'search/suggest');
}
