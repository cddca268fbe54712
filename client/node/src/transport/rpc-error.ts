import { ErrorInfo, RpcStatus } from '../wire/messages';

const CODES = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND'],
  ...[
    'ALREADY_EXISTS',
    'PERMISSION_DENIED',
    'RESOURCE_EXHAUSTED',
    'FAILED_PRECONDITION',
    'ABORTED',
  ],
  ...['OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
];

/** What a status of HTTP means where it came without one of gRPC: a proxy has answered. */
const CODES_OF_HTTP: Readonly<Record<number, string>> = {
  400: 'INTERNAL',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  429: 'UNAVAILABLE',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
};

/** A request that was not answered, or was refused. */
export class RpcError extends Error {
  override readonly name = 'RpcError';

  constructor(
    /** The code of gRPC, such as `UNAVAILABLE`. */
    readonly code: string,
    message: string,
    /** Set if the server stands by: who leads, `host:port`, or '' while nobody does. */
    readonly leader?: string,
  ) {
    super(`${code}: ${message}`);
  }

  /** Whether the request itself is wrong, and would be everywhere. All else is being away. */
  get isWrong(): boolean {
    return this.code === 'INVALID_ARGUMENT' || this.code === 'NOT_FOUND';
  }
}

/** Headers or trailers of a response. */
type Headers = Readonly<Record<string, string | string[] | number | undefined>>;

/** How a response ended: `undefined` if well, or if the headers do not say. */
export function errorOf(headers: Headers): RpcError | undefined {
  const status = Number(headers['grpc-status']);
  if (status === 0) return undefined;
  const code = CODES[status] ?? 'UNKNOWN';
  const message = decodePercent(String(headers['grpc-message'] ?? ''));
  return new RpcError(code, message, code === 'UNAVAILABLE' ? leaderOf(headers) : undefined);
}

/** What an HTTP status other than 200 means. */
export function errorOfHttp(status: number): RpcError {
  return new RpcError(CODES_OF_HTTP[status] ?? 'UNKNOWN', `HTTP status ${status}`);
}

/** Whoever leads instead, where the details say that this server stands by. */
function leaderOf(headers: Headers): string | undefined {
  const details = headers['grpc-status-details-bin'];
  if (details === undefined) return undefined;
  try {
    const bytes = Buffer.from(String(details), 'base64');
    for (const { typeUrl, value } of RpcStatus.decode(bytes).details) {
      if (!typeUrl.endsWith('/google.rpc.ErrorInfo')) continue;
      const info = ErrorInfo.decode(value);
      if (info.domain === 'breakerd.dev' && info.reason === 'NOT_LEADER') {
        return info.metadata['leader'] ?? '';
      }
    }
  } catch {
    // Details that cannot be read say nothing; the code does.
  }
  return undefined;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
