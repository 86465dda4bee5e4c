// A JavaScript client that sends a plain object as a `google.protobuf.Struct`: prints the messages and
// the hints of the failures.
//
// Called with the folder of the .proto files and the address of a node that serves the demo services.
"use strict";

const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const [folder, address] = process.argv.slice(2);
const definition = protoLoader.loadSync("cidery/v1/invocation.proto", { keepCase: true, includeDirs: [folder] });
const { InvocationService } = grpc.loadPackageDefinition(definition).cidery.v1;
const client = new InvocationService(address, grpc.credentials.createInsecure());

async function main() {
  for (const method of ["Invoke", "InvokeAsync"]) {
    const call = promisify(client[method]).bind(client);
    for (const payload of [{ cust_id: 1 }, { fields: { cust: { numberValue: 1 } } }]) {
      await call({ service: "customer.get", payload }).catch((error) => {
        console.log(error.details);
        console.log(`hint: ${error.metadata.get("cidery-hint")}`);
      });
    }
  }
  client.close();
}

main();
