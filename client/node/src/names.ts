/** Longest name of a breaker, in bytes. */
const MAX_BYTES = 200;

/**
 * Checks the name of a breaker: at least two parts of lower-case letters, digits, `.`, `_` and `-`,
 * joined by `/`, 200 bytes at most.
 *
 * @throws TypeError that says which rule is broken.
 */
export function checkName(name: unknown): asserts name is string {
  const broken = brokenRule(name);
  if (broken !== undefined) throw new TypeError(`not the name of a breaker: ${broken}`);
}

function brokenRule(name: unknown): string | undefined {
  if (typeof name !== 'string') return `a name is a string, not ${typeof name}`;
  if (name === '') return 'it is empty; a name is `namespace/name`, such as `payments/stripe-api`';
  const bad = /[^a-z0-9._/-]/u.exec(name);
  if (bad !== null) {
    const [shown, character] = [name.slice(0, MAX_BYTES), bad[0]].map((text) =>
      JSON.stringify(text),
    );
    return `${shown} contains ${character}; a name holds lower-case letters, digits, \`.\`, \`_\`, \`-\` and \`/\``;
  }
  // Every character is of one byte from here on.
  if (name.length > MAX_BYTES)
    return `it is ${name.length} bytes long; at most ${MAX_BYTES} are allowed`;
  const parts = name.split('/');
  if (parts.includes('')) return `"${name}" has an empty part; a name is \`namespace/name\``;
  if (parts.length < 2)
    return `"${name}" has one part; a name has at least two, such as \`payments/${name}\``;
  return undefined;
}

/**
 * Checks a selector: a name, or a glob in which `*` stays within a part and `**` does not.
 *
 * @throws TypeError that says which rule is broken.
 */
export function checkSelector(selector: unknown): asserts selector is string {
  if (typeof selector !== 'string' || !selector.includes('*')) return checkName(selector);
  if (/[^a-z0-9._/*-]/u.test(selector) || selector.length > MAX_BYTES) {
    const shown = JSON.stringify(selector.slice(0, MAX_BYTES));
    throw new TypeError(
      `not a glob over names: ${shown}; it holds lower-case letters, digits, \`.\`, \`_\`, \`-\`, \`/\` and \`*\`, ${MAX_BYTES} bytes at most`,
    );
  }
}

/** What a list of selectors matches. Names are looked up, and only globs are tried one by one. */
export class Selection {
  readonly #names = new Set<string>();
  readonly #globs: RegExp[] = [];

  constructor(readonly selectors: readonly string[]) {
    for (const selector of selectors) {
      if (selector.includes('*')) this.#globs.push(globOfNames(selector));
      else this.#names.add(selector);
    }
  }

  matches(name: string): boolean {
    return this.#names.has(name) || this.#globs.some((glob) => glob.test(name));
  }

  /** Whether it has the same selectors, in the same order. */
  equals(other: Selection): boolean {
    const [own, others] = [this.selectors, other.selectors];
    return own.length === others.length && own.every((selector, at) => selector === others[at]);
  }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

function globOfNames(glob: string): RegExp {
  const pattern = glob.split(/(\*+)/).map((part) => {
    if (!part.startsWith('*')) return escaped(part);
    return part.length > 1 ? '.*' : '[^/]*';
  });
  return new RegExp(`^${pattern.join('')}$`);
}

/** What a list of globs over error kinds matches; `*` matches any text. */
export class KindGlobs {
  /** Made at the first use: most breakers of a copy never decide by themselves. */
  #patterns: RegExp[] | undefined;

  constructor(readonly globs: readonly string[]) {}

  matches(kind: string): boolean {
    this.#patterns ??= this.globs.map((glob) => {
      const pattern = glob.split(/\*+/).map(escaped).join('.*');
      return new RegExp(`^${pattern}$`, 's');
    });
    return this.#patterns.some((pattern) => pattern.test(kind));
  }
}

/** The most selectors that one stream may have. */
export const MAX_SELECTORS = 1_000;

/**
 * The selectors to watch: those that the client was built with, and the names that these do not
 * match. Where that is too many, names are gathered by their first part (`payments/**`), and where
 * that is too many as well, everything is watched.
 */
export function selectionOf(built: Selection, names: Iterable<string>): Selection {
  const missing = [...names].filter((name) => !built.matches(name));
  const room = MAX_SELECTORS - built.selectors.length;
  if (missing.length <= room) return new Selection([...built.selectors, ...missing]);
  const parts = new Set(missing.map((name) => `${name.slice(0, name.indexOf('/'))}/**`));
  if (parts.size <= room) return new Selection([...built.selectors, ...parts]);
  return new Selection(['**']);
}
