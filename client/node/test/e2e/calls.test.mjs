// Guarded calls against a real server: what they give, and what the server then knows of them.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';
import { BreakerOpenError, CallTimeoutError, Client } from '../../dist/index.js';
import { Daemon, eventually } from '../support/daemon.mjs';
import { nothingUnhandled } from '../support/quiet.mjs';

nothingUnhandled();
let daemon;
let client;
let name;
let breaker;
let number = 0;

before(async () => {
  daemon = await Daemon.start();
  client = new Client({ addresses: [daemon.address] });
  assert.ok(await client.ready());
});
after(async () => {
  assert.equal(await client.shutdown(), true);
  await daemon.kill();
});
beforeEach(() => {
  number += 1;
  name = `calls/test-${number}`;
});

/** Makes the breaker of this test, and waits until the client has heard of it. */
async function configured(...sets) {
  daemon.ctl('create', name, ...sets.flatMap((set) => ['--set', set]));
  breaker = client.breaker(name);
  await eventually('the breaker is known', () => breaker.status().state !== 'unknown');
}

/** What the server has counted, once this client has nothing more to say. */
async function metrics() {
  assert.ok(await client.flush());
  const {
    successes,
    failures,
    timeouts,
    ignored,
    last_failure_kind: kind,
  } = daemon.counts(name).metrics;
  return { successes, failures, timeouts, ignored, kind };
}

const boom = () => {
  throw new RangeError('boom');
};

test('sync and async functions give what they give, with arguments and this', async () => {
  await configured();
  assert.equal(await breaker.fire((a, b) => a + b, 1, 2), 3);
  assert.equal(await breaker.fire(async (a) => a, 'x'), 'x');
  const account = {
    balance: 7,
    get: breaker.wrap(async function (plus) {
      return this.balance + plus;
    }),
  };
  assert.equal(await account.get(1), 8);
  await assert.rejects(breaker.fire(boom), RangeError);
  await assert.rejects(
    breaker.fire(async () => boom()),
    RangeError,
  );
  await assert.rejects(
    breaker.fire(() => Promise.reject(undefined)),
    (error) => error === undefined,
  );
  assert.deepEqual(await metrics(), {
    successes: 3,
    failures: 3,
    timeouts: 0,
    ignored: 0,
    kind: 'undefined',
  });
});

test('the first outcome makes a breaker that does not exist', async () => {
  breaker = client.breaker(name);
  assert.equal(breaker.status().state, 'unknown');
  await breaker.fire(() => 1);
  await eventually('the breaker is there', () => breaker.status().state === 'closed');
  assert.equal(breaker.status().generation, 1n);
  assert.equal(client.breaker(name), breaker);
});

test('a call that takes too long rejects, and its signal is aborted', async () => {
  await configured('call_timeout=50ms');
  let signal;
  const late = breaker.run((call) => {
    signal = call.signal;
    assert.equal(call.timeout, 50);
    return sleep(10_000, 'late', { signal });
  });
  await assert.rejects(
    late,
    (error) => error instanceof CallTimeoutError && error.timeout === 50 && error.breaker === name,
  );
  assert.ok(signal.aborted && signal.reason instanceof CallTimeoutError);
  const lasting = await breaker.fire(() => {
    const until = performance.now() + 60;
    while (performance.now() < until);
    return 'blocked the event loop';
  });
  assert.equal(lasting, 'blocked the event loop');
  assert.deepEqual(await metrics(), {
    successes: 0,
    failures: 0,
    timeouts: 2,
    ignored: 0,
    kind: '',
  });
});

test('an aborted call rejects with the reason of the abort, and is ignored', async () => {
  await configured();
  const controller = new AbortController();
  let inner;
  const call = breaker.run(({ signal }) => sleep(10_000, 'late', { signal: (inner = signal) }), {
    signal: controller.signal,
  });
  const reason = new Error('the user went away');
  controller.abort(reason);
  await assert.rejects(call, (error) => error === reason);
  assert.equal(inner.reason, reason);
  const never = breaker.run(() => assert.fail('it is not called'), {
    signal: controller.signal,
    fallback: () => 1,
  });
  await assert.rejects(never, (error) => error === reason);
  await assert.rejects(breaker.fire(() => Promise.reject(new DOMException('x', 'AbortError'))));
  assert.deepEqual(await metrics(), {
    successes: 0,
    failures: 0,
    timeouts: 0,
    ignored: 2,
    kind: '',
  });
});

test('a fallback answers for what was denied, failed or took too long, and for nothing else', async () => {
  await configured('call_timeout=30ms');
  const fallback = (error) => `instead of ${error.name}`;
  assert.equal(await breaker.run(boom, { fallback }), 'instead of RangeError');
  assert.equal(await breaker.run(() => sleep(5_000), { fallback }), 'instead of CallTimeoutError');
  assert.equal(await breaker.run(() => 1, { fallback }), 1);
  const mine = breaker.run(boom, { fallback, classifyError: () => 'ignored' });
  await assert.rejects(mine, RangeError);
  await assert.rejects(
    breaker.run(boom, {
      fallback: () => {
        throw new TypeError('no');
      },
    }),
    TypeError,
  );
  daemon.ctl('force-open', name, '--reason', 'test');
  await eventually('it is open', () => breaker.status().state === 'open');
  assert.equal(await breaker.run(boom, { fallback }), 'instead of BreakerOpenError');
});

test('an application classifies errors and results', async () => {
  await configured('failure_threshold=100');
  const options = {
    classifyError: (error) =>
      error.message === 'mine' ? 'ignored' : { outcome: 'failure', kind: 'db.lost' },
    classifyResult: (result) =>
      result.status >= 500 ? { outcome: 'failure', kind: `http.${result.status}` } : undefined,
  };
  const guarded = breaker.wrap((what) => {
    if (what instanceof Error) throw what;
    return what;
  }, options);
  await assert.rejects(guarded(new Error('mine')));
  await assert.rejects(guarded(new Error('lost')));
  assert.deepEqual(await guarded({ status: 503 }), { status: 503 });
  assert.deepEqual(await guarded({ status: 404 }), { status: 404 });
  assert.equal(
    await breaker.run(() => 1, {
      classifyResult: () => {
        throw new Error('bug');
      },
    }),
    1,
  );
  assert.equal(await breaker.run(() => 1, { classifyResult: () => 'fine' }), 1);
  assert.equal(
    await breaker.run(() => 1, { classifyResult: () => ({ outcome: 'failure', kind: 503 }) }),
    1,
  );
  await assert.rejects(breaker.run(boom, { classifyError: () => ({ outcome: 7 }) }), RangeError);
  assert.deepEqual(await metrics(), {
    successes: 4,
    failures: 3,
    timeouts: 0,
    ignored: 1,
    kind: 'RangeError',
  });
});

test('a breaker trips, denies with all that is known, probes and closes, and listeners hear of it', async () => {
  await configured('failure_threshold=2', 'open_duration=3s', 'success_threshold=1');
  const heard = [];
  for (const event of ['open', 'halfOpen', 'close'])
    breaker.on(event, ({ to }) => heard.push(`${event}: ${to.state}`));
  const all = [];
  const listen = (transition) => transition.breaker === name && all.push(transition.from.state);
  client.on('transition', listen);
  for (let i = 0; i < 2; i += 1) await assert.rejects(breaker.fire(boom));
  await eventually('it is open', () => breaker.status().state === 'open');
  const denied = await breaker.fire(() => assert.fail('it is not called')).catch((error) => error);
  assert.ok(denied instanceof BreakerOpenError && denied instanceof Error);
  const { reason, state, mode, level, serve, breaker: of } = denied;
  assert.deepEqual(
    [reason, state, mode, level, serve, of],
    ['open', 'open', 'normal', undefined, undefined, name],
  );
  assert.ok(denied.retryAfter > 0 && denied.retryAfter <= 3_000);
  await eventually('it is half open', () => breaker.status().state === 'half_open', 10_000);
  const guard = await breaker.acquire();
  assert.ok(guard.probe);
  guard.success();
  guard.failure('this comes too late');
  await eventually('it is closed', () => breaker.status().state === 'closed');
  assert.deepEqual(heard, ['open: open', 'halfOpen: half_open', 'close: closed']);
  assert.deepEqual(all, ['closed', 'open', 'half_open']);
  client.off('transition', listen);
});

test('a denied call serves what the level says', async () => {
  await configured('levels=true');
  daemon.ctl('trip', name, '--reason', 'test');
  await eventually('it is open', () => breaker.status().state === 'open');
  const serve = { degraded: ({ level }) => `${level.name} ${level.number}` };
  assert.equal(await breaker.run(boom, { serve, fallback: () => 'not this' }), 'warning 0');
  assert.equal(await breaker.run(boom, { serve: {}, fallback: () => 'this' }), 'this');
});

test('listeners and loggers that fail harm nothing', async () => {
  await configured();
  const logged = [];
  const other = new Client({
    addresses: [daemon.address],
    logger: (entry) => {
      logged.push(entry.message);
      throw new Error('a logger that throws');
    },
  });
  breaker = other.breaker(name);
  other.on('state', () => {
    throw new Error('a listener that throws');
  });
  other.on('transition', async () => {
    throw new Error('a listener that rejects');
  });
  breaker.on('open', () => Promise.reject(new Error('another one')));
  assert.ok(await other.ready());
  await eventually('it is known', () => breaker.status().state === 'closed');
  for (let i = 0; i < 5; i += 1) await assert.rejects(breaker.fire(boom), RangeError);
  await eventually('it is open', () => breaker.status().state === 'open');
  await sleep(20);
  const failed = logged.filter((message) => message.includes('failed')).sort();
  assert.deepEqual(
    failed,
    ['open', 'state', 'transition'].map((event) => `a listener of \`${event}\` failed`),
  );
  await other.shutdown();
});

test('a guard without an end is ignored: when it is disposed of, and when it is lost', async () => {
  await configured();
  const disposed = await breaker.acquire();
  disposed[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
  v8.setFlagsFromString('--expose-gc');
  const gc = vm.runInNewContext('gc');
  await (async () => void (await breaker.acquire()))();
  await eventually('the lost guard is noticed', async () => {
    gc();
    await sleep(10);
    return (await metrics()).ignored === 2;
  });
});

test('a guard ends as it is told', async () => {
  await configured('failure_threshold=100');
  const ends = [
    (guard) => guard.success(),
    (guard) => guard.failure(new RangeError('x')),
    (guard) => guard.failure('http.503'),
    (guard) => guard.timeout(),
    (guard) => guard.ignored(),
  ];
  for (const end of ends) {
    const guard = await breaker.acquire();
    assert.equal(guard.callTimeout, 10_000);
    end(guard);
  }
  const { successes, failures, timeouts, ignored } = await metrics();
  assert.deepEqual([successes, failures, timeouts, ignored], [1, 2, 1, 1]);
});

test('a name that breaks a rule is refused when it is asked for', () => {
  assert.throws(() => client.breaker('stripe'), /one part/);
});
