// The body of a screen that shows one table, and reads it again and again: what it shows before the first answer, when
// there is nothing to list, when nothing is searched for, and when the first read fails.

import { fill, h } from "../core/dom.js";
import { addKeys } from "../core/keys.js";
import { poll } from "../core/poll.js";
import { failureBox, loading } from "./notice.js";
import { tableKeys } from "./table.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * @template T
 * @param {ReturnType<typeof import("./table.js").table<T>>} list
 * @param {object} options
 * @param {AbortSignal} options.scope the life of the screen
 * @param {number} options.everyMs at least this long between two reads
 * @param {(signal: AbortSignal) => Promise<T[]>} options.read
 * @param {() => Child} options.none what is shown where nothing was found
 * @param {{pick: (items: T[]) => T[], none: () => Child}} [options.search] which of them are shown, and what where
 *   nothing is picked
 * @param {() => Child} [options.below] what is shown below the rows
 * @returns {{element: HTMLElement, now: () => void, show: () => void}} `now` reads at once, `show` picks again
 */
export function polledTable(list, { scope, everyMs, read, none, search, below }) {
  const element = h("div", null, loading());
  /** @type {T[] | null} */
  let known = null;

  function show() {
    if (!known) return;
    const items = search?.pick(known) ?? known;
    if (items.length > 0) {
      if (!list.element.isConnected) fill(element, list.element, below?.());
    } else {
      fill(element, search && known.length > 0 ? search.none() : none());
    }
    list.show(items);
  }

  const reads = poll(scope, everyMs, async (signal) => {
    try {
      known = await read(signal);
    } catch (error) {
      if (!signal.aborted && !list.element.isConnected)
        fill(
          element,
          failureBox(error, () => reads.now()),
        );
      throw error;
    }
    show();
  });
  addKeys(tableKeys(list), scope);
  return { element, now: () => reads.now(), show };
}
