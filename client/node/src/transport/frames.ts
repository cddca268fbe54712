/** The longest message that is taken from a server, in bytes. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Before each message: whether it is compressed, and its length. */
const PREFIX = 5;

/** A message as gRPC sends it. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX);
  return frame;
}

/** Cuts what arrives into messages. */
export class Frames {
  #chunks: Buffer[] = [];
  #length = 0;

  /**
   * Takes in a chunk, and gives the messages that are whole now.
   *
   * @throws Error if what arrives is no message of gRPC, or too long.
   */
  push(chunk: Buffer): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const messages: Uint8Array[] = [];
    let needed = this.#needed();
    while (needed !== undefined && this.#length >= needed) {
      const all = this.#joined();
      messages.push(all.subarray(PREFIX, needed));
      this.#chunks = [all.subarray(needed)];
      this.#length -= needed;
      needed = this.#needed();
    }
    return messages;
  }

  /** How many bytes the next message takes with its prefix; `undefined` before that is known. */
  #needed(): number | undefined {
    if (this.#length < PREFIX) return undefined;
    const first = this.#chunks[0];
    const head = first !== undefined && first.length >= PREFIX ? first : this.#joined();
    if (head[0] !== 0) throw new Error('the message is compressed, which nobody asked for');
    const length = head.readUInt32BE(1);
    if (length > MAX_MESSAGE) throw new Error(`a message of ${length} bytes is too long`);
    return PREFIX + length;
  }

  #joined(): Buffer {
    const [first] = this.#chunks;
    const all =
      this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}
