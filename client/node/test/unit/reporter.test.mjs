import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Backoff } from '../../dist/backoff.js';
import { halved, Reporter } from '../../dist/reporter.js';
import { Run } from '../../dist/runs.js';
import { RpcError } from '../../dist/transport/rpc-error.js';
import { ReportRequest } from '../../dist/wire/messages.js';
import { toBigInt, toMs } from '../../dist/wire/values.js';
import { TestClock, settled } from '../support/clock.mjs';

let clock;
let sent;
let answer;
let reporter;
const logged = [];

beforeEach(() => {
  clock = new TestClock();
  sent = [];
  answer = () => new Uint8Array();
  reporter = new Reporter({
    clock,
    reporterId: 'me',
    reportInterval: 1_000,
    requestTimeout: 1_000,
    backoff: () => new Backoff(100, 5_000, () => 0),
    answered: () => {},
    log: (entry) => logged.push(entry),
    send: async (bytes) => {
      const { sequence, reports } = ReportRequest.type.decode(bytes);
      sent.push({ at: clock.now() - 1_000, sequence: Number(toBigInt(sequence)), reports });
      return answer(reports);
    },
  });
});

const push = (more = {}) => {
  const ended = {
    breaker: 'a/x',
    generation: 1n,
    permit: 0n,
    outcome: 'success',
    kind: '',
    isSlow: false,
    duration: 1,
  };
  reporter.waiting.push(new Run({ ...ended, endedAt: clock.now(), ...more }));
};
const fail = (more) => {
  push({ outcome: 'failure', ...more });
  reporter.prompt();
};
const succeed = () => {
  push();
  reporter.soon();
};
const times = () => sent.map(({ at }) => Math.round(at));

test('a failure goes out within 10 ms, with all that waits, and successes within a second', async () => {
  succeed();
  await clock.pass(300);
  fail();
  await clock.pass(10);
  assert.equal(sent.length, 1);
  assert.deepEqual(
    sent[0].reports[0].runs.map(({ outcome }) => outcome),
    [1, 2],
  );
  succeed();
  await clock.pass(990);
  assert.equal(sent.length, 1);
  await clock.pass(10);
  assert.equal(sent.length, 2);
  await clock.pass(10_000);
  assert.equal(sent.length, 2, 'nothing to say, nothing said');
});

test('five prompt reports go at once, and then five a second', async () => {
  for (let i = 0; i < 200; i += 1) {
    fail();
    await clock.pass(10);
  }
  const inTwoSeconds = times().filter((at) => at < 2_000).length;
  assert.ok(inTwoSeconds >= 13 && inTwoSeconds <= 16, `${inTwoSeconds}`);
  assert.ok(times()[4] <= 60, 'the first five are not held up');
  const count = sent.flatMap(({ reports }) => reports).flatMap(({ runs }) => runs).length;
  assert.ok(count >= 180);
});

test('one report is in flight, and what ends meanwhile waits for the next', async () => {
  let release;
  answer = () => new Promise((resolve) => (release = resolve));
  fail();
  await clock.pass(10);
  fail();
  succeed();
  await clock.pass(500);
  assert.equal(sent.length, 1);
  release(new Uint8Array());
  await clock.pass(10);
  assert.equal(sent.length, 2);
  assert.deepEqual(
    sent.map(({ sequence }) => sequence),
    [1, 2],
  );
});

test('a report without an answer is repeated as it was, with ages as they are then', async () => {
  answer = () => Promise.reject(new RpcError('UNAVAILABLE', 'away'));
  fail();
  await clock.pass(20_000);
  answer = () => new Uint8Array();
  await clock.pass(5_000);
  const repeated = sent.map(({ sequence, reports }) => [sequence, reports.length, reports[0].late]);
  assert.deepEqual(
    repeated,
    sent.map(() => [1, 1, false]),
    'history that was fresh at first stays so',
  );
  assert.deepEqual(times().slice(0, 6), [5, 105, 305, 705, 1_505, 3_105]);
  const ages = sent.map(({ reports }) => Math.round(toMs(reports[0].runs[0].age)));
  assert.deepEqual(ages, times());
  assert.ok(reporter.isIdle);
});

test('of a report that is refused only what is wrong itself is given up', async () => {
  answer = (reports) => {
    const isWrong = reports.some(({ runs }) => runs.some(({ errorKind }) => errorKind === 'bad'));
    return isWrong ? Promise.reject(new RpcError('INVALID_ARGUMENT', 'bad')) : new Uint8Array();
  };
  for (let i = 0; i < 40; i += 1)
    push({ breaker: `a/${i % 3}`, kind: i === 17 ? 'bad' : `good ${i}`, outcome: 'failure' });
  reporter.prompt();
  await clock.pass(10);
  assert.equal(reporter.givenUp, 1);
  assert.ok(reporter.isIdle);
  const delivered = sent
    .filter(({ reports }) =>
      reports.every(({ runs }) => runs.every(({ errorKind }) => errorKind !== 'bad')),
    )
    .flatMap(({ reports }) =>
      reports.flatMap(({ breaker, runs }) => runs.map(({ errorKind }) => [breaker, errorKind])),
    );
  assert.equal(delivered.length, 39);
  for (const name of ['a/0', 'a/1', 'a/2']) {
    const numbers = delivered
      .filter(([breaker]) => breaker === name)
      .map(([, kind]) => Number(kind.slice(5)));
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
      `the order of ${name}`,
    );
  }
  assert.equal(
    new Set(sent.map(({ sequence }) => sequence)).size,
    sent.length,
    'each has its own number',
  );
  assert.ok(logged.length > 0);
});

test('halves keep the order and lose nothing', () => {
  const part = (breaker, count) => ({
    breaker,
    generation: 1n,
    late: false,
    runs: Array.from({ length: count }, (_, at) => `${breaker}${at}`),
  });
  assert.deepEqual(halved([part('a', 1)]), []);
  const halves = halved([part('a', 3), part('b', 2), part('c', 2)]);
  assert.deepEqual(
    halves.map((half) => half.flatMap(({ runs }) => runs)),
    [
      ['a0', 'a1', 'a2'],
      ['b0', 'b1', 'c0', 'c1'],
    ],
  );
});

test('a flush sends at once, and says whether all got there', async () => {
  succeed();
  const good = reporter.flush(1_000);
  await settled();
  assert.equal(await good, true);
  answer = () => Promise.reject(new RpcError('UNAVAILABLE', 'away'));
  fail();
  const bad = reporter.flush(500);
  await clock.pass(500);
  assert.equal(await bad, false);
  answer = () => new Uint8Array();
  const again = reporter.flush(500);
  await settled();
  assert.equal(await again, true, 'the wait before the repetition is cut short');
  assert.equal(await reporter.flush(1), true, 'nothing waits');
});

test('what waits at the end is given up and counted, and nothing hangs', async () => {
  answer = () => new Promise(() => {});
  fail();
  await clock.pass(10);
  succeed();
  const flushing = reporter.flush(1_000);
  await clock.pass(1_000);
  reporter.close();
  assert.equal(await flushing, false);
  await clock.pass(10_000);
  assert.equal(sent.length, 1);
  assert.equal(reporter.givenUp, 1, 'what is in flight may have arrived');
  assert.equal(clock.pending, 0);
});

test('what is older than 15 s when its report is made goes as history', async () => {
  fail({ endedAt: clock.now() - 15_001 });
  fail({ kind: 'fresh' });
  await clock.pass(10);
  const parts = sent[0].reports.map(({ late, runs }) => [late, runs[0].errorKind]);
  assert.deepEqual(parts, [
    [true, ''],
    [false, 'fresh'],
  ]);
});
