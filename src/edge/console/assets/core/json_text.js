// JSON with all its digits. `JSON.parse` makes a double of each number: a form, an edit and what is shown would lose
// digits of identifiers and decimals. Numbers are kept as their text here, dicts as maps in their order.

/** A number, as it is written. */
export class JsonNumber {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @typedef {null | boolean | string | JsonNumber | JsonArray | JsonDict} JsonValue */
/** @typedef {JsonValue[]} JsonArray */
/** @typedef {Map<string, JsonValue>} JsonDict */

const TEXT = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`;
const DIGITS = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`;
const TOKEN = new RegExp(String.raw`[ \t\n\r]+|${TEXT}|${DIGITS}|true|false|null|[[\]{},:]`, "y");
const NUMBER = new RegExp(`^${DIGITS}$`);
/** The node refuses what nests deeper. */
const DEEPEST = 128;

/**
 * Whether a text is a number of JSON.
 *
 * @param {string} text
 */
export function isNumber(text) {
  return NUMBER.test(text);
}

/**
 * The tokens of a text, blanks left out.
 *
 * @param {string} text
 * @returns {Generator<{text: string, at: number}>}
 */
export function* tokens(text) {
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!found) throw new SyntaxError(fault(text, at));
    if (!/^\s/.test(found[0])) yield { text: found[0], at };
    at = TOKEN.lastIndex;
  }
}

/**
 * @param {string} text
 * @param {number} at
 */
function fault(text, at) {
  const before = text.slice(0, at).split("\n");
  const what =
    at < text.length ? `\`${text.slice(at, at + 10).split("\n")[0]}\` is not expected` : "the text ends too early";
  return `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}: ${what}`;
}

/**
 * @param {string} text
 * @returns {JsonValue}
 */
export function parse(text) {
  const all = [...tokens(text)];
  let next = 0;
  const fail = () => new SyntaxError(fault(text, all[next]?.at ?? text.length));
  const take = (/** @type {string} */ expected) => {
    if (all[next]?.text !== expected) throw fail();
    next += 1;
  };

  /** @param {number} depth @returns {JsonValue} */
  function value(depth) {
    const token = all[next]?.text;
    if (token === undefined || depth > DEEPEST) throw fail();
    if (token === "{") return dict(depth);
    if (token === "[") return list(depth);
    if ("]},:".includes(token)) throw fail();
    next += 1;
    if (token === "null") return null;
    if (token === "true" || token === "false") return token === "true";
    return token.startsWith('"') ? JSON.parse(token) : new JsonNumber(token);
  }

  /** @param {number} depth @returns {JsonArray} */
  function list(depth) {
    const items = /** @type {JsonArray} */ ([]);
    for (take("["); all[next]?.text !== "]"; items.push(value(depth + 1))) {
      if (items.length > 0) take(",");
    }
    take("]");
    return items;
  }

  /** @param {number} depth @returns {JsonDict} */
  function dict(depth) {
    const entries = /** @type {JsonDict} */ (new Map());
    for (take("{"); all[next]?.text !== "}";) {
      if (entries.size > 0) take(",");
      const key = all[next]?.text ?? "";
      if (!key.startsWith('"')) throw fail();
      next += 1;
      take(":");
      entries.set(JSON.parse(key), value(depth + 1));
    }
    take("}");
    return entries;
  }

  const result = value(0);
  if (next < all.length) throw fail();
  return result;
}

/**
 * @param {JsonValue} value
 * @param {string} [indent] one step; all on one line where it is empty
 * @param {string} [margin]
 * @returns {string}
 */
export function write(value, indent = "", margin = "") {
  const inner = margin + indent;
  const wrap = (/** @type {string} */ open, /** @type {string[]} */ parts, /** @type {string} */ close) => {
    if (parts.length === 0) return open + close;
    return indent ? `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${margin}${close}` : open + parts.join(",") + close;
  };
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value))
    return wrap(
      "[",
      value.map((item) => write(item, indent, inner)),
      "]",
    );
  if (value instanceof Map) {
    const colon = indent ? ": " : ":";
    return wrap(
      "{",
      [...value].map(([key, item]) => JSON.stringify(key) + colon + write(item, indent, inner)),
      "}",
    );
  }
  return JSON.stringify(value);
}

/**
 * The text with a line for each entry; as it is where it is no JSON.
 *
 * @param {string} text
 */
export function pretty(text) {
  try {
    return write(parse(text), "  ");
  } catch {
    return text;
  }
}

/**
 * The value of a text: a number where it is one, otherwise the text, of which the node says what is wrong.
 *
 * @param {string} text
 * @returns {JsonValue}
 */
export function numberOrText(text) {
  return isNumber(text) ? new JsonNumber(text) : text;
}

/**
 * The value of a text that may be any JSON.
 *
 * @param {string} text
 * @returns {JsonValue}
 */
export function jsonOrText(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** @param {JsonValue} value */
export function plainText(value) {
  return typeof value === "string" ? value : write(value);
}

/**
 * Checks a text of JSON; the message says where it is wrong.
 *
 * @param {string} text
 * @returns {string} empty if it is right
 */
export function jsonFault(text) {
  try {
    parse(text);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
