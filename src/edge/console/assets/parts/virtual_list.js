// A list of any length: only the rows that are seen are elements, and they are used again while it scrolls. All rows
// have the same height, so that its scroll bar is right before they are loaded.

import { h } from "../core/dom.js";

/** Rows beyond both edges, so that a fast scroll shows no gaps. */
const BEYOND = 8;
/** Browsers cap the height of an element: the rows beyond it are reached by a narrower filter. */
const HEIGHT_MAX = 16_000_000;

/**
 * @template {HTMLElement} R
 * @typedef {object} Rows
 * @property {() => R} make
 * @property {(row: R, index: number) => void} update
 * @property {(from: number, to: number) => void} seen which rows are wanted
 * @property {(index: number) => void} open
 */

/**
 * @template {HTMLElement} R
 * @param {string} label
 * @param {HTMLElement} head the row of headings
 * @param {Rows<R>} rows
 */
export function virtualList(label, head, { make, update, seen, open }) {
  const space = h("div", { class: "virtual-space", role: "rowgroup" });
  const element = h(
    "div",
    { class: "virtual", role: "grid", tabindex: "0", "aria-label": label, "aria-rowcount": "0" },
    head,
    space,
  );
  /** @type {Map<number, R>} */
  const shown = new Map();
  /** @type {R[]} */
  const spare = [];
  let length = 0;
  let cursor = -1;
  let frame = 0;

  const rowHeight = () => Number.parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 36;
  const most = () => Math.min(length, Math.floor(HEIGHT_MAX / rowHeight()));

  /** @param {boolean} all also those that are there already */
  function draw(all) {
    frame = 0;
    const height = rowHeight();
    const first = Math.max(0, Math.floor(element.scrollTop / height) - BEYOND);
    const last = Math.min(most(), Math.ceil((element.scrollTop + element.clientHeight) / height) + BEYOND);
    space.style.height = `${most() * height}px`;
    for (const [index, row] of shown) {
      if (index >= first && index < last) continue;
      shown.delete(index);
      row.remove();
      spare.push(row);
    }
    for (let index = first; index < last; index += 1) {
      let row = shown.get(index);
      const isNew = row === undefined;
      row ??= spare.pop() ?? make();
      if (isNew) {
        shown.set(index, row);
        row.style.transform = `translateY(${index * height}px)`;
        row.setAttribute("aria-rowindex", String(index + 2));
        row.id = `${element.id}-${index}`;
        space.append(row);
      }
      if (isNew || all) update(row, index);
      row.classList.toggle("cursor", index === cursor);
    }
    spare.length = Math.min(spare.length, 64);
    seen(first, last);
  }
  const drawSoon = () => {
    frame ||= requestAnimationFrame(() => draw(false));
  };
  element.addEventListener("scroll", drawSoon, { passive: true });
  const sizes = new ResizeObserver(() => draw(true));
  sizes.observe(element);

  /** @param {number} index */
  function moveTo(index) {
    cursor = Math.max(0, Math.min(most() - 1, index));
    const height = rowHeight();
    const top = cursor * height;
    const headHeight = head.offsetHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    const below = top + height - (element.clientHeight - headHeight);
    if (below > element.scrollTop) element.scrollTop = below;
    element.setAttribute("aria-activedescendant", `${element.id}-${cursor}`);
    draw(true);
  }
  element.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(element.clientHeight / rowHeight()) - 2);
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    if (step !== undefined) moveTo(cursor + step);
    else if (event.key === "Home") moveTo(0);
    else if (event.key === "Enter" && cursor >= 0 && event.target === element) open(cursor);
    else return;
    event.preventDefault();
  });

  return {
    element,
    /** @param {number} count */
    setLength(count) {
      length = count;
      element.setAttribute("aria-rowcount", String(count + 1));
      draw(true);
    },
    redraw: () => draw(true),
    isAtTop: () => element.scrollTop < 4,
    toTop() {
      element.scrollTop = 0;
      draw(true);
    },
    /** @param {number} step */
    move: (step) => moveTo(cursor + step),
    openCursor: () => cursor >= 0 && open(cursor),
    cursor: () => cursor,
    clearCursor() {
      cursor = -1;
      element.removeAttribute("aria-activedescendant");
    },
    close: () => sizes.disconnect(),
  };
}
