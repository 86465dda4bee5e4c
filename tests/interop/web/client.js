// Calls a node with generated code, over each protocol of a browser: node client.js URL
// The API key is in CIDERY_API_KEY.
import assert from "node:assert/strict";

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport as createNodeTransport,
  createGrpcWebTransport as createNodeGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

import { InvocationService } from "./cidery/v1/invocation_pb.js";
import { Service as Customer } from "./customer/customer_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "./google/rpc/error_details_pb.js";

const baseUrl = process.argv[2];

const authenticate = (next) => (request) => {
  request.header.set("authorization", `Bearer ${process.env.CIDERY_API_KEY}`);
  return next(request);
};
const options = { baseUrl, interceptors: [authenticate] };
const onNode = { ...options, httpVersion: "1.1" };

const transports = {
  "Connect, JSON": createConnectTransport({ ...options, useBinaryFormat: false }),
  "Connect, protobuf": createConnectTransport({ ...options, useBinaryFormat: true }),
  "gRPC-Web": createGrpcWebTransport(options),
  "Connect, JSON, Node": createNodeTransport({ ...onNode, useBinaryFormat: false }),
  "Connect, protobuf, HTTP/2, Node": createNodeTransport({ ...options, httpVersion: "2", useBinaryFormat: true }),
  "gRPC-Web, Node": createNodeGrpcWebTransport(onNode),
};

for (const [name, transport] of Object.entries(transports)) {
  const invocations = createClient(InvocationService, transport);
  const customer = createClient(Customer, transport);

  let header;
  const response = await invocations.invoke(
    { service: "customer.get", input: { case: "payload", value: { cust_id: 1 } } },
    { timeoutMs: 20_000, onHeader: (headers) => (header = headers) },
  );
  assert.equal(response.output.case, "payload");
  assert.equal(response.output.value.cust_name, "Alexis Smith");
  assert.equal(header.get("cidery-cid"), response.cid);

  const typed = await customer.get({ custId: 1n });
  assert.equal(typed.custName, "Alexis Smith");

  const { cid } = await invocations.invokeAsync({
    service: "demo.count",
    input: { case: "payload", value: { to: 3 } },
  });
  const items = [];
  for await (const event of invocations.streamResults({ cids: [cid] })) {
    if (event.event.case === "item") {
      items.push(event.sequence);
    }
  }
  assert.equal(items.length, 3);

  const failed = await invocations
    .invoke({ service: "customer.get", input: { case: "payload", value: { cust_id: "x" } } })
    .catch(ConnectError.from);
  assert.equal(failed.code, Code.InvalidArgument);
  const [info] = failed.findDetails(ErrorInfoSchema);
  assert.equal(info.reason, "INPUT_INVALID");
  const [bad] = failed.findDetails(BadRequestSchema);
  assert.equal(bad.fieldViolations[0].field, "/cust_id");
  assert.ok(failed.metadata.get("cidery-cid"));

  const wrong = async () => {
    for await (const _ of invocations.streamResults({ cids: [] })) {
      assert.fail("no event");
    }
  };
  const ended = await wrong().catch(ConnectError.from);
  assert.equal(ended.code, Code.InvalidArgument);
  assert.equal(ended.findDetails(ErrorInfoSchema)[0].reason, "REQUEST_INVALID");

  const late = await invocations
    .invoke({ service: "demo.sleep", input: { case: "payload", value: { seconds: 60 } } }, { timeoutMs: 50 })
    .catch(ConnectError.from);
  assert.equal(late.code, Code.DeadlineExceeded);
  console.log(name);
}
