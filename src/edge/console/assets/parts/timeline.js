// The timeline of a call tree: for each invocation its waits and its attempts, on one axis of time.

import { h } from "../core/dom.js";
import { plural, words } from "../core/format.js";
import { href } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { duration, exact, now, toMs } from "../core/time.js";
import { toneOfAttempt } from "./attempts.js";
import { icon } from "./icon.js";
import { groupLook } from "./group.js";
import { lookOf } from "./state.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {{from: number, to: number, kind: string, title: string}} Span */

/** A span that is shorter than this share of the axis is still seen. */
const WIDTH_MIN = 0.4;
/** How many nested calls of an invocation are drawn. */
const NESTED_MAX = 50;
/** The ticks of the axis are at one of these steps, the smallest that makes no more of them than that. */
const TICKS_MAX = 5;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const STEPS_MS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
  ...[1, 2, 7, 14, 30, 90, 365].map((days) => days * DAY_MS),
];

/**
 * @param {import("../core/tree.js").Node[]} nodes with their attempts, as far as these are known
 * @param {Invocation} current
 */
export function timeline(nodes, current) {
  const rows = nodes.map((node) => {
    const invocation = node.invocation.cid === current.cid ? current : node.invocation;
    return { node, invocation, spans: spansOf(invocation) };
  });
  const from = Math.min(...rows.map(({ invocation }) => toMs(invocation.acceptTime)));
  const ends = rows.flatMap(({ spans }) => spans.map((span) => span.to));
  const to = Math.max(from + 1, ...ends);
  return h(
    "div",
    { class: "timeline" },
    h("div", { class: "timeline-axis", "aria-hidden": "true" }, h("span"), axis(to - from)),
    h(
      "ol",
      { class: "timeline-rows" },
      ...rows.flatMap(({ node, invocation, spans }) => [
        row(node, invocation, spans, from, to, current.cid),
        ...nestedRows(invocation, node.depth, from, to),
      ]),
    ),
  );
}

/**
 * @param {import("../core/tree.js").Node} node
 * @param {Invocation} invocation
 * @param {Span[]} spans
 * @param {number} from
 * @param {number} to
 * @param {string} currentCid
 */
function row(node, invocation, spans, from, to, currentCid) {
  const look = invocation.group ? groupLook(invocation) : lookOf(invocation);
  const name = invocation.service || "group";
  const kind = { root: "", child: "", callback: "callback", member: "member" }[node.kind];
  const label = h(
    "div",
    { class: "timeline-label" },
    h("span", { class: `tone-${look.tone}`, title: look.label }, icon(look.icon, look.label)),
    invocation.cid === currentCid
      ? h("strong", { "aria-current": "true" }, name)
      : h("a", { href: href(["invocations", invocation.cid]) }, name),
    kind && h("span", { class: "tag" }, kind),
  );
  indent(label, node.depth);
  const track = h("div", { class: "timeline-track" }, ...spans.map((span) => bar(span, from, to)));
  const last = spans.at(-1);
  const total = last ? duration(last.to - toMs(invocation.acceptTime)) : "";
  return h(
    "li",
    { class: invocation.cid === currentCid ? "current" : null },
    label,
    track,
    h("span", { class: "number quiet small" }, total),
  );
}

/**
 * The calls that the attempts of an invocation made and waited for. They have no page of their own.
 *
 * @param {Invocation} invocation
 * @param {number} depth
 * @param {number} from
 * @param {number} to
 */
function nestedRows(invocation, depth, from, to) {
  const attempts = invocation.attempts ?? [];
  const calls = attempts.flatMap((attempt) => (attempt.nestedCalls ?? []).map((call) => ({ attempt, call })));
  const omitted = attempts.reduce((sum, attempt) => sum + (attempt.omittedNestedCalls ?? 0), 0);
  const rest = omitted + Math.max(0, calls.length - NESTED_MAX);
  return [
    ...calls.slice(0, NESTED_MAX).map(({ attempt, call }) => nestedRow(call, attempt.number, depth, from, to)),
    ...(rest > 0 ? [omittedRow(rest, depth + 1)] : []),
  ];
}

/**
 * @param {import("../api/types.js").NestedCall} call
 * @param {number} attempt
 * @param {number} depth
 * @param {number} from
 * @param {number} to
 */
function nestedRow(call, attempt, depth, from, to) {
  const failed = call.failure ? `: ${oneLine(call.failure.reason ?? "", 80)}` : "";
  const text = `called by ${call.caller} in attempt ${attempt}${failed}`;
  const [start, end] = [toMs(call.startTime), toMs(call.endTime)];
  const tone = call.failure ? "bad" : "good";
  const look = call.failure ? icon("failed", "failed") : icon("succeeded", "ended");
  const label = h(
    "div",
    { class: "timeline-label" },
    h("span", { class: `tone-${tone}` }, look),
    h("a", { href: href(["services", call.service]) }, call.service),
    h("span", { class: "tag" }, "nested"),
  );
  indent(label, depth + call.depth);
  return h(
    "li",
    null,
    label,
    h("div", { class: "timeline-track" }, bar(span(start, end, tone, text), from, to)),
    h("span", { class: "number quiet small" }, duration(end - start)),
  );
}

/**
 * @param {number} calls
 * @param {number} depth
 */
function omittedRow(calls, depth) {
  const label = h("div", { class: "timeline-label quiet" }, `and ${plural(calls, "nested call")} more`);
  indent(label, depth);
  return h("li", null, label, h("div", { class: "timeline-track" }), h("span"));
}

/**
 * @param {HTMLElement} label
 * @param {number} depth
 */
function indent(label, depth) {
  label.style.paddingInlineStart = `${Math.min(depth, 8) * 16}px`;
}

/**
 * @param {Span} span
 * @param {number} from
 * @param {number} to
 */
function bar(span, from, to) {
  const element = h("div", { class: `bar bar-${span.kind}`, title: span.title, role: "img", "aria-label": span.title });
  const width = Math.max(WIDTH_MIN, (100 * (span.to - span.from)) / (to - from));
  element.style.left = `${Math.min(100 - WIDTH_MIN, (100 * (span.from - from)) / (to - from))}%`;
  element.style.width = `${width}%`;
  return element;
}

/** @param {number} length in milliseconds */
function axis(length) {
  const step = STEPS_MS.find((ms) => length / ms <= TICKS_MAX) ?? length / TICKS_MAX;
  // What would be cut off at the end has no tick.
  const ticks = Array.from({ length: Math.ceil((0.94 * length) / step) }, (_, at) => {
    const tick = h("span", { class: "tick" }, at === 0 ? "0" : duration(step * at));
    tick.style.left = `${(100 * step * at) / length}%`;
    return tick;
  });
  return h("div", { class: "timeline-ticks" }, ...ticks);
}

/**
 * Waits and attempts of an invocation, in order.
 *
 * @param {Invocation} invocation
 * @returns {Span[]}
 */
function spansOf(invocation) {
  const end = invocation.endTime ? toMs(invocation.endTime) : Math.max(now(), toMs(invocation.acceptTime));
  const spans = [];
  let at = toMs(invocation.acceptTime);
  if (invocation.group) return [span(at, end, groupLook(invocation).tone, groupLook(invocation).label)];
  if (!invocation.attempts && invocation.firstAttemptTime) {
    const first = toMs(invocation.firstAttemptTime);
    return [
      ...(first > at ? [span(at, first, "wait", "waited for its first attempt")] : []),
      span(first, end, "unknown", "its attempts are not known here"),
    ];
  }
  for (const attempt of invocation.attempts ?? []) {
    const start = toMs(attempt.startTime);
    if (start > at)
      spans.push(
        span(at, start, "wait", attempt.number === 1 ? "waited for its first attempt" : "waited for its next attempt"),
      );
    at = attempt.endTime ? toMs(attempt.endTime) : end;
    const { message, reason = "" } = attempt.failure ?? {};
    const failure = attempt.failure ? `: ${oneLine(plain(message ?? reason), 120)}` : "";
    const tone = toneOfAttempt(attempt, invocation);
    const waits = tone === "wait" ? " waits for its outcome" : "";
    spans.push(span(start, at, tone, `attempt ${attempt.number}${waits}${failure}`));
  }
  if (!invocation.endTime && invocation.state === "STATE_PENDING") {
    spans.push(span(at, end, "wait", `waits: ${words(invocation.pendingReason, "PENDING_REASON_")}`));
  } else if (end > at) {
    const isRunning = invocation.state === "STATE_RUNNING";
    spans.push(span(at, end, isRunning ? "busy" : "wait", isRunning ? "runs" : "waited"));
  }
  return spans;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {string} kind
 * @param {string} text
 * @returns {Span}
 */
function span(from, to, kind, text) {
  return { from, to, kind, title: `${text}, ${duration(to - from)}, from ${exact(from).slice(11)}` };
}
