// The attempts of an invocation, the last one first, each with its failure and its trace.

import { h } from "../core/dom.js";
import { count, plural, workerName } from "../core/format.js";
import { causeOf, oneLine, withoutLog } from "../core/text.js";
import { ago, duration, exact, toMs } from "../core/time.js";
import { textView } from "./content.js";
import { copyButton } from "./controls.js";
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

/**
 * A failure. Where its trace is known, its message does not lead to the log that has the same.
 *
 * @param {import("../api/types.js").Failure} failure
 * @param {string} [trace]
 */
export function failureView(failure, trace = "") {
  const tone = failure.reason === "CANCELLED" ? "idle" : "bad";
  const { message = "" } = failure;
  const violations = (failure.details ?? []).flatMap((detail) => detail["fieldViolations"] ?? []);
  return h(
    "div",
    { class: "failure" },
    h(
      "p",
      null,
      h("span", { class: `mono strong tone-${tone}` }, failure.reason ?? failure.code),
      h("span", { class: "quiet small mono" }, ` ${failure.code.replace("CODE_", "")}`),
      failure.retryable === false && h("span", { class: "tag", title: "A retry would not help" }, "final"),
    ),
    h("p", { class: "failure-message" }, ...said((trace ? withoutLog(message) : message).slice(0, 4000))),
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
 * What a trace says, where it is not shown itself.
 *
 * @param {string} trace
 */
export function cause(trace) {
  return h("span", { class: "failure-cause mono" }, causeOf(trace));
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
  return h(
    "div",
    null,
    h("ol", { class: "attempts" }, ...attempts.map((attempt) => line(attempt, invocation, attempt === traced))),
    logHint(invocation.cid),
  );
}

/**
 * Where the rest is that was written of the attempts: the node does not read the logs of workers. Lines for people and
 * as JSON have the CID.
 *
 * @param {string} cid
 */
function logHint(cid) {
  const command = `grep ${cid}`;
  return h(
    "p",
    { class: "quiet small log-hint" },
    "Their lines in the logs of the node and of its workers: ",
    h("code", null, command),
    copyButton(() => command, "the command"),
    " Their spans have the CID as ",
    h("code", null, "cidery.cid"),
    ".",
  );
}

/**
 * How many calls an attempt made and waited for: the timeline has them.
 *
 * @param {Attempt} attempt
 */
function nestedText({ nestedCalls = [], omittedNestedCalls = 0 }) {
  const all = nestedCalls.length + omittedNestedCalls;
  const failed = nestedCalls.filter((call) => call.failure).length;
  return all > 0 ? `${plural(all, "nested call")}${failed > 0 ? `, ${count(failed)} failed` : ""}` : "";
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
      // The exact time is what lines of a log are found by.
      h("span", { class: "mono quiet small" }, exact(toMs(attempt.startTime)).slice(11, 23)),
      h("span", { class: "quiet" }, ago(attempt.startTime)),
      h("span", { class: "number" }, attempt.endTime ? duration(toMs(attempt.endTime) - toMs(attempt.startTime)) : ""),
      h("span", { class: "quiet" }, nestedText(attempt)),
    ),
    attempt.failure && failureView(attempt.failure, attempt.trace),
    attempt.trace &&
      h(
        "details",
        { open: isOpen },
        h("summary", null, "Trace ", cause(attempt.trace)),
        textView(attempt.trace, "trace", false),
      ),
  );
}
