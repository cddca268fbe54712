import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Admission } from '../../dist/admission.js';
import { Decider } from '../../dist/decider.js';
import { TestClock } from '../support/clock.mjs';
import { held } from '../support/held.mjs';

let clock;
let engine;
let asked;
let answer;
let givenBack;
let heard;

beforeEach(() => {
  clock = new TestClock();
  [asked, givenBack, heard] = [0, [], 0];
  answer = () => new Promise(() => {});
  engine = {
    clock,
    usesCopy: true,
    isStale: false,
    copy: { get: () => undefined, covers: () => false },
    settings: { onUnavailable: 'local', localGuard: undefined },
    permits: {
      clock,
      permitTimeout: 250,
      heard: () => heard,
      giveBack: (_breaker, late) => givenBack.push(late),
      ask: () => {
        asked += 1;
        return answer();
      },
    },
  };
});

const wide = (low) => ({ low, high: 0, unsigned: true });
const permit = (id) => ({
  allowed: true,
  reason: 2,
  state: 3,
  mode: 1,
  generation: wide(7),
  permit: { id: wide(id), timeLeft: { seconds: 2, nanos: 0 } },
});
const NO_PERMIT = {
  allowed: false,
  reason: 7,
  state: 3,
  mode: 1,
  generation: wide(7),
  retryAfter: { seconds: 1, nanos: 0 },
};

function decider(state) {
  const made = new Decider('a/x', engine);
  if (state !== undefined) made.take(held(state));
  return made;
}
const words = (decision) => (decision instanceof Admission ? 'allowed' : decision.reason);
const decide = (made) => made.decide(clock.now());

test('the copy decides by state and mode', () => {
  const now = clock.now();
  const cases = [
    [{}, 'allowed'],
    [{ mode: 'forced_open', state: 'open' }, 'forced_open', undefined],
    [{ mode: 'forced_open', state: 'open', overrideEndsAt: now + 70 }, 'forced_open', 70],
    [{ mode: 'forced_closed' }, 'allowed'],
    [{ mode: 'disabled' }, 'allowed'],
    [{ state: 'open', retryAt: now + 30 }, 'open', 30],
    [{ state: 'open' }, 'open', undefined],
    [{ mode: 'shadow', state: 'open', retryAt: now + 30 }, 'allowed'],
    [{ mode: 'shadow', state: 'half_open', admitPercent: 1 }, 'allowed'],
  ];
  for (const [state, expected, retryAfter] of cases) {
    const decision = decide(decider(state));
    assert.equal(
      words(decision),
      expected,
      JSON.stringify(state, (_k, v) => (typeof v === 'bigint' ? String(v) : v)),
    );
    if (!(decision instanceof Admission)) assert.equal(decision.retryAfter, retryAfter);
  }
});

test('a ramp lets exactly its share through', () => {
  const made = decider({ state: 'half_open', admitPercent: 30 });
  const decisions = Array.from({ length: 1_000 }, () => words(decide(made)));
  const allowed = decisions.filter((word) => word === 'allowed').length;
  assert.ok(allowed >= 300 && allowed <= 301, `${allowed}`);
  assert.ok(decisions.includes('ramp'));
});

test('many clients with few calls let the share through together', () => {
  const first = () => words(decide(decider({ state: 'half_open', admitPercent: 20 })));
  const allowed = Array.from({ length: 2_000 }, first).filter((word) => word === 'allowed').length;
  assert.ok(allowed > 300 && allowed < 500, `${allowed} of 2,000`);
});

test('a breaker that does not exist is CLOSED once a snapshot would have brought it', () => {
  engine.settings.onUnavailable = 'deny';
  const made = decider();
  assert.equal(words(decide(made)), 'unavailable');
  made.isCovered = true;
  const decision = decide(made);
  assert.equal(decision.generation, 0n);
  assert.equal(decision.bound, 10_000);
});

test('HALF_OPEN, and OPEN past its time, ask the server', async () => {
  answer = async () => permit(5);
  for (const state of [{ state: 'half_open' }, { state: 'open', retryAt: clock.now() }]) {
    const decision = await decide(decider(state));
    assert.deepEqual([decision.generation, decision.permit, decision.bound], [7n, 5n, 2_000]);
  }
  assert.equal(asked, 2);
});

test('the time of a permit is counted from when it was asked for, but for a half at least', async () => {
  for (const [took, bound] of [
    [100, 1_900],
    [240, 1_760],
  ]) {
    answer = () => new Promise((resolve) => clock.after(took, () => resolve(permit(5))));
    const decision = decide(decider({ state: 'half_open' }));
    await clock.pass(took);
    assert.equal((await decision).bound, bound);
  }
  const short = {
    ...permit(5),
    permit: { id: wide(5), timeLeft: { seconds: 0, nanos: 100_000_000 } },
  };
  answer = () => new Promise((resolve) => clock.after(90, () => resolve(short)));
  const decision = decide(decider({ state: 'half_open' }));
  await clock.pass(90);
  assert.equal((await decision).bound, 50);
});

test('after NO_PERMIT nobody asks for 20 ms', async () => {
  answer = async () => NO_PERMIT;
  const made = decider({ state: 'half_open' });
  const denial = await decide(made);
  assert.deepEqual([denial.reason, denial.retryAfter], ['no_permit', 1_000]);
  await clock.pass(19);
  assert.equal(words(decide(made)), 'no_permit');
  assert.equal(asked, 1);
  await clock.pass(1);
  await decide(made);
  assert.equal(asked, 2);
});

test('no more ask at once than there can be probes', () => {
  const made = decider({ state: 'half_open', config: { maxProbes: 2 } });
  void decide(made);
  void decide(made);
  assert.equal(words(decide(made)), 'no_permit');
  assert.equal(asked, 2);
});

test('a server that does not answer makes one call wait for 250 ms, and no other', async () => {
  const made = decider({ state: 'half_open', config: { onUnavailable: 'deny' } });
  const waiting = decide(made);
  await clock.pass(250);
  assert.equal(words(await waiting), 'unavailable');
  const second = decide(made);
  assert.equal(words(decide(made)), 'no_permit', 'one at a time asks');
  await clock.pass(250);
  assert.equal(words(await second), 'unavailable');
  heard += 1;
  void decide(made);
  void decide(made);
  assert.equal(asked, 4, 'until something is heard');
});

test('a permit that comes too late is given back', async () => {
  let late;
  answer = () => new Promise((resolve) => (late = resolve));
  const waiting = decide(decider({ state: 'half_open', config: { onUnavailable: 'allow' } }));
  await clock.pass(250);
  assert.equal(words(await waiting), 'allowed');
  late(permit(9));
  await clock.pass(0);
  assert.equal(givenBack.length, 1);
});

test('in SHADOW a call asks for a permit and is allowed without one', async () => {
  answer = async () => permit(5);
  const made = decider({ state: 'half_open', mode: 'shadow', config: { maxProbes: 1 } });
  const probe = decide(made);
  assert.equal(words(decide(made)), 'allowed');
  assert.equal((await probe).permit, 5n);
  answer = async () => undefined;
  assert.equal(words(await decide(made)), 'allowed');
});

test('FALLBACK decides as the breaker, or else the client, was told', () => {
  engine.usesCopy = false;
  const state = { state: 'open', retryAt: clock.now() + 1e6, generation: 4n };
  assert.equal(decide(decider({ ...state, config: { onUnavailable: 'allow' } })).generation, 4n);
  assert.equal(
    words(decide(decider({ ...state, config: { onUnavailable: 'deny' } }))),
    'unavailable',
  );
  engine.settings.onUnavailable = 'allow';
  assert.equal(words(decide(decider())), 'allowed');
});

test('the local breaker begins where the fleet was, learns, and is forgotten', () => {
  engine.usesCopy = false;
  const made = decider({
    state: 'open',
    retryAt: clock.now() + 1e6,
    config: { maxProbes: 1, failureThreshold: 2 },
  });
  const probe = decide(made);
  assert.ok(probe instanceof Admission);
  const denial = decide(made);
  assert.deepEqual([denial.reason, denial.state], ['local_open', 'half_open']);
  made.learn(probe, 'failure', '', 1, clock.now());
  const { reason, state, retryAfter } = decide(made);
  assert.deepEqual([reason, state, retryAfter], ['local_open', 'open', 60_000]);
  made.forgetLocal();
  assert.ok(decide(made) instanceof Admission);
});

/** Lets calls fail until they are denied; says how many were made, and why no more are. */
function failUntilDenied(made) {
  for (let calls = 0; calls < 20; calls += 1) {
    const decision = decide(made);
    if (!(decision instanceof Admission)) return `${calls}, ${decision.reason}`;
    made.learn(decision, 'failure', '', 1, clock.now());
  }
  return 'not denied';
}

test('STALE leaves to the local breaker what the copy has CLOSED, where on_unavailable is local', () => {
  const closed = (more) => decider({ config: { failureThreshold: 3 }, generation: 4n, ...more });
  const isFromCopy = (made) => made.isFromCopy && failUntilDenied(made) === 'not denied';
  assert.ok(isFromCopy(closed()), 'READY is trusted');
  engine.isStale = true;
  const made = closed();
  assert.equal(made.isFromCopy, false);
  assert.equal(decide(made).generation, 4n);
  assert.equal(failUntilDenied(made), '3, local_open');
  const local = { onUnavailable: 'local', failureThreshold: 3 };
  for (const onUnavailable of ['allow', 'deny']) {
    engine.settings.onUnavailable = onUnavailable;
    assert.ok(isFromCopy(closed()), `the client says ${onUnavailable}`);
    assert.equal(failUntilDenied(closed({ config: local })), '3, local_open');
  }
  engine.settings.onUnavailable = 'local';
  assert.ok(isFromCopy(closed({ config: { onUnavailable: 'allow' } })));
  for (const mode of ['shadow', 'disabled', 'forced_closed'])
    assert.ok(isFromCopy(closed({ mode })));
  assert.equal(words(decide(closed({ mode: 'forced_open' }))), 'forced_open');
  const open = closed({ state: 'open', retryAt: clock.now() + 100 });
  assert.equal(words(decide(open)), 'open');
});

test('STALE leaves to the local breaker what does not exist', () => {
  engine.isStale = true;
  const made = decider();
  made.isCovered = true;
  assert.equal(decide(made).generation, 0n);
  assert.equal(failUntilDenied(made), '5, local_open');
  engine.settings.onUnavailable = 'deny';
  assert.equal(words(decide(made)), 'allowed', 'the copy as it was');
});

test('what tripped in STALE stays so in FALLBACK, and is forgotten with news of another state', () => {
  engine.isStale = true;
  const made = decider({ config: { failureThreshold: 3 } });
  assert.equal(failUntilDenied(made), '3, local_open');
  made.take(held({ revision: 2n }));
  engine.usesCopy = false;
  assert.equal(words(decide(made)), 'local_open');
  made.take(held({ state: 'half_open' }));
  made.take(held({ config: { failureThreshold: 2 } }));
  assert.equal(failUntilDenied(made), '2, local_open');
});

test('the local breaker learns from calls that the copy has allowed, but takes none for its probe', () => {
  const before = decide(decider({}));
  engine.usesCopy = false;
  const closed = decider({ config: { failureThreshold: 2 } });
  decide(closed);
  for (let i = 0; i < 2; i += 1) closed.learn(before, 'failure', '', 1, clock.now());
  assert.equal(words(decide(closed)), 'local_open');
  const probing = decider({ state: 'half_open' });
  decide(probing);
  for (let i = 0; i < 5; i += 1) probing.learn(before, 'failure', '', 1, clock.now());
  assert.ok(decide(probing) instanceof Admission);
});

test('a local guard has to agree, and takes its leave back where the fleet does not', async () => {
  engine.settings.localGuard = { failureThreshold: 1 };
  const made = decider({});
  const admitted = decide(made);
  assert.equal(admitted.learners.length, 1);
  made.learn(admitted, 'failure', '', 1, clock.now());
  assert.equal(words(decide(made)), 'local_open');
  await clock.pass(60_000);
  made.take(held({ state: 'open', retryAt: clock.now() + 100 }));
  for (let i = 0; i < 10; i += 1)
    assert.equal(words(decide(made)), 'open', 'its probes are not used up');
});
