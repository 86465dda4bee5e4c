// The inputs for elements that are one value, by their type.

import { h } from "../core/dom.js";
import { jsonOrText, numberOrText, plainText, write } from "../core/json_text.js";
import { typeOf } from "../core/sio.js";
import { now } from "../core/time.js";
import { newUuid } from "../core/uuid.js";

/** @typedef {import("../core/json_text.js").JsonValue} JsonValue */
/**
 * @typedef {object} Scalar
 * @property {HTMLElement} element
 * @property {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @property {() => JsonValue | undefined} read
 * @property {(value: JsonValue | undefined) => void} write
 */

/**
 * @param {import("../api/types.js").Element} element
 * @returns {Scalar}
 */
export function scalarInput(element) {
  const type = typeOf(element);
  if (type === "BOOL") return choice(element, ["true", "false"], (text) => text === "true");
  if (element.oneOf?.length) return choice(element, element.oneOf, (text) => text);
  if (["AS_IS", "DICT", "LIST", "DICT_LIST"].includes(type)) return jsonInput(element);
  return lineInput(element, type);
}

/** @param {import("../api/types.js").Element} element */
function defaultOf(element) {
  return element.defaultJson ? `Default: ${plainText(jsonOrText(element.defaultJson))}` : undefined;
}

/**
 * @param {import("../api/types.js").Element} element
 * @param {string[]} values
 * @param {(text: string) => JsonValue} valueOf
 * @returns {Scalar}
 */
function choice(element, values, valueOf) {
  const none = h("option", { value: "" }, defaultOf(element) ?? (element.optional ? "–" : "Choose…"));
  const control = h("select", null, none, ...values.map((value) => h("option", { value }, value)));
  return {
    element: control,
    control,
    read: () => (control.value === "" ? undefined : valueOf(control.value)),
    write(value) {
      const text = value === undefined || value === null ? "" : plainText(value);
      if (text !== "" && !values.includes(text))
        throw new TypeError(`\`${text}\` is none of the values of ${element.name}`);
      control.value = text;
    },
  };
}

/**
 * @param {import("../api/types.js").Element} element
 * @returns {Scalar}
 */
function jsonInput(element) {
  const control = h("textarea", {
    class: "mono",
    rows: "3",
    spellcheck: "false",
    placeholder: defaultOf(element) ?? "JSON",
  });
  return {
    element: control,
    control,
    read: () => (control.value.trim() === "" ? undefined : jsonOrText(control.value)),
    write(value) {
      control.value = value === undefined ? "" : write(value, "  ");
    },
  };
}

/** Types whose numbers stay numbers. */
const NUMBERS = new Set(["INT", "FLOAT", "DECIMAL"]);
/** Texts of which an empty one is a value: where it was written as one, as JSON. An empty field is no value. */
const TEXTS = new Set(["TEXT", "SECRET"]);

/**
 * @param {import("../api/types.js").Element} element
 * @param {string} type
 * @returns {Scalar}
 */
function lineInput(element, type) {
  const control = h("input", {
    type: type === "SECRET" ? "password" : "text",
    class: TEXTS.has(type) ? null : "mono",
    inputmode: NUMBERS.has(type) ? "decimal" : null,
    autocomplete: type === "SECRET" ? "new-password" : "off",
    spellcheck: "false",
    placeholder: defaultOf(element) ?? EXAMPLES[type],
  });
  const helper = helperOf(type, control);
  let isEmptyText = false;
  control.addEventListener("input", () => {
    isEmptyText = false;
  });
  return {
    element: helper ? h("div", { class: "with-button" }, control, helper) : control,
    control,
    read() {
      const text = control.value;
      if (text === "") return isEmptyText ? "" : undefined;
      return NUMBERS.has(type) ? numberOrText(text.trim()) : text;
    },
    write(value) {
      if (value instanceof Map || Array.isArray(value)) {
        const isCsv = type === "CSV" && Array.isArray(value);
        if (!isCsv) throw new TypeError(`${element.name} has a value that the form cannot show`);
        control.value = value.map(plainText).join(",");
        return;
      }
      isEmptyText = value === "" && TEXTS.has(type);
      control.value = value === undefined || value === null ? "" : plainText(value);
    },
  };
}

/** @type {Record<string, string>} */
const EXAMPLES = { DATE: "2026-01-31", DATE_TIME: "2026-01-31T12:00:00Z", UUID: "xxxxxxxx-xxxx-…", CSV: "one,two" };

/**
 * A button that fills in what is tedious to write.
 *
 * @param {string} type
 * @param {HTMLInputElement} control
 */
function helperOf(type, control) {
  /** @type {Record<string, [string, () => string]>} */
  const helpers = {
    DATE: ["Today", () => new Date(now()).toISOString().slice(0, 10)],
    DATE_TIME: ["Now", () => new Date(now()).toISOString()],
    UUID: ["New", newUuid],
  };
  const helper = helpers[type];
  if (!helper) return null;
  const [label, make] = helper;
  const button = h("button", { class: "button small", type: "button" }, label);
  button.addEventListener("click", () => {
    control.value = make();
    control.dispatchEvent(new Event("input"));
  });
  return button;
}
