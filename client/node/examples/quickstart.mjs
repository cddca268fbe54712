import { Client } from '@breakerd/client';

const client = new Client({ addresses: [process.env.BREAKERD_ADDRESS ?? '127.0.0.1:7420'] });
const stripe = client.breaker('payments/stripe');

const charge = async (amount) => ({ charged: amount }); // what may fail
const receipt = await stripe.fire(charge, 4_200);
const sure = await stripe.run(() => charge(17), { fallback: () => ({ queued: 17 }) });

console.log(receipt, sure);
