// Ends right after its calls, without a shutdown: what they came to has not been reported yet.
import { Client } from '@breakerd/client';
import { measureEnd } from '../support/end.mjs';

const client = new Client({ addresses: [process.env.ADDRESS] });
const breaker = client.breaker(process.env.BREAKER);
await client.ready(Number(process.env.READY ?? 30_000));
for (let i = 0; i < 5; i += 1) await breaker.fire(() => i);
await breaker.fire(() => Promise.reject(new Error('no'))).catch(() => {});
process.on('exit', () => console.log('waiting', client.outcomesWaiting));
measureEnd();
