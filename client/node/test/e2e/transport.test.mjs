// What lies between a client and its servers: standby servers, TLS, pings, and answers that nobody
// expects.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { afterEach, test } from 'node:test';
import tls from 'node:tls';
import grpc from '@grpc/grpc-js';
import { Client } from '../../dist/index.js';
import { parseAddress } from '../../dist/transport/address.js';
import { Connection } from '../../dist/transport/connection.js';
import { ErrorInfo, RpcStatus, WatchRequest } from '../../dist/wire/messages.js';
import { TestClock } from '../support/clock.mjs';
import { Daemon, eventually } from '../support/daemon.mjs';
import { nothingUnhandled } from '../support/quiet.mjs';

nothingUnhandled();
let ends = [];
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

async function start() {
  const daemon = await Daemon.start();
  ends.push(() => daemon.kill());
  return daemon;
}
function connect(options) {
  const client = new Client(options);
  ends.push(() => client.shutdown(100));
  return client;
}

/** A server that refuses every request in one way; counts those that it was asked. */
async function refusing(error) {
  const server = new grpc.Server();
  const asked = { Watch: 0, Report: 0, Acquire: 0 };
  const raw = {
    requestSerialize: Buffer.from,
    requestDeserialize: Buffer.from,
    responseSerialize: Buffer.from,
    responseDeserialize: Buffer.from,
  };
  const method = (name, responseStream) => ({
    path: `/breaker.v1.BreakerService/${name}`,
    requestStream: false,
    responseStream,
    ...raw,
  });
  server.addService(
    {
      Watch: method('Watch', true),
      Report: method('Report', false),
      Acquire: method('Acquire', false),
    },
    {
      Watch: (call) => {
        asked.Watch += 1;
        call.emit('error', error);
      },
      Report: (_call, answer) => {
        asked.Report += 1;
        answer(error);
      },
      Acquire: (_call, answer) => {
        asked.Acquire += 1;
        answer(error);
      },
    },
  );
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (failed, bound) =>
      failed ? reject(failed) : resolve(bound),
    );
  });
  ends.push(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, asked };
}

/** UNAVAILABLE with the details of a server that stands by. */
function standingBy(leader) {
  const value = ErrorInfo.type
    .encode({ reason: 'NOT_LEADER', domain: 'breakerd.dev', metadata: { leader } })
    .finish();
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value }];
  const metadata = new grpc.Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(RpcStatus.type.encode({ code: 14, details }).finish()),
  );
  return { code: grpc.status.UNAVAILABLE, details: 'this server stands by', metadata };
}

test('a server that stands by names the leader, who is asked at once and from then on', async () => {
  const leader = await start();
  const standby = await refusing(standingBy(leader.address));
  const client = connect({ addresses: [standby.address] });
  const breaker = client.breaker('transport/leader');
  assert.ok(await client.ready());
  for (let i = 0; i < 3; i += 1) {
    await breaker.fire(() => i);
    assert.ok(await client.flush());
  }
  assert.equal(leader.counts('transport/leader').metrics.successes, 3);
  assert.equal(standby.asked.Watch, 1);
  assert.ok(standby.asked.Report <= 1);
});

test('a server that refuses every report is treated as being away: nothing is lost or said', async () => {
  const { address, asked } = await refusing({
    code: grpc.status.UNAUTHENTICATED,
    details: 'who are you?',
  });
  const logged = [];
  const client = connect({ addresses: [address], logger: ({ level }) => logged.push(level) });
  const breaker = client.breaker('transport/refused');
  for (let i = 0; i < 10; i += 1) await breaker.fire(() => i);
  assert.equal(await client.flush(3_000), false);
  assert.ok(asked.Report >= 2 && asked.Report <= 12, `${asked.Report}`);
  assert.ok(asked.Watch >= 2 && asked.Watch <= 12, `${asked.Watch}`);
  assert.equal(client.outcomesGivenUp, 0);
  assert.ok(logged.includes('warn'));
});

test('an outcome that the server finds wrong is given up, and counted', async () => {
  const { address } = await refusing({ code: grpc.status.NOT_FOUND, details: 'no such breaker' });
  const client = connect({ addresses: [address] });
  for (const name of ['transport/a', 'transport/b']) await client.breaker(name).fire(() => 1);
  assert.equal(await client.flush(), true);
  assert.equal(client.outcomesGivenUp, 2);
});

test('what is no server of breakerd does no harm', async () => {
  const garbage = net.createServer((socket) =>
    socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  await once(garbage.listen(0, '127.0.0.1'), 'listening');
  ends.push(() => garbage.close());
  const client = connect({ addresses: [`127.0.0.1:${garbage.address().port}`] });
  assert.equal(await client.breaker('transport/garbage').fire(() => 1), 1);
  assert.equal(await client.ready(300), false);
});

test('TLS: a server is checked against the CA and the name that it is to have', async () => {
  const daemon = await start();
  const [host, port] = daemon.address.split(':');
  const pem = (name) => readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url));
  const [cert, key] = [pem('cert'), pem('key')];
  const proxy = tls.createServer({ cert, key, ALPNProtocols: ['h2'] }, (socket) => {
    const inner = net.connect(Number(port), host);
    for (const end of [socket, inner]) end.on('error', () => {});
    socket.pipe(inner).pipe(socket);
  });
  proxy.on('tlsClientError', () => {});
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  ends.push(() => proxy.close());
  const addresses = [`https://127.0.0.1:${proxy.address().port}`];
  const trusting = connect({ addresses, tls: { ca: cert, serverName: 'breakerd.test' } });
  trusting.breaker('transport/tls');
  assert.ok(await trusting.ready());
  const others = [{}, { ca: cert }, { ca: cert, serverName: 'elsewhere.test' }].map((options) =>
    connect({ addresses, tls: options }),
  );
  const ready = await Promise.all(others.map((client) => client.ready(300)));
  assert.deepEqual(ready, [false, false, false]);
});

test('a connection on which pings are not answered is given up', async () => {
  const daemon = await start();
  const clock = new TestClock();
  const connection = new Connection(parseAddress(daemon.address), {
    clock,
    tls: undefined,
    authorization: () => undefined,
  });
  ends.push(() => connection.close());
  const request = WatchRequest.encode({ selectors: ['a/b'], resumeToken: new Uint8Array() });
  /** Asks for a stream and waits for its first message: whatever was sent before was answered then. */
  const follow = (end = () => {}) =>
    new Promise((resolve) => connection.request('Watch', request, { message: resolve, end }));
  let ended;
  await follow((error) => (ended = error));
  // To each ping, and then to the moment before its answer would come too late.
  await clock.pass(4_999);
  for (let ping = 0; ping < 3; ping += 1) {
    await clock.pass(5_001);
    await follow();
    await clock.pass(4_999);
  }
  assert.equal(ended, undefined, 'pings were answered');
  daemon.hang();
  await eventually('the stream has ended', async () => {
    await clock.pass(5_000);
    return ended !== undefined;
  });
  assert.equal(ended.code, 'UNAVAILABLE');
});
