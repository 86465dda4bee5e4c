// The groups: invocations that were accepted together, how far they are, and what comes after them.

import { listInvocations } from "../api/node.js";
import { h } from "../core/dom.js";
import { count } from "../core/format.js";
import { href } from "../core/router.js";
import { ago, duration, now, toMs } from "../core/time.js";
import { endedCounts, groupBar, groupState, otherEndings } from "../parts/group.js";
import { empty } from "../parts/notice.js";
import { polledTable } from "../parts/polled_table.js";
import { screen, screenHead } from "../parts/screen.js";
import { table } from "../parts/table.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */

const EVERY_MS = 3000;
/** The newest ones; others are found by the filter of the list. */
const SHOWN_MAX = 200;
const GROUPS = "kind = GROUP";

/** @type {import("../parts/table.js").Column<Invocation>[]} */
const COLUMNS = [
  {
    label: "Group",
    kind: "wide",
    cell: (one) => [
      h("a", { class: "strong mono clip", href: href(["invocations", one.cid]) }, one.cid),
      h("div", { class: "quiet small clip" }, follows(one) || "nothing follows"),
    ],
  },
  { label: "State", cell: (one) => groupState(one) },
  { label: "Members", kind: "optional", cell: (one) => groupBar(one, endedCounts(one)) },
  {
    label: "Ended",
    kind: "number",
    cell: (one) => [
      h(
        "a",
        { href: href(["invocations"], { filter: `group = ${one.cid}` }) },
        `${count(one.group?.ended)} of ${count(one.group?.members)}`,
      ),
      ...otherEndings(one).map((link) => h("div", null, link)),
    ],
  },
  {
    label: "Took",
    kind: "number optional",
    cell: (one) => duration((one.endTime ? toMs(one.endTime) : now()) - toMs(one.acceptTime)),
  },
  { label: "Accepted", kind: "number optional", cell: (one) => ago(one.acceptTime) },
];

/** @param {Invocation} one */
function follows(one) {
  const each = one.group?.onEach?.map((name) => `each: ${name}`) ?? [];
  const final = one.group?.onFinal?.map((name) => `final: ${name}`) ?? [];
  return [...each, ...final].join(", ");
}

/** @param {import("../parts/screen.js").Context} context */
export default function groups({ scope }) {
  const list = table({ label: "Groups", columns: COLUMNS, key: (one) => one.cid });
  let more = false;
  const shown = polledTable(list, {
    scope,
    everyMs: EVERY_MS,
    read: async (signal) => {
      const answer = await listInvocations({ filter: GROUPS, pageSize: SHOWN_MAX }, signal);
      more = Boolean(answer.nextPageToken);
      return answer.invocations ?? [];
    },
    none: () =>
      empty(
        "No groups",
        "A batch (",
        h("code", null, "InvokeBatch"),
        ") is accepted as a group, which ends with its last member.",
      ),
    below: () => more && h("p", { class: "quiet" }, `The newest ${SHOWN_MAX} are shown.`),
  });
  return screen(screenHead("Groups"), shown.element);
}
