// Express: a route calls a dependency under a breaker, and whoever is denied is told 503 with
// `retry-after`, or served from elsewhere. Runs by itself.
import { once } from 'node:events';
import express from 'express';
import { BreakerOpenError, Client } from '@breakerd/client';

const client = new Client({ addresses: [process.env.BREAKERD_ADDRESS ?? '127.0.0.1:7420'] });
const stock = client.breaker('examples/stock');
await client.ready();

/** What may fail; `signal` is aborted when it takes too long, or when the browser goes away. */
async function countItems({ signal }) {
  signal.throwIfAborted();
  throw new RangeError('the warehouse is on fire');
}

/** Aborted when the request is over before it was answered: such a call counts for nothing. */
function goneAway(response) {
  const controller = new AbortController();
  response.on('close', () => response.writableFinished || controller.abort());
  return controller.signal;
}

/** Answers for denied calls, for all routes. */
function breakerErrors(error, _request, response, next) {
  if (!(error instanceof BreakerOpenError)) return next(error);
  if (error.retryAfter !== undefined)
    response.set('retry-after', String(Math.ceil(error.retryAfter / 1_000)));
  response.status(503).json({ denied: error.reason, serve: error.serve });
}

const app = express();
app.get('/items', async (_request, response) => {
  const items = await stock.run(countItems, { signal: goneAway(response) });
  response.json({ items });
});
app.get('/items/cached', async (_request, response) => {
  const items = await stock.run(countItems, { fallback: () => 'many, the last time we looked' });
  response.json({ items });
});
app.use(breakerErrors);
app.use((error, _request, response, _next) => response.status(500).json({ error: error.message }));

const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

for (const path of [...Array(6).fill('/items'), '/items/cached']) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  console.log(path, response.status, response.headers.get('retry-after'), await response.text());
  await new Promise((resolve) => setTimeout(resolve, 200));
}

server.close();
server.closeAllConnections();
await client.shutdown();
