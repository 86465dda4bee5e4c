// A client made from nothing but proto/: invokes a service, to wait, in the background, or following its events.
//
// `run NODE SERVICE JSON sync|async|stream` starts it. A failure is `REASON CODE`, and the status 3.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	pb "example.com/client/stubs/cidery/v1"
)

func fail(reason string, code int) {
	fmt.Println(reason, code)
	os.Exit(3)
}

// must ends the program where a call failed, with its reason out of the details of its status.
func must(err error) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			fail(info.GetReason(), int(status.Code(err)))
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}

// show prints the payload of a response, an outcome or an event, as one line of JSON.
func show(answer interface {
	GetPayload() *structpb.Struct
	GetValue() *structpb.Value
}) {
	var payload proto.Message = answer.GetPayload()
	if answer.GetValue() != nil {
		payload = answer.GetValue()
	}
	text, err := protojson.Marshal(payload)
	must(err)
	var line bytes.Buffer
	must(json.Compact(&line, text))
	fmt.Println(line.String())
}

func main() {
	ctx := context.Background()
	node, service, mode := os.Args[1], os.Args[2], os.Args[4]
	payload := new(structpb.Struct)
	must(protojson.Unmarshal([]byte(os.Args[3]), payload))
	connection, err := grpc.NewClient(node, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	invocations := pb.NewInvocationServiceClient(connection)

	if mode == "sync" {
		request := &pb.InvokeRequest{Service: service, Input: &pb.InvokeRequest_Payload{Payload: payload}}
		response, err := invocations.Invoke(ctx, request)
		must(err)
		show(response)
		return
	}
	request := &pb.InvokeAsyncRequest{Service: service, Input: &pb.InvokeAsyncRequest_Payload{Payload: payload}}
	accepted, err := invocations.InvokeAsync(ctx, request)
	must(err)
	if mode == "async" {
		wait(ctx, invocations, accepted.GetCid())
	} else {
		follow(ctx, invocations, accepted.GetCid())
	}
}

// wait waits for the outcome of an invocation.
func wait(ctx context.Context, invocations pb.InvocationServiceClient, cid string) {
	for {
		request := &pb.GetInvocationRequest{Cid: cid, Wait: &durationpb.Duration{Seconds: 30}}
		found, err := invocations.GetInvocation(ctx, request)
		must(err)
		outcome := found.GetInvocation().GetOutcome()
		if failure := outcome.GetFailure(); failure != nil {
			fail(failure.GetReason(), int(failure.GetCode()))
		}
		if outcome != nil {
			show(outcome)
			return
		}
	}
}

// follow shows the events of an invocation, from the first to the last.
func follow(ctx context.Context, invocations pb.InvocationServiceClient, cid string) {
	stream, err := invocations.StreamResults(ctx, &pb.StreamResultsRequest{Cids: []string{cid}})
	must(err)
	for {
		event, err := stream.Recv()
		if err == io.EOF {
			return
		}
		must(err)
		message := event.ProtoReflect()
		name := message.WhichOneof(message.Descriptor().Oneofs().ByName("event")).Name()
		fmt.Println(name)
		if succeeded := event.GetSucceeded(); succeeded != nil {
			show(succeeded)
		}
		for _, end := range []interface{ GetFailure() *pb.Failure }{
			event.GetFailed(), event.GetCancelled(), event.GetExpired(),
		} {
			if failure := end.GetFailure(); failure != nil {
				fail(failure.GetReason(), int(failure.GetCode()))
			}
		}
	}
}
