// A form made from the declared input of a service. It writes and reads JSON with all digits; what a field cannot hold
// is left to the raw JSON beside it.

import { fill, h, setText, uniqueId } from "../core/dom.js";
import { plain } from "../core/text.js";
import { typeOf, typeText } from "../core/sio.js";
import { icon } from "./icon.js";
import { scalarInput } from "./sio_scalar.js";

/** @typedef {import("../api/types.js").Element} Element */
/** @typedef {import("../core/json_text.js").JsonValue} JsonValue */

/**
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {() => JsonValue | undefined} read undefined where it is absent
 * @property {(value: JsonValue | undefined) => void} write throws where it cannot hold the value
 * @property {(path: string[], text: string) => boolean} fault shows a violation; false if it has no such place
 * @property {() => void} clear
 * @property {() => void} focus
 */

/**
 * The form of an input; null if nothing is declared that a form could show.
 *
 * @param {import("../api/types.js").Elements | undefined} declared
 * @returns {Field | null}
 */
export function sioForm(declared) {
  const elements = declared?.elements ?? [];
  if (declared?.value && elements[0]) return field({ ...elements[0], name: "value" });
  if (elements.length === 0) return null;
  if (!declared?.list) return dictField("", elements);
  const form = listField("", { name: "", type: "ELEMENT_TYPE_DICT", elements });
  form.write([new Map()]);
  return form;
}

/**
 * @param {Element} element
 * @returns {Field}
 */
function field(element) {
  const type = typeOf(element);
  if (type === "DICT" && element.elements?.length) return framed(element, dictField(element.name, element.elements));
  if (type === "DICT_LIST" && element.elements?.length) {
    return framed(
      element,
      listField(element.name, { name: "", type: "ELEMENT_TYPE_DICT", elements: element.elements }),
    );
  }
  if (type === "LIST" && element.item) return framed(element, listField(element.name, { ...element.item, name: "" }));
  return leafField(element);
}

/**
 * A field of its own: a label, an input, what it takes, and the violation.
 *
 * @param {Element} element
 * @returns {Field}
 */
function leafField(element) {
  const input = scalarInput(element);
  const fault = h("p", { class: "field-fault", id: uniqueId("fault") });
  const help = h(
    "p",
    { class: "field-help", id: uniqueId("help") },
    typeText(element),
    element.description ? ` · ${plain(element.description)}` : null,
  );
  input.control.id = uniqueId("field");
  input.control.setAttribute("aria-describedby", `${help.id} ${fault.id}`);
  if (!element.optional) input.control.setAttribute("aria-required", "true");
  const label = h(
    "label",
    { for: input.control.id },
    element.name || "item",
    !element.optional && h("span", { class: "required", title: "Required" }, " *"),
  );
  const clear = () => {
    fault.textContent = "";
    input.control.removeAttribute("aria-invalid");
  };
  input.control.addEventListener("input", clear);
  return {
    element: h("div", { class: "field", dataset: { name: element.name } }, label, input.element, help, fault),
    read: input.read,
    write: input.write,
    fault(path, text) {
      const prefix = path.length > 0 ? `/${path.join("/")}: ` : "";
      setText(fault, (fault.textContent ? `${fault.textContent}; ` : "") + prefix + text);
      input.control.setAttribute("aria-invalid", "true");
      return true;
    },
    clear,
    focus: () => input.control.focus(),
  };
}

/**
 * A dict or a list within a dict, under its name. It is absent while it is empty and optional.
 *
 * @param {Element} element
 * @param {Field} inner
 * @returns {Field}
 */
function framed(element, inner) {
  const help = h(
    "p",
    { class: "field-help" },
    typeText(element),
    element.description ? ` · ${plain(element.description)}` : null,
  );
  const legend = h(
    "legend",
    null,
    element.name,
    !element.optional && h("span", { class: "required", title: "Required" }, " *"),
  );
  return {
    ...inner,
    element: h("fieldset", { class: "field-group", dataset: { name: element.name } }, legend, help, inner.element),
    read() {
      const value = inner.read();
      const isEmpty = value instanceof Map ? value.size === 0 : Array.isArray(value) && value.length === 0;
      return element.optional && isEmpty ? undefined : value;
    },
  };
}

/**
 * @param {string} name
 * @param {Element[]} elements
 * @returns {Field}
 */
function dictField(name, elements) {
  const fields = new Map(elements.map((element) => [element.name, field(element)]));
  const own = h("p", { class: "field-fault" });
  return {
    element: h("div", { class: "fields" }, ...[...fields.values()].map((one) => one.element), own),
    read() {
      const dict = new Map();
      for (const [key, one] of fields) {
        const value = one.read();
        if (value !== undefined) dict.set(key, value);
      }
      return dict;
    },
    write(value) {
      if (value !== undefined && !(value instanceof Map)) throw new TypeError(`${name || "the input"} is no dict`);
      const unknown = [...(value?.keys() ?? [])].find((key) => !fields.has(key));
      if (unknown !== undefined) throw new TypeError(`the form has no field \`${unknown}\``);
      for (const [key, one] of fields) one.write(value?.get(key));
    },
    fault([first = "", ...rest], text) {
      const one = fields.get(first);
      if (one) return one.fault(rest, text);
      setText(own, first ? `/${[first, ...rest].join("/")}: ${text}` : text);
      return true;
    },
    clear() {
      own.textContent = "";
      for (const one of fields.values()) one.clear();
    },
    focus: () => [...fields.values()][0]?.focus(),
  };
}

/** A form is for people: longer lists are written as JSON. */
const ITEMS_MAX = 100;

/**
 * @param {string} name
 * @param {Element} item
 * @returns {Field}
 */
function listField(name, item) {
  /** @type {Field[]} */
  let items = [];
  const place = h("div", { class: "items" });
  const own = h("p", { class: "field-fault" });
  const isDict = typeOf(item) === "DICT" && item.elements?.length;

  function add() {
    const one = isDict ? dictField("", item.elements ?? []) : leafField({ ...item, name: "" });
    const row = h("div", { class: "item" }, one.element);
    const remove = h(
      "button",
      { class: "icon-button", type: "button", "aria-label": "Remove the item" },
      icon("close"),
    );
    remove.addEventListener("click", () => {
      items = items.filter((other) => other !== one);
      row.remove();
    });
    row.append(remove);
    items.push(one);
    place.append(row);
    return one;
  }
  const more = h("button", { class: "button small", type: "button" }, icon("plus"), "Add");
  more.addEventListener("click", () => {
    if (items.length < ITEMS_MAX) add().focus();
  });
  return {
    element: h("div", { class: "list-field" }, place, more, own),
    read: () => items.map((one) => one.read() ?? null),
    write(value) {
      if (value !== undefined && !Array.isArray(value)) throw new TypeError(`${name || "the input"} is no list`);
      if ((value?.length ?? 0) > ITEMS_MAX) throw new TypeError("the list is too long for a form");
      items = [];
      fill(place);
      for (const one of value ?? []) add().write(one);
    },
    fault([first = "", ...rest], text) {
      const one = items[Number(first)];
      if (first !== "" && one) return one.fault(rest, text);
      setText(own, text);
      return true;
    },
    clear() {
      own.textContent = "";
      for (const one of items) one.clear();
    },
    focus: () => (items[0] ? items[0].focus() : more.focus()),
  };
}
