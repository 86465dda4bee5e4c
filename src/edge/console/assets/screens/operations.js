// Operations: changes of any number of invocations, as they run and have ended.

import { cancelOperation, listOperations } from "../api/node.js";
import { h } from "../core/dom.js";
import { count, words } from "../core/format.js";
import { href } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { ago } from "../core/time.js";
import { operationBar } from "../parts/bulk.js";
import { action } from "../parts/controls.js";
import { empty, messageOf, toast } from "../parts/notice.js";
import { polledTable } from "../parts/polled_table.js";
import { screen, screenHead } from "../parts/screen.js";
import { badge } from "../parts/state.js";
import { table } from "../parts/table.js";

/** @typedef {import("../api/types.js").Operation} Operation */

const EVERY_MS = 2000;

/** @type {Record<string, [import("../parts/icon.js").IconName, string]>} */
const LOOKS = {
  OPERATION_STATE_RUNNING: ["running", "busy"],
  OPERATION_STATE_SUCCEEDED: ["succeeded", "good"],
  OPERATION_STATE_CANCELLED: ["cancelled", "idle"],
  OPERATION_STATE_FAILED: ["failed", "bad"],
};

/** @param {import("../parts/screen.js").Context} context */
export default function operations({ scope }) {
  const list = table({ label: "Operations", columns: columns(() => shown.now()), key: (one) => one.id ?? "" });
  const shown = polledTable(list, {
    scope,
    everyMs: EVERY_MS,
    read: async (signal) => (await listOperations(signal)).operations ?? [],
    none: () =>
      empty(
        "No operations",
        "A change of all invocations that match a filter is started from ",
        h("a", { href: href(["invocations"]) }, "the list"),
        ".",
      ),
  });
  return screen(screenHead("Operations"), shown.element);
}

/**
 * @param {() => void} changed
 * @returns {import("../parts/table.js").Column<Operation>[]}
 */
function columns(changed) {
  return [
    {
      label: "Operation",
      kind: "wide",
      cell: (one) => [
        h(
          "a",
          { class: "strong", href: href(["invocations"], { filter: one.filterExpression || undefined }) },
          Object.keys(one.action)[0] ?? "",
        ),
        h(
          "div",
          { class: "mono small quiet clip" },
          one.all ? "all invocations" : one.filterExpression || JSON.stringify(one.filter ?? {}),
        ),
      ],
    },
    {
      label: "State",
      cell(one) {
        const [name, tone] = LOOKS[one.state ?? ""] ?? ["pending", "idle"];
        const label = words(one.state, "OPERATION_STATE_");
        return badge(label.charAt(0).toUpperCase() + label.slice(1), name, tone);
      },
    },
    {
      label: "Progress",
      kind: "optional",
      cell: (one) => [
        operationBar(one, "Progress"),
        one.failure && h("div", { class: "small tone-warn clip" }, oneLine(plain(one.failure.message ?? ""))),
      ],
    },
    { label: "Changed", kind: "number", cell: (one) => `${count(one.changed)} of ${count(one.matched)}` },
    { label: "Refused", kind: "number optional", cell: refused },
    { label: "By", kind: "optional", cell: (one) => one.principal ?? "" },
    { label: "Started", kind: "number optional", cell: (one) => ago(one.createTime) },
    {
      label: "",
      kind: "number",
      cell: (one) =>
        one.state === "OPERATION_STATE_RUNNING" &&
        action("Cancel", {
          icon: "stop",
          kind: "small",
          run: () => cancelOperation(one.id ?? "").then(changed, (error) => toast(messageOf(error))),
        }),
    },
  ];
}

/** @param {Operation} one */
function refused(one) {
  const all = one.refusals ?? [];
  const total = all.reduce((sum, refusal) => sum + Number(refusal.count), 0);
  return h(
    "span",
    {
      title: all.map((refusal) => `${refusal.count} ${refusal.reason}`).join("\n") || null,
      class: total ? "tone-warn" : "quiet",
    },
    count(total),
  );
}
