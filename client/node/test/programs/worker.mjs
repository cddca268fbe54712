// A client of its own in a worker thread, which ends by itself as well.
import { Worker, isMainThread } from 'node:worker_threads';
import { Client } from '@breakerd/client';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on('exit', (code) => console.log('worker ended with', code));
} else {
  const client = new Client({ addresses: [process.env.ADDRESS] });
  const breaker = client.breaker('exit/worker');
  await client.ready(30_000);
  await breaker.fire(() => 1);
}
