// A client made from nothing but proto/: invokes a service, to wait, in the background, or following its events.
//
// `run NODE SERVICE JSON sync|async|stream [SECONDS]` starts it; it ends after 60 seconds by default. The response goes
// to standard output, all else to standard error. The status after a failure is 3.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	pb "example.com/client/stubs/cidery/v1"
)

// summary is a failure in one line. Failures of the client's own library have no reason.
func summary(failure *pb.Failure) string {
	code, reason := strings.TrimPrefix(failure.GetCode().String(), "CODE_"), failure.GetReason()
	if reason != "" {
		reason = " " + reason
	}
	return fmt.Sprintf("%s%s: %s", code, reason, failure.GetMessage())
}

// fail prints a failure with its details, and ends the program.
func fail(failure *pb.Failure) {
	fmt.Fprintln(os.Stderr, summary(failure))
	for _, detail := range failure.GetDetails() {
		text, err := line(detail)
		if err != nil { // A detail of the handler, whose type this program does not know.
			text = detail.GetTypeUrl()
		}
		fmt.Fprintln(os.Stderr, " ", text)
	}
	os.Exit(3)
}

// must ends the program where a call failed. The reason is in the details of its status.
func must(err error) {
	if err == nil {
		return
	}
	failed, isStatus := status.FromError(err)
	if !isStatus {
		log.Fatal(err)
	}
	failure := &pb.Failure{Code: pb.Code(failed.Code()), Message: failed.Message(), Details: failed.Proto().GetDetails()}
	for _, detail := range failed.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			failure.Reason = info.GetReason()
		}
	}
	fail(failure)
}

// line is a message as one line of JSON.
func line(message proto.Message) (string, error) {
	text, err := protojson.Marshal(message)
	if err != nil {
		return "", err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, text)
	return compact.String(), err
}

// show prints the payload of a response, an outcome or an event.
func show(answer interface {
	GetPayload() *structpb.Struct
	GetValue() *structpb.Value
}) {
	var payload proto.Message = answer.GetPayload()
	if answer.GetValue() != nil {
		payload = answer.GetValue()
	}
	text, err := line(payload)
	must(err)
	fmt.Println(text)
}

// bearer is an API key, which is sent with each call, and never without TLS.
type bearer string

func (key bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// connect opens a connection. With TLS to `https://HOST:PORT`: `CIDERY_CA` names the file with the CA of the node, and
// the key in `CIDERY_API_KEY` is sent with each call.
func connect(node string) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	address, isTLS := strings.CutPrefix(node, "https://")
	if ca := os.Getenv("CIDERY_CA"); isTLS && ca != "" {
		own, err := credentials.NewClientTLSFromFile(ca, "")
		if err != nil {
			return nil, err
		}
		security = own
	} else if isTLS {
		security = credentials.NewTLS(nil) // The CAs of the system.
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(security)}
	if key := os.Getenv("CIDERY_API_KEY"); isTLS && key != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(key)))
	}
	return grpc.NewClient(address, options...)
}

func main() {
	limit := time.Minute
	if len(os.Args) > 5 {
		seconds, err := time.ParseDuration(os.Args[5] + "s")
		must(err)
		limit = seconds
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	node, service, mode := os.Args[1], os.Args[2], os.Args[4]
	payload := new(structpb.Struct)
	must(protojson.Unmarshal([]byte(os.Args[3]), payload))
	connection, err := connect(node)
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
	// Where this program gives up, `cidery result CID` has the outcome later.
	fmt.Fprintln(os.Stderr, "accepted", accepted.GetCid())
	if mode == "async" {
		wait(ctx, invocations, accepted.GetCid())
	} else {
		follow(ctx, invocations, accepted.GetCid())
	}
}

// wait waits for the outcome of an invocation, and prints its state when that changes.
func wait(ctx context.Context, invocations pb.InvocationServiceClient, cid string) {
	request := &pb.GetInvocationRequest{Cid: cid, Wait: durationpb.New(time.Second)}
	for before := ""; ; {
		response, err := invocations.GetInvocation(ctx, request)
		must(err)
		invocation := response.GetInvocation()
		outcome := invocation.GetOutcome()
		if failure := outcome.GetFailure(); failure != nil {
			fail(failure)
		}
		if outcome != nil {
			show(outcome)
			return
		}
		state := fmt.Sprintf("%v, attempt %d", invocation.GetState(), invocation.GetAttempt())
		if failure := invocation.GetLastFailure(); failure != nil {
			state += " after " + summary(failure)
		}
		if state != before {
			fmt.Fprintln(os.Stderr, state)
		}
		before = state
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
		if item := event.GetItem(); item != nil {
			show(item)
		}
		if progress := event.GetProgress().GetProgress(); progress != nil {
			fmt.Fprintln(os.Stderr, "progress", progress.GetFraction(), progress.GetMessage())
		}
		if retry := event.GetRetryScheduled(); retry != nil {
			at := retry.GetStartTime().AsTime().Format(time.RFC3339)
			fmt.Fprintf(os.Stderr, "attempt %d: %s; next at %s\n", event.GetAttempt(), summary(retry.GetFailure()), at)
		}
		if succeeded := event.GetSucceeded(); succeeded != nil {
			show(succeeded)
		}
		for _, end := range []interface{ GetFailure() *pb.Failure }{
			event.GetFailed(), event.GetCancelled(), event.GetExpired(),
		} {
			if failure := end.GetFailure(); failure != nil {
				fail(failure)
			}
		}
	}
}
