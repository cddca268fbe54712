// The wrappers for fetch and for clients of grpc-js, against real servers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import grpc from '@grpc/grpc-js';
import { Client, guardedFetch } from '../../dist/index.js';
import { grpcInterceptor } from '../../dist/hooks/grpc.js';
import { Daemon, eventually } from '../support/daemon.mjs';
import { nothingUnhandled } from '../support/quiet.mjs';

nothingUnhandled();
let daemon;
let client;
let http;
let url;
let grpcServer;
let grpcAddress;
let name;
let breaker;
let number = 0;

const text = {
  requestSerialize: Buffer.from,
  requestDeserialize: String,
  responseSerialize: Buffer.from,
  responseDeserialize: String,
};
const method = (path, responseStream) => ({ path, requestStream: false, responseStream, ...text });
const definition = {
  Say: method('/test.Echo/Say', false),
  Count: method('/test.Echo/Count', true),
};

before(async () => {
  daemon = await Daemon.start();
  client = new Client({ addresses: [daemon.address] });
  http = createServer((request, response) => {
    const status = Number(request.url.slice(1));
    if (status === 0) response.writeHead(200).write('the body never ends');
    else if (status > 0) response.writeHead(status).end(`status ${status}`);
    // Otherwise nobody answers.
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${http.address().port}`;
  grpcServer = new grpc.Server();
  grpcServer.addService(definition, {
    Say: ({ request }, answer) => {
      if (request === 'hello') answer(null, 'hello yourself');
      else if (request !== 'nothing')
        answer({ code: grpc.status[request], details: 'as you wished' });
    },
    Count: (call) => {
      call.write('1');
      if (call.request !== 'on and on') call.end();
    },
  });
  const port = await new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    grpcServer.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  grpcAddress = `127.0.0.1:${port}`;
});
after(async () => {
  await client.shutdown();
  grpcServer.forceShutdown();
  http.close();
  http.closeAllConnections();
  await daemon.kill();
});
beforeEach(async () => {
  number += 1;
  name = `hooks/test-${number}`;
  daemon.ctl('create', name, '--set', 'failure_threshold=100');
  breaker = client.breaker(name);
  await eventually('the breaker is known', () => breaker.status().state !== 'unknown');
});

async function counted() {
  assert.ok(await client.flush());
  const {
    successes,
    failures,
    timeouts,
    ignored,
    last_failure_kind: kind,
  } = daemon.counts(name).metrics;
  return [successes, failures, timeouts, ignored, kind];
}
async function boundCalls() {
  daemon.ctl('update', name, '--set', 'call_timeout=300ms');
  await eventually('calls are bounded', async () => {
    const guard = await breaker.acquire();
    guard.ignored();
    return guard.callTimeout === 300;
  });
  return (await counted())[3];
}
async function forceOpen(...more) {
  daemon.ctl('force-open', name, '--reason', 'test', ...more);
  await eventually('it is open', () => breaker.status().state === 'open');
}

test('fetch: the status is the outcome', async () => {
  const fetch = guardedFetch(breaker);
  for (const status of [200, 404, 429, 503])
    assert.equal((await fetch(`${url}/${status}`)).status, status);
  await assert.rejects(fetch('http://127.0.0.1:1'), TypeError);
  assert.deepEqual(await counted(), [2, 3, 0, 0, 'TypeError']);
  const lenient = guardedFetch(breaker, { isFailure: (status) => status === 418 });
  await lenient(`${url}/503`);
  await lenient(new Request(`${url}/418`));
  assert.deepEqual(await counted(), [3, 4, 0, 0, 'http.418']);
});

test('fetch: what takes too long is cut, and what is aborted is ignored', async () => {
  const already = await boundCalls();
  const fetch = guardedFetch(breaker);
  await assert.rejects(fetch(`${url}/-1`), { name: 'CallTimeoutError' });
  const controller = new AbortController();
  const aborted = fetch(`${url}/-1`, { signal: controller.signal });
  controller.abort();
  await assert.rejects(aborted, { name: 'AbortError' });
  const body = new AbortController();
  const endless = await fetch(`${url}/0`, { signal: body.signal });
  const reading = endless.text();
  body.abort();
  await assert.rejects(reading, { name: 'AbortError' });
  assert.deepEqual(await counted(), [1, 0, 1, 1 + already, '']);
});

test('fetch: a denied request throws, or is answered with 503 and retry-after', async () => {
  await forceOpen('--ttl', '1h');
  await assert.rejects(guardedFetch(breaker)(`${url}/200`), {
    name: 'BreakerOpenError',
    reason: 'forced_open',
  });
  const answer = await guardedFetch(breaker, { denied: 'response' })(`${url}/200`);
  assert.equal(answer.status, 503);
  const after = Number(answer.headers.get('retry-after'));
  assert.ok(after > 3_500 && after <= 3_600);
});

function echo(options = {}) {
  const Echo = grpc.makeGenericClientConstructor(definition, 'Echo');
  const interceptors = [grpcInterceptor(breaker, options)];
  return new Echo(grpcAddress, grpc.credentials.createInsecure(), { interceptors });
}
const say = (stub, what) =>
  new Promise((resolve, reject) =>
    stub.Say(what, (error, answer) => (error ? reject(error) : resolve(answer))),
  );

test('grpc: the code is the outcome', async () => {
  const stub = echo();
  assert.equal(await say(stub, 'hello'), 'hello yourself');
  await assert.rejects(say(stub, 'NOT_FOUND'), { code: grpc.status.NOT_FOUND });
  await assert.rejects(say(stub, 'INTERNAL'), { code: grpc.status.INTERNAL });
  assert.deepEqual(await counted(), [2, 1, 0, 0, 'grpc.INTERNAL']);
  const call = stub.Say('nothing', () => {});
  setTimeout(() => call.cancel(), 50);
  await once(call, 'status');
  assert.deepEqual(await counted(), [2, 1, 0, 1, 'grpc.INTERNAL']);
  stub.close();
});

test('grpc: a call that takes too long is cut', async () => {
  await boundCalls();
  const stub = echo();
  await assert.rejects(say(stub, 'nothing'), { code: grpc.status.DEADLINE_EXCEEDED });
  const [, failures, timeouts] = await counted();
  assert.deepEqual([failures, timeouts], [0, 1]);
  stub.close();
});

test('grpc: a stream counts with its first answer, and may last', async () => {
  const already = await boundCalls();
  const stub = echo();
  const stream = stub.Count('on and on');
  stream.on('error', () => {});
  await once(stream, 'data');
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepEqual(await counted(), [1, 0, 0, already, '']);
  stream.cancel();
  stub.close();
});

test('grpc: a denied call says why', async () => {
  await forceOpen('--ttl', '1h');
  const stub = echo();
  const error = await say(stub, 'hello').catch((thrown) => thrown);
  assert.equal(error.code, grpc.status.UNAVAILABLE);
  assert.deepEqual(error.metadata.get('breaker-reason'), ['forced_open']);
  assert.ok(Number(error.metadata.get('retry-after')[0]) > 3_500);
  stub.close();
});

test('grpc: a call that is cancelled while leave is asked for ends at once, and gives it back', async () => {
  name = 'hooks/half-open';
  daemon.ctl('create', name, '--set', 'open_duration=50ms');
  daemon.ctl('trip', name, '--reason', 'test');
  breaker = client.breaker(name);
  await eventually('it is half open', () => breaker.status().state === 'half_open');
  daemon.hang();
  const stub = echo();
  const call = stub.Say('hello', () => {});
  setImmediate(() => call.cancel());
  const [status] = await once(call, 'status');
  assert.equal(status.code, grpc.status.CANCELLED);
  daemon.goOn();
  await eventually('no permit is out', () => daemon.counts(name).permits_out === 0);
  await eventually('it was ignored', async () => (await counted())[3] >= 1);
  stub.close();
});
