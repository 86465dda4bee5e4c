// The dead letters: held invocations, and failed ones that were not retried, by service and reason.

import { summarizeInvocations } from "../api/node.js";
import { missing } from "../api/session.js";
import { h } from "../core/dom.js";
import { quoted } from "../core/filter.js";
import { count, plural } from "../core/format.js";
import { href } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { ago } from "../core/time.js";
import { bulkDialog } from "../parts/bulk.js";
import { menu } from "../parts/controls.js";
import { empty } from "../parts/notice.js";
import { polledTable } from "../parts/polled_table.js";
import { screen, screenHead } from "../parts/screen.js";
import { stateBadge } from "../parts/state.js";
import { table } from "../parts/table.js";

/** @typedef {import("../api/types.js").Summary} Summary */

const EVERY_MS = 10_000;

/** @param {import("../parts/screen.js").Context} context */
export default function deadLetters({ scope }) {
  const found = h("span", { class: "quiet", role: "status" });
  const list = table({ label: "Dead letters", columns: columns(() => shown.now()), key: (one) => filterOf(one) });
  const denied = missing("administer");
  const all = (/** @type {import("../parts/bulk.js").Verb} */ verb, /** @type {string} */ filter) => () =>
    bulkDialog(verb, filter, () => shown.now());
  const everything = menu("Change all", [
    { label: "Retry all…", icon: "retry", denied, run: all("retry", "dead_letter = true") },
    { label: "Release held…", icon: "release", denied, run: all("release", "pending_reason = HELD") },
    { label: "Cancel held…", icon: "stop", denied, run: all("cancel", "pending_reason = HELD") },
    { label: "Purge failed…", icon: "trash", denied, run: all("purge", "dead_letter = true AND state = FAILED") },
  ]);

  const shown = polledTable(list, {
    scope,
    everyMs: EVERY_MS,
    read: async (signal) => {
      const answer = await summarizeInvocations("dead_letter = true", signal);
      found.textContent = count(answer.total);
      return answer.summaries ?? [];
    },
    none: () =>
      empty("No dead letters", "What fails for good, or is held when its attempts have failed, is listed here."),
  });
  return screen(screenHead("Dead letters", { after: [found], actions: [everything] }), shown.element);
}

/** @param {Summary} one */
function filterOf(one) {
  const criteria = ["dead_letter = true", one.pendingReason ? "pending_reason = HELD" : "state = FAILED"];
  if (one.service) criteria.push(`service = ${quoted(one.service)}`);
  if (one.failureReason) criteria.push(`failure_reason = ${quoted(one.failureReason)}`);
  return criteria.join(" AND ");
}

/**
 * @param {() => void} changed
 * @returns {import("../parts/table.js").Column<Summary>[]}
 */
function columns(changed) {
  const denied = missing("administer");
  return [
    {
      label: "Service and reason",
      kind: "wide",
      cell: (one) => [
        h("a", { class: "strong", href: href(["invocations"], { filter: filterOf(one) }) }, one.service || "group"),
        h("div", { class: "mono small tone-bad clip" }, oneLine(one.failureReason ?? "")),
      ],
    },
    { label: "State", cell: (one) => stateBadge(one) },
    { label: "Count", kind: "number", cell: (one) => count(one.count) },
    {
      label: "Message of the last one",
      kind: "message",
      cell: (one) =>
        h(
          "a",
          { class: "quiet clip", href: href(["invocations", one.exampleCid ?? ""]) },
          oneLine(plain(one.exampleMessage ?? ""), 160) || "–",
        ),
    },
    { label: "Oldest", kind: "number optional", cell: (one) => ago(one.firstAcceptTime) },
    { label: "Newest", kind: "number optional", cell: (one) => ago(one.lastAcceptTime) },
    {
      label: "",
      kind: "number",
      cell(one) {
        const run = (/** @type {import("../parts/bulk.js").Verb} */ verb) => () =>
          bulkDialog(verb, filterOf(one), changed);
        const isHeld = one.pendingReason !== undefined;
        const items = isHeld
          ? [
              { label: "Release…", icon: "release", run: run("release") },
              { label: "Retry…", icon: "retry", run: run("retry") },
              { label: "Cancel…", icon: "stop", run: run("cancel") },
            ]
          : [
              { label: "Retry…", icon: "retry", run: run("retry") },
              { label: "Purge…", icon: "trash", run: run("purge") },
            ];
        const button = menu(
          "Change",
          items.map((item) => ({
            ...item,
            icon: /** @type {import("../parts/icon.js").IconName} */ (item.icon),
            denied,
          })),
          "small",
        );
        button
          .querySelector("button")
          ?.setAttribute("aria-label", `Change the ${plural(one.count, "dead letter")} of ${one.service || "group"}`);
        return button;
      },
    },
  ];
}
