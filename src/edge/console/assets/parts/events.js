// The events of an invocation, live: what has happened, and what happens, without a gap. A stream that is cut off goes
// on after the last event; while the page is not seen there is none, since a browser has few connections.

import { ApiError } from "../api/connect.js";
import { streamResults } from "../api/node.js";
import { fill, h } from "../core/dom.js";
import { words, workerName } from "../core/format.js";
import { oneLine, plain } from "../core/text.js";
import { exact, toMs } from "../core/time.js";
import { contentView, textOf } from "./content.js";
import { icon } from "./icon.js";
import { failureBox } from "./notice.js";

/** @typedef {import("../api/types.js").InvocationEvent} InvocationEvent */

const ENDS = /** @type {const} */ (["succeeded", "failed", "cancelled", "expired", "notFound"]);
/** Events that are shown: of a long stream the last ones. */
const SHOWN_MAX = 500;
const RECONNECT_MS = 1500;

/**
 * @param {string} cid
 * @param {AbortSignal} scope
 * @param {{onEvent?: (event: InvocationEvent) => void, onEnd?: (event: InvocationEvent) => void}} [listeners]
 * @returns {HTMLElement}
 */
export function liveEvents(cid, scope, { onEvent, onEnd } = {}) {
  const list = h("ol", { class: "events" });
  const progress = h("div", { class: "progress-place" });
  const state = h("p", { class: "quiet small", role: "status" }, "Connecting…");
  const element = h("div", { class: "live-events" }, progress, list, state);
  let sequence = "0";
  let isOver = false;
  let items = 0;

  /** @param {InvocationEvent} event */
  function show(event) {
    onEvent?.(event);
    if (event.progress) {
      fill(progress, progressBar(event.progress.progress));
      return;
    }
    if (event.cid !== cid) return;
    if (event.sequence) sequence = event.sequence;
    if (event.item) items += 1;
    list.append(eventLine(event, items));
    while (list.childElementCount > SHOWN_MAX) list.firstElementChild?.remove();
    if (ENDS.some((end) => event[end])) {
      isOver = true;
      fill(progress);
      state.textContent = "";
      onEnd?.(event);
    }
  }

  async function follow() {
    while (!isOver && !scope.aborted) {
      const connection = new AbortController();
      const stop = () => (document.hidden || scope.aborted) && connection.abort();
      document.addEventListener("visibilitychange", stop);
      scope.addEventListener("abort", stop);
      try {
        const after = sequence === "0" ? {} : { [cid]: sequence };
        state.textContent = "Live";
        for await (const event of streamResults({ cids: [cid], afterSequences: after }, connection.signal)) show(event);
        isOver = true;
      } catch (error) {
        if (error instanceof ApiError && error.code !== "unavailable") {
          fill(state, failureBox(error));
          isOver = true;
        } else if (!scope.aborted && !document.hidden) {
          state.textContent = "The stream was cut off; it goes on soon.";
        }
      } finally {
        document.removeEventListener("visibilitychange", stop);
        scope.removeEventListener("abort", stop);
      }
      if (!isOver) await pauseUntilSeen();
    }
  }
  follow();
  return element;
}

/** Waits a second or so, and until the page is seen. */
async function pauseUntilSeen() {
  await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  while (document.hidden) {
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

/**
 * @param {InvocationEvent} event
 * @param {number} items so far
 */
function eventLine(event, items) {
  const [name, tone, detail] = describe(event, items);
  const ms = event.eventTime ? toMs(event.eventTime) : 0;
  return h(
    "li",
    { class: `event tone-${tone}` },
    h(
      "time",
      { class: "mono quiet small", datetime: event.eventTime, title: ms ? exact(ms) : "" },
      ms ? exact(ms).slice(11, 23) : "",
    ),
    icon(/** @type {import("./icon.js").IconName} */ (ICONS[name] ?? "pending")),
    h("span", { class: "event-name" }, words(name)),
    event.item ? itemDetail(event.item, detail) : h("span", { class: "event-detail" }, detail),
  );
}

/**
 * An item: its beginning, and all of it once it is opened.
 *
 * @param {import("../api/types.js").Content} item
 * @param {string} detail
 */
function itemDetail(item, detail) {
  const element = h("details", { class: "event-detail" }, h("summary", null, detail));
  const show = () => element.append(contentView(item, "item"));
  element.addEventListener("toggle", show, { once: true });
  return element;
}

/** @type {Record<string, string>} */
const ICONS = {
  accepted: "pending",
  started: "running",
  item: "plus",
  retry_scheduled: "backoff",
  succeeded: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
  expired: "expired",
  not_found: "warning",
  held: "held",
};

/**
 * @param {InvocationEvent} event
 * @param {number} items
 * @returns {[string, string, string]} its name, tone and detail
 */
function describe(event, items) {
  const attempt = event.attempt ? `attempt ${event.attempt}` : "";
  const failureText = (/** @type {import("../api/types.js").Failure | undefined} */ failure) =>
    oneLine(plain(`${failure?.reason ?? ""}${failure?.message ? `: ${failure.message}` : ""}`));
  if (event.accepted) return ["accepted", "idle", ""];
  if (event.started)
    return ["started", "busy", [attempt, workerName(event.started.worker ?? "")].filter(Boolean).join(" · ")];
  if (event.item) return ["item", "idle", `${items}: ${oneLine(textOf(event.item)?.text ?? "", 200)}`];
  if (event.retryScheduled) {
    const name = event.retryScheduled.startTime ? "retry_scheduled" : "held";
    return [name, "warn", `${attempt} failed: ${failureText(event.retryScheduled.failure)}`];
  }
  if (event.succeeded) return ["succeeded", "good", oneLine(textOf(event.succeeded)?.text ?? "", 200)];
  if (event.failed) return ["failed", "bad", failureText(event.failed.failure)];
  if (event.cancelled) return ["cancelled", "idle", failureText(event.cancelled.failure)];
  if (event.expired) return ["expired", "warn", failureText(event.expired.failure)];
  return ["not_found", "warn", oneLine(plain(event.notFound?.message ?? event.notFound?.reason ?? ""))];
}

/** @param {import("../api/types.js").Progress} progress */
export function progressBar(progress) {
  const percent = progress.fraction === undefined ? null : Math.round(100 * progress.fraction);
  const bar = percent === null ? null : h("progress", { max: "100", value: percent, "aria-label": "Progress" });
  return h(
    "div",
    { class: "progress" },
    bar,
    h("span", { class: "number" }, percent === null ? "" : `${percent} %`),
    h("span", { class: "quiet" }, oneLine(progress.message ?? "")),
  );
}
