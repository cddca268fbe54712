import { type Address, parseAddress } from './address';
import { Connection, type ConnectionOptions } from './connection';
import { RpcError } from './rpc-error';

/**
 * The servers of a client. All requests go to one of them until it is away or says that another one
 * leads; then they go to that one, or to the next of the list, to each once a round.
 */
export class Servers {
  readonly #list: readonly Address[];
  readonly #options: ConnectionOptions;
  readonly #connections = new Map<string, Connection>();
  #current: Address;
  #isClosed = false;

  /** @throws TypeError if the list is empty. */
  constructor(list: readonly Address[], options: ConnectionOptions) {
    const [first] = list;
    if (first === undefined) throw new TypeError('`addresses` is empty; name at least one server');
    this.#list = list;
    this.#current = first;
    this.#options = options;
  }

  /** Begins a round at the server that was right the last time. */
  round(): Round {
    return new Round(this.#list, this.#current);
  }

  /** The connection to a server. */
  connection(address: Address): Connection {
    let connection = this.#connections.get(address.text);
    if (connection === undefined) {
      connection = new Connection(address, this.#options);
      this.#connections.set(address.text, connection);
    }
    return connection;
  }

  /** Notes that a server is the one to ask. Connections that nobody needs any more are closed. */
  prefer(address: Address): void {
    this.#current = address;
    if (this.#connections.size === 1) return;
    for (const [text, connection] of this.#connections) {
      if (text === address.text || connection.active > 0) continue;
      connection.close();
      this.#connections.delete(text);
    }
  }

  /**
   * Sends a request around the list, and gives the answer.
   *
   * @param timeout - For the whole round, in milliseconds. A server that lets it pass is away: the
   * next request begins at the one after it.
   * @throws RpcError, and nothing else.
   */
  async unary(method: string, message: Uint8Array, timeout: number): Promise<Uint8Array> {
    const { clock } = this.#options;
    const deadline = clock.now() + timeout;
    const round = this.round();
    for (;;) {
      if (this.#isClosed) throw new RpcError('CANCELLED', 'the client is shut down');
      const left = deadline - clock.now();
      const answer = await this.#once(round.address, method, message, left);
      if (!(answer instanceof RpcError)) {
        this.prefer(round.address);
        return answer;
      }
      if (answer.isWrong) throw answer;
      const isLate = clock.now() >= deadline;
      const hasNext = round.next(answer);
      if (isLate && hasNext) this.prefer(round.address);
      if (isLate || !hasNext) throw answer;
    }
  }

  /** Ends every connection, and every request with it. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  #once(
    address: Address,
    method: string,
    message: Uint8Array,
    timeout: number,
  ): Promise<Uint8Array | RpcError> {
    return new Promise((resolve) => {
      let answer: Uint8Array | undefined;
      const call = this.connection(address).request(
        method,
        message,
        {
          message: (bytes) => (answer ??= bytes),
          end: (error) => {
            timer.cancel();
            resolve(error ?? answer ?? new RpcError('INTERNAL', 'the answer is empty'));
          },
        },
        timeout,
      );
      const timer = this.#options.clock.after(timeout, () => {
        call.cancel();
        resolve(new RpcError('DEADLINE_EXCEEDED', `no answer from ${address.text} in time`));
      });
    });
  }
}

/** One way around the servers, in which each is asked once. */
export class Round {
  readonly #list: readonly Address[];
  readonly #asked = new Set<string>();
  /** Whom to ask now. */
  address: Address;

  constructor(list: readonly Address[], first: Address) {
    this.#list = list;
    this.address = first;
    this.#asked.add(first.text);
  }

  /** Goes on to whom to ask after this error; false if everybody was asked. */
  next(error: RpcError): boolean {
    const next = this.#named(error.leader) ?? this.#following();
    if (next === undefined) return false;
    this.#asked.add(next.text);
    this.address = next;
    return true;
  }

  #named(leader: string | undefined): Address | undefined {
    if (leader === undefined || leader === '') return undefined;
    try {
      const address = parseAddress(leader);
      return this.#asked.has(address.text) ? undefined : address;
    } catch {
      return undefined;
    }
  }

  #following(): Address | undefined {
    const at = this.#list.findIndex(({ text }) => text === this.address.text);
    const inOrder = [...this.#list.slice(at + 1), ...this.#list.slice(0, at + 1)];
    return inOrder.find(({ text }) => !this.#asked.has(text));
  }
}
