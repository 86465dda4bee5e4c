// Addresses of screens. What a screen shows is in its address, so that it can be sent to someone else, and Back works.

const BASE = "/console";

/**
 * @typedef {object} Place
 * @property {string[]} path the segments below `/console`
 * @property {URLSearchParams} query
 */

/** @returns {Place} */
export function place() {
  return { path: segmentsOf(location.pathname), query: new URLSearchParams(location.search) };
}

/** @param {string} address */
function segmentsOf(address) {
  const [path = ""] = address.split("?");
  const below = path.startsWith(BASE) ? path.slice(BASE.length) : "";
  return below
    .split("/")
    .filter((segment) => segment !== "")
    .map(decode);
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
 * Opens a screen, which knows from where: it is kept with its entry of the history of the browser.
 *
 * @param {string} address of `href`
 */
export function open(address) {
  const here = place();
  const isSameKind = here.path.length > 1 && segmentsOf(address)[0] === here.path[0];
  const from = isSameKind ? origin() : location.pathname + location.search;
  history.pushState({ from, isBefore: !isSameKind }, "", address);
  changed();
}

/**
 * The screen from which the one that is open was reached, with its filter: of one invocation that was opened from
 * another one, where the first was opened. Null for one that was not opened from the console.
 *
 * @returns {string | null}
 */
export function origin() {
  const from = history.state?.from;
  return typeof from === "string" ? from : null;
}

/** Whether the screen of `origin` is the entry before, so that *Back* of the browser is the way to it. */
export function isOriginBefore() {
  return history.state?.isBefore === true;
}

/** Goes back as the browser does; what was not opened from the console goes to its list. */
export function goBack() {
  if (history.state) history.back();
  else open(href(place().path.slice(0, 1)));
}

/**
 * Changes the address of the screen that is open, without opening it again.
 *
 * @param {Record<string, string | undefined>} query
 */
export function rewriteQuery(query) {
  history.replaceState(history.state, "", href(place().path, query));
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
