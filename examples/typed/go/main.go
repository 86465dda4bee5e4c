// A Go client with generated types. docs/typed-clients.md explains it.
//
// Usage: go run . ADDRESS, of a node that serves the demo services.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	cideryv1pb "example.com/typed/stubs/cidery/v1"
	customerpb "example.com/typed/stubs/customer"
	demopb "example.com/typed/stubs/demo"
)

// result waits for the outcome of a background call, until the deadline of ctx: its response, or its failure as the
// error of a gRPC call.
func result(
	ctx context.Context, invocations cideryv1pb.InvocationServiceClient, cid string, response proto.Message,
) error {
	request := &cideryv1pb.GetInvocationRequest{Cid: cid, Wait: durationpb.New(10 * time.Second), Typed: true}
	for {
		found, err := invocations.GetInvocation(ctx, request)
		if err != nil {
			return err
		}
		outcome := found.GetInvocation().GetOutcome()
		if failure := outcome.GetFailure(); failure != nil {
			return status.ErrorProto(&spb.Status{
				Code:    int32(failure.GetCode()),
				Message: failure.GetMessage(),
				Details: failure.GetDetails(),
			})
		}
		if outcome != nil {
			return outcome.GetTyped().UnmarshalTo(response)
		}
	}
}

// follow prints the items and the progress of an invocation that come after a sequence, and returns the sequence of the
// last event. It stops after `limit` items.
func follow(
	ctx context.Context, invocations cideryv1pb.InvocationServiceClient, cid string, after uint64, limit int,
) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &cideryv1pb.StreamResultsRequest{Cids: []string{cid}, AfterSequences: map[string]uint64{cid: after}}
	stream, err := invocations.StreamResults(ctx, request)
	if err != nil {
		return after, err
	}
	for limit > 0 {
		event, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return after, err
		}
		if event.GetSequence() > 0 {
			after = event.GetSequence()
		}
		switch what := event.GetEvent().(type) {
		case *cideryv1pb.StreamResultsResponse_Item:
			limit--
			fmt.Println("item", what.Item.GetPayload().AsMap()["n"])
		case *cideryv1pb.StreamResultsResponse_Progress:
			fmt.Fprintln(os.Stderr, "progress", what.Progress.GetProgress().GetFraction())
		}
	}
	return after, nil
}

// report prints a failure: code, reason, message, and each invalid field.
func report(err error) {
	failed := status.Convert(err)
	reason, violations := "", []*errdetails.BadRequest_FieldViolation{}
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = detail.GetReason()
		case *errdetails.BadRequest:
			violations = detail.GetFieldViolations()
		}
	}
	fmt.Printf("%v %s: %s\n", failed.Code(), reason, failed.Message())
	for _, violation := range violations {
		fmt.Println(" ", violation.GetField(), violation.GetReason())
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . ADDRESS")
	}
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	must(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	invocations := cideryv1pb.NewInvocationServiceClient(connection)
	demos := demopb.NewServiceClient(connection)

	customers := customerpb.NewServiceClient(connection)
	request := &customerpb.GetRequest{CustId: proto.Int64(1)}
	customer, err := customers.Get(ctx, request)
	must(err)
	fmt.Println(customer.GetCustId(), customer.GetCustName())

	// In the background, once: a repeated call with the same key returns the first CID.
	keyed := metadata.AppendToOutgoingContext(ctx, "cidery-idempotency-key", "example-go")
	background := &customerpb.GetAsyncRequest{CustId: proto.Int64(1)}
	accepted, err := customers.GetAsync(keyed, background)
	must(err)
	again, err := customers.GetAsync(keyed, background)
	must(err)
	fmt.Println("accepted once:", accepted.GetCid() == again.GetCid())

	customer = new(customerpb.GetResponse)
	must(result(ctx, invocations, accepted.GetCid(), customer))
	fmt.Println(customer.GetCustId(), customer.GetCustName())

	_, err = customers.Get(ctx, &customerpb.GetRequest{})
	report(err)

	// The node ends the call, and so can say why.
	limited := metadata.AppendToOutgoingContext(ctx, "cidery-timeout", "100ms")
	_, err = demos.Sleep(limited, &demopb.SleepRequest{Seconds: proto.Float64(60)})
	report(err)

	gone := &demopb.FailAsyncRequest{Code: proto.String("NOT_FOUND"), Message: proto.String("gone")}
	failing, err := demos.FailAsync(ctx, gone)
	must(err)
	report(result(ctx, invocations, failing.GetCid(), new(demopb.FailResponse)))

	// The events of a call. A stream that breaks, here after one item, is resumed after the last event.
	counting, err := demos.CountAsync(ctx, &demopb.CountAsyncRequest{To: proto.Int64(3)})
	must(err)
	seen, err := follow(ctx, invocations, counting.GetCid(), 0, 1)
	must(err)
	_, err = follow(ctx, invocations, counting.GetCid(), seen, math.MaxInt)
	must(err)

	// More than 4 MiB.
	document := []byte(strconv.Quote(strings.Repeat("x", 5<<20)))
	echo := &cideryv1pb.InvokeRequest{Service: "cidery.echo", Input: &cideryv1pb.InvokeRequest_Document{Document: document}}
	large, err := invocations.Invoke(ctx, echo)
	must(err)
	fmt.Println(len(large.GetDocument()), "bytes")
}
