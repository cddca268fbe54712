// @ts-check
// Selectors as the server understands them: `*` stays within a part of a name, `**` does not.

/** @param {string} text */
export const isGlob = (text) => text.includes('*');

/**
 * Whether a name is meant by what somebody typed: a glob, or a part of a name.
 * @param {string} text
 * @returns {(name: string) => boolean}
 */
export function matcher(text) {
  if (text === '') return () => true;
  if (!isGlob(text)) return (name) => name.includes(text);
  const parts = text.split('**').map((part) => part.split('*').map(literal).join('[^/]*'));
  const pattern = new RegExp(`^${parts.join('.*')}$`);
  return (name) => pattern.test(name);
}

/** @param {string} text */
const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/**
 * The selector for what somebody typed, and a namespace; empty for all.
 * @param {string} text
 * @param {string} namespace
 */
export function selector(text, namespace) {
  const wanted = text === '' || isGlob(text) ? text : `**${text}**`;
  if (namespace === '' || wanted.startsWith(`${namespace}/`)) return wanted;
  if (wanted === '') return `${namespace}/**`;
  // Without a namespace of its own a glob begins anywhere below this one.
  return isGlob(text) ? wanted : `${namespace}/${wanted}`;
}
