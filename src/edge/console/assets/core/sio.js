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
