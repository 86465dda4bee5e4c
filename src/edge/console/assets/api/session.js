// Who uses the console, and what they may do. With authentication on, an API key is exchanged for a session, whose
// cookie no script can read; a client certificate needs no session.

import { failureOf, send } from "./connect.js";

/**
 * @typedef {object} Rights
 * @property {string[]} invoke patterns of names
 * @property {"NONE" | "OWN" | "GROUP" | "ALL"} read
 * @property {"NONE" | "OWN" | "GROUP" | "ALL"} control
 * @property {boolean} administer
 */
/**
 * @typedef {object} Caller
 * @property {string | null} principal
 * @property {Rights} rights
 * @property {string} credential
 */
/**
 * @typedef {object} Session
 * @property {boolean} authentication
 * @property {boolean} session
 * @property {Caller | null} caller
 * @property {string} [version]
 */

const PATH = "/console/session";
/** @type {Session} */
let current = { authentication: false, session: false, caller: null };

/** @returns {Promise<Session>} */
export async function readSession() {
  const response = await send(PATH, { method: "GET" });
  const answer = await response.json();
  if (!response.ok) throw failureOf(answer, response.statusText);
  current = answer;
  return current;
}

export function session() {
  return current;
}

/** @param {string} key an API key, or a token of the issuer */
export async function logIn(key) {
  const response = await send(PATH, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ api_key: key }),
  });
  if (!response.ok) throw failureOf(await response.json(), response.statusText);
}

export async function logOut() {
  await send(PATH, { method: "DELETE" });
}

/** Whether the caller administers the node. */
export function mayAdminister() {
  return current.caller?.rights.administer === true;
}

/**
 * Whether the caller may invoke a service.
 *
 * @param {string} service
 */
export function mayInvoke(service) {
  return (current.caller?.rights.invoke ?? []).some((pattern) => matches(pattern, service));
}

/**
 * @param {string} pattern in which `*` stands for any characters
 * @param {string} name
 */
function matches(pattern, name) {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** @typedef {"administer" | "control" | "read"} Right */

/**
 * Why a button is disabled, or a screen is not shown; null if it is.
 *
 * @param {Right} right of `read` and `control`, at least that over its own invocations
 * @returns {string | null}
 */
export function missing(right) {
  const rights = current.caller?.rights;
  const has = right === "administer" ? rights?.administer : (rights?.[right] ?? "NONE") !== "NONE";
  return has ? null : `Needs the right \`${right}\`, which ${current.caller?.principal ?? "the caller"} does not have`;
}

/**
 * @param {string} service
 * @returns {string | null}
 */
export function missingInvoke(service) {
  const principal = current.caller?.principal ?? "the caller";
  return mayInvoke(service) ? null : `Needs the right to invoke ${service}, which ${principal} does not have`;
}
