// The examples run as they stand, and the page begins with one of them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Daemon } from '../support/daemon.mjs';

let daemon;
before(async () => (daemon = await Daemon.start()));
after(() => daemon.kill());

const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
function run(name) {
  const env = { ...process.env, BREAKERD_ADDRESS: daemon.address };
  const { status, stdout, stderr } = spawnSync(process.execPath, [path(`examples/${name}`)], {
    env,
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return stdout.trim().split('\n');
}

test('the page begins with ten lines that work', () => {
  const lines = readFileSync(path('examples/quickstart.mjs'), 'utf8');
  const page = readFileSync(path('README.md'), 'utf8');
  const [first] = /```js\n[^]*?```/.exec(page);
  assert.equal(first, `\`\`\`js\n${lines}\`\`\``);
  assert.deepEqual(run('quickstart.mjs'), ['{ charged: 4200 } { charged: 17 }']);
});

test('fetch', () => {
  const said = run('fetch.mjs');
  assert.deepEqual(
    said.slice(0, 5),
    [1, 2, 3, 4, 5].map((attempt) => `${attempt} 503`),
  );
  assert.equal(said.at(-1), '8 denied: open');
});

test('express', () => {
  const said = run('express.mjs');
  assert.equal(said[0], '/items 500 null {"error":"the warehouse is on fire"}');
  assert.equal(said[5], '/items 503 60 {"denied":"open"}');
  assert.match(said[6], /^\/items\/cached 200 null .*many/);
});

test('import and require give the same classes', async () => {
  const required = createRequire(import.meta.url)('@breakerd/client');
  const imported = await import('@breakerd/client');
  assert.equal(imported.Client, required.Client);
  assert.equal(imported.BreakerOpenError, required.BreakerOpenError);
});
