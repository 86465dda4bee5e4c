// The attempts of an invocation, the last one first, each with its failure and its trace.

import { h } from "../core/dom.js";
import { workerName } from "../core/format.js";
import { oneLine, visible } from "../core/text.js";
import { ago, duration, toMs } from "../core/time.js";
import { textView } from "./content.js";
import { icon } from "./icon.js";
import { marked } from "./notice.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */

/** @param {import("../api/types.js").Failure} failure */
export function failureView(failure) {
  const violations = (failure.details ?? []).flatMap((detail) => detail["fieldViolations"] ?? []);
  return h(
    "div",
    { class: "failure" },
    h(
      "p",
      null,
      h("span", { class: "mono strong tone-bad" }, visible(failure.reason ?? failure.code)),
      h("span", { class: "quiet small mono" }, ` ${failure.code.replace("CODE_", "")}`),
    ),
    h("p", { class: "failure-message" }, ...marked((failure.message ?? "").slice(0, 4000))),
    violations.length > 0 &&
      h(
        "ul",
        { class: "violations" },
        ...violations.map((/** @type {any} */ one) =>
          h("li", null, h("code", null, visible(one.field || "/")), ` ${visible(one.description ?? "")}`),
        ),
      ),
  );
}

/** @param {Invocation} invocation */
export function attemptList(invocation) {
  const attempts = invocation.attempts ?? [];
  if (attempts.length === 0) return h("p", { class: "quiet" }, "No attempt yet");
  return h(
    "ol",
    { class: "attempts" },
    ...[...attempts]
      .reverse()
      .map((attempt) =>
        h(
          "li",
          null,
          h(
            "div",
            { class: "attempt-head" },
            h(
              "span",
              { class: `tone-${attempt.failure ? "bad" : attempt.endTime ? "good" : "busy"}` },
              icon(
                attempt.failure ? "failed" : attempt.endTime ? "succeeded" : "running",
                attempt.failure ? "failed" : attempt.endTime ? "ended" : "running",
              ),
            ),
            h("b", null, `Attempt ${attempt.number}`),
            h(
              "span",
              { class: "quiet", title: attempt.worker },
              attempt.worker ? `on ${oneLine(workerName(attempt.worker), 80)}` : "in the node",
            ),
            h("span", { class: "quiet" }, ago(attempt.startTime)),
            h(
              "span",
              { class: "number" },
              attempt.endTime ? duration(toMs(attempt.endTime) - toMs(attempt.startTime)) : "",
            ),
          ),
          attempt.failure && failureView(attempt.failure),
          attempt.trace &&
            h(
              "details",
              { open: attempt === attempts.at(-1) },
              h("summary", null, "Trace"),
              textView(attempt.trace, "trace", false),
            ),
        ),
      ),
  );
}
