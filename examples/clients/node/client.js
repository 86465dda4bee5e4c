// A client made from nothing but proto/: invokes a service, to wait, in the background, or following its events.
//
// `run NODE SERVICE JSON sync|async|stream` starts it. A failure is `REASON CODE`, and the status 3.
"use strict";

const path = require("node:path");
const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const [address, service, json, mode] = process.argv.slice(2);
const includeDirs = ["proto", "third_party"].map((folder) => path.join(__dirname, "../../..", folder));
const options = { keepCase: true, oneofs: true, longs: String, includeDirs };
const files = ["cidery/v1/invocation.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"];
const definition = protoLoader.loadSync(files, options);
const { InvocationService } = grpc.loadPackageDefinition(definition).cidery.v1;
const client = new InvocationService(address, grpc.credentials.createInsecure());
const [invoke, invokeAsync, getInvocation] = ["Invoke", "InvokeAsync", "GetInvocation"].map((method) =>
  promisify(client[method]).bind(client));

// What JavaScript holds, as a `google.protobuf.Struct` or `Value`, and back.
const toStruct = (dict) => ({ fields: Object.fromEntries(Object.entries(dict).map(([k, v]) => [k, toValue(v)])) });
function toValue(value) {
  if (value === null) return { nullValue: 0 };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  if (typeof value === "object") return { structValue: toStruct(value) };
  if (typeof value === "boolean") return { boolValue: value };
  return typeof value === "number" ? { numberValue: value } : { stringValue: value };
}
const fromStruct = ({ fields = {} }) =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, fromValue(v)]));
function fromValue({ kind, [kind]: value }) {
  if (kind === "nullValue") return null;
  if (kind === "listValue") return (value.values ?? []).map(fromValue);
  return kind === "structValue" ? fromStruct(value) : value;
}

class Failed extends Error {
  constructor({ reason, code }) {
    super(`${reason} ${code}`);
  }
}

// Prints the payload of a response, an outcome or an event, as one line of JSON.
function show(answer) {
  if (answer.failure) throw new Failed(answer.failure);
  console.log(JSON.stringify(answer.payload ? fromStruct(answer.payload) : fromValue(answer.value)));
}

// The failure of a call, out of the details of its status.
function failure(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!bytes) return error;
  const status = definition["google.rpc.Status"].deserialize(bytes);
  const info = status.details.find(({ type_url }) => type_url.endsWith("/google.rpc.ErrorInfo"));
  const { reason } = definition["google.rpc.ErrorInfo"].deserialize(info.value);
  return new Failed({ reason, code: status.code });
}

async function main() {
  const request = { service, payload: toStruct(JSON.parse(json)) };
  if (mode === "sync") return show(await invoke(request));
  const { cid } = await invokeAsync(request);
  if (mode === "async") {
    for (;;) {
      const { invocation } = await getInvocation({ cid, wait: { seconds: 30 } });
      if (invocation.outcome) return show(invocation.outcome);
    }
  }
  for await (const { event, [event]: what } of client.StreamResults({ cids: [cid] })) {
    console.log(event);
    if (event === "succeeded" || what.failure) show(what);
  }
}

main().catch((error) => {
  const told = failure(error);
  if (!(told instanceof Failed)) throw told;
  console.log(told.message);
  process.exitCode = 3;
});
