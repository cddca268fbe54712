import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadlines } from '../../dist/deadlines.js';
import { TestClock } from '../support/clock.mjs';

const bounded = (expire) => ({ endsAt: 0, next: undefined, previous: undefined, expire });

test('each ends at its deadline and not before, and those that left do not', async () => {
  const clock = new TestClock();
  const deadlines = new Deadlines(clock);
  const ended = [];
  const add = (name, ms) => {
    const one = bounded(() => ended.push(`${name} at ${clock.now() - 1_000}`));
    return { one, list: deadlines.add(one, ms, clock.now()) };
  };
  add('long', 100);
  const gone = add('gone', 50);
  add('short', 50);
  await clock.pass(20);
  add('shorter', 10);
  add('later', 50);
  gone.list.remove(gone.one);
  await clock.pass(200);
  assert.deepEqual(ended, ['shorter at 30', 'short at 50', 'later at 70', 'long at 100']);
  assert.equal(clock.pending, 0);
});

test('any of a list can leave, in any order', async () => {
  const clock = new TestClock();
  const deadlines = new Deadlines(clock);
  const ended = [];
  const all = Array.from({ length: 20 }, (_, at) => bounded(() => ended.push(at)));
  const lists = all.map((one) => deadlines.add(one, 10, clock.now()));
  for (const at of [0, 19, 7, 6, 8, 1, 18]) lists[at].remove(all[at]);
  await clock.pass(10);
  assert.deepEqual(ended, [2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
});

test('a hundred thousand calls that end in time take one timer', async () => {
  const clock = new TestClock();
  const deadlines = new Deadlines(clock);
  for (let i = 0; i < 100_000; i += 1) {
    const one = bounded(() => assert.fail('it has left'));
    deadlines.add(one, 10_000, clock.now()).remove(one);
  }
  assert.equal(clock.pending, 1);
  await clock.pass(20_000);
  assert.equal(clock.pending, 0);
});

test('durations that come once do not pile up', async () => {
  const clock = new TestClock();
  const deadlines = new Deadlines(clock);
  let ended = 0;
  for (let i = 1; i <= 1_000; i += 1)
    deadlines.add(
      bounded(() => (ended += 1)),
      i,
      clock.now(),
    );
  await clock.pass(1_000);
  assert.equal(ended, 1_000);
});
