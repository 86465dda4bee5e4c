// The field for a filter, with suggestions of what may follow, by the caret: a combobox.

import { fill, h, setText, uniqueId } from "../core/dom.js";
import { suggest } from "../core/filter.js";
import { icon } from "./icon.js";

/**
 * @param {object} options
 * @param {string} options.value
 * @param {() => import("../core/filter.js").Vocabulary} options.vocabulary
 * @param {(text: string) => void} options.onApply
 */
export function filterInput({ value, vocabulary, onApply }) {
  const list = h("div", {
    class: "suggestions",
    role: "listbox",
    id: uniqueId("suggestions"),
    "aria-label": "Suggestions",
    hidden: true,
  });
  const fault = h("p", { class: "field-fault", id: uniqueId("fault"), role: "alert" });
  const input = h("input", {
    class: "filter-text mono",
    type: "text",
    value,
    spellcheck: "false",
    autocomplete: "off",
    role: "combobox",
    placeholder: "Filter: state = FAILED AND accept_time > -1h",
    "aria-label": "Filter",
    "aria-expanded": "false",
    "aria-controls": list.id,
    "aria-autocomplete": "list",
    "aria-describedby": fault.id,
  });
  const clear = h("button", { class: "icon-button", type: "button", "aria-label": "Clear the filter" }, icon("close"));
  /** @type {import("../core/filter.js").Suggestions} */
  let shown = { from: 0, to: 0, items: [] };
  let chosen = -1;
  /** Whether there is to be a list, of which there may be nothing yet. */
  let isAsked = false;

  function show() {
    isAsked = true;
    shown = suggest(input.value, input.selectionStart ?? 0, vocabulary());
    chosen = -1;
    fill(
      list,
      ...shown.items.map((item, at) =>
        h(
          "div",
          {
            class: "suggestion",
            role: "option",
            id: `${list.id}-${at}`,
            "aria-selected": "false",
            onmousedown: (/** @type {Event} */ event) => {
              event.preventDefault();
              take(at);
            },
          },
          h("span", { class: "mono" }, item.text),
          h("span", { class: "quiet small" }, item.hint),
        ),
      ),
    );
    open(shown.items.length > 0);
  }
  /** @param {boolean} isOpen */
  function open(isOpen) {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    input.removeAttribute("aria-activedescendant");
  }
  /** @param {number} at */
  function choose(at) {
    chosen = at;
    [...list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    input.setAttribute("aria-activedescendant", `${list.id}-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }
  /** @param {number} at */
  function take(at) {
    const item = shown.items[at];
    if (!item) return;
    const rest = input.value.slice(shown.to);
    const space = rest.startsWith(" ") ? "" : " ";
    input.value = input.value.slice(0, shown.from) + item.text + space + rest;
    const caret = shown.from + item.text.length + 1;
    input.setSelectionRange(caret, caret);
    show();
  }
  function close() {
    isAsked = false;
    open(false);
  }
  function apply() {
    close();
    clear.hidden = input.value === "";
    onApply(input.value.trim());
  }

  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.addEventListener("click", show);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const last = shown.items.length - 1;
    if (event.key === "ArrowDown" && last >= 0) choose(list.hidden ? (show(), 0) : Math.min(last, chosen + 1));
    else if (event.key === "ArrowUp" && last >= 0) choose(Math.max(0, chosen - 1));
    else if ((event.key === "Enter" || event.key === "Tab") && !list.hidden && chosen >= 0) take(chosen);
    else if (event.key === "Enter") apply();
    else if (event.key === "Escape" && !list.hidden) close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  clear.addEventListener("click", () => {
    input.value = "";
    apply();
    input.focus();
  });
  clear.hidden = value === "";

  const element = h(
    "div",
    { class: "filter" },
    h("div", { class: "filter-box" }, icon("search"), input, clear),
    list,
    fault,
  );
  return {
    element,
    focus: () => input.focus(),
    /** Suggests what the vocabulary has got, unless a suggestion is chosen already. */
    learned() {
      if (isAsked && chosen < 0) show();
    },
    /** @param {string} text */
    set(text) {
      input.value = text;
      clear.hidden = text === "";
    },
    /** @param {string} message empty if there is none */
    fault(message) {
      setText(fault, message);
      input.setAttribute("aria-invalid", String(message !== ""));
    },
  };
}
