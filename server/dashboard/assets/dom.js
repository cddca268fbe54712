// @ts-check
// Makes elements. What comes from the server only ever becomes text or an attribute, never markup.

/** @typedef {Node | string | number | null | undefined | false} Child */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element. `on` holds listeners, `data` its dataset, `text` its text; the rest are attributes,
 * of which those that are null, undefined or false are left out.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value))
        element.addEventListener(event, listener);
    } else if (name === 'data') {
      Object.assign(element.dataset, value);
    } else if (name === 'text') {
      element.textContent = value;
    } else if (name === 'value') {
      /** @type {any} */ (element).value = value;
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  add(element, children);
  return element;
}

/**
 * An element of SVG.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, String(value));
  add(element, children);
  return element;
}

/**
 * @param {Element} parent
 * @param {(Child | Child[])[]} children
 */
export function add(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === 'number' ? String(child) : child);
  }
}

/**
 * Replaces what is in an element.
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  add(parent, children);
}

/**
 * Sets a text only where it is another one, so that nothing is laid out for nothing.
 * @param {Node} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Keeps the children of an element equal to a list. An item that stays keeps its element, and with it
 * the focus and what is selected.
 * @template T
 * @param {Element} parent
 * @param {{ key: (item: T) => string, make: (item: T) => { element: Element, show: (item: T) => void } }} how
 * @returns {(items: T[]) => void}
 */
export function keyed(parent, { key, make }) {
  /** @type {Map<string, { element: Element, show: (item: T) => void }>} */
  let shown = new Map();
  return (items) => {
    const next = new Map();
    let before = parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      if (next.has(name)) continue;
      const part = shown.get(name) ?? make(item);
      part.show(item);
      next.set(name, part);
      if (part.element === before) before = before.nextElementSibling;
      else parent.insertBefore(part.element, before);
    }
    for (const [name, part] of shown) if (!next.has(name)) part.element.remove();
    shown = next;
  };
}
