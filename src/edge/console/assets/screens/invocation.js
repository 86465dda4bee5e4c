// One invocation: its state and why it waits, the timeline of its call tree, input, outcome, items, attempts with their
// failures and traces, and what can be done with it. It is followed live until it has ended.

import { CallTree } from "../api/call_tree.js";
import { isUnreachable } from "../api/connect.js";
import { getInvocation, getService, summarizeInvocations } from "../api/node.js";
import { fill, h, setText } from "../core/dom.js";
import { addKeys } from "../core/keys.js";
import { poll } from "../core/poll.js";
import { href, rewriteQuery } from "../core/router.js";
import { count, plural } from "../core/format.js";
import { visible } from "../core/text.js";
import { ago, duration, exact, toMs } from "../core/time.js";
import { whyItWaits } from "../core/waiting.js";
import { attemptList, failureView } from "../parts/attempts.js";
import { contentView, textView } from "../parts/content.js";
import { copyButton, tabs } from "../parts/controls.js";
import { liveEvents, progressBar } from "../parts/events.js";
import { countsOf, endedCounts, groupBadge, membersView } from "../parts/group.js";
import { icon } from "../parts/icon.js";
import { invocationActions } from "../parts/invocation_actions.js";
import { empty, failureBox, loading } from "../parts/notice.js";
import { said } from "../parts/said.js";
import { backLink, panel, screen, screenHead } from "../parts/screen.js";
import { hasEnded, stateBadge } from "../parts/state.js";
import { factList } from "../parts/table.js";
import { timeline } from "../parts/timeline.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */

const RUNNING_MS = 2000;
const ENDED_MS = 15_000;

/** @param {import("../parts/screen.js").Context} context */
export default function invocation({ path, query, scope }) {
  const cid = path[0] ?? "";
  const back = backLink("invocations", "All invocations");
  const badge = h("span", null);
  const buttons = h("div", { class: "screen-actions" });
  const head = screenHead("Invocation", { before: back, after: [badge], actions: [buttons] });
  const heading = head.querySelector("h1");
  const place = h("div", null, loading());
  const calls = new CallTree(scope);
  /** @type {ReturnType<typeof invocationView> | null} */
  let view = null;
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
    document.title = visible(`${name} · Cidery`);
    if (heading) setText(heading, name);
    fill(badge, invocation.group ? groupBadge(invocation) : stateBadge(invocation));
    const state = JSON.stringify([invocation.state, invocation.pendingReason, invocation.waitingForCompletion]);
    if (state !== lookOfButtons) fill(buttons, ...invocationActions(invocation, reread));
    lookOfButtons = state;
    const isOver = hasEnded(invocation);
    const [service, tree, counts] = await Promise.all([
      invocation.service && !isOver ? getService(invocation.service, scope).catch(() => null) : null,
      isNew || !isOver ? calls.read(invocation) : null,
      invocation.group ? readCounts(invocation, scope) : null,
    ]);
    view ??= invocationView(invocation, query.get("tab") ?? "", scope, reread);
    if (!view.element.isConnected) fill(place, view.element);
    view.show(invocation, service, counts);
    if (!tree) return;
    view.showTree(invocation, tree);
    if (await calls.readAttempts(tree)) view.showTree(invocation, tree);
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
      h("span", { class: "mono quiet" }, cid),
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
      `${cid} was never accepted, has been removed after its retention, or belongs to another principal.`,
    ),
  );
}

/**
 * How the members of a group ended.
 *
 * @param {Invocation} group
 * @param {AbortSignal} scope
 */
async function readCounts(group, scope) {
  const counts = endedCounts(group);
  if (counts) return counts;
  const answer = await summarizeInvocations(`group = ${group.cid}`, scope);
  return countsOf(answer.summaries ?? []);
}

/**
 * The content below the heading. Its parts are made once, and filled again as the invocation goes on.
 *
 * @param {Invocation} first
 * @param {string} tab
 * @param {AbortSignal} scope
 * @param {() => void} changed
 */
function invocationView({ cid, group }, tab, scope, changed) {
  const notice = h("div");
  const facts = h("div");
  const times = h("div");
  const input = h("div");
  const outcome = h("div");
  const attempts = h("div");
  const details = h("div");
  const json = h("div");
  let shown = "";
  const onEvent = (/** @type {import("../api/types.js").InvocationEvent} */ event) => event.progress || changed();
  const ofService = { id: "attempts", label: "Attempts", panel: () => attempts };
  const more = tabs(
    "Details",
    [
      ...(group ? [] : [ofService]),
      { id: "events", label: "Events", panel: () => liveEvents(cid, scope, { onEvent }) },
      { id: "details", label: "Details", panel: () => details },
      { id: "json", label: "JSON", panel: () => json },
    ],
    { selected: tab, onSelect: (id) => rewriteQuery({ tab: id }) },
  );
  const toTrace = () => {
    more.select("attempts");
    rewriteQuery({ tab: "attempts" });
    attempts.querySelector("details[open]")?.scrollIntoView({ block: "nearest" });
  };
  const element = h(
    "div",
    { class: "invocation" },
    notice,
    facts,
    panel("Timeline", times),
    group
      ? panel("Members", outcome)
      : h("div", { class: "two" }, panel("Input", input), panel("Outcome", outcome)),
    h("section", { class: "panel" }, more.bar, more.panel),
  );

  return {
    element,
    /**
     * @param {Invocation} invocation
     * @param {import("../api/types.js").ServiceDescription | null} service
     * @param {import("../parts/group.js").Counts | null} counts of a group
     */
    show(invocation, service, counts) {
      fill(notice, waitNotice(invocation, service));
      const { sequence, state, progress } = invocation;
      const now = JSON.stringify([sequence, state, progress, invocation.attempts?.length, invocation.group, counts]);
      if (now === shown) return;
      shown = now;
      fill(facts, mainFacts(invocation));
      if (!input.hasChildNodes()) fill(input, contentView(invocation.input, "input"));
      fill(outcome, invocation.group ? membersView(invocation, counts) : outcomeView(invocation, toTrace));
      fill(attempts, attemptList(invocation));
      fill(details, detailFacts(invocation));
      fill(json, textView(JSON.stringify(invocation, null, 2), "invocation", true));
    },
    /**
     * @param {Invocation} invocation
     * @param {import("../api/call_tree.js").Tree} tree
     */
    showTree(invocation, tree) {
      const drawn = tree.nodes.length;
      const all = h("a", { href: href(["invocations"], { filter: tree.filter }) }, "All of them");
      const isPart = tree.isCut || drawn < tree.total;
      fill(
        times,
        timeline(tree.nodes, invocation),
        isPart &&
          h(
            "p",
            { class: "quiet small" },
            `${count(drawn)} of ${tree.isCut ? "more than " : ""}${plural(tree.total, "invocation")} are drawn. `,
            all,
          ),
      );
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
      ...said(why),
      holder && [" ", h("a", { href: href(["invocations", holder]) }, "Open the invocation that holds the key")],
    ),
  );
}

/** @param {Invocation} invocation */
function mainFacts(invocation) {
  const { service, firstAttemptTime: start, endTime: end } = invocation;
  const attempt = invocation.attempt
    ? `${invocation.attempt}${invocation.maxAttempts ? ` of ${invocation.maxAttempts}` : ""}`
    : "none yet";
  return factList([
    ["Service", service && h("a", { href: href(["services", service]) }, service)],
    ["Accepted", ago(invocation.acceptTime)],
    ["Waited", start ? duration(toMs(start) - toMs(invocation.acceptTime)) : null],
    ["Took", end ? duration(toMs(end) - toMs(start ?? invocation.acceptTime)) : null],
    end ? ["Ended", ago(end)] : dueFact(invocation),
    ["Attempt", service ? attempt : null],
    ["Principal", invocation.principal],
    ["Parent", link(invocation.parentCid)],
    ["Callback of", link(invocation.inReplyTo)],
    ["Group", link(invocation.groupCid)],
    ["Retry of", link(invocation.retryOf)],
    ["Retried as", link(invocation.retriedAs)],
    ["Concurrency key", invocation.concurrencyKey && h("span", { class: "mono" }, invocation.concurrencyKey)],
  ]);
}

/**
 * What follows, and when.
 *
 * @param {Invocation} invocation
 * @returns {[string, HTMLElement | null]}
 */
function dueFact(invocation) {
  const { startTime, firstAttemptTime } = invocation;
  if (invocation.waitingForCompletion) return ["Waits until", startTime ? ago(startTime) : null];
  if (invocation.state === "STATE_RUNNING") return ["Started", firstAttemptTime ? ago(firstAttemptTime) : null];
  return ["Due", startTime ? ago(startTime) : null];
}

/** @param {string | undefined} cid */
function link(cid) {
  return cid ? h("a", { class: "mono", href: href(["invocations", cid]) }, cid.slice(-12)) : null;
}

/** What a worker says of a failure whose details it keeps for itself. Its trace is among the attempts. */
const LOG = /; (its log|the log of worker .+) has the details$/;

/**
 * @param {Invocation} invocation
 * @param {() => void} toTrace shows the trace of the last failure
 */
function outcomeView(invocation, toTrace) {
  const outcome = invocation.outcome;
  const failure = outcome?.failure ?? invocation.lastFailure;
  const isTraced = (invocation.attempts ?? []).some((attempt) => attempt.trace);
  const progress = !hasEnded(invocation) && invocation.progress ? progressBar(invocation.progress) : null;
  if (failure)
    return h(
      "div",
      null,
      progress,
      !outcome?.failure && h("p", { class: "quiet small" }, "Of the last attempt"),
      failureView(isTraced ? { ...failure, message: failure.message?.replace(LOG, "") } : failure),
      isTraced && h("button", { class: "link", onclick: toTrace }, "Its trace is below"),
    );
  if (!outcome) return h("div", null, progress ?? h("p", { class: "quiet" }, "It has not ended yet"));
  const metadata = Object.entries(outcome.metadata ?? {});
  return h(
    "div",
    null,
    contentView(outcome, "response"),
    metadata.length > 0 &&
      factList(metadata.map(([key, value]) => [key, h("span", { class: "mono" }, value)])),
  );
}

/** @param {Invocation} invocation */
function detailFacts(invocation) {
  const metadata = Object.entries(invocation.metadata ?? {});
  const { childCids = [], callbackCids = [] } = invocation;
  return h(
    "div",
    null,
    factList([
      ["CID", h("span", { class: "mono" }, invocation.cid)],
      ["Root", invocation.rootCid === invocation.cid ? "itself" : link(invocation.rootCid)],
      [
        "Idempotency key",
        invocation.idempotencyKey && h("span", { class: "mono" }, invocation.idempotencyKey),
      ],
      ["Acts for it", invocation.actingPrincipal],
      ["Accepted", time(invocation.acceptTime)],
      ["Due", time(invocation.startTime)],
      ["First attempt", time(invocation.firstAttemptTime)],
      ["Ended", time(invocation.endTime)],
      ["Deadline", time(invocation.deadline)],
      ["Expires", time(invocation.expireTime)],
      ["Removed", time(invocation.purgeTime)],
      ["Attempts, at most", invocation.maxAttempts ? count(invocation.maxAttempts) : null],
      ["Position in its group", invocation.groupCid ? count(invocation.groupPosition) : null],
      [
        "Children",
        childCids.length > 0 &&
          h("a", { href: href(["invocations"], { filter: `parent = ${invocation.cid}` }) }, count(childCids.length)),
      ],
      ["Callbacks", callbackCids.length > 0 && callbackCids.flatMap((cid) => [link(cid), " "])],
    ]),
    metadata.length > 0 && h("h3", null, "Metadata"),
    metadata.length > 0 &&
      factList(metadata.map(([key, value]) => [key, h("span", { class: "mono" }, value)])),
  );
}

/** @param {string | undefined} timestamp */
function time(timestamp) {
  return timestamp ? h("time", { datetime: timestamp, class: "mono" }, exact(toMs(timestamp))) : null;
}
