import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Backoff } from '../../dist/backoff.js';
import { Selection } from '../../dist/names.js';
import { parseAddress } from '../../dist/transport/address.js';
import { RpcError } from '../../dist/transport/rpc-error.js';
import { Round } from '../../dist/transport/servers.js';
import { Watcher } from '../../dist/watcher.js';
import { WatchRequest, WatchResponse } from '../../dist/wire/messages.js';
import { TestClock } from '../support/clock.mjs';

let clock;
let streams;
let names;
let heard;
let watcher;
const [A, B] = ['a:1', 'b:1'].map(parseAddress);

beforeEach(() => {
  clock = new TestClock();
  [streams, names, heard] = [[], [], []];
  const servers = {
    round: () => new Round([A, B], A),
    prefer: () => {},
    connection: (address) => ({
      request: (_method, bytes, handlers) => {
        const { selectors, resumeToken } = WatchRequest.type.decode(bytes);
        const stream = {
          at: clock.now() - 1_000,
          to: address.text,
          selectors,
          token: String(resumeToken),
          isOpen: true,
          handlers,
        };
        streams.push(stream);
        return { cancel: () => (stream.isOpen = false) };
      },
    }),
  };
  const options = {
    clock,
    servers,
    backoff: new Backoff(100, 5_000, () => 0),
    staleAfter: 15_000,
    log: () => {},
  };
  watcher = new Watcher(
    { ...options, select: () => new Selection([...names]) },
    {
      begin: (_selection, isResumed) => heard.push(isResumed ? 'resumed' : 'begun'),
      message: () => {},
      lost: () => heard.push('lost'),
    },
  );
});

const last = () => streams.at(-1);
const say = (more = {}) =>
  last().handlers.message(
    WatchResponse.type.encode({ resumeToken: Buffer.from('t'), ...more }).finish(),
  );
const cut = (leader) => last().handlers.end(new RpcError('UNAVAILABLE', 'cut', leader));
async function watch(...more) {
  names.push(...more);
  watcher.changed();
  await clock.pass(10);
}

test('names that come together are one stream within 10 ms, and what is watched already is none', async () => {
  watcher.changed();
  names.push('x/1');
  watcher.changed();
  await watch('x/2');
  await watch();
  assert.deepEqual(
    streams.map(({ selectors }) => selectors),
    [['x/1', 'x/2']],
  );
  say({ snapshotComplete: true });
  const first = last();
  await watch('x/3');
  assert.ok(!first.isOpen && last().isOpen);
  assert.deepEqual([last().selectors.length, last().token], [3, '']);
  assert.ok(!heard.includes('lost'), 'a stream that is replaced is not lost');
});

test('a cut stream is resumed with the last token, once a snapshot was complete', async () => {
  await watch('x/1');
  say();
  cut();
  await clock.pass(1_000);
  assert.equal(last().token, '');
  say({ snapshotComplete: true, resumeToken: Buffer.from('one') });
  say({ resumeToken: Buffer.from('two') });
  cut();
  await clock.pass(1_000);
  assert.equal(last().token, 'two');
  say({ reset: true, resumeToken: Buffer.from('three') });
  cut();
  await clock.pass(1_000);
  assert.equal(last().token, '', 'nothing is resumed in the middle of a snapshot');
});

test('each server is tried once a round, and rounds wait longer and longer until something is heard', async () => {
  await watch('x/1');
  const waits = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const cutAt = clock.now() - 1_000;
    cut();
    await clock.pass(500);
    waits.push(`${last().to} after ${last().at - cutAt}`);
    // Whoever says something is worth to be asked again soon.
    if (attempt === 5) say();
  }
  assert.deepEqual(waits, [
    ...[
      'b:1 after 0',
      'a:1 after 100',
      'b:1 after 0',
      'a:1 after 200',
      'b:1 after 0',
      'a:1 after 400',
    ],
    ...['b:1 after 0', 'a:1 after 100'],
  ]);
});

test('a leader that is named is asked at once', async () => {
  await watch('x/1');
  cut('c:9');
  await clock.pass(0);
  assert.equal(last().to, 'c:9');
});

test('silence cuts the stream, and signs of life keep it', async () => {
  await watch('x/1');
  for (let i = 0; i < 10; i += 1) {
    say({ snapshotComplete: true });
    await clock.pass(14_000);
  }
  assert.equal(streams.length, 1);
  await clock.pass(1_000);
  assert.deepEqual(heard, ['begun', 'lost', 'resumed']);
  assert.ok(!streams[0].isOpen);
});

test('a message that cannot be read cuts the stream', async () => {
  await watch('x/1');
  last().handlers.message(Buffer.from([255, 255, 255]));
  assert.ok(!streams[0].isOpen && heard.includes('lost'));
});

test('nothing goes on after the end', async () => {
  await watch('x/1');
  watcher.close();
  cut();
  await watch('x/2');
  await clock.pass(100_000);
  assert.equal(streams.length, 1);
  assert.equal(clock.pending, 0);
});
