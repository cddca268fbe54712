// The driver of the conformance suite for this client: one JSON object a line in, one a line out, in
// the same order. ../README.md describes the protocol. Durations are milliseconds.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { BreakerOpenError, Client } from '../dist/index.js';

let client;
const guards = new Map();
const heard = { transitions: [], states: [] };

const requests = {
  build({ do: _do, listen = false, local_guard: localGuard, ...fields }) {
    const options = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [camel(key), value]),
    );
    client = new Client({
      ...options,
      ...(localGuard && { localGuard: toLocalGuard(localGuard) }),
    });
    if (!listen) return {};
    client.on('state', ({ to }) => heard.states.push(to));
    client.on('transition', ({ breaker, from, to }) => {
      const modes = { from_mode: from.mode, to_mode: to.mode };
      heard.transitions.push({ breaker, from: from.state, to: to.state, ...modes });
    });
    return {};
  },

  async ready({ timeout }) {
    return { ready: await client.ready(timeout) };
  },

  breaker({ breaker }) {
    client.breaker(breaker);
    return {};
  },

  async call({ breaker, outcome = 'success', kind, duration = 0, times = 1 }) {
    const counts = { allowed: 0, denied: 0, decided_in: 0 };
    let denial = {};
    for (let i = 0; i < times; i += 1) {
      const began = performance.now();
      const decided = await ask(breaker);
      counts.decided_in = Math.max(
        counts.decided_in,
        Math.round((performance.now() - began) * 1_000),
      );
      if (decided instanceof BreakerOpenError) {
        counts.denied += 1;
        denial = denialOf(decided);
        continue;
      }
      counts.allowed += 1;
      if (duration > 0) await sleep(duration);
      finish(decided, outcome, kind);
    }
    return { ...counts, ...denial };
  },

  async acquire({ breaker, as }) {
    const decided = await ask(breaker);
    if (decided instanceof BreakerOpenError) return { allowed: false, ...denialOf(decided) };
    guards.set(as, decided);
    return { allowed: true, probe: decided.probe, generation: Number(decided.generation) };
  },

  finish({ guard, outcome, kind }) {
    finish(taken(guard), outcome, kind);
    return {};
  },

  drop({ guard }) {
    taken(guard)[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
    return {};
  },

  status({ breaker }) {
    const { state, mode, generation, revision, level } = client.breaker(breaker).status();
    const numbers = { generation: Number(generation), revision: Number(revision) };
    return { client: client.state, state, mode, ...numbers, level: level?.number ?? null };
  },

  events() {
    const news = { transitions: heard.transitions, states: heard.states };
    Object.assign(heard, { transitions: [], states: [] });
    return news;
  },

  async flush({ timeout }) {
    return { flushed: await client.flush(timeout) };
  },

  counts() {
    return { given_up: client.outcomesGivenUp, waiting: client.outcomesWaiting };
  },

  async shutdown() {
    return { flushed: await client.shutdown() };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue;
  let answer;
  try {
    const request = JSON.parse(line);
    const answering = requests[request.do];
    if (answering === undefined)
      throw new Error(`\`do\` is ${request.do}, which this driver does not know`);
    answer = await answering(request);
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** The guard of a call, or why there is none. */
async function ask(breaker) {
  try {
    return await client.breaker(breaker).acquire();
  } catch (error) {
    if (error instanceof BreakerOpenError) return error;
    throw error;
  }
}

function finish(guard, outcome, kind) {
  if (outcome === 'failure') guard.failure(kind);
  else guard[outcome]();
}

function taken(name) {
  const guard = guards.get(name);
  if (guard === undefined) throw new Error(`no guard is called ${name}`);
  guards.delete(name);
  return guard;
}

/** What is not known is left out. */
function denialOf({ reason, retryAfter, level, serve }) {
  return { reason, retry_after: retryAfter && Math.round(retryAfter), level: level?.number, serve };
}

/** Durations are numbers in both; only the keys differ. */
function toLocalGuard(value) {
  if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [camel(key), toLocalGuard(inner)]),
  );
}

function camel(key) {
  return key.replace(/_([a-z])/g, (_all, letter) => letter.toUpperCase());
}
