// The body of a screen that shows one table, and reads it again and again: what it shows before the first answer, when
// there is nothing to list, and when the first read fails.

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
 * @param {() => Child} [options.below] what is shown below the rows
 * @returns {{element: HTMLElement, now: () => void}} `now` reads at once
 */
export function polledTable(list, { scope, everyMs, read, none, below }) {
  const element = h("div", null, loading());
  const reads = poll(scope, everyMs, async (signal) => {
    try {
      const items = await read(signal);
      if (items.length === 0) fill(element, none());
      else if (!list.element.isConnected) fill(element, list.element, below?.());
      list.show(items);
    } catch (error) {
      if (!signal.aborted && !list.element.isConnected)
        fill(
          element,
          failureBox(error, () => reads.now()),
        );
      throw error;
    }
  });
  addKeys(tableKeys(list), scope);
  return { element, now: () => reads.now() };
}
