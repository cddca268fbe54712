// The list of breakers: filters, order, the address, the keyboard, and thousands of rows.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { go, open } from '../support/browser.mjs';
import { Daemon, eventually } from '../support/daemon.mjs';
import { NAMES, fill } from '../support/fleet.mjs';

let daemon;
before(async () => {
  daemon = await Daemon.start();
  await fill(daemon);
});
after(() => daemon.kill());

/** Waits until the list shows these names, from the top. Its rows come a frame after their number. */
const shows = (page, names) =>
  eventually(`the list shows ${names}`, async () =>
    isDeepStrictEqual(await page.locator('.grid-body .cell-name').allInnerTexts(), names),
  );
/** Waits until so many breakers pass. */
const amount = (page, number) => page.locator(`.grid[aria-rowcount="${number + 1}"]`).waitFor();

test('filters and search leave what they say, and stand in the address', async () => {
  const { page, close } = await open(daemon, '#/breakers');
  await amount(page, NAMES.length);
  await shows(page, [...NAMES].sort());

  await page.keyboard.press('/');
  await page.keyboard.type('pay');
  await amount(page, 3);
  await page.getByRole('searchbox').fill('*/index');
  await amount(page, 1);
  await shows(page, ['search/index']);
  await page.getByRole('searchbox').fill('');

  await page.getByRole('button', { name: /^OPEN/ }).click();
  await amount(page, 2);
  await shows(page, ['media/cdn', 'payments/stripe']);
  assert.match(page.url(), /#\/breakers\?state=OPEN$/);
  await page.getByLabel('Mode').selectOption('FORCED_OPEN');
  await amount(page, 1);
  await page.goBack();
  await amount(page, 2);
  await page.goBack();
  await amount(page, NAMES.length);

  await page.getByLabel('Namespace').selectOption('search');
  await amount(page, 2);
  await page.getByLabel('Namespace').selectOption('');
  await page.getByLabel('Level').selectOption('warning');
  await amount(page, 1);
  await shows(page, ['inventory/warehouse']);
  await close();
});

test('a link leads to the same list, in the same order', async () => {
  const { page, close } = await open(daemon, '#/breakers?q=**&ns=payments&sort=name&dir=desc');
  await amount(page, 3);
  await shows(page, ['payments/stripe', 'payments/ledger', 'payments/adyen']);
  assert.equal(await page.getByLabel('Namespace').inputValue(), 'payments');
  await page.getByRole('columnheader', { name: 'State', exact: true }).getByRole('button').click();
  await page.locator('[role=columnheader][aria-sort=descending]', { hasText: 'State' }).waitFor();
  await page.locator('.grid-body [role=row]').first().getByText('payments/stripe').waitFor();
  assert.match(page.url(), /sort=state/);
  await close();
});

test('the keyboard goes through the list and opens a breaker', async () => {
  const { page, close } = await open(daemon, '#/overview');
  await page.locator('#connection[data-state=live]').waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  await amount(page, NAMES.length);
  await page.locator('.grid').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  const active = page.locator('.grid-body .is-active', { hasText: 'media/cdn' });
  await active.waitFor();
  const told = await page.locator('.grid').getAttribute('aria-activedescendant');
  assert.equal(await active.getAttribute('id'), told);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'media/cdn' }).waitFor();
  assert.equal(await page.title(), 'media/cdn · breakerd');
  assert.match(
    await page.locator('.override').innerText(),
    /FORCED_OPEN by test.*to see what happens.*ends in/s,
  );
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard and help' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.goBack();
  await amount(page, NAMES.length);
  await close();
});

test('a breaker that is not there is said to be so', async () => {
  const { page, close } = await open(daemon, '#/breakers/no/where', { expect: [/404/] });
  await page.getByText('There is no such breaker.').waitFor();
  await page.getByRole('link', { name: 'Which configuration it would have' }).click();
  await page.getByText('does not exist; this is what it would have').waitFor();
  await close();
});

test(
  'five thousand breakers are scrolled without a frame of more than 100 ms',
  { timeout: 180_000 },
  async () => {
    const many = await Daemon.start();
    const names = Array.from(
      { length: 5_000 },
      (_, at) => `ns${at % 40}/service-${String(at).padStart(4, '0')}`,
    );
    await many.report(names.map((breaker) => ({ breaker, count: 5 })));
    const { page, close } = await open(many, '#/breakers');
    await amount(page, 5_000);
    assert.ok(
      (await page.locator('.grid-body [role=row]').count()) < 80,
      'only what is seen is there',
    );
    // Other work of the machine takes frames too: each try begins in a calm moment.
    let longest = Infinity;
    for (let tries = 0; tries < 5 && longest > 100; tries += 1) {
      await page.evaluate(calm);
      longest = await page.evaluate(scroll);
    }
    assert.ok(longest <= 100, `a frame took ${longest} ms`);
    await page.locator('.grid').focus();
    await page.keyboard.press('End');
    await page.locator('.grid-body [role=row][aria-rowindex="5001"]').waitFor();
    await page.getByRole('searchbox').fill('service-4999');
    await amount(page, 1);
    await close();
    await many.kill();
  },
);

/** Scrolls through the whole list; the longest time between two frames, in milliseconds. */
async function scroll() {
  const grid = document.querySelector('.grid');
  grid.scrollTop = 0;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let before = await frame();
  let longest = 0;
  // Slowly at first, as one reads; then in leaps, as the scroll bar does.
  for (const step of [...Array(120).fill(60), ...Array(200).fill(1000)]) {
    grid.scrollTop += step;
    const now = await frame();
    longest = Math.max(longest, now - before);
    before = now;
  }
  return longest;
}

/** Waits for a second without a long frame, for a while at most. */
async function calm() {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let before = await frame();
  const deadline = before + 20_000;
  for (let since = before; before - since < 1_000 && before < deadline;) {
    const now = await frame();
    if (now - before > 50) since = now;
    before = now;
  }
}
