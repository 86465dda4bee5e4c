// Changes of all invocations that match a filter: first a dry run that counts them, then a confirmation, then the
// progress of the operation, which goes on in the node when the dialog is closed.

import { getOperation, startOperation } from "../api/node.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { count, plural, words } from "../core/format.js";
import { href } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { newUuid } from "../core/uuid.js";
import { action, dialog, focusFirst } from "./controls.js";
import { loading, messagePlace, toast } from "./notice.js";

/** @typedef {import("../api/types.js").Operation} Operation */
/** @typedef {import("../api/types.js").Summary} Summary */
/** @typedef {"cancel" | "retry" | "release" | "purge"} Verb */

/** @type {Record<Verb, {title: string, button: string, says: string, isDangerous?: boolean}>} */
export const VERBS = {
  cancel: {
    title: "Cancel invocations",
    button: "Cancel",
    says: "Pending ones end at once, running ones are asked to stop.",
    isDangerous: true,
  },
  retry: {
    title: "Retry invocations",
    button: "Retry",
    says: "Each failed one gets a new CID; held ones are released.",
  },
  release: {
    title: "Release held invocations",
    button: "Release",
    says: "Each has one more attempt, under the same CID.",
  },
  purge: {
    title: "Purge invocations",
    button: "Purge",
    says: "Their outcomes are removed for good.",
    isDangerous: true,
  },
};

/**
 * @param {Verb} verb
 * @param {string} filter empty for all invocations
 * @param {() => void} [done] after it ended
 */
export function bulkDialog(verb, filter, done) {
  const { title, says } = VERBS[verb];
  const life = new AbortController();
  const element = dialog(title, ({ close }) => {
    const body = h("div", { class: "dialog-body" }, loading(3));
    const reason = h("input", { type: "text", id: uniqueId("reason"), maxlength: "500" });
    const patch = h("input", {
      type: "text",
      id: uniqueId("patch"),
      class: "mono",
      placeholder: '{"key": "value"}',
      spellcheck: "false",
    });
    const rate = h("input", { type: "number", id: uniqueId("rate"), min: "1", max: "100000", value: "2000" });
    const message = messagePlace();

    function request() {
      const retry = patch.value.trim() === "" ? {} : { inputPatchJson: patch.value };
      const choice = { cancel: reason.value ? { reason: reason.value } : {}, retry, release: {}, purge: {} }[verb];
      const selected = filter === "" ? { all: true } : { filterExpression: filter };
      return { action: { [verb]: choice }, ...selected };
    }

    async function count_() {
      try {
        const answer = await startOperation({ ...request(), dryRun: true });
        confirm(answer.operation, answer.summaries ?? []);
      } catch (error) {
        message.show(error);
        fill(body, message);
      }
    }

    /** @param {Operation} operation @param {Summary[]} summaries */
    function confirm(operation, summaries) {
      const matched = Number(operation.matched ?? 0);
      fill(
        body,
        h("p", null, h("b", { class: "number" }, plural(matched, "invocation")), ` can be changed. ${says}`),
        h("p", { class: "mono small filter-said" }, filter === "" ? "all invocations" : filter),
        matched > 0 && breakdown(summaries),
        verb === "cancel" && labelled("Reason, part of each outcome", reason),
        verb === "retry" && labelled("Change the inputs: a JSON merge patch (optional)", patch),
        labelled("At most, per second", rate),
        message,
        h(
          "div",
          { class: "dialog-actions" },
          action("Close", { run: close }),
          matched > 0 &&
            action(`${VERBS[verb].button} ${plural(matched, "invocation")}`, {
              run: begin,
              kind: VERBS[verb].isDangerous ? "danger" : "primary",
            }),
        ),
      );
      focusFirst(body);
    }

    async function begin() {
      message.clear();
      try {
        const answer = await startOperation({
          ...request(),
          id: newUuid(),
          maxPerSecond: Number(rate.value) || undefined,
        });
        await follow(answer.operation.id ?? "");
      } catch (error) {
        if (!life.signal.aborted) message.show(error);
      }
    }

    /** @param {string} id */
    async function follow(id) {
      let operation = await getOperation(id, false, life.signal);
      for (;;) {
        fill(
          body,
          operationView(operation),
          h(
            "div",
            { class: "dialog-actions" },
            h("a", { class: "button", href: href(["operations"]), onclick: close }, "All operations"),
            action("Close", { run: close, kind: "primary" }),
          ),
        );
        if (operation.state !== "OPERATION_STATE_RUNNING") break;
        operation = await getOperation(id, true, life.signal);
      }
      toast(`${VERBS[verb].title}: ${count(operation.changed)} changed`);
      done?.();
    }
    count_();
    return [body];
  });
  element.addEventListener("close", () => life.abort());
}

/**
 * Asks before some invocations are changed that cannot be changed back.
 *
 * @param {"Cancel" | "Purge"} name
 * @param {number} number of invocations
 * @param {() => void} run
 */
export function chosenDialog(name, number, run) {
  const { title, says } = VERBS[/** @type {Verb} */ (name.toLowerCase())];
  dialog(title, ({ close }) => [
    h(
      "div",
      { class: "dialog-body" },
      h("p", null, h("b", { class: "number" }, plural(number, "invocation")), ` selected. ${says}`),
      h(
        "div",
        { class: "dialog-actions" },
        action("Close", { run: close }),
        action(`${name} ${plural(number, "invocation")}`, {
          run: () => {
            close();
            run();
          },
          kind: "danger",
        }),
      ),
    ),
  ]);
}

/**
 * @param {string} text
 * @param {HTMLElement} control
 */
function labelled(text, control) {
  return h("div", { class: "field" }, h("label", { for: control.id }, text), control);
}

/** @param {Summary[]} summaries */
function breakdown(summaries) {
  const rows = summaries
    .slice(0, 8)
    .map((one) =>
      h(
        "tr",
        null,
        h("td", null, one.service || "group"),
        h("td", null, words(one.pendingReason ?? one.state, one.pendingReason ? "PENDING_REASON_" : "STATE_")),
        h("td", { class: "mono small" }, oneLine(one.failureReason ?? "")),
        h("td", { class: "number" }, count(one.count)),
      ),
    );
  const rest = summaries.length - rows.length;
  return h(
    "div",
    { class: "table-wrap" },
    h("table", { class: "table dense", "aria-label": "What matches" }, h("tbody", null, ...rows)),
    rest > 0 && h("p", { class: "quiet small" }, `and ${plural(rest, "more kind")}`),
  );
}

/**
 * How far an operation is. One that has ended and matched nothing has no bar: a full one would say that it did much.
 *
 * @param {Operation} operation
 * @param {string} label
 */
export function operationBar(operation, label) {
  const matched = Number(operation.matched ?? 0);
  const isDone = operation.state === "OPERATION_STATE_SUCCEEDED";
  if (isDone && matched === 0) return h("span", { class: "quiet small" }, "nothing matched");
  const max = Math.max(1, matched);
  const value = isDone ? max : Math.min(Number(operation.processed ?? 0), max);
  return h("progress", { max, value, "aria-label": label });
}

/**
 * How far an operation is.
 *
 * @param {Operation} operation
 */
export function operationView(operation) {
  return h(
    "div",
    { class: "operation" },
    h(
      "p",
      { role: "status" },
      h("b", null, words(operation.state, "OPERATION_STATE_")),
      ` · ${count(operation.changed)} changed of ${count(operation.matched)} matched`,
    ),
    operationBar(operation, "Progress of the operation"),
    operation.failure && h("p", { class: "tone-warn" }, oneLine(plain(operation.failure.message ?? ""))),
    ...(operation.refusals ?? []).map((refusal) =>
      h(
        "p",
        { class: "small" },
        `${count(refusal.count)} refused: `,
        h("span", { class: "mono" }, refusal.reason),
        refusal.message ? ` · ${oneLine(plain(refusal.message))}` : "",
      ),
    ),
  );
}
