// Its server hangs from the moment at which it is ready.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@breakerd/client';
import { measureEnd } from '../support/end.mjs';

const client = new Client({ addresses: [process.env.ADDRESS] });
const breaker = client.breaker('exit/hung');
await client.ready(30_000);
process.kill(Number(process.env.SERVER), 'SIGSTOP');
// On a busy machine the server's threads go on until the one that takes the signal has its turn.
await sleep(500);
measureEnd();
await breaker.fire(() => Promise.reject(new Error('no'))).catch(() => {});
if (process.env.SHUTDOWN) console.log('flushed', await client.shutdown());
