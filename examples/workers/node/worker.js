// A worker made from nothing but proto/: serves node.echo, node.greet, node.fail and node.nested.
//
// Run with `NODE_PATH=$CIDERY_NODE_MODULES node worker.js NODE_ADDRESS`. It reads this repository's proto/.
"use strict";

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const address = process.argv[2];
const protos = path.join(__dirname, "../../../proto");
const files = ["cidery/v1/worker.proto", "cidery/v1/invocation.proto"];
const options = { includeDirs: [protos], keepCase: true, oneofs: true, enums: String, longs: String };
const { v1 } = grpc.loadPackageDefinition(protoLoader.loadSync(files, options)).cidery;
const workers = new v1.WorkerService(address, grpc.credentials.createInsecure());
const invocations = new v1.InvocationService(address, grpc.credentials.createInsecure());

const text = (name) => ({ elements: [{ name, type: "ELEMENT_TYPE_TEXT" }] });
const services = [
  { name: "node.echo" },
  { name: "node.greet", sio: { input: text("name"), output: text("greeting") } },
  { name: "node.fail" },
  { name: "node.nested" },
];

const handlers = {
  // Answers with what it got, as it is: `input` names the field that is set.
  "node.echo": async ({ input, [input]: got }) => ({ [input]: got }),
  "node.greet": async ({ payload }) => {
    const greeting = `Hello, ${payload.fields.name.stringValue} from node`;
    return { payload: { fields: { greeting: { stringValue: greeting } } } };
  },
  "node.fail": async () => ({ failure: { code: 9, reason: "NODE_FAILED", message: "failed as it was told" } }),
  // Invokes another service: the token says on whose behalf.
  "node.nested": ({ token }) => new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata();
    metadata.set("cidery-dispatch", token);
    const request = { service: "customer.get", payload: { fields: { cust_id: { numberValue: 1 } } } };
    invocations.Invoke(request, metadata, (error, response) =>
      error ? reject(error) : resolve({ [response.output]: response[response.output] }));
  }),
};

const stream = workers.Serve();
stream.on("data", async ({ dispatch }) => {
  if (!dispatch) return;
  const failed = (error) => ({ failure: { code: "CODE_INTERNAL", message: error.message } });
  const outcome = await handlers[dispatch.service](dispatch).catch(failed);
  stream.write({ result: { token: dispatch.token, ...outcome } });
});
stream.on("end", () => stream.end());
stream.on("status", ({ code, details }) => {
  if (code !== grpc.status.OK) console.error(details);
  process.exit(code === grpc.status.OK ? 0 : 1);
});
stream.on("error", () => {}); // Said by its status.
stream.write({ hello: { name: "node-example", services, max_in_flight: 100 } });
