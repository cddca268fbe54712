// How applications use the types; compiled, never run. Whatever stands under @ts-expect-error must
// not compile.
import {
  type Breaker,
  BreakerOpenError,
  CallTimeoutError,
  Client,
  guardedFetch,
  type Guard,
} from '@breakerd/client';
import { grpcInterceptor } from '@breakerd/client/grpc';
import type { Interceptor } from '@grpc/grpc-js';

const client = new Client({
  addresses: ['a:1', 'b:1'],
  onUnavailable: 'deny',
  tls: { ca: 'PEM' },
  localGuard: { failureThreshold: 3, failureRate: { percent: 50, minimumCalls: 10 } },
  logger: ({ level, message }) => console.log(level, message),
});
// @ts-expect-error it is allow, deny or local
new Client({ onUnavailable: 'maybe' });
// @ts-expect-error there is no such option
new Client({ adresses: [] });

export async function calls(breaker: Breaker): Promise<void> {
  const sum: number = await breaker.fire((a: number, b: number) => a + b, 1, 2);
  const text: string = await breaker.fire(async (a: string) => Promise.resolve(a), 'x');
  // @ts-expect-error the arguments are those of the function
  await breaker.fire((a: number) => a, 'x');
  const either: string | number = await breaker.run<string | number>(() => 1, {
    fallback: () => 'none',
  });
  await breaker.run(({ signal, timeout }) => fetch('http://x', { signal }).then(() => timeout));
  await breaker.run(() => 'a', {
    fallback: (error) => (error instanceof CallTimeoutError ? String(error.timeout) : 'b'),
    serve: { degraded: (error) => error.level?.name ?? '' },
    classifyError: () => ({ outcome: 'failure', kind: 'http.503' }),
    classifyResult: () => 'success',
  });
  // @ts-expect-error a fallback gives what the function gives
  await breaker.run(() => 'a', { fallback: () => 1 });
  const wrapped: (a: number) => Promise<string> = breaker.wrap((a: number) => String(a));
  console.log(sum, text, either, await wrapped(1));
}

export async function guards(breaker: Breaker): Promise<void> {
  const guard: Guard = await breaker.acquire();
  using also = guard;
  const generation: bigint = also.generation;
  guard.failure(new Error(String(generation)));
  guard.failure('http.503');
  guard.success();
}

export function events(breaker: Breaker): void {
  breaker.on('open', ({ from, to }) => console.log(from.state, to.level)).off('close', () => {});
  client
    .on('state', ({ to }) => to === 'ready')
    .on('transition', async ({ breaker: name }) => Promise.resolve(name));
  // @ts-expect-error there is no such event
  breaker.on('opened', () => {});
  const { state, retryAfter } = breaker.status();
  console.log(state === 'unknown', (retryAfter ?? 0) + 1);
}

export function hooks(breaker: Breaker): [typeof fetch, Interceptor] {
  const same: typeof fetch = guardedFetch(breaker, {
    denied: 'response',
    isFailure: (status) => status > 499,
  });
  return [same, grpcInterceptor((path) => client.breaker(path === '' ? 'a/b' : 'a/c'))];
}

export const isDenied = (error: unknown): number | undefined =>
  error instanceof BreakerOpenError ? error.retryAfter : undefined;
