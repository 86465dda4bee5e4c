// An input, as a form and as raw JSON side by side in two tabs: what is written in one is in the other. Violations that
// the node reports are shown at their fields.

import { fill, h, setText, uniqueId } from "../core/dom.js";
import { jsonFault, parse, write } from "../core/json_text.js";
import { blanked, isBlank } from "../core/sio.js";
import { messageOf } from "./notice.js";
import { sioForm } from "./sio_form.js";

/** @typedef {import("../api/connect.js").Violation} Violation */

/**
 * @param {import("../api/types.js").Elements | undefined} declared
 * @param {string} initial JSON; empty for an input of its own
 */
export function inputEditor(declared, initial) {
  const form = sioForm(declared);
  const fault = h("p", { class: "field-fault", id: uniqueId("fault"), role: "alert" });
  const note = h("p", { class: "quiet small" });
  const raw = h("textarea", {
    class: "mono raw-json",
    rows: "12",
    spellcheck: "false",
    "aria-label": "Input as JSON",
    "aria-describedby": fault.id,
  });
  const place = h("div");
  const formTab = tab("Form");
  const jsonTab = tab("JSON");
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "Input" }, form && formTab, jsonTab);
  const notCopied = h("p", { class: "quiet small" });
  let isForm = false;
  /** @type {string[]} secrets that the node does not show, as JSON pointers */
  let secrets = [];

  /** @param {string} label */
  function tab(label) {
    const button = h("button", { class: "tab", role: "tab", type: "button" }, label);
    button.addEventListener("click", () => show(label === "Form"));
    return button;
  }
  /** @param {boolean} wantsForm */
  function show(wantsForm) {
    fault.textContent = "";
    if (wantsForm && form && !isForm) {
      try {
        if (raw.value.trim() !== "") form.write(parse(raw.value));
      } catch (error) {
        setText(note, `The form cannot show this input: ${messageOf(error)}.`);
        wantsForm = false;
      }
    } else if (!wantsForm && form && isForm) {
      raw.value = write(form.read() ?? null, "  ");
    }
    isForm = wantsForm && form !== null;
    if (isForm) note.textContent = "";
    formTab.setAttribute("aria-selected", String(isForm));
    jsonTab.setAttribute("aria-selected", String(!isForm));
    fill(place, isForm && form ? form.element : raw);
  }

  if (!form && declared) setText(note, "The service takes no input that a form could show.");
  else if (!form) setText(note, "The service declares no input: any JSON is accepted.");
  raw.value = initial || (form ? "" : "{}");
  show(true);
  if (form && !initial) raw.value = write(form.read() ?? new Map(), "  ");
  raw.addEventListener("input", () => {
    fault.textContent = "";
    raw.removeAttribute("aria-invalid");
  });

  /** @param {string} text */
  function put(text) {
    raw.value = text;
    isForm = false;
    show(true);
  }
  function readText() {
    if (isForm && form) return write(form.read() ?? new Map());
    const problem = raw.value.trim() === "" ? "" : jsonFault(raw.value);
    if (problem) {
      raw.setAttribute("aria-invalid", "true");
      setText(fault, problem);
      raw.focus();
      throw new SyntaxError(problem);
    }
    return raw.value.trim() === "" ? "{}" : raw.value;
  }
  /** @param {Violation[]} violations */
  function showViolations(violations) {
    fault.textContent = "";
    form?.clear();
    if (isForm && form) {
      for (const { field, description } of violations) form.fault(pathOf(field), description);
      /** @type {HTMLElement | null} */ (form.element.querySelector("[aria-invalid=true]"))?.focus();
    } else {
      raw.setAttribute("aria-invalid", "true");
      setText(fault, violations.map(({ field, description }) => `${field || "/"}: ${description}`).join("\n"));
    }
  }

  return {
    element: h("div", { class: "input-editor" }, bar, note, notCopied, place, fault),
    /** The input as JSON; it throws where it is none, or lacks a secret. */
    read() {
      const text = readText();
      const value = secrets.length > 0 ? parse(text) : null;
      const missing = secrets.filter((pointer) => isBlank(value, pathOf(pointer)));
      if (missing.length === 0) return text;
      showViolations(missing.map((field) => ({ field, description: "The node shows no secrets: enter it again." })));
      throw new SyntaxError("a secret is missing");
    },
    /** @param {string} text */
    write(text) {
      secrets = [];
      fill(notCopied);
      put(text);
    },
    /**
     * Writes an input as the node shows it: its secrets are to be entered again.
     *
     * @param {string} text
     */
    writeShown(text) {
      try {
        const shown = blanked(parse(text), declared);
        secrets = shown.secrets;
        put(write(shown.value, "  "));
      } catch {
        put(text);
      }
      if (secrets.length > 0)
        fill(
          notCopied,
          "The node shows no secrets. To be entered again: ",
          ...secrets.flatMap((pointer, at) => [at > 0 && ", ", h("code", null, pointer.slice(1) || "/")]),
        );
    },
    clear() {
      fault.textContent = "";
      form?.clear();
    },
    showViolations,
    focus: () => (isForm && form ? form.focus() : raw.focus()),
  };
}

/**
 * The segments of a JSON pointer.
 *
 * @param {string} pointer
 */
function pathOf(pointer) {
  const segments = pointer.split("/").slice(1);
  return segments.map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}
