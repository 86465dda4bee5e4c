// The node at a glance: its health, what it does, the last hour, and what needs an operator.

import { getStatus } from "../api/node.js";
import { fill, h } from "../core/dom.js";
import { bytes, count, percent, plural, rate, words } from "../core/format.js";
import { poll } from "../core/poll.js";
import { href } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { ago, duration, now, toMs } from "../core/time.js";
import { historyCharts } from "../parts/history.js";
import { icon } from "../parts/icon.js";
import { empty, failureBox, loading } from "../parts/notice.js";
import { said } from "../parts/said.js";
import { panel, screen, screenHead } from "../parts/screen.js";
import { badge } from "../parts/state.js";

/** @typedef {import("../api/types.js").Status} Status */
/** @typedef {import("../core/dom.js").Child} Child */

const EVERY_MS = 5000;

/** @type {Record<string, [string, import("../parts/icon.js").IconName, string]>} */
const HEALTH = {
  NODE_HEALTH_SERVING: ["Serving", "succeeded", "good"],
  NODE_HEALTH_DEGRADED: ["Degraded", "warning", "warn"],
  NODE_HEALTH_NOT_SERVING: ["Not serving", "failed", "bad"],
};

/** @param {import("../parts/screen.js").Context} context */
export default function overview({ scope }) {
  const health = h("span");
  const said = h("span", { class: "quiet" });
  const head = screenHead("Overview", { after: [health, said] });
  const tiles = h(
    "div",
    { class: "tiles" },
    ...tilesOf(/** @type {Status} */ ({}), "").map(() => h("div", { class: "tile skeleton-tile" })),
  );
  const attention = h("div", null, loading(4));
  let perSecond = "–";
  /** @type {Status | null} */
  let known = null;

  function show() {
    if (!known) return;
    const [label, name, tone] = HEALTH[known.health] ?? ["Unknown", "pending", "idle"];
    fill(health, badge(known.held ? "On hold" : label, known.held ? "held" : name, known.held ? "warn" : tone));
    fill(said, `version ${known.version}, up ${duration(now() - toMs(known.startTime))}`);
    tiles.hidden = false;
    fill(tiles, ...tilesOf(known, perSecond));
    fill(attention, ...attentionOf(known));
  }
  const charts = historyCharts("", scope, (value) => {
    perSecond = rate(value);
    show();
  });
  const reads = poll(scope, EVERY_MS, async (signal) => {
    try {
      known = await getStatus(signal);
      show();
    } catch (error) {
      if (!signal.aborted && !known) {
        tiles.hidden = true;
        tiles.replaceChildren();
        fill(
          attention,
          failureBox(error, () => reads.now()),
        );
      }
      throw error;
    }
  });
  return screen(head, tiles, charts, attention);
}

/**
 * @param {Status} status
 * @param {string} perSecond
 */
function tilesOf(status, perSecond) {
  const oldest = status.oldestDue?.[0];
  const failed = Number(status.failedInvocations ?? 0);
  const held = Number(status.heldInvocations ?? 0);
  const limit = Number(status.storeBytesLimit ?? 0);
  return [
    tile("Calls per second", perSecond, "over the last minute", href(["services"])),
    tile(
      "Running",
      count(status.running),
      // Synchronous calls are among them, and what awaits its completion is not: no list has the same.
      `handlers of ${plural(status.services, "service")}`,
      href(["services"]),
    ),
    tile(
      "Pending",
      count(status.pending),
      oldest ? ["due ", ago(oldest.dueTime)] : "none is due",
      href(["invocations"], { filter: "state = PENDING" }),
    ),
    tile(
      "Failed, last hour",
      count(failed),
      failed > 0 ? "stored invocations" : "none",
      href(["invocations"], { filter: "state = FAILED AND end_time > -1h" }),
      failed > 0 ? "bad" : "",
    ),
    tile(
      "Held",
      count(held),
      held > 0 ? "wait for an operator" : "none",
      href(["dead-letters"]),
      held > 0 ? "bad" : "",
    ),
    tile(
      "Workers",
      count(status.workers),
      Number(status.workersAway ?? 0) > 0 ? `${count(status.workersAway)} away` : "connected",
      href(["workers"]),
    ),
    tile(
      "Store",
      bytes(status.storeSizeBytes),
      limit > 0 ? `${percent(Number(status.storeSizeBytes ?? 0), limit)} of ${bytes(limit)}` : status.store,
      null,
    ),
  ];
}

/**
 * @param {string} label
 * @param {string} value
 * @param {Child | Child[]} detail
 * @param {string | null} address
 * @param {string} [tone]
 */
function tile(label, value, detail, address, tone = "") {
  const content = [
    h("span", { class: "tile-label" }, label),
    h("span", { class: `tile-value number ${tone ? `tone-${tone}` : ""}` }, value),
    h("span", { class: "quiet small" }, ...[detail].flat()),
  ];
  return address ? h("a", { class: "tile", href: address }, ...content) : h("div", { class: "tile" }, ...content);
}

/** @param {Status} status */
function attentionOf(status) {
  const parts = [
    list(
      "What needs an operator",
      (status.healthReasons ?? []).map((one) => [
        icon("warning"),
        h("span", { class: "grow" }, ...said(one.message)),
        h("span", { class: "mono quiet small" }, one.reason),
      ]),
    ),
    list(
      "Failing, last hour",
      (status.failingServices ?? []).map((one) => [
        serviceLink(one.service),
        h("span", { class: "mono small tone-bad" }, one.reason ?? ""),
        h("span", { class: "grow quiet clip" }, oneLine(plain(one.exampleMessage ?? ""))),
        h("span", { class: "number" }, `${count(one.failures)} of ${count(one.calls)}`),
      ]),
    ),
    list(
      "Due longest",
      (status.oldestDue ?? []).map((one) => [
        serviceLink(one.service),
        h("a", { class: "mono small", href: href(["invocations", one.cid]) }, one.cid.slice(-12)),
        h("span", { class: "grow quiet" }, words(one.pendingReason, "PENDING_REASON_")),
        h("span", { class: "number quiet" }, plural(one.pending, "pending", "pending")),
        ago(one.dueTime),
      ]),
    ),
    list(
      "Paused and disabled",
      (status.controls ?? []).map((one) => [
        serviceLink(one.service),
        badge(one.disabled ? "Disabled" : "Paused", "held", "warn"),
        h("span", { class: "grow quiet clip" }, plain(one.reason ?? "")),
        ago(one.time),
      ]),
    ),
    list(
      "Served by no worker",
      (status.unservedServices ?? []).map((one) => [
        serviceLink(one.service),
        h("span", { class: "grow" }),
        h("span", { class: "number" }, plural(one.pending, "pending", "pending")),
        h("span", { class: "quiet" }, "served ", ago(one.lastServedTime)),
      ]),
    ),
    list(
      "Limits that are near",
      (status.limits ?? [])
        .filter((one) => Number(one.used ?? 0) * 2 >= Number(one.limit ?? 1))
        .map((one) => [
          h("span", { class: "mono" }, one.name),
          h("span", { class: "grow quiet" }, one.service || "the node"),
          h("span", { class: "number" }, `${count(one.used)} of ${count(one.limit)}`),
        ]),
    ),
  ].filter((part) => part !== null);
  return parts.length > 0
    ? parts
    : [empty("Nothing needs attention", "No failures in the last hour, nothing held, nothing waits.")];
}

/** @param {string} name */
function serviceLink(name) {
  return h("a", { class: "strong", href: href(["services", name]) }, name);
}

/**
 * @param {string} title
 * @param {Child[][]} rows
 */
function list(title, rows) {
  return rows.length === 0
    ? null
    : panel(title, h("ul", { class: "plain-list" }, ...rows.map((row) => h("li", null, ...row))));
}
