// Keys. A screen registers those that it knows for as long as it is open; `g` and a letter opens a screen, and `?`
// lists what there is.

/**
 * @typedef {object} Key
 * @property {string} key as `KeyboardEvent.key` has it, or two letters: `g s`
 * @property {string} label what it does
 * @property {() => void} run
 */

/** @type {Set<Key>} */
const keys = new Set();
/** How long a second letter may take. */
const PREFIX_MS = 1500;
let prefix = "";
let prefixAt = 0;

/**
 * @param {Key[]} added
 * @param {AbortSignal} [scope]
 */
export function addKeys(added, scope) {
  for (const key of added) keys.add(key);
  scope?.addEventListener("abort", () => added.forEach((key) => keys.delete(key)));
}

/** Those that work now, the latest first. */
export function knownKeys() {
  return [...keys].reverse();
}

/** @param {EventTarget | null} target */
function takesText(target) {
  if (!(target instanceof HTMLElement)) return false;
  return target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select") || target.isContentEditable;
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (takesText(event.target)) {
      if (event.key === "Escape") /** @type {HTMLElement} */ (event.target).blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    const isControl = event.target instanceof Element && event.target.matches("button, a, summary, [role=tab]");
    if (isControl && (event.key === "Enter" || event.key === " ")) return;
    const pressed = Date.now() - prefixAt < PREFIX_MS ? `${prefix} ${event.key}` : event.key;
    const found = knownKeys().find((key) => key.key === pressed);
    const begins = knownKeys().some((key) => key.key.startsWith(`${event.key} `));
    prefix = begins && !found ? event.key : "";
    prefixAt = prefix ? Date.now() : 0;
    if (found) {
      event.preventDefault();
      found.run();
    }
  });
}
