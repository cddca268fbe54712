import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_CONFIG, localGuardConfig } from '../../dist/config.js';
import { LocalBreaker } from '../../dist/local.js';
import { KindGlobs } from '../../dist/names.js';

/** A breaker, and what happens to it: `s` success, `f` failure, `t` timeout, `i` ignored, `.` 100 ms. */
function play(config, story, { begin = 'closed', duration = 0 } = {}) {
  const breaker = new LocalBreaker({ ...DEFAULT_CONFIG, ...config }, begin);
  const outcomes = { s: 'success', f: 'failure', t: 'timeout', i: 'ignored' };
  let now = 0;
  let denied = 0;
  for (const step of story) {
    if (step === '.') {
      now += 100;
      continue;
    }
    const { ticket } = breaker.acquire(now);
    if (ticket === undefined) denied += 1;
    else breaker.record(ticket, outcomes[step], 'Kind', duration, now);
  }
  return `${breaker.state} ${denied}`;
}

test('failures trip by their count, in a row, and by their share', () => {
  const cases = [
    [{}, 'ffff', 'closed 0'],
    [{}, 'fffff', 'open 0'],
    [{}, 'ffffsf', 'closed 0'],
    [{}, 'ffffsff', 'open 0'],
    [{ failureDecay: 0 }, 'ffffsf', 'open 0'],
    [{}, 'ffffiiit', 'open 0'],
    [{ failureThreshold: 0 }, 'ffffffffff', 'closed 0'],
    [{ failureThreshold: 0, consecutiveFailures: 3 }, 'ffsff', 'closed 0'],
    [{ failureThreshold: 0, consecutiveFailures: 3 }, 'ffsfff', 'open 0'],
    [{ failureThreshold: 0, failureRate: { percent: 50, minimumCalls: 4 } }, 'fff', 'closed 0'],
    [{ failureThreshold: 0, failureRate: { percent: 50, minimumCalls: 4 } }, 'ssff', 'open 0'],
    // The window is the last four: the successes have left it.
    [
      { failureThreshold: 0, window: { calls: 4 }, failureRate: { percent: 75, minimumCalls: 4 } },
      'sssssff',
      'closed 0',
    ],
    [
      { failureThreshold: 0, window: { calls: 4 }, failureRate: { percent: 75, minimumCalls: 4 } },
      'sssssfff',
      'open 0',
    ],
    [
      {
        failureThreshold: 0,
        window: { duration: 1_000 },
        failureRate: { percent: 60, minimumCalls: 2 },
      },
      'ss...........ff',
      'open 0',
    ],
    [
      {
        failureThreshold: 0,
        window: { duration: 1_000 },
        failureRate: { percent: 60, minimumCalls: 2 },
      },
      'ss.....ff',
      'closed 0',
    ],
    [{ failureErrors: new KindGlobs(['Other']) }, 'ffffff', 'closed 0'],
    [{ ignoredErrors: new KindGlobs(['Ki*']) }, 'ffffff', 'closed 0'],
  ];
  for (const [config, story, expected] of cases) {
    assert.equal(play(config, story), expected, `${story} under ${JSON.stringify(config)}`);
  }
});

test('slow calls trip whatever their outcome', () => {
  const config = { slowCallRate: { percent: 50, minimumCalls: 2, duration: 1_000 } };
  assert.equal(play(config, 'ss', { duration: 1_000 }), 'closed 0');
  assert.equal(play(config, 'ss', { duration: 1_001 }), 'open 0');
});

test('OPEN denies until it ends, then probes decide', () => {
  const config = { failureThreshold: 1, openDuration: 300, successThreshold: 2, maxProbes: 2 };
  const cases = [
    ['f..s', 'open 1'],
    ['f...s', 'half_open 0'],
    ['f...ss', 'closed 0'],
    ['f...sf', 'open 0'],
    ['f...sfs', 'open 1'],
    ['f...ii', 'half_open 0'],
    ['f...sssf', 'open 0'],
  ];
  for (const [story, expected] of cases) assert.equal(play(config, story), expected, story);
  assert.equal(play(config, 'ss', { begin: 'half_open' }), 'closed 0');
  assert.equal(play(config, 'f', { begin: 'half_open' }), 'open 0');
});

test('no more probes are out than may be, and one that never comes back is a timeout', () => {
  const breaker = new LocalBreaker(
    { ...DEFAULT_CONFIG, maxProbes: 2, callTimeout: 100 },
    'half_open',
  );
  const [first, second] = [breaker.acquire(0).ticket, breaker.acquire(50).ticket];
  assert.ok(first.isProbe && second.isProbe);
  assert.equal(breaker.acquire(60).ticket, undefined);
  breaker.record(second, 'ignored', '', 0, 70);
  assert.ok(breaker.acquire(80).ticket, 'an ignored probe gives its place back');
  const { ticket, retryAfter } = breaker.acquire(101);
  assert.equal(ticket, undefined);
  assert.equal(breaker.state, 'open');
  assert.equal(retryAfter, 60_000 - 1);
  breaker.record(first, 'success', '', 0, 102);
  assert.equal(breaker.state, 'open', 'an outcome of an older state moves nothing');
});

test('a changed configuration keeps the counts, and begins windows anew that are to be others', () => {
  const breaker = new LocalBreaker(DEFAULT_CONFIG, 'closed');
  const fail = () => breaker.record(breaker.acquire(0).ticket, 'failure', '', 0, 0);
  fail();
  breaker.reconfigure({ ...DEFAULT_CONFIG, failureThreshold: 2 });
  fail();
  assert.equal(breaker.state, 'open');
});

test('a local guard has its own configuration over that of the breaker', () => {
  const breakers = { ...DEFAULT_CONFIG, openDuration: 7 };
  const own = localGuardConfig(
    { failureThreshold: 9, successThreshold: 1, ignoredErrors: ['x'] },
    breakers,
  );
  assert.deepEqual([own.failureThreshold, own.maxProbes, own.openDuration], [9, 1, 7]);
  assert.ok(own.ignoredErrors.matches('x') && own.failureErrors.matches('y'));
});
