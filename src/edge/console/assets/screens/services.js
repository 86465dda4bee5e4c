// The services of the node: what each is for, where it is served, how much it does and how well.

import { listServices, listServiceStats } from "../api/node.js";
import { mayAdminister } from "../api/session.js";
import { h } from "../core/dom.js";
import { count, percent, plural, rate } from "../core/format.js";
import { RateBook } from "../core/rates.js";
import { href, rewriteQuery } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { ago, duration } from "../core/time.js";
import { empty } from "../parts/notice.js";
import { polledTable } from "../parts/polled_table.js";
import { screen, screenHead } from "../parts/screen.js";
import { healthBadge } from "../parts/state.js";
import { table } from "../parts/table.js";

/** @typedef {import("../api/types.js").ServiceSummary} ServiceSummary */
/** @typedef {import("../api/types.js").ServiceStats} ServiceStats */
/** @typedef {ServiceSummary & {rates: import("../core/rates.js").Rates | null, stats?: ServiceStats}} Row */

const EVERY_MS = 5000;

/** @type {import("../parts/table.js").Column<Row>[]} */
const COLUMNS = [
  {
    label: "Service",
    kind: "wide",
    cell: (row) => [
      h("a", { href: href(["services", row.name]), class: "strong" }, row.name),
      row.description && h("div", { class: "quiet small clip" }, oneLine(plain(row.description))),
    ],
  },
  { label: "Health", cell: (row) => healthBadge(row.health) },
  { label: "Served by", kind: "optional", cell: (row) => servedBy(row) },
];
/** Only who administers the node reads what its services do. @type {import("../parts/table.js").Column<Row>[]} */
const STATS = [
  { label: "Calls/s", kind: "number", cell: (row) => (row.rates ? rate(row.rates.rate) : "–") },
  { label: "p50", kind: "number optional", cell: (row) => latency(row.rates?.p50) },
  { label: "p99", kind: "number optional", cell: (row) => latency(row.rates?.p99) },
  { label: "Errors", kind: "number", cell: (row) => errors(row) },
];
/** @type {import("../parts/table.js").Column<Row>[]} */
const LOAD = [
  { label: "Running", kind: "number optional", cell: (row) => count(row.running) },
  { label: "Pending", kind: "number", cell: (row) => pending(row) },
];

/** @param {number | null | undefined} ms */
function latency(ms) {
  return ms === null || ms === undefined ? "–" : duration(ms);
}

/** @param {Row} row */
function servedBy(row) {
  if (!row.locations) return h("span", { class: "quiet" }, "–");
  if (!row.workers?.length) return h("span", { class: "quiet" }, "the node");
  return h("span", { title: row.workers.join("\n") }, plural(row.locations, "worker"));
}

/**
 * The share of the last minutes that failed: of what has ended, or of attempts, after which an invocation may be retried
 * or held, whichever is worse.
 *
 * @param {Row} row
 */
function errors(row) {
  const { rates, stats } = row;
  /** @type {[number, number, string][]} */
  const shares = [
    [rates?.failed ?? 0, rates?.calls ?? 0, "call"],
    [Number(stats?.recentFailedAttempts ?? 0), Number(stats?.recentAttempts ?? 0), "attempt"],
  ];
  const known = shares.filter(([, all]) => all > 0).sort((one, other) => other[0] / other[1] - one[0] / one[1]);
  const [worst] = known;
  if (!worst) return "–";
  const [failed, all, what] = worst;
  const reason = stats?.lastFailureReason;
  const title = `${count(failed)} of ${plural(all, what)} failed${reason ? `; the last one: ${reason}` : ""}`;
  return h("span", { class: failed > 0 ? "tone-bad" : "quiet", title }, percent(failed, all));
}

/** @param {Row} row */
function pending(row) {
  const oldest = row.stats?.oldestDueTime;
  if (!Number(row.pending ?? 0)) return h("span", { class: "quiet" }, "0");
  const link = h(
    "a",
    { href: href(["invocations"], { filter: `service = ${row.name} AND state = PENDING` }) },
    count(row.pending),
  );
  return oldest ? [link, h("div", { class: "quiet small" }, "due ", ago(oldest))] : link;
}

/** @param {import("../parts/screen.js").Context} context */
export default function services({ query, scope }) {
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: "Search services",
    "aria-label": "Search services",
    value: query.get("search") ?? "",
    "data-search": "",
    spellcheck: "false",
  });
  const found = h("span", { class: "quiet", role: "status" });
  const list = table({
    label: "Services",
    columns: [...COLUMNS, ...(mayAdminister() ? STATS : []), ...LOAD],
    key: (row) => row.name,
  });
  const book = new RateBook();

  /** @param {AbortSignal} signal @returns {Promise<Row[]>} */
  async function read(signal) {
    const [services, counted] = await Promise.all([
      listServices(signal),
      mayAdminister() ? listServiceStats([], signal) : null,
    ]);
    if (counted) book.add(counted);
    const stats = new Map(counted?.stats?.map((one) => [one.service, one]));
    return (services.services ?? []).map((one) => ({
      ...one,
      rates: book.of(one.name),
      stats: stats.get(one.name),
    }));
  }

  /** @param {Row[]} all */
  function pick(all) {
    const text = search.value.trim().toLowerCase();
    const rows = all.filter((one) => `${one.name} ${one.description ?? ""}`.toLowerCase().includes(text));
    found.textContent = text ? `${rows.length} of ${all.length}` : plural(all.length, "service");
    return rows;
  }

  const shown = polledTable(list, {
    scope,
    everyMs: EVERY_MS,
    read,
    none: () =>
      empty(
        "No services",
        "A node serves what it was built with, and what workers announce: ",
        h("code", null, "cidery serve --demo"),
        " has some to try.",
      ),
    search: {
      pick,
      none: () => empty("No service matches", `Nothing has “${search.value}” in its name or description.`),
    },
  });
  search.addEventListener("input", () => {
    rewriteQuery({ search: search.value || undefined });
    shown.show();
  });
  return screen(screenHead("Services", { after: [found] }), h("div", { class: "toolbar" }, search), shown.element);
}
