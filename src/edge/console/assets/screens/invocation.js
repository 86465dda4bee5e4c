// One invocation: its state and why it waits, the timeline of its call tree, input, outcome, items, attempts with their
// failures and traces, and what can be done with it. It is followed live until it has ended.

import { isUnreachable } from "../api/connect.js";
import { getInvocation, getService, listInvocations } from "../api/node.js";
import { fill, h, setText } from "../core/dom.js";
import { addKeys } from "../core/keys.js";
import { poll } from "../core/poll.js";
import { href, rewriteQuery } from "../core/router.js";
import { visible } from "../core/text.js";
import { ago, duration, toMs } from "../core/time.js";
import { treeOf } from "../core/tree.js";
import { whyItWaits } from "../core/waiting.js";
import { attemptList, failureView } from "../parts/attempts.js";
import { contentView } from "../parts/content.js";
import { copyButton, tabs } from "../parts/controls.js";
import { liveEvents, progressBar } from "../parts/events.js";
import { icon } from "../parts/icon.js";
import { invocationActions } from "../parts/invocation_actions.js";
import { empty, failureBox, loading, marked } from "../parts/notice.js";
import { panel, screen, screenHead } from "../parts/screen.js";
import { hasEnded, stateBadge } from "../parts/state.js";
import { factList } from "../parts/table.js";
import { timeline } from "../parts/timeline.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */

const RUNNING_MS = 2000;
const ENDED_MS = 15_000;
/** Of a call tree, so many are drawn. */
const TREE_MAX = 100;

/** @param {import("../parts/screen.js").Context} context */
export default function invocation({ path, query, scope }) {
  const cid = path[0] ?? "";
  const back = h(
    "a",
    { class: "icon-button", href: href(["invocations"]), "aria-label": "All invocations" },
    icon("back"),
  );
  const badge = h("span", null);
  const buttons = h("div", { class: "screen-actions" });
  const head = screenHead("Invocation", { before: back, after: [badge], actions: [buttons] });
  const heading = head.querySelector("h1");
  const place = h("div", null, loading());
  const view = invocationView(cid, query.get("tab") ?? "", scope);
  /** @type {Invocation | null} */
  let known = null;
  let everyMs = RUNNING_MS;
  let skipped = 0;
  let lookOfButtons = "";

  async function read() {
    const invocation = await getInvocation(cid, scope);
    const isNew = known?.sequence !== invocation.sequence || known?.state !== invocation.state;
    known = invocation;
    everyMs = hasEnded(invocation) ? ENDED_MS : RUNNING_MS;
    const name = invocation.service || "Group";
    document.title = `${name} · Cidery`;
    if (heading) setText(heading, name);
    fill(badge, stateBadge(invocation));
    const state = JSON.stringify([invocation.state, invocation.pendingReason, invocation.waitingForCompletion]);
    if (state !== lookOfButtons) fill(buttons, ...invocationActions(invocation, reread));
    lookOfButtons = state;
    const [service, tree] = await Promise.all([
      invocation.service && !hasEnded(invocation) ? getService(invocation.service, scope).catch(() => null) : null,
      isNew || !hasEnded(invocation) ? readTree(invocation, scope) : null,
    ]);
    if (!view.element.isConnected) fill(place, view.element);
    view.show(invocation, service, tree);
  }
  const reads = poll(scope, RUNNING_MS, async () => {
    skipped += RUNNING_MS;
    if (known && skipped < everyMs) return;
    skipped = 0;
    try {
      await read();
    } catch (error) {
      if (!scope.aborted) fail(error);
      throw error;
    }
  });
  /** @param {unknown} error */
  function fail(error) {
    // Where the node does not answer, what is shown stays.
    if (isUnreachable(error) && known) return;
    const isKnown = isUnreachable(error) || known;
    fill(place, isKnown ? failureBox(error, reread) : notFound(error, cid));
  }
  function reread() {
    skipped = everyMs;
    reads.now();
  }
  view.onEvent(reread);
  addKeys(
    [
      ...Object.entries({ c: "Cancel…", r: "Retry", e: "Edit and retry…" }).map(([key, label]) => ({
        key,
        label,
        // What the caller may not do, the button knows.
        run: () =>
          [...buttons.querySelectorAll("button")].find((button) => button.textContent?.startsWith(label))?.click(),
      })),
      { key: "u", label: "To the list", run: () => back.click() },
    ],
    scope,
  );
  return screen(
    head,
    h(
      "p",
      { class: "cid-line" },
      h("span", { class: "mono quiet" }, visible(cid)),
      copyButton(() => cid, "the CID"),
    ),
    place,
  );
}

/**
 * @param {unknown} error
 * @param {string} cid
 */
function notFound(error, cid) {
  return h(
    "div",
    null,
    failureBox(error),
    empty(
      "This invocation is not shown",
      `${visible(cid)} was never accepted, has been removed after its retention, or belongs to another principal.`,
    ),
  );
}

/**
 * The invocations of the same call tree, those of other retention included as far as they are stored.
 *
 * @param {Invocation} invocation
 * @param {AbortSignal} scope
 */
async function readTree(invocation, scope) {
  const root = invocation.groupCid || invocation.rootCid || invocation.cid;
  const field = !invocation.service || invocation.groupCid === root ? "group" : "root";
  const [members, above] = await Promise.all([
    listInvocations({ filter: `${field} = ${root}`, pageSize: TREE_MAX }, scope),
    root === invocation.cid ? null : getInvocation(root, scope).catch(() => null),
  ]);
  const all = [...(members.invocations ?? []), ...(above ? [above] : []), invocation];
  return {
    invocations: [...new Map(all.map((one) => [one.cid, one])).values()],
    isCut: Boolean(members.nextPageToken),
    field,
    root,
  };
}

/** @typedef {Awaited<ReturnType<typeof readTree>>} Tree */

/**
 * The content below the heading. Its parts are made once, and filled again as the invocation goes on.
 *
 * @param {string} cid
 * @param {string} tab
 * @param {AbortSignal} scope
 */
function invocationView(cid, tab, scope) {
  const notice = h("div");
  const facts = h("div");
  const times = h("div");
  const input = h("div");
  const outcome = h("div");
  const attempts = h("div");
  const details = h("div");
  let changed = () => {};
  let shown = "";
  const more = tabs(
    "Details",
    [
      { id: "attempts", label: "Attempts", panel: () => attempts },
      {
        id: "events",
        label: "Events",
        panel: () => liveEvents(cid, scope, { onEvent: (event) => event.progress || changed() }),
      },
      { id: "details", label: "Details", panel: () => details },
    ],
    { selected: tab, onSelect: (id) => rewriteQuery({ tab: id }) },
  );
  const element = h(
    "div",
    { class: "invocation" },
    notice,
    facts,
    panel("Timeline", times),
    h("div", { class: "two" }, panel("Input", input), panel("Outcome", outcome)),
    h("section", { class: "panel" }, more.bar, more.panel),
  );

  return {
    element,
    /** @param {() => void} listener */
    onEvent(listener) {
      changed = listener;
    },
    /**
     * @param {Invocation} invocation
     * @param {import("../api/types.js").ServiceDescription | null} service
     * @param {Tree | null} tree
     */
    show(invocation, service, tree) {
      fill(notice, waitNotice(invocation, service));
      if (tree)
        fill(
          times,
          timeline(treeOf(tree.invocations), invocation),
          tree.isCut &&
            h(
              "p",
              { class: "quiet small" },
              `The first ${TREE_MAX} are drawn. `,
              h("a", { href: href(["invocations"], { filter: `${tree.field} = ${tree.root}` }) }, "All of them"),
            ),
        );
      const now = JSON.stringify([
        invocation.sequence,
        invocation.state,
        invocation.progress,
        invocation.attempts?.length,
      ]);
      if (now === shown) return;
      shown = now;
      fill(facts, mainFacts(invocation));
      if (!input.hasChildNodes()) fill(input, contentView(invocation.input, "input"));
      fill(outcome, outcomeView(invocation));
      fill(attempts, attemptList(invocation));
      fill(details, detailFacts(invocation));
    },
  };
}

/**
 * @param {Invocation} invocation
 * @param {import("../api/types.js").ServiceDescription | null} service
 */
function waitNotice(invocation, service) {
  const why = whyItWaits(invocation, service);
  if (!why) return null;
  const holder = invocation.keyHolderCid;
  return h(
    "div",
    { class: "notice", role: "status" },
    icon("due"),
    h(
      "div",
      null,
      h("b", null, "Why it waits. "),
      ...marked(why),
      holder && [" ", h("a", { href: href(["invocations", holder]) }, "Open the invocation that holds the key")],
    ),
  );
}

/** @param {Invocation} invocation */
function mainFacts(invocation) {
  const start = invocation.firstAttemptTime;
  const attempt = invocation.attempt
    ? `${invocation.attempt}${invocation.maxAttempts ? ` of ${invocation.maxAttempts}` : ""}`
    : "none yet";
  return factList([
    ["Accepted", ago(invocation.acceptTime)],
    ["Waited", start ? duration(toMs(start) - toMs(invocation.acceptTime)) : null],
    ["Took", start && invocation.endTime ? duration(toMs(invocation.endTime) - toMs(start)) : null],
    [
      invocation.endTime ? "Ended" : "Due",
      invocation.endTime ? ago(invocation.endTime) : invocation.startTime ? ago(invocation.startTime) : null,
    ],
    ["Attempt", invocation.service ? attempt : null],
    [
      "Members",
      invocation.group ? `${invocation.group.ended ?? 0} of ${invocation.group.members ?? 0} have ended` : null,
    ],
    ["Principal", invocation.principal && visible(invocation.principal)],
    ["Parent", link(invocation.parentCid)],
    ["Callback of", link(invocation.inReplyTo)],
    ["Group", link(invocation.groupCid)],
    ["Retry of", link(invocation.retryOf)],
    ["Retried as", link(invocation.retriedAs)],
    ["Concurrency key", invocation.concurrencyKey && h("span", { class: "mono" }, visible(invocation.concurrencyKey))],
  ]);
}

/** @param {string | undefined} cid */
function link(cid) {
  return cid ? h("a", { class: "mono", href: href(["invocations", cid]) }, cid.slice(-12)) : null;
}

/** @param {Invocation} invocation */
function outcomeView(invocation) {
  const outcome = invocation.outcome;
  const failure = outcome?.failure ?? invocation.lastFailure;
  const progress = !hasEnded(invocation) && invocation.progress ? progressBar(invocation.progress) : null;
  if (failure)
    return h(
      "div",
      null,
      progress,
      !outcome?.failure && h("p", { class: "quiet small" }, "Of the last attempt"),
      failureView(failure),
    );
  if (!outcome) return h("div", null, progress ?? h("p", { class: "quiet" }, "It has not ended yet"));
  const metadata = Object.entries(outcome.metadata ?? {});
  return h(
    "div",
    null,
    contentView(outcome, "response"),
    metadata.length > 0 &&
      factList(metadata.map(([key, value]) => [key, h("span", { class: "mono" }, visible(value))])),
  );
}

/** @param {Invocation} invocation */
function detailFacts(invocation) {
  const metadata = Object.entries(invocation.metadata ?? {});
  const group = invocation.group;
  return h(
    "div",
    null,
    factList([
      ["CID", h("span", { class: "mono" }, invocation.cid)],
      ["Root", link(invocation.rootCid)],
      [
        "Idempotency key",
        invocation.idempotencyKey && h("span", { class: "mono" }, visible(invocation.idempotencyKey)),
      ],
      ["Acts for it", invocation.actingPrincipal && visible(invocation.actingPrincipal)],
      ["Deadline", invocation.deadline && ago(invocation.deadline)],
      ["Expires", invocation.expireTime && ago(invocation.expireTime)],
      ["Removed", invocation.purgeTime && ago(invocation.purgeTime)],
      ["On each", group?.onEach?.join(", ")],
      ["On final", group?.onFinal?.join(", ")],
    ]),
    metadata.length > 0 && h("h3", null, "Metadata"),
    metadata.length > 0 &&
      factList(metadata.map(([key, value]) => [visible(key), h("span", { class: "mono" }, visible(value))])),
  );
}
