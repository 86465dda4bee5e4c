// Calls the node by Connect with JSON: `docs/connect.md`. Its failures are of one type, whichever form they arrive in.

import { learnClock } from "../core/time.js";

/** @typedef {{field: string, description: string, reason?: string}} Violation */

/** A call that failed: the node refused it, or did not answer. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string, reason?: string, violations?: Violation[], cid?: string}} [facts]
   */
  constructor(message, facts = {}) {
    super(message);
    this.code = facts.code ?? "unknown";
    this.reason = facts.reason ?? "";
    this.violations = facts.violations ?? [];
    this.cid = facts.cid ?? "";
  }
}

/** The node shows by it that a request is from its own page: another page cannot set it. */
const OWN = { "cidery-console": "1" };
const UNREACHABLE = "the node does not answer";

/**
 * Whether a request failed because the node did not answer: the shell says so, and the next request may be answered.
 *
 * @param {unknown} error
 */
export function isUnreachable(error) {
  return error instanceof ApiError && error.reason === "UNREACHABLE";
}

/** Tells the shell that the node was reached, or not, or wants to know who asks. */
export const connection = new EventTarget();

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
export async function send(path, init) {
  let response;
  try {
    response = await fetch(path, { ...init, headers: { ...init.headers, ...OWN } });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    connection.dispatchEvent(new Event("lost"));
    throw new ApiError(UNREACHABLE, { code: "unavailable", reason: "UNREACHABLE" });
  }
  learnClock(response.headers.get("date"));
  connection.dispatchEvent(new Event("reached"));
  if (response.status === 401) connection.dispatchEvent(new Event("unauthenticated"));
  return response;
}

/**
 * Calls a method that answers with one message.
 *
 * @template T
 * @param {string} method such as `InvocationService/Invoke`
 * @param {object} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function call(method, request, signal) {
  const response = await send(`/cidery.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });
  const answer = await json(response);
  if (!response.ok) throw failureOf(answer, response.statusText);
  return /** @type {T} */ (answer);
}

/** @param {Response} response */
async function json(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(`the answer is no JSON (HTTP ${response.status})`);
  }
}

/**
 * The failure in an error of Connect, or in a problem of plain HTTP.
 *
 * @param {any} answer
 * @param {string} otherwise
 * @returns {ApiError}
 */
export function failureOf(answer, otherwise) {
  const debug = (/** @type {string} */ type) =>
    (answer?.details ?? []).find((/** @type {any} */ detail) => detail.type === `google.rpc.${type}`)?.debug;
  const problem = (answer?.violations ?? []).map((/** @type {any} */ violation) => ({
    field: violation.path,
    description: violation.message,
    reason: violation.code,
  }));
  return new ApiError(answer?.message ?? answer?.detail ?? otherwise, {
    code: answer?.code?.toLowerCase(),
    reason: debug("ErrorInfo")?.reason ?? answer?.reason,
    violations: debug("BadRequest")?.fieldViolations ?? problem,
    cid: debug("RequestInfo")?.requestId ?? answer?.cid,
  });
}

/** The last part of a stream: how it ended. */
const END = 2;
const HEAD_BYTES = 5;
/** Longer than any message of the node. */
const PART_BYTES_MAX = 64 << 20;

/**
 * Calls a method that answers with a stream.
 *
 * @template T
 * @param {string} method
 * @param {object} request
 * @param {AbortSignal} signal ends the stream
 * @returns {AsyncGenerator<T>}
 */
export async function* stream(method, request, signal) {
  const response = await send(`/cidery.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: envelope(request),
    signal,
  });
  if (!response.ok || !response.body) throw failureOf(await json(response), response.statusText);
  for await (const part of parts(response.body)) {
    const message = JSON.parse(new TextDecoder().decode(part.bytes));
    if ((part.flags & END) === 0) {
      yield message;
    } else if (message.error) {
      throw failureOf(message.error, "the stream failed");
    } else {
      return;
    }
  }
  throw new ApiError("the stream was cut off", { code: "unavailable", reason: "UNREACHABLE" });
}

/** @param {object} request */
function envelope(request) {
  const message = new TextEncoder().encode(JSON.stringify(request));
  const bytes = new Uint8Array(HEAD_BYTES + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, HEAD_BYTES);
  return bytes;
}

/**
 * The parts of a stream, each with a head of five bytes: flags, and its length.
 *
 * @param {ReadableStream<Uint8Array>} body
 */
async function* parts(body) {
  const reader = body.getReader();
  let buffer = new Uint8Array(0);
  try {
    for (;;) {
      const length = buffer.length < HEAD_BYTES ? 0 : new DataView(buffer.buffer, buffer.byteOffset).getUint32(1);
      if (length > PART_BYTES_MAX) throw new ApiError("a part of the stream is too long");
      if (buffer.length >= HEAD_BYTES && buffer.length >= HEAD_BYTES + length) {
        yield { flags: buffer[0] ?? 0, bytes: buffer.subarray(HEAD_BYTES, HEAD_BYTES + length) };
        buffer = buffer.subarray(HEAD_BYTES + length);
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return;
      const joined = new Uint8Array(buffer.length + value.length);
      joined.set(buffer);
      joined.set(value, buffer.length);
      buffer = joined;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
