// A client made from nothing but proto/: invokes a service, to wait, in the background, or following its events.
//
// `run NODE SERVICE JSON sync|async|stream [SECONDS]` starts it; it ends after 60 seconds by default. The response goes
// to standard output, all else to standard error. The status after a failure is 3.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const [address, service, json, mode, seconds = 60] = process.argv.slice(2);
const includeDirs = ["proto", "third_party"].map((folder) => path.join(__dirname, "../../..", folder));
const options = { keepCase: true, oneofs: true, longs: String, enums: String, includeDirs };
const files = ["cidery/v1/invocation.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"];
const definition = protoLoader.loadSync(files, options);
const { InvocationService } = grpc.loadPackageDefinition(definition).cidery.v1;
// With TLS to `https://HOST:PORT`: `CIDERY_CA` names the file with the CA of the node, beside those that Node.js brings,
// and the key in `CIDERY_API_KEY` is sent with each call.
function credentials() {
  if (!address.startsWith("https://")) return grpc.credentials.createInsecure();
  const tls = grpc.credentials.createSsl(process.env.CIDERY_CA && fs.readFileSync(process.env.CIDERY_CA));
  const key = process.env.CIDERY_API_KEY;
  if (!key) return tls;
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const ofCall = grpc.credentials.createFromMetadataGenerator((_, done) => done(null, metadata));
  return grpc.credentials.combineChannelCredentials(tls, ofCall);
}
const client = new InvocationService(address.replace("https://", ""), credentials());
const deadline = Date.now() + seconds * 1000;

// One call of a method, all calls with the same deadline.
const call = (method, request) =>
  new Promise((resolve, reject) =>
    client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response))));

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
  constructor({ code, reason, message, details = [] }) {
    super(summary({ code, reason, message }));
    this.details = details;
  }
}

// A failure in one line. Failures of the client's own library have no reason.
const summary = ({ code, reason, message }) =>
  `${code.replace("CODE_", "")}${reason ? ` ${reason}` : ""}: ${message}`;

// The failure of a call, out of the details of its status.
function failure(error) {
  if (error.code === undefined) throw error;
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const details = bytes ? definition["google.rpc.Status"].deserialize(bytes).details : [];
  const info = details.find(({ type_url }) => type_url.endsWith("/google.rpc.ErrorInfo"));
  const { reason } = info ? definition["google.rpc.ErrorInfo"].deserialize(info.value) : {};
  return new Failed({ code: grpc.status[error.code], reason, message: error.details, details });
}

// A detail of a failure. Handlers may send types that this program does not know.
function detailText({ type_url, value }) {
  const type = type_url.split("/").pop();
  const known = definition[type];
  return known ? `${type} ${JSON.stringify(known.deserialize(value))}` : type;
}

// Prints the payload of a response, an outcome or an event, as one line of JSON.
function show(answer) {
  if (answer.failure) throw new Failed(answer.failure);
  console.log(JSON.stringify(answer.payload ? fromStruct(answer.payload) : fromValue(answer.value)));
}

// Waits for the outcome of an invocation, and prints its state when that changes.
async function wait(cid) {
  for (let before; ; ) {
    const { invocation } = await call("GetInvocation", { cid, wait: { seconds: 1 } });
    const { state, attempt = 0, last_failure, outcome } = invocation;
    if (outcome) return show(outcome);
    const now = `${state}, attempt ${attempt}${last_failure ? ` after ${summary(last_failure)}` : ""}`;
    if (now !== before) console.error(now);
    before = now;
  }
}

// Shows the events of an invocation, from the first to the last.
async function follow(cid) {
  for await (const { event, [event]: what, attempt } of client.StreamResults({ cids: [cid] }, { deadline })) {
    console.log(event);
    if (event === "item") {
      show(what);
    } else if (event === "progress") {
      const { fraction, message = "" } = what.progress;
      console.error(`progress ${fraction ?? ""} ${message}`);
    } else if (event === "retry_scheduled") {
      const next = new Date(what.start_time.seconds * 1000).toISOString();
      console.error(`attempt ${attempt}: ${summary(what.failure)}; next at ${next}`);
    } else if (event === "succeeded" || what.failure) {
      show(what);
    }
  }
}

async function main() {
  const request = { service, payload: toStruct(JSON.parse(json)) };
  if (mode === "sync") return show(await call("Invoke", request));
  const { cid } = await call("InvokeAsync", request);
  // Where this program gives up, `cidery result CID` has the outcome later.
  console.error("accepted", cid);
  await (mode === "async" ? wait(cid) : follow(cid));
}

main().catch((error) => {
  const failed = error instanceof Failed ? error : failure(error);
  console.error(failed.message);
  for (const detail of failed.details) console.error(" ", detailText(detail));
  process.exitCode = 3;
});
