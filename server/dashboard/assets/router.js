// @ts-check
// Where one is: the part of the address behind `#`, such as `#/breakers?state=OPEN&sort=failure_rate`.

/** @typedef {{ page: string, name: string, query: URLSearchParams }} Route */

/** @returns {Route} */
export function here() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const [page, ...rest] = path.split('/');
  return {
    page: page || 'overview',
    name: unescaped(rest.join('/')),
    query: new URLSearchParams(query),
  };
}

/** A name that was typed into the address can be anything. @param {string} name */
function unescaped(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * The address of a page.
 * @param {string} page
 * @param {string} [name]
 * @param {Record<string, string | undefined>} [query] what is empty is left out
 */
export function link(page, name = '', query = {}) {
  const path =
    name === '' ? `#/${page}` : `#/${page}/${name.split('/').map(encodeURIComponent).join('/')}`;
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(key, value);
  }
  const text = parameters
    .toString()
    .replaceAll('%2F', '/')
    .replaceAll('%2C', ',')
    .replaceAll('*', '*');
  return text === '' ? path : `${path}?${text}`;
}

/** Goes to an address, as a link does. @param {string} address */
export function go(address) {
  if (address === location.hash) return;
  location.hash = address;
}

/**
 * Says in the address what is shown without showing anything else: what is typed letter by letter
 * would fill the list that the back button goes through.
 * @param {string} address
 */
export function note(address) {
  if (address !== location.hash) history.replaceState(history.state, '', address);
}
