// The workers that are connected: their builds, what they serve, how many of their credits are used, and who is away.

import { listWorkers } from "../api/node.js";
import { h } from "../core/dom.js";
import { count, plural, shortCid } from "../core/format.js";
import { href } from "../core/router.js";
import { oneLine } from "../core/text.js";
import { ago } from "../core/time.js";
import { empty } from "../parts/notice.js";
import { polledTable } from "../parts/polled_table.js";
import { screen, screenHead } from "../parts/screen.js";
import { badge } from "../parts/state.js";
import { table } from "../parts/table.js";

/** @typedef {import("../api/types.js").Worker} Worker */

const EVERY_MS = 3000;
/** Pages of 500: a node has more workers rarely, and then a filter by service is due. */
const PAGES_MAX = 4;

/** @type {import("../parts/table.js").Column<Worker>[]} */
const COLUMNS = [
  {
    label: "Worker",
    kind: "whole",
    cell: (one) => [
      h("span", { class: "strong" }, one.name || "unnamed"),
      h("div", { class: "mono small quiet", title: one.id }, shortCid(one.id)),
      one.peer && h("div", { class: "mono small quiet" }, one.peer),
    ],
  },
  { label: "State", cell: stateOf },
  {
    label: "Build",
    kind: "build",
    cell: (one) => h("span", { class: "mono small", title: one.buildId }, oneLine(one.buildId || "–", 40)),
  },
  { label: "In flight", kind: "number", cell: inFlight },
  { label: "Services", kind: "wide", cell: servicesOf },
  { label: "Connected", kind: "number optional", cell: (one) => ago(one.connectTime) },
];

/** @param {Worker} one */
function stateOf(one) {
  if (one.away) return badge("Away", "warning", "warn");
  return one.draining ? badge("Draining", "expired", "warn") : badge("Connected", "succeeded", "good");
}

/** @param {Worker} one */
function inFlight(one) {
  const [used, most] = [one.inFlight ?? 0, one.maxInFlight ?? 0];
  return [
    h("span", null, `${count(used)} of ${count(most)}`),
    h("meter", { min: 0, max: Math.max(1, most), value: used, "aria-label": "Credits in use" }),
  ];
}

/** @param {Worker} one */
function servicesOf(one) {
  const names = one.services ?? [];
  const links = names
    .slice(0, 3)
    .flatMap((name, at) => [at > 0 ? ", " : null, h("a", { href: href(["services", name]) }, name)]);
  return names.length > 3
    ? [...links, h("span", { class: "quiet", title: names.join("\n") }, ` and ${plural(names.length - 3, "other")}`)]
    : links;
}

/** @param {import("../parts/screen.js").Context} context */
export default function workers({ scope }) {
  const found = h("span", { class: "quiet", role: "status" });
  const list = table({ label: "Workers", columns: COLUMNS, key: (one) => one.id });
  const shown = polledTable(list, {
    scope,
    everyMs: EVERY_MS,
    read: async (signal) => {
      const all = await readAll(signal);
      const credits = all.reduce((sum, one) => sum + (one.maxInFlight ?? 0), 0);
      const used = all.reduce((sum, one) => sum + (one.inFlight ?? 0), 0);
      found.textContent =
        all.length > 0 ? `${plural(all.length, "worker")}, ${count(used)} of ${count(credits)} credits used` : "";
      return all;
    },
    none: () =>
      empty(
        "No workers",
        "The node itself serves what it was built with. Programs with the Python SDK or the Rust library connect.",
      ),
  });
  return screen(screenHead("Workers", { after: [found] }), shown.element);
}

/** @param {AbortSignal} signal */
async function readAll(signal) {
  /** @type {Worker[]} */
  const all = [];
  let token = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await listWorkers(token, signal);
    all.push(...(answer.workers ?? []));
    token = answer.nextPageToken ?? "";
    if (!token) break;
  }
  return all;
}
