// Repeats a request while its screen is open and seen. What it costs the node is bounded: between two requests it waits
// many times as long as the last one took, so that a node that is slow is asked less often. A browser has six
// connections to a node over HTTP/1.1, of all its tabs together: what is not seen makes no request.

/** How many times as long as a request took the next one is waited for. */
const SPARING = 20;
const LONGEST_MS = 20_000;
const FAILED_MS = 5_000;

/** Those whose last request failed, and which wait for the next one. @type {Set<() => void>} */
const failed = new Set();

/** Asks at once for all that could not be read: the parts of a screen come back together. */
export function pollFailed() {
  for (const run of [...failed]) run();
}

/**
 * @typedef {object} Poll
 * @property {() => void} now asks at once
 */

/**
 * @param {AbortSignal} scope the life of the screen
 * @param {number} everyMs at least this long between two requests
 * @param {(signal: AbortSignal) => Promise<unknown>} task
 * @returns {Poll}
 */
export function poll(scope, everyMs, task) {
  let timer = 0;
  let running = false;
  let again = false;

  async function run() {
    clearTimeout(timer);
    if (scope.aborted || document.hidden) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    failed.delete(run);
    const start = performance.now();
    let wait = everyMs;
    try {
      await task(scope);
      wait = Math.min(LONGEST_MS, Math.max(everyMs, (performance.now() - start) * SPARING));
    } catch {
      // The task shows its failure itself.
      wait = Math.max(everyMs, FAILED_MS);
      if (!scope.aborted) failed.add(run);
    }
    running = false;
    if (scope.aborted) return;
    timer = window.setTimeout(run, again ? 0 : wait);
    again = false;
  }

  const seen = () => {
    if (!document.hidden) run();
  };
  document.addEventListener("visibilitychange", seen, { signal: scope });
  scope.addEventListener("abort", () => {
    clearTimeout(timer);
    failed.delete(run);
  });
  run();
  return { now: run };
}
