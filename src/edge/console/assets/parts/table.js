// A table of few rows, such as services and workers. Its rows are kept while it changes, so that nothing jumps: a row
// is made once for its key, and then only updated. Rows are walked with j and k, and opened with Enter.

import { fill, h } from "../core/dom.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {string} [kind] `number`, `wide`, `whole` (one line), `build` (may break), `message` (on a line of its own
 *   where rows are stacked), `optional` (not where there is little room)
 * @property {(item: T) => import("../core/dom.js").Child | import("../core/dom.js").Child[]} cell
 */

/**
 * @template T
 * @param {object} options
 * @param {string} options.label
 * @param {Column<T>[]} options.columns
 * @param {(item: T) => string} options.key
 * @param {(item: T) => string} [options.href] what a row opens
 * @returns {{element: HTMLElement, show: (items: T[]) => void, move: (step: number) => void, openCursor: () => void}}
 */
export function table({ label, columns, key, href }) {
  // Where there is little room the cells of a row have their labels beside them, and flow. The roles are said: for some
  // browsers what is not laid out as a table is none.
  const body = h("tbody", { role: "rowgroup" });
  const head = columns.map((column) =>
    h(
      "th",
      { scope: "col", class: column.kind, role: "columnheader" },
      column.label || h("span", { class: "visually-hidden" }, "Actions"),
    ),
  );
  const element = h(
    "div",
    { class: "table-wrap" },
    h(
      "table",
      { class: "table rows", "aria-label": label, role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
      body,
    ),
  );
  /** @type {Map<string, {row: HTMLTableRowElement, cells: HTMLTableCellElement[], shown: string}>} */
  const rows = new Map();
  let cursor = -1;

  /** @param {T} item */
  function rowOf(item) {
    const id = key(item);
    let entry = rows.get(id);
    if (!entry) {
      const cells = columns.map((column) => h("td", { class: column.kind, "data-label": column.label, role: "cell" }));
      const row = h("tr", { class: href ? "opens" : null, role: "row" }, ...cells);
      entry = { row, cells, shown: "" };
      rows.set(id, entry);
    }
    const shown = JSON.stringify(item);
    if (entry.shown !== shown) {
      columns.forEach((column, at) => fill(/** @type {Element} */ (entry.cells[at]), column.cell(item)));
      entry.shown = shown;
    }
    return entry.row;
  }

  /** @param {number} step */
  function move(step) {
    const all = [...body.rows];
    cursor = Math.max(0, Math.min(all.length - 1, cursor + step));
    all.forEach((row, at) => row.classList.toggle("cursor", at === cursor));
    const row = all[cursor];
    row?.scrollIntoView({ block: "nearest" });
    row?.querySelector("a")?.focus({ preventScroll: true });
  }

  return {
    element,
    move,
    openCursor: () => body.rows[cursor]?.querySelector("a")?.click(),
    show(items) {
      const shown = items.map(rowOf);
      const ids = new Set(items.map(key));
      for (const [id, entry] of rows) {
        if (ids.has(id)) continue;
        entry.row.remove();
        rows.delete(id);
      }
      shown.forEach((row, at) => {
        if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
      });
    },
  };
}

/**
 * The keys of a table, and of every list that is walked as one is.
 *
 * @param {{move: (step: number) => void, openCursor: () => void}} walked
 * @returns {import("../core/keys.js").Key[]}
 */
export function tableKeys(walked) {
  return [
    { key: "j", label: "Next row", run: () => walked.move(1) },
    { key: "k", label: "Previous row", run: () => walked.move(-1) },
    { key: "Enter", label: "Open the row", run: () => walked.openCursor() },
  ];
}

/**
 * Names with their values, in columns.
 *
 * @param {[string, Child | Child[]][]} facts those without a value are left out
 */
export function factList(facts) {
  const given = facts.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return h(
    "dl",
    { class: "facts" },
    ...given.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}
