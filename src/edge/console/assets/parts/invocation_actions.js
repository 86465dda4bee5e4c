// What can be done with one invocation: cancel, retry, retry with another input, release, purge, complete.

import { ApiError } from "../api/connect.js";
import { changeInvocations, completeInvocation, getService } from "../api/node.js";
import { missing, missingInvoke } from "../api/session.js";
import { h, uniqueId } from "../core/dom.js";
import { href, open } from "../core/router.js";
import { toBase64 } from "../core/text.js";
import { textOf } from "./content.js";
import { action, dialog } from "./controls.js";
import { inputEditor } from "./input_editor.js";
import { messagePlace, toast } from "./notice.js";
import { said } from "./said.js";
import { hasEnded, isHeld } from "./state.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */

/**
 * The buttons that make sense for an invocation now.
 *
 * @param {Invocation} invocation
 * @param {() => void} changed
 * @returns {HTMLElement[]}
 */
export function invocationActions(invocation, changed) {
  const denied = missing("control");
  const edited = denied ?? missingInvoke(invocation.service ?? "");
  const isOver = hasEnded(invocation);
  const buttons = [];
  if (invocation.waitingForCompletion) {
    buttons.push(action("Complete…", { run: () => completeDialog(invocation, changed), kind: "primary", denied }));
  }
  if (isHeld(invocation)) {
    buttons.push(
      action("Release", { run: () => change("Retry", invocation, changed), icon: "release", kind: "primary", denied }),
    );
  }
  if (isOver && invocation.state !== "STATE_SUCCEEDED" && invocation.service) {
    buttons.push(
      action("Retry", {
        run: () => change("Retry", invocation, changed),
        icon: "retry",
        kind: "primary",
        denied,
        key: "r",
      }),
    );
  }
  if ((isOver ? invocation.state !== "STATE_SUCCEEDED" : isHeld(invocation)) && invocation.service) {
    const run = () => retryDialog(invocation, changed);
    buttons.push(action("Edit and retry…", { run, denied: edited, key: "e" }));
  }
  if (!isOver)
    buttons.push(action("Cancel…", { run: () => cancelDialog(invocation, changed), icon: "stop", denied, key: "c" }));
  if (invocation.service) {
    const run = () => open(href(["invoke"], { service: invocation.service, like: invocation.cid }));
    buttons.push(action("Invoke again…", { run, icon: "invoke", denied: missingInvoke(invocation.service) }));
  }
  if (isOver) buttons.push(action("Purge…", { run: () => purgeDialog(invocation, changed), icon: "trash", denied }));
  return buttons;
}

/**
 * @param {"Cancel" | "Retry" | "Purge"} verb
 * @param {Invocation} invocation
 * @param {() => void} changed
 * @param {object} [more]
 */
async function change(verb, invocation, changed, more = {}) {
  try {
    const answer = await changeInvocations(verb, { cids: [invocation.cid], ...more });
    const [result] = answer.changes ?? [];
    if (result?.failure) throw new ApiError(result.failure.message ?? "", { reason: result.failure.reason });
    if (result?.newCid && result.newCid !== invocation.cid) {
      toast("Retried under a new CID");
      open(href(["invocations", result.newCid]));
    } else {
      toast({ Cancel: "Cancellation is requested", Retry: "Released", Purge: "Purged" }[verb]);
      changed();
    }
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param {Invocation} invocation
 * @param {() => void} changed
 */
function cancelDialog(invocation, changed) {
  dialog("Cancel the invocation", ({ close }) => {
    const reason = h("input", { type: "text", id: uniqueId("reason"), maxlength: "500", autofocus: true });
    const run = () => {
      close();
      change("Cancel", invocation, changed, { reason: reason.value });
    };
    const how =
      invocation.state === "STATE_RUNNING"
        ? "Its handler is asked to stop, and is stopped by force after a grace period."
        : "It ends at once.";
    return [
      form(
        run,
        h("p", null, how),
        field("Reason, part of the outcome (optional)", reason),
        h(
          "div",
          { class: "dialog-actions" },
          button("Keep it", close),
          h("button", { class: "button danger", type: "submit" }, "Cancel the invocation"),
        ),
      ),
    ];
  });
}

/**
 * @param {Invocation} invocation
 * @param {() => void} changed
 */
function purgeDialog(invocation, changed) {
  dialog("Purge the invocation", ({ close }) => [
    h(
      "div",
      { class: "dialog-body" },
      h("p", null, "The invocation and its outcome are removed for good, before the end of their retention."),
      h(
        "div",
        { class: "dialog-actions" },
        button("Keep it", close),
        action("Purge", {
          kind: "danger",
          run: () => {
            close();
            change("Purge", invocation, changed);
          },
        }),
      ),
    ),
  ]);
}

/**
 * The body of a dialog whose last button, and Enter in a field, do what it asks.
 *
 * @param {() => void} run
 * @param {...import("../core/dom.js").Child} content
 */
function form(run, ...content) {
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    run();
  };
  return h("form", { class: "dialog-body", onsubmit }, ...content);
}

/**
 * @param {string} label
 * @param {() => void} run
 */
function button(label, run) {
  return h("button", { class: "button", type: "button", onclick: run }, label);
}

/**
 * Retries with another input, which the form of the service helps to write.
 *
 * @param {Invocation} invocation
 * @param {() => void} changed
 */
async function retryDialog(invocation, changed) {
  const service = invocation.service ?? "";
  const described = await getService(service).catch(() => null);
  dialog(
    "Retry with another input",
    ({ close }) => {
      const editor = inputEditor(described?.declaration.sio?.input, "");
      editor.writeShown(textOf(invocation.input)?.text ?? "{}");
      const message = messagePlace();
      async function run() {
        message.clear();
        try {
          const request = { cids: [invocation.cid], document: toBase64(editor.read()), dataFormat: "DATA_FORMAT_JSON" };
          const answer = await changeInvocations("Retry", request);
          const [result] = answer.changes ?? [];
          if (result?.failure) throw refused(result.failure);
          close();
          toast("Retried with the new input");
          if (result?.newCid) open(href(["invocations", result.newCid]));
          else changed();
        } catch (error) {
          if (error instanceof ApiError && error.violations.length > 0) editor.showViolations(error.violations);
          else if (!(error instanceof SyntaxError)) message.show(error);
        }
      }
      return [
        h(
          "div",
          { class: "dialog-body" },
          h(
            "p",
            { class: "quiet" },
            ...said(`The new invocation of \`${service}\` has a CID of its own, and \`retry_of\` is this one.`),
          ),
          editor.element,
          message,
          h(
            "div",
            { class: "dialog-actions" },
            button("Close", close),
            action("Retry", { run, kind: "primary", icon: "retry" }),
          ),
        ),
      ];
    },
    "wide",
  );
}

/** @param {import("../api/types.js").Failure} failure */
function refused(failure) {
  const request = (failure.details ?? []).find((detail) => String(detail["@type"]).endsWith("google.rpc.BadRequest"));
  return new ApiError(failure.message ?? "refused", { reason: failure.reason, violations: request?.fieldViolations });
}

/** Codes of a failure that is given from outside, the usual one first. */
const FAILURE_CODES = [
  "INTERNAL",
  "FAILED_PRECONDITION",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "ABORTED",
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "DATA_LOSS",
  "UNAUTHENTICATED",
  "UNKNOWN",
];

/**
 * Gives the outcome of an invocation whose handler deferred it.
 *
 * @param {Invocation} invocation
 * @param {() => void} changed
 */
function completeDialog(invocation, changed) {
  dialog("Complete the invocation", ({ close }) => {
    const token = h("input", {
      type: "password",
      id: uniqueId("token"),
      autocomplete: "off",
      required: true,
      autofocus: true,
    });
    const kind = h(
      "select",
      { id: uniqueId("kind") },
      h("option", { value: "response" }, "Response"),
      h("option", { value: "failure" }, "Failure"),
    );
    const response = h("textarea", {
      class: "mono",
      id: uniqueId("response"),
      rows: "6",
      spellcheck: "false",
      value: "{}",
    });
    const reason = h("input", { type: "text", id: uniqueId("reason"), class: "mono", placeholder: "UPPER_SNAKE_CASE" });
    const text = h("input", { type: "text", id: uniqueId("message") });
    const message = messagePlace();
    const code = h(
      "select",
      { id: uniqueId("code") },
      ...FAILURE_CODES.map((name) => h("option", { value: `CODE_${name}` }, name)),
    );
    const final = h("input", { type: "checkbox", id: uniqueId("final"), checked: true });
    const attempts = invocation.maxAttempts ? ` of ${invocation.maxAttempts}` : "";
    const ofResponse = field("Response, JSON", response);
    const ofFailure = h(
      "div",
      { class: "fields", hidden: true },
      field("Code", code),
      field("Reason", reason),
      field("Message", text),
      h("div", { class: "field check" }, final, h("label", { for: final.id }, "It is final")),
      h(
        "p",
        { class: "field-help" },
        `Otherwise it is the failure of attempt ${invocation.attempt ?? 1}${attempts}, and a code such as INTERNAL is
        retried: its handler runs again.`,
      ),
    );
    kind.addEventListener("change", () => {
      ofResponse.hidden = kind.value === "failure";
      ofFailure.hidden = kind.value !== "failure";
    });
    async function run() {
      const retryable = final.checked ? false : undefined;
      const failure = { code: code.value, reason: reason.value || undefined, message: text.value, retryable };
      const outcome =
        kind.value === "failure" ? { failure } : { document: toBase64(response.value), dataFormat: "DATA_FORMAT_JSON" };
      try {
        await completeInvocation({ cid: invocation.cid, token: token.value, ...outcome });
        close();
        toast("Completed");
        changed();
      } catch (error) {
        message.show(error);
      }
    }
    return [
      form(
        run,
        h(
          "p",
          { class: "quiet" },
          "Its handler answered “later”, and gave away a token with which the outcome is given.",
        ),
        field("Token", token),
        field("Outcome", kind),
        ofResponse,
        ofFailure,
        message,
        h(
          "div",
          { class: "dialog-actions" },
          button("Close", close),
          h("button", { class: "button primary", type: "submit" }, "Complete"),
        ),
      ),
    ];
  });
}

/**
 * @param {string} label
 * @param {HTMLElement} control
 */
function field(label, control) {
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}
