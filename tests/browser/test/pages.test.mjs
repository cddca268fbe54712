// Every page: for those who listen, on a phone, in both themes; and its numbers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { axe, go, open } from '../support/browser.mjs';
import { Daemon, eventually } from '../support/daemon.mjs';
import { NAMES, fill } from '../support/fleet.mjs';

/** Each page, and what shows that it is there. */
const PAGES = [
  ['#/overview', '.namespaces tbody tr'],
  ['#/breakers', '.grid-body [role=row]'],
  ['#/breakers/payments/stripe', '.config tbody tr'],
  ['#/breakers/media/cdn', '.override'],
  ['#/alerts', '.alert-card'],
  ['#/policies/payments?explain=payments/stripe', '.explained tbody tr'],
  ['#/history', 'tbody tr'],
];

let daemon;
before(async () => {
  daemon = await Daemon.start();
  await fill(daemon);
});
after(() => daemon.kill());

for (const theme of ['light', 'dark']) {
  for (const width of [1440, 360]) {
    test(
      `axe finds nothing on any page, ${theme}, ${width} pixels wide`,
      { timeout: 120_000 },
      async () => {
        const { page, close } = await open(daemon, '#/overview', { theme, width, height: 800 });
        await page.locator('#connection[data-state=live]').waitFor();
        for (const [hash, there] of PAGES) {
          await go(page, hash);
          await page.locator(there).first().waitFor();
          assert.deepEqual(await axe(page), [], hash);
          const beyond = await page.evaluate(
            () => document.documentElement.scrollWidth - innerWidth,
          );
          assert.ok(beyond <= 0, `${hash} is ${beyond} pixels too wide`);
        }
        await go(page, '#/breakers/payments/stripe');
        await page.getByRole('button', { name: 'Force open' }).click();
        assert.deepEqual(await axe(page), [], 'the dialog of an action');
        await page.keyboard.press('Escape');
        await page.keyboard.press('?');
        assert.deepEqual(await axe(page), [], 'the help');
        await close();
      },
    );
  }
}

const STATES = { CLOSED: 'closed', OPEN: 'open', HALF_OPEN: 'half_open' };
const MODES = ['FORCED_OPEN', 'FORCED_CLOSED', 'DISABLED', 'SHADOW'];

/** What the overview shows, by the names of the fields of a HealthSummary. */
function shown(page) {
  return page.evaluate(() => {
    const totals = [...document.querySelectorAll('.total[data-state], .total[data-mode]')];
    const number = (within, at) => Number(within.querySelector(at).innerText);
    const rows = [...document.querySelectorAll('.namespaces tbody tr')];
    return {
      ...Object.fromEntries(
        totals.map((total) => [
          (total.dataset.state ?? total.dataset.mode).toLowerCase(),
          number(total, '.total-number'),
        ]),
      ),
      health: number(document, '.health-number'),
      unhealthy: document.querySelectorAll('.unhealthy tbody tr').length,
      namespaces: rows.map((row) =>
        [...row.querySelectorAll('th, .number')].map(({ innerText }, at) =>
          at === 0 ? innerText : parseFloat(innerText),
        ),
      ),
    };
  });
}

/** What it is to show. */
function expected({ summary, namespaces }) {
  const fields = [...Object.values(STATES), ...MODES.map((mode) => mode.toLowerCase())];
  const percent = (one) => Math.round(one.health_percent * 10) / 10;
  return {
    ...Object.fromEntries(fields.map((field) => [field, Number(summary[field])])),
    health: percent(summary),
    unhealthy: Number(summary.unhealthy),
    namespaces: namespaces.map((one) => [
      one.namespace,
      percent(one),
      ...['breakers', 'closed', 'open', 'half_open'].map((field) => Number(one[field])),
    ]),
  };
}

/** What /metrics and the list say of the states. */
async function counted(daemon) {
  const metrics = await daemon.metrics();
  const states = {};
  for (const [word, field] of Object.entries(STATES)) {
    const { breakers } = await daemon.api('GET', `breakers?page_size=1000&states=STATE_${word}`);
    states[field] = {
      listed: breakers.length,
      metric: metrics.get(`breakerd_breakers{state="${field}"}`),
    };
  }
  return states;
}

/**
 * Compares what the page shows, as soon as it does, with what everything else says. Returns what that
 * is; nothing if something has changed meanwhile.
 */
async function compare(daemon, page) {
  const before = await daemon.api('GET', 'health');
  const wanted = expected(before);
  let seen;
  const isShown = async () => isDeepStrictEqual((seen = await shown(page)), wanted);
  const began = performance.now();
  while (!(await isShown()) && performance.now() - began < 20_000);
  const states = await counted(daemon);
  const { summary } = await daemon.api('GET', 'dashboard');
  const after = await daemon.api('GET', 'health');
  if (!isDeepStrictEqual(expected(after), wanted)) return undefined;
  assert.deepEqual(seen, wanted);
  for (const field of Object.values(STATES)) {
    const number = Number(before.summary[field]);
    assert.deepEqual(states[field], { listed: number, metric: number }, field);
  }
  assert.deepEqual(summary, before.summary, 'GetDashboard');
  return wanted;
}

test('the numbers of the overview are those of GetDashboard, /metrics and the list', async () => {
  const { page, close } = await open(daemon, '#/overview');
  await page.locator('.health-number').waitFor();
  let told;
  while (told === undefined) told = await compare(daemon, page);
  await page.locator('.total[data-state=OPEN]').click();
  await page.locator(`.grid[aria-rowcount="${told.open + 1}"]`).waitFor();
  await close();
});

test('so they are under load', { timeout: 120_000 }, async () => {
  const busy = await Daemon.start();
  await fill(busy);
  const { page, close } = await open(busy, '#/overview');
  await page.locator('.health-number').waitFor();
  let isOver = false;
  const load = Array.from({ length: 3 }, async (_, replica) => {
    while (!isOver) {
      // Some of its own open by themselves.
      const outcome = Math.random() < 0.02 ? 'FAILURE' : 'SUCCESS';
      const own = { breaker: `load/${replica}`, outcome, count: 5 };
      await busy.report([...NAMES.map((breaker) => ({ breaker, count: 20 })), own]);
    }
  });
  const seen = new Set();
  let agreed = 0;
  try {
    for (let turn = 0; agreed < 10 || seen.size < 4; turn += 1) {
      assert.ok(turn < 60, `only ${agreed} comparisons at rest, of ${seen.size} kinds`);
      await busy.act(turn % 2 === 0 ? 'trip' : 'reset', NAMES[turn % 5]);
      const told = await compare(busy, page);
      if (told === undefined) continue;
      agreed += 1;
      seen.add(JSON.stringify(told));
    }
  } finally {
    isOver = true;
    await Promise.all(load);
  }
  await close();
  await busy.kill();
});

test('a breaker’s page says what is in force, what happened and where each value comes from', async () => {
  const { page, close } = await open(daemon, '#/breakers/payments/stripe');
  await page.locator('.breaker-marks').getByText('OPEN', { exact: true }).waitFor();
  await page.locator('.condition', { hasText: 'Failures' }).first().getByText('3 of 3').waitFor();
  const threshold = page.locator('.config tr', { hasText: 'failure_threshold' }).first();
  assert.match(await threshold.innerText(), /3\s+policy payments/);
  await page.locator('.timeline-strip[aria-label*="OPEN 1 time,"]').waitFor();
  assert.match(
    await page.locator('tbody tr', { hasText: 'failure count reached' }).first().innerText(),
    /CLOSED[\s\S]*OPEN/,
  );
  const outcomes = await page
    .locator('.outcome')
    .evaluateAll((all) => all.map((one) => one.dataset.outcome));
  assert.deepEqual(outcomes.slice(-4), ['SUCCESS', 'FAILURE', 'FAILURE', 'FAILURE']);
  assert.equal(await page.locator('.chart canvas, .chart .empty').count(), 3);
  await close();
});

test('the history is filtered by cause, by who, and by time', async () => {
  const { page, close } = await open(daemon, '#/history?cause=done+by+people');
  await page.locator('tbody tr').nth(1).waitFor();
  assert.equal(await page.locator('tbody tr').count(), 2);
  await page.getByLabel('Who, exactly').fill('nobody');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing like that is kept.').waitFor();
  assert.match(page.url(), /actor=nobody/);
  await page.goBack();
  await page.locator('tbody tr').nth(1).waitFor();
  await go(page, '#/history?to=2001-01-01T00:00');
  await page.getByText('Nothing like that is kept.').waitFor();
  await close();
});

test('the theme that was chosen stays', async () => {
  const { page, close } = await open(daemon, '#/overview');
  const theme = () => page.locator('html').getAttribute('data-theme');
  assert.equal(await theme(), 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await eventually('it follows the system', async () => (await theme()) === 'dark');
  await page.locator('#theme').click();
  assert.equal(await theme(), 'light');
  await page.reload();
  assert.equal(await theme(), 'light');
  await close();
});
