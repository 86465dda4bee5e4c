// The filter language, as far as the console has to know it: what may follow the text before the caret, and to replace
// one criterion. The node alone decides what is valid: `docs/filters.md`.

/**
 * @typedef {object} Vocabulary values that are suggested
 * @property {string[]} services
 * @property {string[]} reasons of failures
 * @property {string[]} metadata keys
 */
/** @typedef {{text: string, hint: string}} Suggestion */
/** @typedef {{from: number, to: number, items: Suggestion[]}} Suggestions */

const STATES = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"];
const PENDING = ["DUE_LATER", "QUEUED", "BACKOFF", "NO_WORKER", "NO_COMPATIBLE_WORKER", "KEY_BUSY", "PAUSED", "HELD"];
const AGES = ["-5m", "-1h", "-24h", "-7d"];
const TIMES = [">", ">=", "<", "<="];

/** @type {Record<string, {hint: string, operators: string[], values?: (words: Vocabulary) => string[]}>} */
const FIELDS = {
  service: { hint: "name", operators: ["="], values: (words) => words.services },
  state: { hint: "state", operators: ["="], values: () => STATES },
  pending_reason: { hint: "why it waits", operators: ["="], values: () => PENDING },
  failure_reason: { hint: "why the last attempt failed", operators: ["="], values: (words) => words.reasons },
  failure_message: { hint: "text in the failure", operators: [":"] },
  accept_time: { hint: "age such as -2h, or a time", operators: TIMES, values: () => AGES },
  end_time: { hint: "age such as -2h, or a time", operators: TIMES, values: () => AGES },
  dead_letter: { hint: "held, or failed and not retried", operators: ["="], values: () => ["true"] },
  principal: { hint: "who asked", operators: ["="] },
  parent: { hint: "CID of the parent", operators: ["="] },
  root: { hint: "CID of the root", operators: ["="] },
  group: { hint: "CID of the group", operators: ["="] },
  kind: { hint: "groups alone", operators: ["="], values: () => ["GROUP"] },
};

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[()]|>=|<=|[=<>:]|[^\s()=<>:"']+/g;
const SUGGESTED_MAX = 12;

/**
 * What may stand at the caret.
 *
 * @param {string} text
 * @param {number} caret
 * @param {Vocabulary} words
 * @returns {Suggestions}
 */
export function suggest(text, caret, words) {
  const before = text.slice(0, caret);
  const all = [...before.matchAll(TOKEN)].map((found) => ({ text: found[0], at: found.index }));
  const last = all.at(-1);
  const isPartial = last !== undefined && !/^(\s+|[()]|[=<>:]=?)$/.test(last.text);
  const word = isPartial ? last.text : "";
  const done = (isPartial ? all.slice(0, -1) : all).map((token) => token.text).filter((token) => token.trim() !== "");
  const plain = word.replace(/^["']/, "").toLowerCase();
  const fits = candidates(done, words).filter(({ text: item }) => item.toLowerCase().includes(plain) && item !== word);
  fits.sort((a, b) => Number(b.text.toLowerCase().startsWith(plain)) - Number(a.text.toLowerCase().startsWith(plain)));
  return { from: caret - word.length, to: caret, items: fits.slice(0, SUGGESTED_MAX) };
}

/**
 * @param {string[]} done the tokens before
 * @param {Vocabulary} words
 * @returns {Suggestion[]}
 */
function candidates(done, words) {
  let field = "";
  let isInValues = false;
  /** @type {"field" | "operator" | "value" | "end"} */
  let next = "field";
  for (const token of done) {
    if (token === "AND") [next, isInValues] = ["field", false];
    else if (token === "OR") next = "value";
    else if (token === "(") isInValues = next === "value";
    else if (token === ")") [next, isInValues] = ["end", false];
    else if (next === "field") [field, next] = [token, "operator"];
    else if (next === "operator") next = "value";
    else next = "end";
  }
  const known = FIELDS[field] ?? { hint: "", operators: ["="] };
  if (next === "field") return fields(words);
  if (next === "operator") return known.operators.map((text) => ({ text, hint: field }));
  if (next === "value")
    return (known.values?.(words) ?? []).map((value) => ({ text: quoted(value), hint: known.hint }));
  return isInValues ? [{ text: "OR", hint: `another ${field}` }] : [{ text: "AND", hint: "another criterion" }];
}

/**
 * @param {Vocabulary} words
 * @returns {Suggestion[]}
 */
function fields(words) {
  const keys = words.metadata.map((key) => ({ text: `metadata.${quoted(key)}`, hint: "metadata" }));
  return [...Object.entries(FIELDS).map(([text, { hint }]) => ({ text, hint })), ...keys];
}

/**
 * A value as a filter has it: in quotes where it needs them.
 *
 * @param {string} value
 */
export function quoted(value) {
  return /^[^\s(),=!<>:"'\\]+$/.test(value) && value !== "AND" && value !== "OR"
    ? value
    : `"${value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t")}"`;
}

/**
 * The criteria of a text, split at `AND` outside of quotes and parentheses.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function criteria(text) {
  const found = [""];
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "(") depth += 1;
    if (token === ")") depth -= 1;
    if (token === "AND" && depth === 0) found.push("");
    else found[found.length - 1] += token;
  }
  return found.map((criterion) => criterion.trim()).filter((criterion) => criterion !== "");
}

/**
 * @param {string} criterion
 * @param {string} field
 */
function isOf(criterion, field) {
  return new RegExp(`^\\(?\\s*${field}\\s*[=:<>]`).test(criterion);
}

/**
 * The text without the criteria of a field.
 *
 * @param {string} text
 * @param {string} field
 */
export function without(text, field) {
  return criteria(text)
    .filter((criterion) => !isOf(criterion, field))
    .join(" AND ");
}

/**
 * The text with one criterion of a field, which replaces others of it.
 *
 * @param {string} text
 * @param {string} field
 * @param {string} value
 */
export function withCriterion(text, field, value) {
  const rest = without(text, field);
  return `${rest}${rest ? " AND " : ""}${field} = ${quoted(value)}`;
}

/**
 * The values of a field, if the text has them.
 *
 * @param {string} text
 * @param {string} field
 * @returns {string[]}
 */
export function valuesOf(text, field) {
  const criterion = criteria(text).find((one) => isOf(one, field)) ?? "";
  const values = criterion
    .replace(/^\(?\s*[\w.]+\s*(>=|<=|[=<>:])/, "")
    .replace(/[()]/g, " ")
    .split(/\s+OR\s+|\s+/);
  return values.map((value) => value.trim().replace(/^(["'])(.*)\1$/, "$2")).filter((value) => value !== "");
}
