// Its server hangs from the moment at which it is ready.
import { Client } from '@breakerd/client';
import { measureEnd } from '../support/end.mjs';

const client = new Client({ addresses: [process.env.ADDRESS] });
const breaker = client.breaker('exit/hung');
await client.ready(30_000);
measureEnd();
process.kill(Number(process.env.SERVER), 'SIGSTOP');
await breaker.fire(() => Promise.reject(new Error('no'))).catch(() => {});
if (process.env.SHUTDOWN) console.log('flushed', await client.shutdown());
