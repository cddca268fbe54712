// A process with a client ends when it has nothing else to do, and reports what waits before.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Daemon, program } from '../support/daemon.mjs';

let daemon;
before(async () => (daemon = await Daemon.start()));
after(() => daemon.kill());

/** It ended well, and nobody heard of the client. */
function endedWell({ code, err }) {
  assert.equal(err, '');
  assert.equal(code, 0);
}

describe('a process ends', { concurrency: true }, () => {
  test('at once if it only follows breakers', async () => {
    const ended = await program('idle', { ADDRESS: daemon.address });
    endedWell(ended);
    assert.equal(ended.out, 'true\n');
    assert.ok(ended.took < 4_500, `${ended.took} ms`);
  });

  test('after it has reported what waits', async () => {
    const ended = await program('unreported', {
      ADDRESS: daemon.address,
      BREAKER: 'exit/unreported',
    });
    endedWell(ended);
    assert.equal(ended.out, 'waiting 0\n');
    assert.ok(ended.took < 4_500, `${ended.took} ms`);
    const { successes, failures } = daemon.counts('exit/unreported').metrics;
    assert.deepEqual([successes, failures], [5, 1]);
  });

  test('within 5 s where nobody listens', async () => {
    const ended = await program('unreported', {
      ADDRESS: '127.0.0.1:1',
      BREAKER: 'exit/nobody',
      READY: '100',
    });
    endedWell(ended);
    assert.ok(ended.took < 9_000, `${ended.took} ms`);
  });

  test('within 5 s where the server hangs, with and without a shutdown', async () => {
    const ends = [{}, { SHUTDOWN: '1' }].map(async (how) => {
      const hung = await Daemon.start();
      const ended = await program('hung', {
        ADDRESS: hung.address,
        SERVER: String(hung.child.pid),
        ...how,
      });
      await hung.kill();
      endedWell(ended);
      assert.ok(ended.took < 9_000, `${ended.took} ms`);
      return ended.out;
    });
    assert.deepEqual(await Promise.all(ends), ['', 'flushed false\n']);
  });

  test('and so does a worker thread, with a client of its own', async () => {
    const ended = await program('worker', { ADDRESS: daemon.address });
    endedWell(ended);
    assert.equal(ended.out, 'worker ended with 0\n');
    assert.equal(daemon.counts('exit/worker').metrics.successes, 1);
  });
});
