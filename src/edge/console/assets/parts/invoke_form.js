// The form that invokes a service: its input, the options of the call, and the same call for other clients.

import { missingInvoke, session } from "../api/session.js";
import { commands } from "../core/commands.js";
import { h, uniqueId } from "../core/dom.js";
import { toBase64 } from "../core/text.js";
import { newUuid } from "../core/uuid.js";
import { action, copyText, dialog, menu } from "./controls.js";
import { inputEditor } from "./input_editor.js";
import { textView } from "./content.js";

/** @typedef {import("../api/types.js").ServiceDescription} ServiceDescription */
/**
 * @typedef {object} Request
 * @property {string} input JSON
 * @property {boolean} isAsync
 * @property {object} request of `Invoke` or `InvokeAsync`
 */

/**
 * @param {ServiceDescription} described
 * @param {(request: Request) => void} send
 */
export function invokeForm(described, send) {
  const service = described.declaration.name;
  const denied = missingInvoke(service);
  const editor = inputEditor(described.declaration.sio?.input, "");
  const options = optionFields();

  /** @param {boolean} isAsync */
  function submit(isAsync) {
    let text;
    try {
      text = editor.read();
    } catch {
      return;
    }
    editor.clear();
    const request = { service, document: toBase64(text), dataFormat: "DATA_FORMAT_JSON", ...options.read(isAsync) };
    send({ input: text, isAsync, request });
  }
  /** @param {(all: {tool: string, text: string}[]) => void} use */
  function withCommands(use) {
    try {
      const needsKey = session().authentication;
      use(commands({ service, input: editor.read(), isAsync: false, needsKey, ...options.values() }, described));
    } catch {
      // The editor shows what is wrong.
    }
  }
  const tools = ["curl", "grpcurl", "Python", "cidery"];
  const copies = tools.map((tool) => ({
    label: tool,
    run: () =>
      withCommands((all) => copyText(all.find((one) => one.tool === tool)?.text ?? "", `the call for ${tool}`)),
  }));
  const showAll = { label: "Show all…", run: () => withCommands(showCommands) };

  const form = h(
    "form",
    { class: "invoke-form" },
    editor.element,
    options.element,
    h(
      "div",
      { class: "form-actions" },
      action("Invoke", { run: () => submit(false), kind: "primary", icon: "invoke", denied, key: "Ctrl+Enter" }),
      action("In the background", { run: () => submit(true), denied, key: "Ctrl+Shift+Enter" }),
      h("span", { class: "grow" }),
      menu("Copy as", [...copies, showAll]),
    ),
  );
  for (const button of form.querySelectorAll("button")) button.type = "button";
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || denied) return;
    event.preventDefault();
    submit(event.shiftKey);
  });
  return { element: form, editor };
}

/** @param {{tool: string, text: string}[]} all */
function showCommands(all) {
  dialog(
    "The same call",
    () => [
      h(
        "div",
        { class: "dialog-body" },
        ...all.map(({ tool, text }) =>
          h("section", null, h("h3", null, tool), textView(text, `call for ${tool}`, false)),
        ),
      ),
    ],
    "wide",
  );
}

/** The options of a call. Those of background calls alone say so. */
function optionFields() {
  const timeout = text("Timeout", "30s", "Of the call; in the background, of an attempt without progress.");
  const key = text("Idempotency key", "order-7", "A call that is repeated with it is the same call.");
  const metadata = h("textarea", { rows: "2", class: "mono", placeholder: "tenant=acme", spellcheck: "false" });
  const delay = text("Delay", "10s", "In the background: when it is due.");
  const attempts = text("Attempts", "25", "In the background: how many, at most.");
  const lock = text("Concurrency key", "customer-7", "In the background: one at a time.");
  const hold = h("input", { type: "checkbox", id: uniqueId("hold") });
  const make = h("button", { class: "button small", type: "button" }, "New");
  make.addEventListener("click", () => {
    key.input.value = newUuid();
  });
  metadata.id = uniqueId("metadata");
  const element = h(
    "details",
    { class: "options" },
    h("summary", null, "Options of the call"),
    h(
      "div",
      { class: "option-grid" },
      timeout.element,
      key.element,
      delay.element,
      attempts.element,
      lock.element,
      h(
        "div",
        { class: "field" },
        h("label", { for: metadata.id }, "Metadata"),
        metadata,
        h("p", { class: "field-help" }, "One KEY=VALUE a line. Not kept in the history."),
      ),
      h("div", { class: "field check" }, hold, h("label", { for: hold.id }, "Hold it when all attempts have failed")),
    ),
  );
  const seconds = (/** @type {string} */ value) => (/^\d+(\.\d+)?$/.test(value) ? `${value}s` : value) || undefined;
  const entries = () =>
    metadata.value
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line.includes("="));
  return {
    element,
    values: () => ({ timeout: timeout.input.value.trim(), idempotencyKey: key.input.value.trim() }),
    /** @param {boolean} isAsync */
    read(isAsync) {
      const both = {
        timeout: toProto(seconds(timeout.input.value.trim())),
        idempotencyKey: key.input.value.trim() || undefined,
        metadata: Object.fromEntries(
          entries().map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
        ),
      };
      if (!isAsync) return both;
      return {
        ...both,
        delay: toProto(seconds(delay.input.value.trim())),
        retryPolicy: attempts.input.value ? { maxAttempts: Number(attempts.input.value) } : undefined,
        concurrencyKey: lock.input.value.trim() || undefined,
        onExhausted: hold.checked ? "ON_EXHAUSTED_HOLD" : undefined,
      };
    },
  };
}

/** @type {Record<string, number>} */
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * A duration as the contract has it: `2m` is `120s`. What is none is left to the node, which says so.
 *
 * @param {string | undefined} value
 */
function toProto(value) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(value ?? "") ?? [];
  return number && unit ? `${Number(number) * (UNITS[unit] ?? 1)}s` : value;
}

/**
 * @param {string} label
 * @param {string} placeholder
 * @param {string} help
 */
function text(label, placeholder, help) {
  const input = h("input", {
    type: "text",
    id: uniqueId("option"),
    placeholder,
    autocomplete: "off",
    spellcheck: "false",
  });
  const note = h("p", { class: "field-help", id: uniqueId("help") }, help);
  input.setAttribute("aria-describedby", note.id);
  return { input, element: h("div", { class: "field" }, h("label", { for: input.id }, label), input, note) };
}
