// A worker on the code loaded from proto/: serves node.echo, node.greet, node.fail and node.nested.
"use strict";

const path = require("node:path");
const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const files = ["cidery/v1/worker.proto", "cidery/v1/invocation.proto"];
const options = { includeDirs: [path.join(__dirname, "../../../proto")], keepCase: true, oneofs: true, enums: String };
const { v1 } = grpc.loadPackageDefinition(protoLoader.loadSync(files, options)).cidery;
const workers = new v1.WorkerService(process.argv[2], grpc.credentials.createInsecure());
const invocations = new v1.InvocationService(process.argv[2], grpc.credentials.createInsecure());
const invoke = promisify(invocations.Invoke).bind(invocations);

const handlers = {
  // The oneof `input` names the field that is set.
  "node.echo": async ({ input, [input]: got, data_format }) => ({ [input]: got, data_format }),
  "node.greet": async ({ payload: { fields: { name } } }) =>
    ({ payload: { fields: { greeting: { stringValue: `Hello, ${name.stringValue} from node` } } } }),
  "node.fail": async () => ({ failure: { code: 9, reason: "NODE_FAILED", message: "failed on purpose" } }),
  // Invokes another service, with the token of the dispatch.
  "node.nested": async ({ token }) => {
    const request = { service: "customer.get", payload: { fields: { cust_id: { numberValue: 1 } } } };
    const metadata = new grpc.Metadata();
    metadata.set("cidery-dispatch", token);
    return { payload: (await invoke(request, metadata)).payload };
  },
};

const text = (name) => ({ elements: [{ name, type: "ELEMENT_TYPE_TEXT" }] });
const sio = { "node.greet": { input: text("name"), output: text("greeting") } };
const services = Object.keys(handlers).map((name) => ({ name, sio: sio[name] }));

// Serves until the stream ends, and connects again.
function serve() {
  const stream = workers.Serve();
  stream.on("data", async ({ dispatch }) => {
    if (!dispatch) return;
    const failed = (error) => ({ failure: { code: "CODE_INTERNAL", message: error.message } });
    const outcome = await handlers[dispatch.service](dispatch).catch(failed);
    stream.write({ result: { token: dispatch.token, ...outcome } });
  });
  stream.on("error", () => {}); // `status` follows.
  stream.on("status", ({ code, details }) => {
    if (code === grpc.status.INVALID_ARGUMENT || code === grpc.status.ALREADY_EXISTS) {
      console.error(details); // It would fail again.
      process.exit(1);
    }
    console.error("the stream ended:", grpc.status[code], details);
    setTimeout(serve, 500 + 500 * Math.random());
  });
  stream.write({ hello: { name: "node-example", services, max_in_flight: 100 } });
}

serve();
