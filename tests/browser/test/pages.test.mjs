// Every page: for those who listen, on a phone, in both themes; and its numbers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, go, open } from '../support/browser.mjs';
import { Daemon, eventually } from '../support/daemon.mjs';
import { fill } from '../support/fleet.mjs';

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

test('the numbers of the overview are those of GetDashboard, /metrics and the list', async () => {
  const { page, close } = await open(daemon, '#/overview');
  await page.locator('.health-number').waitFor();
  const { summary } = await daemon.api('GET', 'dashboard');
  const total = (kind, word) =>
    page.locator(`.total[data-${kind}=${word}] .total-number`).innerText();
  const metrics = await daemon.metrics();
  for (const [word, field] of [
    ['CLOSED', 'closed'],
    ['OPEN', 'open'],
    ['HALF_OPEN', 'half_open'],
  ]) {
    await eventually(
      `${word} is as it is told`,
      async () => (await total('state', word)) === summary[field],
    );
    const { breakers } = await daemon.api('GET', `breakers?page_size=1000&states=STATE_${word}`);
    assert.equal(breakers.length, Number(summary[field]), word);
    const metric = [...metrics].filter(
      ([name]) => name.startsWith('breakerd_breakers{') && name.includes(`state="${field}"`),
    );
    assert.ok(metric.length > 0, `/metrics counts breakers that are ${word}`);
    assert.equal(
      metric.reduce((sum, [, value]) => sum + value, 0),
      Number(summary[field]),
      `/metrics: ${word}`,
    );
  }
  for (const word of ['FORCED_OPEN', 'FORCED_CLOSED', 'DISABLED', 'SHADOW']) {
    assert.equal(await total('mode', word), summary[word.toLowerCase()]);
  }
  assert.equal(
    Number(await page.locator('.health-number').innerText()),
    Math.round(summary.health_percent * 10) / 10,
  );
  const rows = await page.locator('.unhealthy tbody tr').count();
  assert.equal(rows, Number(summary.unhealthy));
  await page.locator('.total[data-state=OPEN]').click();
  await page.locator(`.grid[aria-rowcount="${Number(summary.open) + 1}"]`).waitFor();
  await close();
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
