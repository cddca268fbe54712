// What happens on the server is seen at once; a connection that is lost is told, and comes back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { go, open } from '../support/browser.mjs';
import { Daemon } from '../support/daemon.mjs';
import { fill } from '../support/fleet.mjs';

test('a transition is seen within a second, on the list, on the page of the breaker and in the history', async () => {
  const daemon = await Daemon.start();
  await fill(daemon);
  const { page, close } = await open(daemon, '#/breakers?q=payments');
  const state = page
    .locator('.grid-body [role=row]', { hasText: 'payments/adyen' })
    .locator('.cell-state');
  await state.getByText('CLOSED').waitFor();
  await page.locator('#connection[data-state=live]').waitFor();

  await daemon.act('trip', 'payments/adyen');
  await state.getByText('OPEN', { exact: true }).waitFor({ timeout: 1_000 });

  await go(page, '#/breakers/payments/adyen');
  const mark = page.locator('.breaker-marks');
  await mark.getByText('OPEN', { exact: true }).waitFor();
  await daemon.act('reset', 'payments/adyen');
  await mark.getByText('CLOSED').waitFor({ timeout: 1_000 });

  await go(page, '#/history?selector=payments/adyen');
  await page.locator('tbody tr').nth(1).waitFor();
  assert.equal(await page.locator('tbody tr').count(), 2);
  await daemon.act('trip', 'payments/adyen');
  await page.locator('tbody tr').nth(2).waitFor();
  assert.match(
    await page.locator('tbody tr').first().innerText(),
    /tripped[\s\S]*test[\s\S]*to see what happens/,
  );
  await close();
  await daemon.kill();
});

test('a lost connection is told, and after it all is loaded anew', async () => {
  const first = await Daemon.start();
  await fill(first);
  const { page, close } = await open(first, '#/breakers', {
    expect: [/Failed to load resource|ERR_/],
  });
  await page.locator('.grid-body [role=row]', { hasText: 'payments/stripe' }).waitFor();
  await page.locator('#connection[data-state=live]').waitFor();
  await first.kill();
  await page.locator('#lost').waitFor();
  assert.match(
    await page.locator('#lost').innerText(),
    /Connection lost\. What is shown is as it was then\./,
  );
  assert.equal(await page.locator('body').getAttribute('data-connection'), 'lost');

  // Another server at the same address, which knows of one breaker only.
  const second = await Daemon.start({ http: first.address });
  await second.report([{ breaker: 'other/one' }]);
  await page
    .locator('#lost')
    .getByRole('button', { name: 'Try now' })
    .click({ timeout: 2_000 })
    .catch(() => {});
  await page.locator('#connection[data-state=live]').waitFor();
  assert.equal(await page.locator('#lost').isVisible(), false);
  await page.locator('.grid-body [role=row]', { hasText: 'other/one' }).waitFor();
  await page
    .locator('.grid-body [role=row]', { hasText: 'payments/stripe' })
    .waitFor({ state: 'detached' });
  await close();
  await second.kill();
});

test('a server that is silent is a lost connection', { timeout: 60_000 }, async () => {
  const daemon = await Daemon.start();
  const { page, close } = await open(daemon, '#/overview', {
    expect: [/Failed to load resource|ERR_/],
  });
  await page.locator('#connection[data-state=live]').waitFor();
  daemon.child.kill('SIGSTOP');
  await page.locator('#lost').waitFor({ timeout: 16_000 });
  daemon.child.kill('SIGCONT');
  await page.locator('#connection[data-state=live]').waitFor({ timeout: 20_000 });
  await close();
  await daemon.kill();
});
