// What an application notices of a server that is away: nothing but the state of the client.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BreakerOpenError, Client } from '../../dist/index.js';
import { Daemon, eventually } from '../support/daemon.mjs';
import { nothingUnhandled } from '../support/quiet.mjs';

nothingUnhandled();
const NOBODY = '127.0.0.1:1';
let clients = [];
let daemons = [];

afterEach(async () => {
  await Promise.all(clients.map((client) => client.shutdown(100)));
  for (const daemon of daemons) await daemon.kill();
  [clients, daemons] = [[], []];
});

async function start(options) {
  const daemon = await Daemon.start(options);
  daemons.push(daemon);
  return daemon;
}
function connect(options) {
  const client = new Client(options);
  clients.push(client);
  return client;
}
/** Makes 200 calls. None waits for anything: each is made, or denied, before the event loop turns. */
async function callWithoutWaiting(breaker) {
  for (let i = 0; i < 200; i += 1) {
    let isSettled = false;
    const settle = () => (isSettled = true);
    breaker
      .fire(() => 1)
      .then(settle, (error) => settle(assert.ok(error instanceof BreakerOpenError)));
    for (let turn = 0; turn < 10; turn += 1) await null;
    assert.ok(isSettled);
  }
}

test('where nobody listens calls are decided at once, and nothing is said', async () => {
  const client = connect({ addresses: [NOBODY] });
  const breaker = client.breaker('away/nobody');
  assert.equal(client.state, 'fallback');
  await callWithoutWaiting(breaker);
  assert.equal(await client.ready(50), false);
  for (let i = 0; i < 5; i += 1)
    await assert.rejects(breaker.fire(() => Promise.reject(new Error('x'))));
  await assert.rejects(
    breaker.fire(() => 1),
    { name: 'BreakerOpenError', reason: 'local_open', state: 'open' },
  );
  assert.equal(breaker.status().source, 'fallback');
  const denying = connect({ addresses: [NOBODY], onUnavailable: 'deny' }).breaker('away/nobody');
  await assert.rejects(
    denying.fire(() => 1),
    { reason: 'unavailable' },
  );
});

test('a killed server: no call fails or waits, and all arrives when it is back', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'breakerd-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const database = `sqlite://${join(folder, 'breakerd.db')}`;
  const first = await start({ database });
  first.ctl('create', 'away/killed');
  const states = [];
  const client = connect({ addresses: [first.address], maxStaleness: 3_000 });
  client.on('state', ({ to }) => states.push(to));
  const breaker = client.breaker('away/killed');
  assert.ok(await client.ready());
  await eventually('the breaker is known', () => breaker.status().state === 'closed');
  await first.kill();
  await eventually('it is noticed', () => client.state === 'stale');
  await callWithoutWaiting(breaker);
  await eventually('FALLBACK begins', () => client.state === 'fallback', 10_000);
  await callWithoutWaiting(breaker);
  const second = await start({ listen: first.address, database });
  await eventually('it is READY again', () => client.state === 'ready', 10_000);
  assert.deepEqual(states, ['ready', 'stale', 'fallback', 'ready']);
  await eventually('the outcomes have arrived', async () => {
    await client.flush();
    const { metrics } = second.counts('away/killed');
    return metrics.successes === 400;
  });
  assert.equal(client.outcomesGivenUp, 0);
});

test('a hung server: calls of a CLOSED or OPEN breaker never wait', async () => {
  const daemon = await start();
  daemon.ctl('create', 'away/open');
  daemon.ctl('trip', 'away/open', '--reason', 'test');
  const client = connect({ addresses: [daemon.address], staleAfter: 300, maxStaleness: 3_000 });
  const [closed, open] = [client.breaker('away/closed'), client.breaker('away/open')];
  assert.ok(await client.ready());
  await eventually('both are known', () => open.status().state === 'open');
  daemon.hang();
  for (const expected of ['stale', 'fallback']) {
    await callWithoutWaiting(closed);
    await callWithoutWaiting(open);
    await eventually(`it is ${expected}`, () => client.state === expected, 10_000);
  }
  daemon.goOn();
  await eventually('it is READY again', () => client.state === 'ready', 10_000);
});

test('a hung server: a call of a HALF_OPEN breaker waits for the permit and no longer', async () => {
  const daemon = await start();
  daemon.ctl(
    'create',
    'away/half',
    '--set',
    'open_duration=100ms',
    '--set',
    'on_unavailable=allow',
    '--set',
    'max_probes=2',
  );
  daemon.ctl('trip', 'away/half', '--reason', 'test');
  const client = connect({ addresses: [daemon.address], requestTimeout: 10_000 });
  const breaker = client.breaker('away/half');
  await client.ready();
  await eventually('it is half open', () => breaker.status().state === 'half_open');
  daemon.hang();
  const began = performance.now();
  const calls = Array.from({ length: 10 }, () =>
    breaker.fire(() => 'made').catch(({ reason }) => reason),
  );
  const answers = await Promise.all(calls);
  assert.ok(performance.now() - began < 5_000);
  assert.deepEqual(answers.sort(), [...Array(2).fill('made'), ...Array(8).fill('no_permit')]);
  daemon.goOn();
  await eventually('the late permits are back', () => daemon.counts('away/half').permits_out === 0);
});

test('the next address serves while the first is away', async () => {
  const daemon = await start();
  const client = connect({ addresses: [NOBODY, daemon.address] });
  const breaker = client.breaker('away/second');
  assert.ok(await client.ready());
  await breaker.fire(() => 1);
  assert.ok(await client.flush());
  assert.equal(daemon.counts('away/second').metrics.successes, 1);
});

test('after shutdown calls go on as in FALLBACK, and are not reported', async () => {
  const daemon = await start();
  const client = connect({ addresses: [daemon.address] });
  const breaker = client.breaker('away/over');
  await client.ready();
  const guard = await breaker.acquire();
  await breaker.fire(() => 1);
  assert.equal(await client.shutdown(), true);
  guard.success();
  assert.equal(await breaker.fire(() => 2), 2);
  assert.equal(client.state, 'fallback');
  assert.equal(await client.ready(10), false);
  assert.equal(await client.shutdown(), true);
  client.breaker('away/new');
  await sleep(50);
  assert.equal(daemon.counts('away/over').metrics.successes, 1);
});
