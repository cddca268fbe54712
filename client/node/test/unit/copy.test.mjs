import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Copy } from '../../dist/copy.js';
import { Freshness } from '../../dist/freshness.js';
import { Selection } from '../../dist/names.js';
import { TestClock } from '../support/clock.mjs';
import { held } from '../support/held.mjs';

let copy;
let changes;
const news = (more) => ({
  reset: false,
  deleted: [],
  changed: [],
  snapshotComplete: false,
  ...more,
});
const at = (revision, state = 'closed') => held({ revision, state });
const everything = new Selection(['a/*']);

beforeEach(() => {
  changes = [];
  copy = new Copy((name, before, after) => changes.push([name, before?.revision, after?.revision]));
});

test('the copy covers names only after a complete snapshot', () => {
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(1n)]] }));
  assert.equal(copy.get('a/x').revision, 1n);
  assert.ok(!copy.covers('a/y'));
  copy.apply(news({ snapshotComplete: true }));
  assert.ok(copy.covers('a/y') && !copy.covers('b/y'));
});

test('a new snapshot empties nothing, and sweeps what it did not bring', () => {
  copy.begin(everything, false);
  copy.apply(
    news({
      changed: [
        ['a/x', at(1n)],
        ['a/y', at(1n)],
      ],
      snapshotComplete: true,
    }),
  );
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(1n)]] }));
  assert.ok(copy.get('a/y') && copy.covers('a/z'));
  copy.apply(news({ snapshotComplete: true }));
  assert.equal(copy.get('a/y'), undefined);
  assert.deepEqual(changes.at(-1), ['a/y', 1n, undefined]);
});

test('a resumed stream sweeps nothing', () => {
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(1n)]], snapshotComplete: true }));
  copy.begin(everything, true);
  copy.apply(news({ snapshotComplete: true }));
  assert.ok(copy.get('a/x'));
});

test('a lower revision is dropped, except for the first one after a reset', () => {
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(9n)]], snapshotComplete: true }));
  copy.apply(news({ changed: [['a/x', at(8n)]] }));
  assert.equal(copy.get('a/x').revision, 9n);
  copy.apply(news({ reset: true, changed: [['a/x', at(3n)]] }));
  copy.apply(news({ changed: [['a/x', at(2n)]] }));
  assert.equal(copy.get('a/x').revision, 3n);
  copy.apply(news({ snapshotComplete: true }));
  copy.apply(news({ changed: [['a/x', at(2n)]] }));
  assert.equal(copy.get('a/x').revision, 3n, 'after the snapshot revisions order again');
});

test('a state that a snapshot brings too late to be news still counts as brought', () => {
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(5n)]], snapshotComplete: true }));
  copy.begin(everything, false);
  copy.applyReported('a/x', at(7n));
  copy.apply(news({ changed: [['a/x', at(6n)]], snapshotComplete: true }));
  assert.equal(copy.get('a/x').revision, 7n);
});

test('a breaker that was deleted and made anew is taken whatever its revision', () => {
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(9n)]], snapshotComplete: true }));
  copy.apply(news({ deleted: ['a/x', 'a/unheard-of'], changed: [['a/x', at(1n)]] }));
  assert.equal(copy.get('a/x').revision, 1n);
});

test('the answer of a report is taken by revision, and only for a breaker that is held', () => {
  copy.applyReported('a/x', at(1n));
  assert.equal(copy.get('a/x'), undefined);
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(2n)]] }));
  copy.applyReported('a/x', at(1n));
  assert.equal(copy.get('a/x').revision, 2n);
  copy.applyReported('a/x', at(3n));
  assert.equal(copy.get('a/x').revision, 3n);
});

test('revisions beyond what a number holds still order', () => {
  const huge = 2n ** 63n;
  copy.begin(everything, false);
  copy.apply(news({ changed: [['a/x', at(huge + 1n)]] }));
  copy.apply(news({ changed: [['a/x', at(huge)]] }));
  assert.equal(copy.get('a/x').revision, huge + 1n);
});

test('READY becomes STALE when the stream is lost, FALLBACK when that lasts, and READY again', async () => {
  const clock = new TestClock();
  const heard = [];
  const freshness = new Freshness(clock, 60_000, (_from, to) => heard.push(to));
  freshness.lost();
  assert.equal(freshness.state, 'fallback', 'a client begins in FALLBACK');
  freshness.ready();
  freshness.ready();
  freshness.lost();
  await clock.pass(59_999);
  freshness.lost();
  assert.equal(freshness.state, 'stale');
  await clock.pass(1);
  assert.equal(freshness.state, 'fallback');
  freshness.ready();
  freshness.lost();
  freshness.ready();
  await clock.pass(100_000);
  assert.deepEqual(heard, ['ready', 'stale', 'fallback', 'ready', 'stale', 'ready']);
});

test('whoever waits for READY is told, in time or not', async () => {
  const clock = new TestClock();
  const freshness = new Freshness(clock, 60_000, () => {});
  const [late, intime] = [freshness.wait(10), freshness.wait(1_000)];
  await clock.pass(10);
  freshness.ready();
  assert.deepEqual(await Promise.all([late, intime, freshness.wait(0)]), [false, true, true]);
  freshness.lost();
  const never = freshness.wait(1_000);
  freshness.end();
  assert.equal(await never, false);
});
