// Follows a breaker and has nothing else to do.
import { Client } from '@breakerd/client';
import { measureEnd } from '../support/end.mjs';

const client = new Client({ addresses: [process.env.ADDRESS] });
client.breaker('exit/idle');
console.log(await client.ready(30_000));
measureEnd();
