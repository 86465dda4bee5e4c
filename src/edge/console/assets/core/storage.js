// What the browser remembers of the console, in `localStorage`: bounded, and never with a secret.

/**
 * @template T
 * @param {string} key
 * @param {T} otherwise
 * @returns {T}
 */
export function load(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`cidery.${key}`) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/**
 * @param {string} key
 * @param {unknown} value
 */
export function save(key, value) {
  try {
    localStorage.setItem(`cidery.${key}`, JSON.stringify(value));
  } catch {
    // No room, or not allowed: nothing is remembered.
  }
}
