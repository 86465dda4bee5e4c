// The same call in other clients, ready to paste: `curl`, `grpcurl`, Python and the command line. Secrets are left out.

import { optionFields } from "./call_options.js";
import { JsonNumber, parse, write } from "./json_text.js";
import { masked } from "./sio.js";

/** @typedef {import("./json_text.js").JsonValue} JsonValue */
/**
 * @typedef {object} Call
 * @property {string} service
 * @property {string} input JSON
 * @property {boolean} isAsync
 * @property {import("./call_options.js").CallOptions} options
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
    { tool: "curl", text: curl(call, input) },
    { tool: "grpcurl", text: grpcurl(call, input, described.typedMethod) },
    { tool: "Python", text: python(call, input) },
    { tool: "cidery", text: cidery(call, write(input)) },
  ];
}

const isTls = () => location.protocol === "https:";
const node = () => (isTls() ? location.origin : location.host);

/** @param {string} text one word of a shell */
function quote(text) {
  if (/^[\w.:-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Headers that are not metadata: those of HTTP, of browsers and proxies, of credentials, and options of the call. */
const RESERVED = new RegExp(
  "^(accept|access-|authorization|cache-|cidery-|connection|content-|cookie|date|dnt|expect|forwarded|from|grpc-|" +
    "host|idempotency-key|if-|keep-alive|last-event-id|origin|pragma|prefer|priority|proxy-|range|referer|sec-|te$|" +
    "trace|trailer|transfer-|upgrade|user-agent|via|x-)",
);

/**
 * Whether an entry of metadata can be a header of HTTP.
 *
 * @param {[string, string]} entry
 */
function isHeader([key, value]) {
  return /^[a-z0-9._-]+$/.test(key) && !RESERVED.test(key) && /^([!-~]([ -~]*[!-~])?)?$/.test(value);
}

/**
 * @param {Call} call
 * @param {JsonValue} input
 */
function curl(call, input) {
  const { service, isAsync, options, needsKey } = call;
  const credential = needsKey ? [`-H "authorization: Bearer ${TOKEN}"`] : [];
  if (!options.metadata.every(isHeader)) {
    // Metadata of any other form is in the request of Connect.
    const url = `${location.origin}/${methodOf(call)}`;
    return [`curl ${url}`, `--json ${quote(write(messageOf(call, input)))}`, ...credential].join(" \\\n  ");
  }
  const parameters = {
    timeout: options.timeout,
    idempotency_key: options.idempotencyKey,
    ...(isAsync && {
      delay: options.delay,
      "retry_policy.max_attempts": options.maxAttempts,
      concurrency_key: options.concurrencyKey,
      on_exhausted: options.isHeld ? "hold" : "",
    }),
  };
  const given = Object.entries(parameters).filter(([, value]) => value);
  const query = [isAsync ? "async" : "", ...given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`)];
  const search = query.filter((part) => part !== "").join("&");
  const url = `${location.origin}/invoke/${service}${search ? `?${search}` : ""}`;
  const words = [`curl ${search ? quote(url) : url}`, `--json ${quote(write(input))}`];
  for (const [key, value] of options.metadata) words.push(`-H ${quote(value ? `${key}: ${value}` : `${key};`)}`);
  return [...words, ...credential].join(" \\\n  ");
}

/** @param {Call} call */
function methodOf({ isAsync }) {
  return `cidery.v1.InvocationService/${isAsync ? "InvokeAsync" : "Invoke"}`;
}

/**
 * The request of the contract.
 *
 * @param {Call} call
 * @param {JsonValue} input
 */
function messageOf({ service, isAsync, options }, input) {
  const fields = parse(JSON.stringify(optionFields(options, isAsync)));
  return new Map(
    /** @type {[string, JsonValue][]} */ ([
      ["service", service],
      [input instanceof Map ? "payload" : "value", input],
      ...(fields instanceof Map ? fields : []),
    ]),
  );
}

/**
 * @param {Call} call
 * @param {JsonValue} input
 * @param {string | undefined} typed such as `customer.Service/Get`
 */
function grpcurl(call, input, typed) {
  const hasOptions = Object.keys(optionFields(call.options, call.isAsync)).length > 0;
  const isTyped = typed && input instanceof Map && !call.isAsync && !hasOptions;
  const words = [`grpcurl${isTls() ? "" : " -plaintext"}`];
  if (call.needsKey) words.push(`-H "authorization: Bearer ${TOKEN}"`);
  const sent = write(isTyped ? input : messageOf(call, input));
  words.push(`-d ${quote(sent)}`, `${location.host} ${isTyped ? typed : methodOf(call)}`);
  return words.join(" \\\n  ");
}

/**
 * @param {Call} call
 * @param {JsonValue} input
 */
function python({ service, isAsync, options }, input) {
  const { timeout, idempotencyKey, metadata, delay, maxAttempts, concurrencyKey, isHeld } = options;
  const words = [quoted(service), literal(input)];
  if (timeout) words.push(`timeout=${secondsOf(timeout)}`);
  if (idempotencyKey) words.push(`idempotency_key=${quoted(idempotencyKey)}`);
  if (metadata.length > 0) words.push(`metadata=${literal(new Map(metadata))}`);
  if (isAsync && delay) words.push(`delay=${secondsOf(delay)}`);
  if (isAsync && maxAttempts) words.push(`retry_policy=RetryPolicy(max_attempts=${maxAttempts})`);
  if (isAsync && concurrencyKey) words.push(`concurrency_key=${quoted(concurrencyKey)}`);
  if (isAsync && isHeld) words.push('on_exhausted="hold"');
  const names = isAsync && maxAttempts ? "Client, RetryPolicy" : "Client";
  const method = isAsync ? "invoke_async" : "invoke";
  const called = `client.${method}(${words.join(", ")})`;
  return `from cidery import ${names}\n\nwith Client(${quoted(node())}) as client:\n    print(${called})`;
}

/**
 * A duration of the contract as a number of Python.
 *
 * @param {string} text
 */
function secondsOf(text) {
  return /^[\d.]+s$/.test(text) ? text.slice(0, -1) : quoted(text);
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
function cidery({ service, isAsync, options }, input) {
  const { timeout, idempotencyKey, metadata, delay, maxAttempts, concurrencyKey, isHeld } = options;
  const words = [`cidery invoke ${service} --node ${node()} --json ${quote(input)}`];
  if (isAsync) words.push("--async");
  if (timeout) words.push(`${isAsync ? "--attempt-timeout" : "--timeout"} ${quote(timeout)}`);
  if (idempotencyKey) words.push(`--idempotency-key ${quote(idempotencyKey)}`);
  for (const [key, value] of metadata) words.push(`--metadata ${quote(`${key}=${value}`)}`);
  if (isAsync && delay) words.push(`--delay ${quote(delay)}`);
  if (isAsync && maxAttempts) words.push(`--retry ${quote(maxAttempts)}`);
  if (isAsync && concurrencyKey) words.push(`--concurrency-key ${quote(concurrencyKey)}`);
  if (isAsync && isHeld) words.push("--hold");
  return words.join(" \\\n  ");
}
