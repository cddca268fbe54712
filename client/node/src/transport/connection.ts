import * as http2 from 'node:http2';
import * as net from 'node:net';
import * as tls from 'node:tls';

import type { Clock, Timer } from '../clock';
import type { Address, TlsOptions } from './address';
import { Frames, framed } from './frames';
import { errorOf, errorOfHttp, RpcError } from './rpc-error';

// Why not grpc-js: it lets every call hold the process, and a Watch never ends. A client that must
// not keep an application alive has to own its sockets.

/** How long a connection may take, in milliseconds: while it is made, the process cannot end. */
const CONNECT_TIMEOUT = 2_000;
/** After a connection that failed none is tried for so long, in milliseconds. */
const RECONNECT_PAUSE = 50;
/** How often a connection is tried, and how long an answer may take, in milliseconds. */
const PING_INTERVAL = 10_000;
const PING_TIMEOUT = 5_000;
/** How much a server may send ahead, in bytes: snapshots are large. */
const WINDOW = 1024 * 1024;

/** What every connection of a client has in common. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** `undefined` speaks plain text. */
  readonly tls: TlsOptions | undefined;
  /** The value of the `authorization` header, asked for each request. */
  readonly authorization: () => string | undefined;
}

/** A request under way. */
export interface Call {
  /** Ends it. Nothing is heard of it any more. */
  cancel(): void;
}

/** What a request brings. Each is called from the event loop, never from within `request`. */
export interface Handlers {
  message(bytes: Uint8Array): void;
  /** Comes once, and last; without an error the server has ended it well. */
  end(error: RpcError | undefined): void;
}

/** The connection to one server, made when something is requested, and made again when it is lost. */
export class Connection {
  readonly #address: Address;
  readonly #options: ConnectionOptions;
  #session: http2.ClientHttp2Session | undefined;
  #timers: Timer[] = [];
  #failure: { error: Error; at: number } | undefined;
  /** Requests under way. */
  active = 0;

  constructor(address: Address, options: ConnectionOptions) {
    this.#address = address;
    this.#options = options;
  }

  /** Sends a request; whatever happens to it, `handlers` hear of. */
  request(method: string, message: Uint8Array, handlers: Handlers, timeout?: number): Call {
    let stream: http2.ClientHttp2Stream;
    try {
      const authorization = this.#options.authorization();
      stream = this.#connected().request({
        ':method': 'POST',
        ':path': `/breaker.v1.BreakerService/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        'user-agent': 'breakerd-node',
        ...(timeout !== undefined && { 'grpc-timeout': `${Math.max(Math.ceil(timeout), 1)}m` }),
        ...(authorization !== undefined && { authorization }),
      });
    } catch (error) {
      return failed(handlers, unavailable(error));
    }
    this.active += 1;
    stream.once('close', () => (this.active -= 1));
    const call = follow(stream, handlers);
    stream.end(framed(message));
    return call;
  }

  /** Ends the connection at once, and every request with it. */
  close(): void {
    this.#session?.destroy();
    this.#forget();
  }

  #connected(): http2.ClientHttp2Session {
    const current = this.#session;
    if (current !== undefined && !current.closed && !current.destroyed) return current;
    this.#forget();
    const { clock } = this.#options;
    const { text } = this.#address;
    if (this.#failure !== undefined && clock.now() - this.#failure.at < RECONNECT_PAUSE) {
      throw this.#failure.error;
    }
    const session = http2.connect(`http${this.#options.tls ? 's' : ''}://${text}`, {
      createConnection: () => this.#socket(),
      settings: { enablePush: false, initialWindowSize: WINDOW },
    });
    this.#session = session;
    session.unref();
    const late = clock.after(CONNECT_TIMEOUT, () => {
      if (session.connecting) session.destroy(new Error(`no connection to ${text} in time`));
    });
    this.#timers.push(late);
    session.once('connect', () => {
      // The socket may be another one by now: a host can have several addresses.
      session.unref();
      session.setLocalWindowSize(WINDOW);
      late.cancel();
      this.#pingLater(session);
    });
    // Every request hears of it by itself. Without a listener the error would end the process.
    session.on('error', (error: Error) => (this.#failure = { error, at: clock.now() }));
    const lost = (): void => {
      if (this.#session === session) this.#forget();
    };
    session.once('close', lost);
    session.once('goaway', lost);
    return session;
  }

  #socket(): net.Socket {
    const { host, port } = this.#address;
    const options = this.#options.tls;
    const where = { host, port, autoSelectFamily: true, noDelay: true };
    if (options === undefined) return net.connect(where).unref();
    const servername = options.serverName ?? (net.isIP(host) === 0 ? host : undefined);
    return tls
      .connect({
        ...where,
        ca: options.ca,
        cert: options.cert,
        key: options.key,
        ALPNProtocols: ['h2'],
        ...(servername !== undefined && { servername }),
      })
      .unref();
  }

  #pingLater(session: http2.ClientHttp2Session): void {
    const { clock } = this.#options;
    const timer = clock.after(PING_INTERVAL, () => {
      if (session.destroyed) return;
      let isAnswered = false;
      const giveUp = clock.after(PING_TIMEOUT, () => {
        // After a long computation the answer may lie there unread.
        clock.afterReading(() => {
          if (!isAnswered) session.destroy(new Error('no answer to a ping'));
        });
      });
      this.#timers = [giveUp];
      const answered = (error: Error | null): void => {
        isAnswered = true;
        giveUp.cancel();
        if (error === null && this.#session === session) this.#pingLater(session);
      };
      try {
        session.ping(answered);
      } catch {
        giveUp.cancel();
      }
    });
    this.#timers = [timer];
  }

  #forget(): void {
    this.#session = undefined;
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }
}

/** Hears a stream to its end. */
function follow(stream: http2.ClientHttp2Stream, handlers: Handlers): Call {
  const frames = new Frames();
  let isOver = false;
  let ending: { error: RpcError | undefined } | undefined;
  let trouble: unknown;
  const end = (error: RpcError | undefined): void => {
    if (isOver) return;
    isOver = true;
    handlers.end(error);
  };
  /** A handler may have cancelled the call between two messages. */
  const deliver = (message: Uint8Array): void => {
    if (!isOver) handlers.message(message);
  };
  const read = (headers: http2.IncomingHttpHeaders): void => {
    if (headers['grpc-status'] !== undefined) ending = { error: errorOf(headers) };
  };
  stream.on('response', (headers) => {
    read(headers);
    const status = Number(headers[':status']);
    if (ending === undefined && status !== 200) ending = { error: errorOfHttp(status) };
  });
  stream.on('trailers', read);
  stream.on('data', (chunk: Buffer) => {
    if (isOver) return;
    try {
      for (const message of frames.push(chunk)) {
        deliver(message);
      }
    } catch (error) {
      end(new RpcError('INTERNAL', describe(error)));
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
  });
  stream.on('error', (error: unknown) => (trouble = error));
  stream.once('close', () => {
    end(ending === undefined ? unavailable(trouble ?? 'the connection was cut') : ending.error);
  });
  return {
    cancel: () => {
      isOver = true;
      stream.close(http2.constants.NGHTTP2_CANCEL);
    },
  };
}

function failed(handlers: Handlers, error: RpcError): Call {
  let isOver = false;
  queueMicrotask(() => {
    if (!isOver) handlers.end(error);
  });
  return { cancel: () => (isOver = true) };
}

const unavailable = (cause: unknown): RpcError => new RpcError('UNAVAILABLE', describe(cause));
const describe = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);
