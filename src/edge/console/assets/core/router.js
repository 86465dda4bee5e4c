// Addresses of screens. What a screen shows is in its address, so that it can be sent to someone else, and Back works.

const BASE = "/console";

/**
 * @typedef {object} Place
 * @property {string[]} path the segments below `/console`
 * @property {URLSearchParams} query
 */

/** @returns {Place} */
export function place() {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "";
  const segments = path.split("/").filter((segment) => segment !== "");
  return { path: segments.map(decode), query: new URLSearchParams(location.search) };
}

/** @param {string} segment */
function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/**
 * The address of a screen.
 *
 * @param {string[]} path
 * @param {Record<string, string | undefined>} [query] empty values are left out
 */
export function href(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const search = new URLSearchParams(/** @type {[string, string][]} */ (given)).toString();
  return [BASE, ...path.map(encodeURIComponent)].join("/") + (search ? `?${search}` : "");
}

/** @type {() => void} */
let changed = () => {};

/**
 * Opens a screen.
 *
 * @param {string} address of `href`
 */
export function open(address) {
  history.pushState(null, "", address);
  changed();
}

/**
 * Changes the address of the screen that is open, without opening it again.
 *
 * @param {Record<string, string | undefined>} query
 */
export function rewriteQuery(query) {
  history.replaceState(null, "", href(place().path, query));
}

/**
 * Calls `listener` whenever another screen is to be shown. Links of the console are followed without loading it again.
 *
 * @param {() => void} listener
 */
export function start(listener) {
  changed = listener;
  window.addEventListener("popstate", listener);
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = /** @type {Element} */ (event.target).closest?.("a[href]");
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || !link.pathname.startsWith(BASE)) return;
    event.preventDefault();
    open(link.pathname + link.search);
  });
}
