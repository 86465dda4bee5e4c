// The options of a call: one form of them for the request of the console and for each client that a call is copied to.

/**
 * @typedef {object} CallOptions
 * @property {string} timeout as the contract has it, such as `120s`; empty if there is none
 * @property {string} idempotencyKey
 * @property {[string, string][]} metadata
 * @property {string} delay like `timeout`; this and the following ones are those of background calls
 * @property {string} maxAttempts
 * @property {string} concurrencyKey
 * @property {boolean} isHeld when all attempts have failed
 */

/** Options that a synchronous call does not have. @type {[keyof CallOptions, string][]} */
const BACKGROUND = [
  ["delay", "delay"],
  ["maxAttempts", "attempts"],
  ["concurrencyKey", "concurrency key"],
  ["isHeld", "hold"],
];

/**
 * The names of the options that only a background call has.
 *
 * @param {CallOptions} options
 */
export function backgroundOptions(options) {
  return BACKGROUND.filter(([key]) => options[key]).map(([, name]) => name);
}

/**
 * The fields of `InvokeRequest` or of `InvokeAsyncRequest`, those that are given.
 *
 * @param {CallOptions} options
 * @param {boolean} isAsync
 * @returns {Record<string, unknown>}
 */
export function optionFields(options, isAsync) {
  const { timeout, idempotencyKey, metadata, delay, maxAttempts, concurrencyKey, isHeld } = options;
  const both = {
    timeout: timeout || undefined,
    idempotencyKey: idempotencyKey || undefined,
    metadata: metadata.length > 0 ? Object.fromEntries(metadata) : undefined,
  };
  const background = {
    delay: delay || undefined,
    // What is no number is left to the node, which says so.
    retryPolicy: maxAttempts ? { maxAttempts: Number(maxAttempts) || maxAttempts } : undefined,
    concurrencyKey: concurrencyKey || undefined,
    onExhausted: isHeld ? "ON_EXHAUSTED_HOLD" : undefined,
  };
  const fields = Object.entries(isAsync ? { ...both, ...background } : both);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

/** @type {Record<string, number>} */
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
const PART = /(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g;

/**
 * A duration as the contract has it: `2m` and `1m 60s` are `120s`, and so is `120`. What is none is left to the node,
 * which says so.
 *
 * @param {string} text
 */
export function contractDuration(text) {
  const plain = /^\d+(\.\d+)?$/.test(text) ? `${text}s` : text;
  const parts = [...plain.matchAll(PART)];
  if (parts.length === 0 || plain.replaceAll(PART, "").trim() !== "") return text;
  const seconds = parts.reduce((sum, [, number, unit = ""]) => sum + Number(number) * (UNITS[unit] ?? 1), 0);
  return `${Number(seconds.toFixed(9))}s`;
}
