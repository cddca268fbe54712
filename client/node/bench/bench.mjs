// What guarding a call costs on a CLOSED breaker: a bare async call, opossum and this client, in one
// process and interleaved, medians of several rounds. `npm run build` first; a server is started if
// BREAKERD_BINARY, or ../../target/{release,debug}/breakerd, is there. Node's flag --expose-gc helps.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import CircuitBreaker from 'opossum';
import { Client } from '../dist/index.js';

const ROUNDS = Number(process.env.ROUNDS ?? 9);
const CALLS = Number(process.env.CALLS ?? 100_000);
/** Calls that are awaited together, as in a server under load; 1 is one after another. */
const AT_ONCE = [1, 100];

const server = await startServer();
const client = new Client({ addresses: [server.address] });
const breaker = client.breaker('bench/closed');
if (!(await client.ready())) throw new Error('the client is not ready');
const work = async (value) => value;
const opossum = (options) => {
  const made = new CircuitBreaker(work, options);
  return (value) => made.fire(value);
};
const wrapped = breaker.wrap(work);
const rows = [
  ['bare async call', work],
  ['opossum, timeout off', opossum({ timeout: false })],
  ['opossum, timeout 10 s', opossum({ timeout: 10_000 })],
  ['ours, fire (call_timeout 10 s)', (value) => breaker.fire(work, value)],
  ['ours, wrap (call_timeout 10 s)', wrapped],
];

for (const atOnce of AT_ONCE) {
  const times = rows.map(() => []);
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [at, [, call]] of rows.entries()) {
      globalThis.gc?.();
      const took = await measure(call, atOnce);
      // The first round warms up.
      if (round >= 0) times[at].push(took);
    }
  }
  const medians = times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
  console.log(`\n${CALLS} calls, ${atOnce} at once, median of ${ROUNDS} rounds`);
  console.log(
    '                                   ns/call   over bare   of opossum off   of opossum on',
  );
  for (const [at, [name]] of rows.entries()) {
    const overhead = medians[at] - medians[0];
    const of = (other) => (medians[at] / medians[other]).toFixed(2).padStart(14);
    console.log(
      `${name.padEnd(32)} ${medians[at].toFixed(0).padStart(9)} ${overhead.toFixed(0).padStart(11)} ${of(1)} ${of(2)}`,
    );
  }
}
await client.shutdown();
server.stop();

async function measure(call, atOnce) {
  const began = process.hrtime.bigint();
  for (let done = 0; done < CALLS; done += atOnce) {
    if (atOnce === 1) await call(done);
    else {
      const calls = [];
      for (let i = 0; i < atOnce; i += 1) calls.push(call(i));
      await Promise.all(calls);
    }
  }
  return Number(process.hrtime.bigint() - began) / CALLS;
}

async function startServer() {
  const beside = (profile) =>
    fileURLToPath(new URL(`../../../target/${profile}/breakerd`, import.meta.url));
  const candidates = [process.env.BREAKERD_BINARY, beside('release'), beside('debug')];
  const binary = candidates.find((path) => path && existsSync(path));
  if (!binary) throw new Error('no breakerd: set BREAKERD_BINARY, or run `cargo build --release`');
  const flags = [
    '--database',
    'memory:',
    '--listen',
    '127.0.0.1:0',
    '--http-listen',
    '127.0.0.1:0',
  ];
  const child = spawn(binary, flags, { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const line of createInterface(child.stdout)) {
    const address = /^grpc listening on (.*)$/.exec(line)?.[1];
    if (address) return { address, stop: () => child.kill() };
  }
  throw new Error('breakerd did not start');
}
