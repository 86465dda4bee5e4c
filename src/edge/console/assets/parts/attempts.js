// The attempts of an invocation, the last one first, each with its failure and its trace.

import { h } from "../core/dom.js";
import { workerName } from "../core/format.js";
import { oneLine } from "../core/text.js";
import { ago, duration, toMs } from "../core/time.js";
import { textView } from "./content.js";
import { icon } from "./icon.js";
import { said } from "./said.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {import("../api/types.js").Attempt} Attempt */
/** @typedef {"good" | "bad" | "busy" | "idle" | "wait"} Tone */

/** @type {Record<Tone, {icon: import("./icon.js").IconName, label: string}>} */
const LOOKS = {
  good: { icon: "succeeded", label: "ended" },
  bad: { icon: "failed", label: "failed" },
  busy: { icon: "running", label: "running" },
  idle: { icon: "cancelled", label: "cancelled" },
  wait: { icon: "waiting", label: "waits for its outcome" },
};

/**
 * What an attempt came to. One that was cancelled has not failed: its handler was asked to stop.
 *
 * @param {Attempt} attempt
 * @param {Invocation} invocation
 * @returns {Tone}
 */
export function toneOfAttempt(attempt, invocation) {
  if (attempt.failure) return attempt.failure.reason === "CANCELLED" ? "idle" : "bad";
  // Its handler has returned: no handler runs until the outcome is given.
  if (!attempt.endTime) return invocation.waitingForCompletion ? "wait" : "busy";
  return invocation.state === "STATE_CANCELLED" ? "idle" : "good";
}

/** @param {import("../api/types.js").Failure} failure */
export function failureView(failure) {
  const tone = failure.reason === "CANCELLED" ? "idle" : "bad";
  const violations = (failure.details ?? []).flatMap((detail) => detail["fieldViolations"] ?? []);
  return h(
    "div",
    { class: "failure" },
    h(
      "p",
      null,
      h("span", { class: `mono strong tone-${tone}` }, failure.reason ?? failure.code),
      h("span", { class: "quiet small mono" }, ` ${failure.code.replace("CODE_", "")}`),
    ),
    h("p", { class: "failure-message" }, ...said((failure.message ?? "").slice(0, 4000))),
    violations.length > 0 &&
      h(
        "ul",
        { class: "violations" },
        ...violations.map((/** @type {any} */ one) =>
          h("li", null, h("code", null, one.field || "/"), " ", ...said(one.description ?? "")),
        ),
      ),
  );
}

/**
 * The attempts, the last one first. The trace of the last failure is open: the message of a worker leads to it.
 *
 * @param {Invocation} invocation
 */
export function attemptList(invocation) {
  const attempts = [...(invocation.attempts ?? [])].reverse();
  if (attempts.length === 0) return h("p", { class: "quiet" }, "No attempt yet");
  const traced = attempts.find((attempt) => attempt.trace);
  return h("ol", { class: "attempts" }, ...attempts.map((attempt) => line(attempt, invocation, attempt === traced)));
}

/**
 * @param {Attempt} attempt
 * @param {Invocation} invocation
 * @param {boolean} isOpen
 */
function line(attempt, invocation, isOpen) {
  const tone = toneOfAttempt(attempt, invocation);
  const look = LOOKS[tone];
  return h(
    "li",
    null,
    h(
      "div",
      { class: "attempt-head" },
      h("span", { class: `tone-${tone}` }, icon(look.icon, look.label)),
      h("b", null, `Attempt ${attempt.number}`),
      h(
        "span",
        { class: "quiet", title: attempt.worker },
        attempt.worker ? `on ${oneLine(workerName(attempt.worker), 80)}` : "in the node",
      ),
      h("span", { class: "quiet" }, ago(attempt.startTime)),
      h("span", { class: "number" }, attempt.endTime ? duration(toMs(attempt.endTime) - toMs(attempt.startTime)) : ""),
    ),
    attempt.failure && failureView(attempt.failure),
    attempt.trace &&
      h("details", { open: isOpen }, h("summary", null, "Trace"), textView(attempt.trace, "trace", false)),
  );
}
