// The same call in other clients, ready to paste: `curl`, `grpcurl`, Python and the command line. Secrets are left out.

import { JsonNumber, parse, write } from "./json_text.js";
import { masked } from "./sio.js";

/** @typedef {import("./json_text.js").JsonValue} JsonValue */
/**
 * @typedef {object} Call
 * @property {string} service
 * @property {string} input JSON
 * @property {boolean} isAsync
 * @property {string} timeout such as `2s`; empty if there is none
 * @property {string} idempotencyKey
 * @property {boolean} needsKey whether the node asks who calls
 */
/** @typedef {import("../api/types.js").ServiceDescription} ServiceDescription */

const TOKEN = "$CIDERY_API_KEY";

/**
 * @param {Call} call
 * @param {ServiceDescription} described
 * @returns {{tool: string, text: string}[]}
 */
export function commands(call, described) {
  const input = masked(parse(call.input), described.declaration.sio?.input);
  return [
    { tool: "curl", text: curl(call, write(input)) },
    { tool: "grpcurl", text: grpcurl(call, input, described.typedMethod) },
    { tool: "Python", text: python(call, input) },
    { tool: "cidery", text: cidery(call, write(input)) },
  ];
}

const isTls = () => location.protocol === "https:";
const node = () => (isTls() ? location.origin : location.host);

/** @param {string} text one word of a shell */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {Call} call
 * @param {string} input
 */
function curl(call, input) {
  const query = [call.isAsync ? "async" : "", call.timeout ? `timeout=${encodeURIComponent(call.timeout)}` : ""];
  const given = query.filter((part) => part !== "").join("&");
  const url = `${location.origin}/invoke/${call.service}${given ? `?${given}` : ""}`;
  const words = [`curl ${given ? quote(url) : url}`, `--json ${quote(input)}`];
  if (call.idempotencyKey) words.push(`-H ${quote(`idempotency-key: "${call.idempotencyKey}"`)}`);
  if (call.needsKey) words.push(`-H "authorization: Bearer ${TOKEN}"`);
  return words.join(" \\\n  ");
}

/**
 * @param {Call} call
 * @param {JsonValue} input
 * @param {string | undefined} typed such as `customer.Service/Get`
 */
function grpcurl(call, input, typed) {
  const isTyped = typed && input instanceof Map && !call.isAsync && !call.timeout && !call.idempotencyKey;
  const message = new Map(/** @type {[string, JsonValue][]} */ ([["service", call.service]]));
  message.set(input instanceof Map ? "payload" : "value", input);
  if (call.timeout) message.set("timeout", call.timeout);
  if (call.idempotencyKey) message.set("idempotencyKey", call.idempotencyKey);
  const path = isTyped ? typed : `cidery.v1.InvocationService/${call.isAsync ? "InvokeAsync" : "Invoke"}`;
  const words = [`grpcurl${isTls() ? "" : " -plaintext"}`];
  if (call.needsKey) words.push(`-H "authorization: Bearer ${TOKEN}"`);
  words.push(`-d ${quote(write(isTyped ? input : message))}`, `${location.host} ${path}`);
  return words.join(" \\\n  ");
}

/**
 * @param {Call} call
 * @param {JsonValue} input
 */
function python(call, input) {
  const options = [quoted(call.service), literal(input)];
  if (call.timeout) options.push(`timeout=${Number.parseFloat(call.timeout)}`);
  if (call.idempotencyKey) options.push(`idempotency_key=${quoted(call.idempotencyKey)}`);
  const method = call.isAsync ? "invoke_async" : "invoke";
  const body = `with Client(${quoted(node())}) as client:\n    print(client.${method}(${options.join(", ")}))`;
  return `from cidery import Client\n\n${body}`;
}

const quoted = (/** @type {string} */ text) => JSON.stringify(text);

/**
 * @param {JsonValue} value
 * @returns {string}
 */
function literal(value) {
  if (value === null) return "None";
  if (value === true || value === false) return value ? "True" : "False";
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([key, item]) => `${quoted(key)}: ${literal(item)}`).join(", ")}}`;
  }
  return quoted(value);
}

/**
 * @param {Call} call
 * @param {string} input
 */
function cidery(call, input) {
  const words = [`cidery invoke ${call.service} --node ${node()} --json ${quote(input)}`];
  if (call.isAsync) words.push("--async");
  if (call.timeout) words.push(`${call.isAsync ? "--attempt-timeout" : "--timeout"} ${call.timeout}`);
  if (call.idempotencyKey) words.push(`--idempotency-key ${quote(call.idempotencyKey)}`);
  return words.join(" \\\n  ");
}
