// The form that invokes a service: its input, the options of the call, and the same call for other clients.

import { missingInvoke, session } from "../api/session.js";
import { backgroundOptions, contractDuration, optionFields } from "../core/call_options.js";
import { commands } from "../core/commands.js";
import { h, uniqueId } from "../core/dom.js";
import { toBase64 } from "../core/text.js";
import { newUuid } from "../core/uuid.js";
import { action, copyText, dialog, menu, tabs } from "./controls.js";
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
  const options = optionInputs();

  /** @param {boolean} isAsync */
  function submit(isAsync) {
    let text;
    try {
      text = editor.read();
    } catch {
      return;
    }
    editor.clear();
    const given = optionFields(options.read(), isAsync);
    const request = { service, document: toBase64(text), dataFormat: "DATA_FORMAT_JSON", ...given };
    send({ input: text, isAsync, request });
  }
  /**
   * @param {boolean} isAsync
   * @returns {{tool: string, text: string}[]} none where the input is no JSON: the editor shows what is wrong
   */
  function all(isAsync) {
    try {
      const call = { service, input: editor.read(), isAsync, options: options.read() };
      return commands({ ...call, needsKey: session().authentication }, described);
    } catch {
      return [];
    }
  }
  /** @param {string} tool @param {boolean} isAsync */
  function copy(tool, isAsync) {
    const text = all(isAsync).find((one) => one.tool === tool)?.text;
    if (text === undefined) return;
    const left = isAsync ? [] : backgroundOptions(options.read());
    const without = left.length > 0 ? `, without what is for the background: ${left.join(", ")}` : "";
    copyText(text, `the call for ${tool}${without}`);
  }
  const tools = ["curl", "grpcurl", "Python", "cidery"];
  const copies = [false, true].flatMap((isAsync) =>
    tools.map((tool) => ({
      label: isAsync ? `${tool}, in the background` : tool,
      run: () => copy(tool, isAsync),
    })),
  );
  const showAll = {
    label: "Show all…",
    run: () => all(false).length > 0 && showCommands(all, backgroundOptions(options.read()).length > 0),
  };

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

/**
 * @param {(isAsync: boolean) => {tool: string, text: string}[]} all
 * @param {boolean} isAsync which are shown first
 */
function showCommands(all, isAsync) {
  const list = (/** @type {boolean} */ wanted) =>
    h(
      "div",
      { class: "fields" },
      ...all(wanted).map(({ tool, text }) =>
        h("section", null, h("h3", null, tool), textView(text, `call for ${tool}`, false)),
      ),
    );
  const kinds = tabs(
    "How it is called",
    [
      { id: "sync", label: "Invoke", panel: () => list(false) },
      { id: "async", label: "In the background", panel: () => list(true) },
    ],
    { selected: isAsync ? "async" : "sync" },
  );
  dialog("The same call", () => [h("div", { class: "dialog-body" }, kinds.bar, kinds.panel)], "wide");
}

/** The options of a call. Those of background calls alone say so. */
function optionInputs() {
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
  /** The entries: of a key that occurs twice, the last one. */
  const entries = () => {
    const lines = metadata.value.split("\n").map((line) => line.trim());
    const split = (/** @type {string} */ line, at = line.indexOf("=")) =>
      /** @type {[string, string]} */ ([line.slice(0, at), line.slice(at + 1)]);
    return [...new Map(lines.filter((line) => line.includes("=")).map((line) => split(line)))];
  };
  const valueOf = (/** @type {ReturnType<typeof text>} */ { input }) => input.value.trim();
  return {
    element,
    /** @returns {import("../core/call_options.js").CallOptions} */
    read: () => ({
      timeout: contractDuration(valueOf(timeout)),
      idempotencyKey: valueOf(key),
      metadata: entries(),
      delay: contractDuration(valueOf(delay)),
      maxAttempts: valueOf(attempts),
      concurrencyKey: valueOf(lock),
      isHeld: hold.checked,
    }),
  };
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
