import {
  InterceptingCall,
  type Interceptor,
  type Listener,
  Metadata,
  status as Status,
  type StatusObject,
} from '@grpc/grpc-js';

import type { Breaker } from '../breaker';
import { BreakerOpenError } from '../errors';
import type { Guard } from '../guard';

type NextCall = Parameters<Interceptor>[1];

/** The codes that say something of the server; after the others it has answered as it should. */
const FAILURES: ReadonlySet<Status> = new Set([
  ...[Status.UNKNOWN, Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED],
  ...[Status.INTERNAL, Status.UNAVAILABLE, Status.DATA_LOSS],
]);

/** Which codes count as failures; their kind is `grpc.` and the name of the code. */
export interface GrpcInterceptorOptions {
  isFailure?: (code: Status) => boolean;
}

/**
 * An interceptor for clients of `@grpc/grpc-js` whose every call is guarded. A denied call ends with
 * UNAVAILABLE, and says why in the metadata `breaker-reason` and `retry-after` (in seconds). A call
 * that takes longer than `call_timeout` ends with DEADLINE_EXCEEDED. A stream of answers counts as a
 * success with the first of them, and may then last.
 *
 * @param breaker - The breaker, or which one guards a method (`/package.Service/Method`).
 */
export function grpcInterceptor(
  breaker: Breaker | ((path: string) => Breaker),
  options: GrpcInterceptorOptions = {},
): Interceptor {
  const { isFailure = (code: Status): boolean => FAILURES.has(code) } = options;
  return (callOptions, nextCall) => {
    const { path, responseStream } = callOptions.method_definition;
    const guarding = typeof breaker === 'function' ? breaker(path) : breaker;
    const inner = nextCall(callOptions);
    let guarded: GuardedRpc | undefined;
    let cancelled: (() => void) | undefined;
    return new InterceptingCall(inner, {
      start: (metadata, listener, next) => {
        let isOver = false;
        const end = (status: StatusObject): void => {
          if (!isOver) listener.onReceiveStatus(status);
          isOver = true;
        };
        cancelled = () => end(statusOf(Status.CANCELLED, 'cancelled before it was allowed'));
        guarding.acquire().then(
          (guard) => {
            if (isOver) return guard.ignored();
            guarded = new GuardedRpc(guard, inner, isFailure, responseStream);
            next(metadata, guarded.listener());
          },
          (error: unknown) => end(denied(error)),
        );
      },
      cancel: (next) => {
        if (guarded === undefined) return cancelled?.();
        guarded.end(Status.CANCELLED);
        next();
      },
    });
  };
}

/** One call of gRPC under a guard. */
class GuardedRpc {
  readonly #timer: NodeJS.Timeout;

  constructor(
    readonly guard: Guard,
    inner: ReturnType<NextCall>,
    readonly isFailure: (code: Status) => boolean,
    readonly endsWithMessage: boolean,
  ) {
    this.#timer = setTimeout(() => {
      guard.timeout();
      inner.cancelWithStatus(Status.DEADLINE_EXCEEDED, `longer than ${guard.callTimeout} ms`);
    }, guard.callTimeout).unref();
  }

  listener(): Listener {
    return {
      onReceiveMessage: (message, next) => {
        if (this.endsWithMessage) this.end(Status.OK);
        // grpc-js types a message as any.
        next(message as unknown);
      },
      onReceiveStatus: (received, next) => {
        this.end(received.code);
        next(received);
      },
    };
  }

  end(code: Status): void {
    clearTimeout(this.#timer);
    if (code === Status.CANCELLED) this.guard.ignored();
    else if (this.isFailure(code)) this.guard.failure(`grpc.${Status[code]}`);
    else this.guard.success();
  }
}

function denied(error: unknown): StatusObject {
  const status = statusOf(
    Status.UNAVAILABLE,
    error instanceof Error ? error.message : String(error),
  );
  if (error instanceof BreakerOpenError) {
    const { reason, retryAfter } = error;
    status.metadata.set('breaker-reason', reason);
    if (retryAfter !== undefined) {
      status.metadata.set('retry-after', String(Math.ceil(retryAfter / 1_000)));
    }
  }
  return status;
}

function statusOf(code: Status, details: string): StatusObject {
  return { code, details, metadata: new Metadata() };
}
