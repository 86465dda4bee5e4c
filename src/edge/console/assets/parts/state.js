// The state of an invocation, told by a shape, a word and a colour.

import { h } from "../core/dom.js";
import { words } from "../core/format.js";
import { icon } from "./icon.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {{label: string, icon: import("./icon.js").IconName, tone: string}} StateLook */

/** @type {Record<string, StateLook>} */
const STATES = {
  STATE_PENDING: { label: "Pending", icon: "pending", tone: "idle" },
  STATE_RUNNING: { label: "Running", icon: "running", tone: "busy" },
  STATE_SUCCEEDED: { label: "Succeeded", icon: "succeeded", tone: "good" },
  STATE_FAILED: { label: "Failed", icon: "failed", tone: "bad" },
  STATE_CANCELLED: { label: "Cancelled", icon: "cancelled", tone: "idle" },
  STATE_EXPIRED: { label: "Expired", icon: "expired", tone: "warn" },
};

/** @type {Record<string, StateLook>} */
const PENDING = {
  PENDING_REASON_DUE_LATER: { label: "Due later", icon: "due", tone: "idle" },
  PENDING_REASON_QUEUED: { label: "Queued", icon: "pending", tone: "idle" },
  PENDING_REASON_BACKOFF: { label: "Backoff", icon: "backoff", tone: "warn" },
  PENDING_REASON_NO_WORKER: { label: "No worker", icon: "warning", tone: "warn" },
  PENDING_REASON_NO_COMPATIBLE_WORKER: { label: "No fit", icon: "warning", tone: "warn" },
  PENDING_REASON_KEY_BUSY: { label: "Key busy", icon: "pending", tone: "idle" },
  PENDING_REASON_PAUSED: { label: "Paused", icon: "held", tone: "warn" },
  PENDING_REASON_HELD: { label: "Held", icon: "held", tone: "bad" },
};

/** The states in the order of a life, for lists of them. */
export const STATE_NAMES = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"];

/**
 * @param {Pick<Invocation, "state" | "pendingReason" | "cancelRequested" | "waitingForCompletion">} invocation
 * @returns {StateLook}
 */
export function lookOf(invocation) {
  if (invocation.cancelRequested) return { label: "Cancelling", icon: "cancelled", tone: "warn" };
  if (invocation.waitingForCompletion) return { label: "Awaiting", icon: "waiting", tone: "busy" };
  const pending = invocation.state === "STATE_PENDING" ? PENDING[invocation.pendingReason ?? ""] : undefined;
  const state = { label: words(invocation.state, "STATE_"), icon: "pending", tone: "idle" };
  return pending ?? STATES[invocation.state] ?? /** @type {StateLook} */ (state);
}

/**
 * @param {string} label
 * @param {import("./icon.js").IconName} name
 * @param {string} tone
 */
export function badge(label, name, tone) {
  return h("span", { class: `badge tone-${tone}` }, icon(name), h("span", null, label));
}

/** @param {Parameters<typeof lookOf>[0]} invocation */
export function stateBadge(invocation) {
  const look = lookOf(invocation);
  return badge(look.label, look.icon, look.tone);
}

/** @param {Invocation} invocation */
export function hasEnded(invocation) {
  return !["STATE_PENDING", "STATE_RUNNING"].includes(invocation.state);
}

/** @param {Pick<Invocation, "state" | "pendingReason">} invocation */
export function isHeld(invocation) {
  return invocation.pendingReason === "PENDING_REASON_HELD";
}

/** @type {Record<string, StateLook>} */
const HEALTH = {
  SERVICE_HEALTH_SERVING: { label: "Serving", icon: "succeeded", tone: "good" },
  SERVICE_HEALTH_NO_WORKER: { label: "No worker", icon: "warning", tone: "warn" },
  SERVICE_HEALTH_PAUSED: { label: "Paused", icon: "held", tone: "warn" },
  SERVICE_HEALTH_DISABLED: { label: "Disabled", icon: "cancelled", tone: "bad" },
};

/** @param {string} health of a service */
export function healthBadge(health) {
  const look = HEALTH[health];
  return look ? badge(look.label, look.icon, look.tone) : badge(words(health, "SERVICE_HEALTH_"), "pending", "idle");
}
