// What people do to breakers from the dashboard.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { open } from '../support/browser.mjs';
import { Daemon, eventually } from '../support/daemon.mjs';
import { fill } from '../support/fleet.mjs';

let daemon;
before(async () => {
  daemon = await Daemon.start();
  await fill(daemon);
});
after(() => daemon.kill());

test('a breaker is forced open with a reason and a time to live, and released', async () => {
  const { page, close } = await open(daemon, '#/breakers/search/index');
  await page.getByRole('button', { name: 'Force open' }).click();
  const dialog = page.getByRole('dialog', { name: 'Force open' });
  await dialog.getByRole('combobox').selectOption('another time …');
  await dialog.getByPlaceholder('90m').fill('half an hour');
  await dialog.getByLabel('Who').fill('maria');
  await dialog.getByRole('button', { name: 'Force open' }).click();
  await dialog.getByText('Say why').waitFor();
  await dialog.getByLabel('Why').fill('<b>the disk</b> is full');
  await dialog.getByRole('button', { name: 'Force open' }).click();
  await dialog.getByText('The time to live is not one').waitFor();
  await dialog.getByPlaceholder('90m').fill('0.5h');
  await dialog.getByRole('button', { name: 'Force open' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('.override', { hasText: 'FORCED_OPEN by maria' }).waitFor();
  assert.match(
    await page.locator('.override').innerText(),
    /<b>the disk<\/b> is full.*ends in (29|30) m/s,
  );
  const { state, override } = await daemon.breaker('search/index');
  assert.equal(state.mode, 'MODE_FORCED_OPEN');
  assert.equal(override.actor, 'maria');
  assert.equal(override.reason, '<b>the disk</b> is full');
  assert.equal(Date.parse(override.expire_time) - Date.parse(override.set_time), 1_800_000);

  // Who does it is remembered.
  await page.keyboard.press('r');
  const release = page.getByRole('dialog', { name: 'Release' });
  assert.equal(await release.getByLabel('Who').inputValue(), 'maria');
  await release.getByLabel('Why').fill('there is room again');
  await release.getByRole('button', { name: 'Release' }).click();
  await page.locator('.breaker-marks').getByText('HALF_OPEN').waitFor();
  await page.locator('.override').waitFor({ state: 'detached' });
  await page.locator('tbody tr', { hasText: 'there is room again' }).waitFor();
  await close();
});

test('a glob is acted on only when the number or the glob was typed', async () => {
  const { page, close } = await open(daemon, '#/breakers?ns=payments');
  await page.getByRole('button', { name: 'Act on a glob' }).click();
  const dialog = page.getByRole('dialog', { name: 'Act on a glob' });
  await dialog.getByText('3 breakers match').waitFor();
  assert.equal(await dialog.getByLabel('Selector').inputValue(), 'payments/**');
  await dialog.getByLabel('Action').selectOption('Disable');
  await dialog.getByLabel('Who').fill('jonas');
  await dialog.getByLabel('Why').fill('a drill');
  const send = dialog.getByRole('button', { name: 'Disable 3 breakers' });
  assert.equal(await send.isDisabled(), true);
  const confirm = dialog.getByLabel('to confirm');
  await confirm.fill('2');
  assert.equal(await send.isDisabled(), true);
  await confirm.fill('3');
  assert.equal(await send.isDisabled(), false);
  await confirm.fill('payments/**');
  await send.click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('.toast', { hasText: '3 breakers of payments/**: disabled' }).waitFor();
  await eventually('all are disabled', async () => {
    const { breakers } = await daemon.api(
      'GET',
      'breakers?selector=payments/*&modes=MODE_DISABLED',
    );
    return breakers.length === 3;
  });
  await page.locator('.grid-body').getByText('DISABLED').nth(2).waitFor();
  await close();
});

test('a selection is acted on one by one, and what fails is told', async () => {
  await daemon.act('release', 'payments/*');
  await daemon.act('forceOpen', 'payments/ledger');
  const { page, close } = await open(daemon, '#/breakers?ns=payments', { expect: [/400/] });
  for (const name of ['payments/adyen', 'payments/ledger'])
    await page.getByRole('checkbox', { name: `Select ${name}` }).check();
  await page.getByText('2 breakers selected').waitFor();
  await page.getByRole('button', { name: 'Act on them' }).click();
  const dialog = page.getByRole('dialog', { name: 'Act on 2 breakers' });
  await dialog.getByLabel('Action').selectOption('Trip');
  await dialog.getByLabel('Who').fill('jonas');
  await dialog.getByLabel('Why').fill('a drill');
  await dialog.getByLabel('to confirm').fill('2');
  await dialog.getByRole('button', { name: 'Trip 2 breakers' }).click();
  // An override is in force for one of them.
  await dialog.getByRole('alert').waitFor();
  await dialog.getByText('1 breaker: tripped').waitFor();
  assert.equal((await daemon.breaker('payments/adyen')).state.state, 'STATE_OPEN');
  await close();
});

test('a selector that is none is refused with the field that is wrong', async () => {
  const { page, close } = await open(daemon, '#/breakers', { expect: [/400/] });
  await page.getByRole('button', { name: 'Act on a glob' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Selector').fill('Not A Name/*');
  await dialog.locator('.violations', { hasText: 'selector' }).waitFor();
  assert.equal(await dialog.getByRole('button', { name: 'Force open' }).isDisabled(), true);
  await close();
});

test('where nothing may be changed nothing is offered, and the server refuses', async () => {
  const reading = await Daemon.start({ flags: ['--http-access=read'] });
  const response = await fetch(`${reading.url}/api/v1/breakers:forceOpen`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ target: { selector: '**' } }),
  });
  assert.equal(response.status, 403);
  const { page, close } = await open(reading, '#/breakers', { expect: [/404/] });
  await page.locator('#connection[data-state=live]').waitFor();
  assert.equal(await page.locator('body').getAttribute('data-writable'), 'false');
  for (const hash of ['#/breakers', '#/alerts', '#/overview']) {
    await page.goto(`${reading.url}/${hash}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.equal(await page.locator('.needs-write:visible').count(), 0, hash);
  }
  await close();
  await reading.kill();
});

test('an alert is acknowledged with a comment', async () => {
  await daemon.act('release', '**');
  await daemon.act('trip', 'media/cdn');
  const { page, close } = await open(daemon, '#/alerts?state=FIRING&selector=media/cdn');
  const alert = page.locator('.alert-card', { hasText: 'media/cdn' }).first();
  await alert.getByRole('button', { name: /^Acknowledge/ }).click();
  const dialog = page.getByRole('dialog', { name: 'Acknowledge' });
  await dialog.getByLabel('Who').fill('maria');
  await dialog.getByLabel('Comment').fill('I am looking at it');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await alert.getByText('Acknowledged by maria').waitFor();
  assert.match(await alert.innerText(), /I am looking at it/);
  const { alerts } = await daemon.api('GET', 'alerts?state=ALERT_STATE_FIRING&selector=media/cdn');
  assert.ok(
    alerts.some(({ acknowledgement }) => acknowledgement?.comment === 'I am looking at it'),
  );
  await close();
});
