// @ts-check
// Fields in which one of several words is chosen.
import { fill, h } from './dom.js';

/**
 * A field with one of several words.
 * @param {string} label
 * @param {string} all the word for no choice; empty if there is always one
 * @param {(value: string) => void} set
 */
export function choice(label, all, set) {
  const field = h('select', { 'aria-label': label, on: { change: () => set(field.value) } });
  let [known, value] = ['', ''];
  /** @param {string[]} words @param {(word: string) => string} [text] */
  const options = (words, text = (word) => word) => {
    // What the address says stays to be seen, be there such a breaker or not.
    const offered = value === '' || words.includes(value) ? words : [...words, value];
    if (offered.join('\n') === known && field.childElementCount > 0) return;
    known = offered.join('\n');
    fill(
      field,
      all !== '' && h('option', { value: '', text: all }),
      ...offered.map((word) => h('option', { value: word, text: text(word) })),
    );
    field.value = value;
  };
  options([]);
  return {
    element: field,
    options,
    /** @param {string} next */
    show(next) {
      value = next;
      if (next !== '' && !known.split('\n').includes(next))
        options(known === '' ? [] : known.split('\n'));
      field.value = next;
    },
  };
}
