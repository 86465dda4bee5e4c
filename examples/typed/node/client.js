// A JavaScript client of typed methods. docs/typed-clients.md explains it.
//
// Usage: node client.js FOLDER ADDRESS, with the folder of the exported files and the address of a node that serves the
// demo services.
"use strict";

const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const [folder, address] = process.argv.slice(2);
if (!address) {
  console.error("usage: node client.js FOLDER ADDRESS");
  process.exit(2);
}
const files = ["customer/customer.proto", "demo/demo.proto", "cidery/v1/invocation.proto"];
const errorFiles = ["google/rpc/status.proto", "google/rpc/error_details.proto"];
const definition = protoLoader.loadSync([...files, ...errorFiles], {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
  includeDirs: [folder],
});
const { customer, demo, cidery } = grpc.loadPackageDefinition(definition);
const credentials = grpc.credentials.createInsecure();
const channelOptions = { "grpc.max_receive_message_length": 16 << 20 };
const customers = new customer.Service(address, credentials, channelOptions);
const demos = new demo.Service(address, credentials, channelOptions);
const invocations = new cidery.v1.InvocationService(address, credentials, channelOptions);

// A call with options: metadata, and a deadline in `seconds`.
function call(client, method, request, options = {}, seconds = 30) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(options)) metadata.set(key, value);
  const deadline = Date.now() + seconds * 1000;
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// The failure of a background call, as the error of a synchronous one.
function toError({ code, message, details }) {
  const name = code.replace("CODE_", "");
  const status = { code: grpc.status[name], message, details };
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", definition["google.rpc.Status"].serialize(status));
  const error = new Error(`${status.code} ${name}: ${message}`);
  return Object.assign(error, { code: status.code, details: message, metadata });
}

// Waits for the outcome of a background call: its response as a message of this type, or the error of its failure.
async function result(cid, type) {
  for (;;) {
    const request = { cid, wait: { seconds: 10 }, typed: true };
    const { outcome } = (await call(invocations, "GetInvocation", request)).invocation;
    if (outcome?.failure) throw toError(outcome.failure);
    if (outcome) {
      if (!outcome.typed?.type_url.endsWith(`/${type}`)) throw new Error(`the outcome of ${cid} is no ${type}`);
      return definition[type].deserialize(outcome.typed.value);
    }
  }
}

// Prints the items and the progress of an invocation that come after a sequence, and returns the sequence of the last
// event. It stops after `limit` items.
async function follow(cid, after, limit = Infinity) {
  const request = { cids: [cid], after_sequences: { [cid]: after } };
  const deadline = Date.now() + 30_000;
  for await (const { sequence, event, [event]: what } of invocations.StreamResults(request, { deadline })) {
    if (sequence !== "0") after = sequence;
    if (event === "item") {
      console.log("item", what.payload.fields.n.numberValue);
      if (--limit === 0) break;
    } else if (event === "progress") {
      console.error("progress", what.progress.fraction);
    }
  }
  return after;
}

// Prints a failure: code, reason, message, and each invalid field.
function report(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const status = bytes && definition["google.rpc.Status"].deserialize(bytes);
  const found = {};
  for (const { type_url, value } of status?.details ?? []) {
    const type = type_url.split("/").pop();
    found[type] = definition[type]?.deserialize(value);
  }
  console.log(`${grpc.status[error.code]} ${found["google.rpc.ErrorInfo"]?.reason}: ${error.details}`);
  for (const { field, reason } of found["google.rpc.BadRequest"]?.field_violations ?? []) {
    console.log(" ", field, reason);
  }
}

async function main() {
  const request = { cust_id: 1 };
  const found = await call(customers, "Get", request);
  console.log(found.cust_id, found.cust_name);

  // In the background, once: a repeated call with the same key returns the first CID.
  const key = { "cidery-idempotency-key": "example-node" };
  const accepted = await call(customers, "GetAsync", request, key);
  const again = await call(customers, "GetAsync", request, key);
  console.log("accepted once:", accepted.cid === again.cid);

  const later = await result(accepted.cid, "customer.GetResponse");
  console.log(later.cust_id, later.cust_name);

  await call(customers, "Get", {}).catch(report);

  // The node ends the call, and so can say why.
  await call(demos, "Sleep", { seconds: 60 }, { "cidery-timeout": "100ms" }).catch(report);

  const failing = await call(demos, "FailAsync", { code: "NOT_FOUND", message: "gone" });
  await result(failing.cid, "demo.FailResponse").catch(report);

  // The events of a call. A stream that breaks, here after one item, is resumed after the last event.
  const counting = await call(demos, "CountAsync", { to: 3 });
  const seen = await follow(counting.cid, 0, 1);
  await follow(counting.cid, seen);

  // More than 4 MiB.
  const document = Buffer.from(JSON.stringify("x".repeat(5 << 20)));
  const large = await call(invocations, "Invoke", { service: "cidery.echo", document });
  console.log(large.document.length, "bytes");
}

main();
