// The calls that were made from this browser: the last ones of each service, without their secrets.

import { parse, write } from "./json_text.js";
import { masked } from "./sio.js";
import { load, save } from "./storage.js";

const KEY = "calls";
const KEPT = 100;
/** A longer input is not kept. */
const INPUT_MAX = 4_000;

/**
 * @typedef {object} PastCall
 * @property {string} service
 * @property {string} cid
 * @property {string} time
 * @property {string} input
 * @property {boolean} isAsync
 * @property {string} result `succeeded`, `accepted`, or the reason of the failure
 */

/**
 * @param {string} service
 * @returns {PastCall[]} the latest first
 */
export function pastCalls(service) {
  return load(KEY, /** @type {PastCall[]} */ ([])).filter((call) => call.service === service);
}

/**
 * @param {PastCall} call
 * @param {import("../api/types.js").Elements | undefined} declared
 */
export function rememberCall(call, declared) {
  let input = "";
  try {
    input = write(masked(parse(call.input), declared));
  } catch {
    // It is no JSON: it is not kept.
  }
  if (input.length > INPUT_MAX) input = "";
  const others = load(KEY, /** @type {PastCall[]} */ ([]));
  save(KEY, [{ ...call, input }, ...others].slice(0, KEPT));
}

/**
 * Remembers how a call in the background has ended.
 *
 * @param {string} cid
 * @param {string} result
 */
export function updateCall(cid, result) {
  const calls = load(KEY, /** @type {PastCall[]} */ ([]));
  save(
    KEY,
    calls.map((call) => (call.cid === cid ? { ...call, result } : call)),
  );
}

/** @param {string} service */
export function forgetCalls(service) {
  save(
    KEY,
    load(KEY, /** @type {PastCall[]} */ ([])).filter((call) => call.service !== service),
  );
}
