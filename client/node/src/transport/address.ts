import type { ConnectionOptions } from 'node:tls';

/** How to speak TLS with the servers. Texts and buffers are PEM, as `node:tls` takes them. */
export interface TlsOptions {
  /** Whom to trust, in place of the certificates that Node trusts. */
  ca?: ConnectionOptions['ca'];
  /** The client's own certificate, with its `key`. */
  cert?: ConnectionOptions['cert'];
  key?: ConnectionOptions['key'];
  /** The name that the server's certificate is to be for, in place of the address's host. */
  serverName?: string;
}

/** Where a server listens. */
export interface Address {
  /** `host:port`, in lower case. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
  /** Whether its scheme says so: `https` or `http`; `undefined` without a scheme. */
  readonly isSecure: boolean | undefined;
}

/**
 * Reads `host:port`, `http://host:port` or `https://host:port`.
 *
 * @throws TypeError with what is wrong with it.
 */
export function parseAddress(text: unknown): Address {
  const shown = JSON.stringify(text);
  if (typeof text !== 'string') throw new TypeError(`not an address: ${shown}`);
  const scheme = /^(https?):\/\//i.exec(text);
  const bare = (scheme === null ? text : text.slice(scheme[0].length)).replace(/\/$/, '');
  const match = /^(\[[0-9a-f:.%]+\]|[^\s:/?#@[\]]+):(\d{1,5})$/i.exec(bare);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) {
    throw new TypeError(`not an address: ${shown}; it is \`host:port\`, such as \`breakerd:7420\``);
  }
  return {
    text: bare.toLowerCase(),
    host: match[1].replace(/^\[|\]$/g, ''),
    port,
    isSecure: scheme === null ? undefined : scheme[1]?.toLowerCase() === 'https',
  };
}
