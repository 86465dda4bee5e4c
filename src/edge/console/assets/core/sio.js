// What a declaration says about its elements, in words, and which of them are secret.

import { enumName } from "./format.js";

/** @typedef {import("../api/types.js").Element} Element */
/** @typedef {import("../api/types.js").Elements} Elements */
/** @typedef {import("./json_text.js").JsonValue} JsonValue */

/**
 * The type of an element, as a declaration has it: `INT`, `DICT_LIST`.
 *
 * @param {Element} element
 */
export function typeOf(element) {
  return enumName(element.type, "ELEMENT_TYPE_") || "AS_IS";
}

/** @type {Record<string, string>} */
const NAMES = {
  AS_IS: "any value",
  TEXT: "text",
  INT: "whole number",
  FLOAT: "number",
  DECIMAL: "decimal",
  BOOL: "true or false",
  DATE: "date",
  DATE_TIME: "date and time",
  UUID: "UUID",
  BYTES: "bytes, base64",
  LIST: "list",
  DICT: "dict",
  DICT_LIST: "list of dicts",
  CSV: "comma-separated texts",
  SECRET: "secret",
};
const INT64 = ["-9223372036854775808", "9223372036854775807"];

/**
 * The type in words, with its range or its values.
 *
 * @param {Element} element
 */
export function typeText(element) {
  const type = typeOf(element);
  const item = type === "LIST" && element.item ? ` of ${NAMES[typeOf(element.item)] ?? "values"}` : "";
  const { minimum = "", maximum = "" } = element;
  const isRange = (minimum || maximum) && (minimum !== INT64[0] || maximum !== INT64[1]);
  const range = isRange ? `, ${minimum || "…"} to ${maximum || "…"}` : "";
  const values = element.oneOf?.length ? `: ${element.oneOf.join(" | ")}` : "";
  return (NAMES[type] ?? type.toLowerCase()) + item + range + values;
}

/** Names that are secret by themselves, where a declaration does not say more. */
const SECRET_NAME = /passw|secret|token|api_?key|credential|authorization|private_?key/i;
/** What stands for a secret in what is kept and copied. */
export const MASK = "…";

/** What the node shows in place of a declared secret. */
const SHOWN = "***";

/**
 * An input as the node shows it, with nothing in place of its secrets, and where these are. Where no declaration is
 * known, what looks like one is one.
 *
 * @param {JsonValue} value
 * @param {Elements | undefined} declared
 * @returns {{value: JsonValue, secrets: string[]}} as JSON pointers
 */
export function blanked(value, declared) {
  /** @type {string[]} */
  const secrets = [];
  /** @type {(one: JsonValue, element: Element | undefined, within: Element[] | undefined, at: string) => JsonValue} */
  const blank = (one, element, elements, at) => {
    const isSecret = element ? typeOf(element) === "SECRET" : !declared;
    if (one === SHOWN && isSecret) {
      secrets.push(at);
      return "";
    }
    if (Array.isArray(one)) {
      const within = element?.item?.elements ?? elements;
      return one.map((item, index) => blank(item, element?.item, within, `${at}/${index}`));
    }
    if (!(one instanceof Map)) return one;
    return new Map(
      [...one].map(([key, item]) => {
        const inner = elements?.find((other) => other.name === key);
        const name = key.replaceAll("~", "~0").replaceAll("/", "~1");
        return [key, blank(item, inner, inner?.elements, `${at}/${name}`)];
      }),
    );
  };
  const [only] = declared?.elements ?? [];
  const shown = declared?.value
    ? blank(value, only, only?.elements, "")
    : blank(value, declared && { name: "", type: "ELEMENT_TYPE_DICT" }, declared?.elements, "");
  return { value: shown, secrets };
}

/**
 * Whether nothing is at this place of an input: neither is what it would be in.
 *
 * @param {JsonValue} value
 * @param {string[]} path the segments of a JSON pointer
 */
export function isBlank(value, path) {
  let /** @type {JsonValue | undefined} */ at = value;
  for (const [index, segment] of path.entries()) {
    if (Array.isArray(at)) at = at[Number(segment)];
    else if (at instanceof Map) at = at.get(segment);
    // An item or a dict that was removed needs no secret.
    if (at === undefined) return index === path.length - 1;
  }
  return at === "" || at === SHOWN;
}

/**
 * An input without its secrets: those that are declared, and what is called like one.
 *
 * @param {JsonValue} value
 * @param {Elements | undefined} declared
 * @returns {JsonValue}
 */
export function masked(value, declared) {
  return declared?.value ? maskElement(value, declared.elements?.[0]) : maskDict(value, declared?.elements);
}

/**
 * @param {JsonValue} value
 * @param {Element[] | undefined} elements
 * @returns {JsonValue}
 */
function maskDict(value, elements) {
  if (Array.isArray(value)) return value.map((item) => maskDict(item, elements));
  if (!(value instanceof Map)) return value;
  return new Map(
    [...value].map(([key, item]) => {
      const element = elements?.find((one) => one.name === key);
      const isSecret = !element && SECRET_NAME.test(key);
      return [key, isSecret ? MASK : maskElement(item, element)];
    }),
  );
}

/**
 * @param {JsonValue} value
 * @param {Element | undefined} element
 * @returns {JsonValue}
 */
function maskElement(value, element) {
  if (element && typeOf(element) === "SECRET") return MASK;
  if (element?.item && Array.isArray(value)) return value.map((item) => maskElement(item, element.item));
  return maskDict(value, element?.elements);
}
