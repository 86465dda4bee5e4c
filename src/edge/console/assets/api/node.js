// The methods of the node that the console calls, each with its types.

import { call, stream } from "./connect.js";

/** @typedef {import("./types.js").Invocation} Invocation */
/** @typedef {{invocations?: Invocation[], nextPageToken?: string}} InvocationPage */
/** @typedef {{cid: string, state?: string, newCid?: string, failure?: import("./types.js").Failure}} Change */

/**
 * @param {{filter: string, pageSize: number, pageToken?: string, view?: string}} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<InvocationPage>}
 */
export function listInvocations({ filter, pageSize, pageToken, view = "INVOCATION_VIEW_SUMMARY" }, signal) {
  const request = { filterExpression: filter, pageSize, pageToken, view };
  return call("InvocationService/ListInvocations", request, signal);
}

/**
 * @param {string} filter
 * @param {AbortSignal} [signal]
 * @returns {Promise<{summaries?: import("./types.js").Summary[], total?: string}>}
 */
export function summarizeInvocations(filter, signal) {
  return call("InvocationService/SummarizeInvocations", { filterExpression: filter }, signal);
}

/**
 * @param {string} cid
 * @param {AbortSignal} [signal]
 * @returns {Promise<Invocation>}
 */
export async function getInvocation(cid, signal) {
  const request = { cid, view: "INVOCATION_VIEW_FULL" };
  const answer = await call("InvocationService/GetInvocation", request, signal);
  return /** @type {{invocation: Invocation}} */ (answer).invocation;
}

/**
 * @param {object} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").Content & {cid: string, metadata?: Record<string, string>}>}
 */
export function invoke(request, signal) {
  return call("InvocationService/Invoke", request, signal);
}

/**
 * @param {object} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<{cid: string, alreadyAccepted?: boolean}>}
 */
export function invokeAsync(request, signal) {
  return call("InvocationService/InvokeAsync", request, signal);
}

/**
 * @param {object} request
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<import("./types.js").InvocationEvent>}
 */
export function streamResults(request, signal) {
  return stream("InvocationService/StreamResults", request, signal);
}

/**
 * Cancels, retries or purges invocations by their CIDs.
 *
 * @param {"Cancel" | "Retry" | "Purge"} verb
 * @param {object} request
 * @returns {Promise<{changes?: Change[]}>}
 */
export function changeInvocations(verb, request) {
  return call(`InvocationService/${verb}Invocations`, request);
}

/**
 * @param {object} request
 * @returns {Promise<{state: string}>}
 */
export function completeInvocation(request) {
  return call("InvocationService/CompleteInvocation", request);
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<{services?: import("./types.js").ServiceSummary[], nextPageToken?: string}>}
 */
export function listServices(signal) {
  return call("DiscoveryService/ListServices", { pageSize: 5000 }, signal);
}

/**
 * @param {string} service
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").ServiceDescription>}
 */
export async function getService(service, signal) {
  const answer = await call("DiscoveryService/GetService", { service }, signal);
  return /** @type {{service: import("./types.js").ServiceDescription}} */ (answer).service;
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").Status>}
 */
export function getStatus(signal) {
  return call("AdminService/GetStatus", {}, signal);
}

/**
 * @param {string[]} services all where it is empty
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").StatsAnswer>}
 */
export function listServiceStats(services, signal) {
  return call("AdminService/ListServiceStats", { services, pageSize: 1000 }, signal);
}

/**
 * @param {{service?: string, fromTime?: string}} query of the node where it names no service
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").HistoryAnswer>}
 */
export function getHistory(query, signal) {
  return call("AdminService/GetHistory", query, signal);
}

/**
 * @param {string} pageToken
 * @param {AbortSignal} [signal]
 * @returns {Promise<{workers?: import("./types.js").Worker[], nextPageToken?: string}>}
 */
export function listWorkers(pageToken, signal) {
  return call("AdminService/ListWorkers", { pageSize: 500, pageToken }, signal);
}

/**
 * Pauses, resumes, disables or enables a service.
 *
 * @param {"Pause" | "Resume" | "Disable" | "Enable"} verb
 * @param {object} request
 * @returns {Promise<object>}
 */
export function controlService(verb, request) {
  return call(`AdminService/${verb}Service`, request);
}

/**
 * @param {object} request
 * @returns {Promise<{operation: import("./types.js").Operation, summaries?: import("./types.js").Summary[]}>}
 */
export function startOperation(request) {
  return call("OperationService/StartOperation", request);
}

/**
 * @param {string} id
 * @param {boolean} wait until there is news
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").Operation>}
 */
export async function getOperation(id, wait, signal) {
  const answer = await call("OperationService/GetOperation", { id, wait }, signal);
  return /** @type {{operation: import("./types.js").Operation}} */ (answer).operation;
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<{operations?: import("./types.js").Operation[]}>}
 */
export function listOperations(signal) {
  return call("OperationService/ListOperations", { pageSize: 200 }, signal);
}

/**
 * @param {string} id
 * @returns {Promise<object>}
 */
export function cancelOperation(id) {
  return call("OperationService/CancelOperation", { id });
}
