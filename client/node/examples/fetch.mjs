// A fetch whose requests are guarded: 5xx and 429 count as failures, and after five of them nobody in
// the fleet asks any more. Runs by itself against a shop that is ill.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { BreakerOpenError, Client, guardedFetch } from '@breakerd/client';

const client = new Client({ addresses: [process.env.BREAKERD_ADDRESS ?? '127.0.0.1:7420'] });
const breaker = client.breaker('examples/shop');
const shopFetch = guardedFetch(breaker);
await client.ready();

const shop = createServer((_request, response) => response.writeHead(503).end('ill'));
await once(shop.listen(0, '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${shop.address().port}/items`;

for (let attempt = 1; attempt <= 8; attempt += 1) {
  try {
    const response = await shopFetch(url, { signal: AbortSignal.timeout(2_000) });
    console.log(attempt, response.status);
  } catch (error) {
    if (!(error instanceof BreakerOpenError)) throw error;
    console.log(attempt, 'denied:', error.reason);
  }
  // The outcomes of other calls, in other processes, come just as they do here: a moment later.
  await new Promise((resolve) => setTimeout(resolve, 200));
}

shop.close();
await client.shutdown();
