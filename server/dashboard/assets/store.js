// @ts-check
// What this browser remembers from visit to visit. One that keeps nothing works all the same.

const PREFIX = 'breakerd.';

/** @param {string} key */
export function remembered(key) {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | null} value */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // It is asked for again then.
  }
}
