// The small pure parts: names, globs, kinds, waiting, paying, and what travels.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../dist/backoff.js';
import { TokenBucket } from '../../dist/bucket.js';
import { cleanKind, kindOf } from '../../dist/kinds.js';
import { checkName, checkSelector, KindGlobs, Selection, selectionOf } from '../../dist/names.js';
import { toSettings } from '../../dist/settings.js';
import { parseAddress } from '../../dist/transport/address.js';
import { Frames, framed } from '../../dist/transport/frames.js';
import { errorOf, errorOfHttp } from '../../dist/transport/rpc-error.js';
import { Round } from '../../dist/transport/servers.js';
import { judgeError, judgeResult } from '../../dist/verdict.js';
import { between, fromBigInt, fromMs, toBigInt, toMs } from '../../dist/wire/values.js';

test('a name that breaks a rule is refused, and the error names the rule', () => {
  for (const good of ['a/b', 'payments/stripe-api', 'n.s_1/x-2/y', `a/${'b'.repeat(198)}`])
    checkName(good);
  const cases = [
    ['', /empty/],
    ['stripe', /one part/],
    ['/a', /empty part/],
    ['a//b', /empty part/],
    ['a/B', /contains "B"/],
    ['a/é', /contains "é"/],
    [`a/${'b'.repeat(199)}`, /201 bytes/],
    [7, /not number/],
    [undefined, /not undefined/],
  ];
  for (const [bad, rule] of cases) assert.throws(() => checkName(bad), rule, String(bad));
  checkSelector('payments/*');
  checkSelector('**');
  assert.throws(() => checkSelector('Payments/*'), /glob/);
});

test('a star stays within a part and a double star does not', () => {
  const cases = [
    ['payments/*', 'payments/stripe', true],
    ['payments/*', 'payments/stripe/eu', false],
    ['payments/**', 'payments/stripe/eu', true],
    ['**', 'a/b/c', true],
    ['*/stripe', 'a/b/stripe', false],
    ['a/*b*c', 'a/xbxbxc', true],
    ['a.b/*', 'axb/c', false],
    ['a/b', 'a/b', true],
  ];
  for (const [glob, name, expected] of cases) {
    assert.equal(new Selection([glob]).matches(name), expected, `${glob} against ${name}`);
  }
  const kinds = new KindGlobs(['http.5*', 'TimeoutError']);
  assert.ok(kinds.matches('http.503') && kinds.matches('TimeoutError'));
  assert.ok(!kinds.matches('http.404') && !kinds.matches('xhttp.503'));
  assert.ok(new KindGlobs(['*']).matches(''));
});

test('too many names are gathered by their first part, and then into everything', () => {
  const built = new Selection(['built/*']);
  const names = (count, part) => Array.from({ length: count }, (_, at) => part(at));
  assert.deepEqual(selectionOf(built, ['built/a', 'x/y']).selectors, ['built/*', 'x/y']);
  const few = selectionOf(
    built,
    names(999, (at) => `shop/item-${at}`),
  );
  assert.equal(few.selectors.length, 1_000);
  const gathered = selectionOf(
    built,
    names(1_000, (at) => `shop/item-${at}`),
  );
  assert.deepEqual(gathered.selectors, ['built/*', 'shop/**']);
  assert.deepEqual(
    selectionOf(
      built,
      names(1_000, (at) => `s${at}/x`),
    ).selectors,
    ['**'],
  );
});

test('a kind has no control characters and 128 bytes at most, whole characters', () => {
  assert.equal(cleanKind('http.503'), 'http.503');
  assert.equal(cleanKind('a\u0000b\u009fc\n'), 'abc');
  assert.equal(cleanKind('x'.repeat(500)), 'x'.repeat(128));
  assert.equal(cleanKind('é'.repeat(100)), 'é'.repeat(64));
  assert.equal(cleanKind(`x${'€'.repeat(100)}`), `x${'€'.repeat(42)}`);
  assert.equal(cleanKind('😀'.repeat(100)), '😀'.repeat(32));
});

test('the kind of an error is the name of its type', () => {
  class StripeError extends Error {}
  assert.equal(kindOf(new RangeError('x')), 'RangeError');
  assert.equal(kindOf(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), 'ECONNREFUSED');
  assert.equal(kindOf(new StripeError('x')), 'StripeError');
  assert.equal(kindOf(new Error('x')), 'Error');
  assert.equal(kindOf('text'), 'string');
  assert.equal(kindOf(undefined), 'undefined');
  assert.equal(kindOf(Object.create(null)), 'Error');
  assert.equal(
    kindOf({
      get name() {
        throw new Error('no');
      },
    }),
    'Error',
  );
});

test('a verdict says outcome and kind, and leaves the rest to the default', () => {
  const error = new TypeError('x');
  assert.deepEqual(judgeError(error, undefined), { outcome: 'failure', kind: 'TypeError' });
  assert.deepEqual(judgeError(error, 'success'), { outcome: 'success', kind: '' });
  assert.deepEqual(judgeError(error, { outcome: 'failure', kind: 'http.503' }), {
    outcome: 'failure',
    kind: 'http.503',
  });
  assert.equal(judgeError(new DOMException('x', 'AbortError'), undefined).outcome, 'ignored');
  assert.deepEqual(judgeResult(undefined), { outcome: 'success', kind: '' });
  assert.deepEqual(judgeResult({ outcome: 'failure', kind: 'empty' }), {
    outcome: 'failure',
    kind: 'empty',
  });
});

test('the wait doubles up to its bound, shortened by a half at most, and begins afresh', () => {
  const waits = (chance) => {
    const backoff = new Backoff(100, 5_000, () => chance);
    const list = Array.from({ length: 8 }, () => backoff.next());
    backoff.reset();
    return [...list, backoff.next()];
  };
  assert.deepEqual(waits(0), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 100]);
  assert.deepEqual(waits(1), [50, 100, 200, 400, 800, 1_600, 2_500, 2_500, 50]);
});

test('five can be taken at once, and five a second', () => {
  const bucket = new TokenBucket(5, 5, 0);
  for (let i = 0; i < 5; i += 1) {
    assert.equal(bucket.wait(0), 0);
    bucket.take(0);
  }
  assert.ok(Math.abs(bucket.wait(0) - 200) < 1e-6);
  assert.ok(Math.abs(bucket.wait(100) - (200 - 100)) < 1e-6);
  assert.equal(bucket.wait(200), 0);
  assert.equal(bucket.wait(1e9), 0);
  for (let i = 0; i < 5; i += 1) bucket.take(1e9);
  assert.ok(bucket.wait(1e9) > 0, 'a long rest fills no more than five');
});

test('64 bits and nanoseconds survive', () => {
  for (const value of [0n, 1n, 2n ** 31n, 2n ** 32n + 5n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
    assert.equal(toBigInt(fromBigInt(value)), value);
  }
  assert.deepEqual(fromMs(1_500.25), { seconds: 1, nanos: 500_250_000 });
  assert.deepEqual(fromMs(-1), { seconds: 0, nanos: 0 });
  assert.equal(toMs({ seconds: 2, nanos: 500_000 }), 2_000.5);
  assert.equal(toMs(null), undefined);
  const at = (seconds, nanos) => ({ seconds: { low: seconds, high: 0, unsigned: false }, nanos });
  const apart = between(at(1_800_000_001, 1), at(1_800_000_000, 999_999_999));
  assert.ok(Math.abs(apart - 2e-6) < 1e-12);
});

test('an address is a host and a port, with or without a scheme', () => {
  assert.deepEqual(parseAddress('http://Breakerd:7420/'), {
    text: 'breakerd:7420',
    host: 'Breakerd',
    port: 7420,
    isSecure: false,
  });
  assert.equal(parseAddress('[::1]:7420').host, '::1');
  for (const bad of ['', 'breakerd', 'breakerd:7420/v1', 'a b:1', 'h:99999', ':1', 'h:0', 7]) {
    assert.throws(() => parseAddress(bad), /not an address/, String(bad));
  }
});

test('an option that is wrong is named', () => {
  assert.throws(() => toSettings({ staleAfter: 0 }), /`staleAfter` is 0/);
  assert.throws(() => toSettings({ permitTimeout: '1s' }), /`permitTimeout`/);
  assert.throws(() => toSettings({ onUnavailable: 'maybe' }), /`onUnavailable`/);
  assert.throws(() => toSettings({ clientId: 'x'.repeat(201) }), /`clientId`/);
  assert.throws(() => toSettings({ addresses: ['https://a:1', 'http://b:1'] }), /scheme of b:1/);
  const settings = toSettings({
    clientId: 'é'.repeat(100),
    token: 'secret',
    addresses: ['https://a:1'],
  });
  assert.ok(Buffer.byteLength(settings.reporterId) <= 200);
  assert.match(settings.reporterId, /^é+-[0-9a-f]{16}$/);
  assert.equal(settings.authorization(), 'Bearer secret');
  assert.deepEqual(settings.tls, {});
});

test('messages are cut out of whatever chunks arrive', () => {
  const messages = [Buffer.from(''), Buffer.from('one'), Buffer.alloc(70_000, 7)];
  const bytes = Buffer.concat(messages.map(framed));
  for (const size of [1, 4, 5, 1_000, bytes.length]) {
    const frames = new Frames();
    const read = [];
    for (let at = 0; at < bytes.length; at += size)
      read.push(...frames.push(bytes.subarray(at, at + size)));
    assert.deepEqual(read.map(Buffer.from), messages, `chunks of ${size}`);
  }
  assert.throws(() => new Frames().push(Buffer.from([1, 0, 0, 0, 0])), /compressed/);
  assert.throws(() => new Frames().push(Buffer.from([0, 255, 0, 0, 0])), /too long/);
});

test('a status says what went wrong, and who leads instead', () => {
  assert.equal(errorOf({ 'grpc-status': '0' }), undefined);
  const wrong = errorOf({ 'grpc-status': '3', 'grpc-message': 'bad%20name' });
  assert.deepEqual(
    [wrong.code, wrong.message, wrong.isWrong],
    ['INVALID_ARGUMENT', 'INVALID_ARGUMENT: bad name', true],
  );
  assert.equal(errorOfHttp(503).code, 'UNAVAILABLE');
  assert.equal(errorOfHttp(418).code, 'UNKNOWN');
  const garbage = errorOf({ 'grpc-status': '14', 'grpc-status-details-bin': '!!' });
  assert.deepEqual([garbage.code, garbage.leader], ['UNAVAILABLE', undefined]);
});

test('each server is asked once a round: the leader that is named, then the list', () => {
  const [a, b, c] = ['a:1', 'b:1', 'c:1'].map(parseAddress);
  const away = { leader: undefined };
  const visited = (errors) => {
    const round = new Round([a, b, c], b);
    const list = [round.address.text];
    for (const error of errors) if (round.next(error)) list.push(round.address.text);
    return list;
  };
  assert.deepEqual(visited([away, away, away]), ['b:1', 'c:1', 'a:1']);
  assert.deepEqual(visited([{ leader: 'a:1' }, away, away]), ['b:1', 'a:1', 'c:1']);
  assert.deepEqual(visited([{ leader: 'x:9' }, away, away, away]), ['b:1', 'x:9', 'a:1', 'c:1']);
  assert.deepEqual(visited([{ leader: 'b:1' }, { leader: '' }, { leader: 'nonsense' }]), [
    'b:1',
    'c:1',
    'a:1',
  ]);
});
