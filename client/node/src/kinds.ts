/** Longest kind of an error, in bytes of UTF-8. */
const MAX_BYTES = 128;

// What Rust's `char::is_control` says, which the server refuses: C0, DEL and C1.
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** Makes a kind fit the protocol: without control characters, cut at 128 bytes of UTF-8. */
export function cleanKind(kind: string): string {
  // Nearly every kind is short and plain. A control character is the only reason for a copy there.
  const plain = kind.length > MAX_BYTES * 2 ? kind.slice(0, MAX_BYTES * 2) : kind;
  const clean = plain.replace(CONTROL, '');
  if (clean.length * 3 <= MAX_BYTES) return clean;
  // A lone surrogate becomes U+FFFD, as it would on the wire.
  const bytes = Buffer.from(clean, 'utf8');
  if (bytes.length <= MAX_BYTES) return clean;
  let end = MAX_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/**
 * The kind of what was thrown: the name of its type. Where that is only `Error` its `code` says more
 * (`ECONNREFUSED`). Never throws, whatever was thrown.
 */
export function kindOf(thrown: unknown): string {
  try {
    if (typeof thrown !== 'object' || thrown === null) return typeof thrown;
    const { name, code } = thrown as { name?: unknown; code?: unknown };
    if (typeof name === 'string' && name !== '' && name !== 'Error') return name;
    if (typeof code === 'string' && code !== '') return code;
    const type: unknown = (thrown as { constructor?: { name?: unknown } }).constructor?.name;
    return typeof type === 'string' && type !== '' ? type : 'Error';
  } catch {
    return 'Error';
  }
}
