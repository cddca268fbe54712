import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after } from 'node:test';
import { chromium } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const QUIET =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

let browser;
after(() => browser?.close());

/**
 * A page of a browser without a history, on the dashboard of a server. What must never happen on any
 * page is noted: errors on the console, and requests to another host. `expect` says which errors a
 * test brings about itself.
 */
export async function open(
  daemon,
  hash = '#/overview',
  { theme = 'light', width = 1440, height = 900, expect = [] } = {},
) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: QUIET.split(' '),
  });
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme });
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(`uncaught: ${error.stack}`));
  page.on('console', (message) => {
    const isExpected = expect.some((pattern) => pattern.test(message.text()));
    if (['error', 'warning'].includes(message.type()) && !isExpected)
      wrong.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.host !== daemon.address && url.protocol !== 'data:') wrong.push(`request: ${url}`);
  });
  page.setDefaultTimeout(10_000);
  await page.goto(`${daemon.url}/${hash}`);
  const close = async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  };
  return { page, close };
}

/** Goes somewhere as a link does. */
export const go = (page, hash) => page.evaluate((to) => void (location.hash = to), hash);

/** What axe finds wrong with a page. Its script comes by the debugger, which no policy forbids. */
export async function axe(page) {
  await page.evaluate(await source());
  const results = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'] }),
  );
  return results.violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join('\n')}`,
  );
}

let text;
async function source() {
  const { readFile } = await import('node:fs/promises');
  return (text ??= await readFile(AXE, 'utf8'));
}
