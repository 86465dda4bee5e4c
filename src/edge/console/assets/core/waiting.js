// Why an invocation waits, in a sentence, and what to do about it: the words of `cidery explain`.

import { count, plural } from "./format.js";
import { duration, now, toMs } from "./time.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {import("../api/types.js").ServiceDescription} ServiceDescription */

/** The largest count of invocations before another one; a larger one is not exact. */
const COUNTED_MAX = 1000;

/**
 * @param {Invocation} invocation in the full view
 * @param {ServiceDescription | null} service
 * @returns {string | null} null if it does not wait
 */
export function whyItWaits(invocation, service) {
  const first = firstReason(invocation, service);
  if (first === null || invocation.pendingReason === "PENDING_REASON_PAUSED") return first;
  return invocation.paused ? `${first} Besides, ${lower(paused(invocation, service))}` : first;
}

/**
 * @param {Invocation} invocation
 * @param {ServiceDescription | null} service
 */
function firstReason(invocation, service) {
  const attempt = `Attempt ${invocation.attempt ?? 0}${invocation.maxAttempts ? ` of ${invocation.maxAttempts}` : ""}`;
  const key = `Its concurrency key \`${invocation.concurrencyKey ?? ""}\` is busy`;
  switch (invocation.pendingReason) {
    case "PENDING_REASON_DUE_LATER":
      return `It is due ${when(invocation)}.`;
    case "PENDING_REASON_BACKOFF":
      return `${attempt} failed; the next one is due ${when(invocation)}.`;
    case "PENDING_REASON_QUEUED":
      return queued(invocation, service);
    case "PENDING_REASON_NO_WORKER":
      return noWorker(invocation, service);
    case "PENDING_REASON_NO_COMPATIBLE_WORKER":
      return `No connected worker accepts its input${because(invocation.lastFailure?.message)}.`;
    case "PENDING_REASON_KEY_BUSY":
      return invocation.keyHolderCid
        ? `${key} with another invocation.`
        : `${key}: an earlier invocation has not ended.`;
    case "PENDING_REASON_PAUSED":
      return paused(invocation, service);
    case "PENDING_REASON_HELD":
      return `${none(invocation)} It is held until it is released, retried or cancelled.`;
    default:
      return invocation.waitingForCompletion
        ? "Its handler answered “later”: it waits until its outcome is given from outside."
        : null;
  }
}

/** @param {Invocation} invocation */
function none(invocation) {
  return `No attempt is left after ${plural(invocation.attempt, "attempt")}.`;
}

/** @param {string | undefined} text */
function because(text) {
  return text ? `: ${text}` : "";
}

/** @param {Invocation} invocation */
function when(invocation) {
  if (!invocation.startTime) return "later";
  const left = toMs(invocation.startTime) - now();
  return left < 1000 ? "within a second" : `in ${duration(Math.round(left / 1000) * 1000)}`;
}

/**
 * @param {Invocation} invocation
 * @param {ServiceDescription | null} service
 */
function queued(invocation, service) {
  const ahead = invocation.invocationsAhead;
  let place = "It is queued";
  if (ahead === 0) place = "It is the next one";
  else if (ahead !== undefined && ahead > COUNTED_MAX)
    place = `More than ${count(COUNTED_MAX)} invocations are before it`;
  else if (ahead !== undefined) place = `${plural(ahead, "invocation is", "invocations are")} before it`;
  const limit = service?.effectiveOptions?.concurrency;
  return limit
    ? `${place}; ${plural(service?.running, "handler")} of \`${invocation.service}\` run, its limit is ${count(limit)}.`
    : `${place}.`;
}

/**
 * @param {Invocation} invocation
 * @param {ServiceDescription | null} service
 */
function noWorker(invocation, service) {
  const away = (service?.locations ?? []).filter((location) => location.away).map((location) => location.workerName);
  const others = away.length > 0 ? ` (${away.join(", ")} may reconnect)` : "";
  return `No worker serves \`${invocation.service}\`: start one${others}.`;
}

/**
 * @param {Invocation} invocation
 * @param {ServiceDescription | null} service
 */
function paused(invocation, service) {
  const control = service?.control;
  if (!control) return "The node is on hold: it starts no invocations until it is resumed (`cidery resume`).";
  const what = control.disabled ? "disabled" : "paused";
  const by = control.principal ? ` by ${control.principal}` : "";
  return `\`${invocation.service}\` is ${what}${by}${control.reason ? `: ${control.reason}` : ""}.`;
}

/** @param {string} sentence */
function lower(sentence) {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
