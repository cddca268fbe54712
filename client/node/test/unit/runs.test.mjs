import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Run, WaitingRuns } from '../../dist/runs.js';

const call = (more) => ({
  breaker: 'a/x',
  generation: 1n,
  permit: 0n,
  outcome: 'success',
  kind: '',
  isSlow: false,
  duration: 1,
  endedAt: 0,
  ...more,
});
const calls = (waiting, now = 0) =>
  waiting
    .take(now)
    .flatMap(({ runs }) => runs)
    .reduce((sum, run) => sum + run.count, 0);

test('calls that end one after another in the same way are one run', () => {
  const run = new Run(call({ duration: 5 }));
  assert.ok(run.takes(1n, 'success', '', false, 9, 10));
  assert.deepEqual([run.count, run.total, run.longest, run.endedAt], [2, 14, 9, 10]);
  assert.ok(!run.takes(2n, 'success', '', false, 1, 11), 'another generation');
  assert.ok(!run.takes(1n, 'failure', '', false, 1, 11), 'another outcome');
  assert.ok(!run.takes(1n, 'success', 'K', false, 1, 11), 'another kind');
  assert.ok(!run.takes(1n, 'success', '', true, 1, 11), 'a slow one');
  assert.ok(!run.takes(1n, 'success', '', false, 1, 1_001), 'a run is a second at most');
  assert.ok(run.takes(1n, 'success', '', false, 1, 1_000), 'and may be a second');
  assert.ok(
    !new Run(call({ permit: 7n })).takes(1n, 'success', '', false, 1, 1),
    'a probe is its own',
  );
  run.isOpen = false;
  assert.ok(!run.takes(1n, 'success', '', false, 1, 12), 'it has been reported');
});

test('a report keeps the order of each breaker and generation, and tells history apart', () => {
  const waiting = new WaitingRuns();
  const runs = [
    call({ outcome: 'failure', endedAt: 0 }),
    call({ endedAt: 10_000 }),
    call({ breaker: 'a/y', endedAt: 10_000 }),
    call({ generation: 2n, outcome: 'failure', endedAt: 10_001 }),
    call({ outcome: 'timeout', endedAt: 10_002 }),
  ].map((ended) => new Run(ended));
  for (const run of runs) waiting.push(run);
  const parts = waiting
    .take(20_000)
    .map(({ breaker, generation, late, runs }) => [
      breaker,
      generation,
      late,
      runs.map(({ outcome }) => outcome).join(),
    ]);
  assert.deepEqual(parts, [
    ['a/x', 1n, true, 'failure'],
    ['a/x', 1n, false, 'success,timeout'],
    ['a/y', 1n, false, 'success'],
    ['a/x', 2n, false, 'failure'],
  ]);
  assert.equal(waiting.size, 0);
  assert.ok(runs.every(({ isOpen }) => !isOpen));
});

test('a report has a thousand breakers at most, and the rest waits for the next', () => {
  const waiting = new WaitingRuns();
  for (let i = 0; i < 1_500; i += 1) waiting.push(new Run(call({ breaker: `a/${i}` })));
  waiting.push(new Run(call({ breaker: 'a/0', outcome: 'failure' })));
  const first = waiting.take(0);
  assert.equal(first.length, 1_000);
  assert.equal(first[0].runs.length, 2);
  assert.equal(waiting.take(0).length, 500);
});

test('when there are too many, history is gathered first and what is fresh keeps its order', () => {
  const waiting = new WaitingRuns(100);
  for (let i = 0; i < 60; i += 1)
    waiting.push(new Run(call({ outcome: i % 2 ? 'success' : 'failure', endedAt: i })));
  for (let i = 0; i < 40; i += 1)
    waiting.push(new Run(call({ outcome: i % 2 ? 'success' : 'failure', endedAt: 20_000 + i })));
  assert.equal(waiting.size, 100);
  waiting.push(new Run(call({ endedAt: 20_100 })));
  assert.equal(waiting.size, 43, 'two runs of history, and all that is fresh');
  assert.equal(waiting.givenUp, 0);
  assert.equal(calls(waiting, 20_100), 101);
});

test('what was gathered is as old as the oldest of it, and takes in no more calls', () => {
  const waiting = new WaitingRuns(3);
  const [first, other, later, last] = [
    call({ outcome: 'failure', endedAt: 100 }),
    call({ endedAt: 5_000 }),
    call({ outcome: 'failure', endedAt: 9_000 }),
    call({ endedAt: 9_500 }),
  ].map((ended) => new Run(ended));
  first.takes(1n, 'failure', '', false, 1, 900);
  for (const run of [first, other, later, last]) waiting.push(run);
  assert.equal(waiting.size, 2);
  assert.deepEqual([first.count, first.endedAt], [3, 100]);
  assert.deepEqual([other.count, other.endedAt], [2, 5_000]);
  for (const run of [first, other, later, last])
    assert.ok(!run.takes(1n, run.outcome, '', false, 1, 9_600));
  const late = waiting.take(15_101).map((part) => [part.late, part.runs.length]);
  assert.deepEqual(late, [
    [true, 1],
    [false, 1],
  ]);
});

test('then everything is gathered but probes, and at last the oldest are given up', () => {
  const waiting = new WaitingRuns(100);
  waiting.push(new Run(call({ permit: 7n })));
  for (let i = 0; i < 100; i += 1)
    waiting.push(new Run(call({ kind: `K${i % 10}`, outcome: 'failure' })));
  assert.equal(waiting.size, 11);
  for (let i = 0; i < 200; i += 1)
    waiting.push(new Run(call({ kind: `other ${i}`, outcome: 'failure' })));
  assert.equal(waiting.size, 100);
  assert.ok(waiting.givenUp > 0);
  assert.equal(waiting.givenUp + calls(waiting), 301, 'no call is lost without being counted');
});

test('many kinds cost no more than the room for them', () => {
  const waiting = new WaitingRuns();
  const began = process.memoryUsage().heapUsed;
  for (let i = 0; i < 50_000; i += 1)
    waiting.push(new Run(call({ kind: `kind ${i}`, outcome: 'failure', endedAt: i })));
  assert.equal(waiting.size, 10_000);
  assert.equal(waiting.givenUp, 40_000);
  assert.ok(process.memoryUsage().heapUsed - began < 64e6);
});
