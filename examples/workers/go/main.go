// A worker made from nothing but proto/: serves go.echo, go.greet, go.fail and go.nested.
//
// Run with `go run . NODE_ADDRESS`; examples/README.md says how the stubs are made.
package main

import (
	"context"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	pb "example.com/worker/stubs/cidery/v1"
)

var invocations pb.InvocationServiceClient

// dict answers with a dict.
func dict(result *pb.DispatchResult, payload *structpb.Struct) {
	result.Outcome = &pb.DispatchResult_Payload{Payload: payload}
}

// echo answers with what it got, as it is.
func echo(dispatch *pb.Dispatch, result *pb.DispatchResult) error {
	if value, ok := dispatch.GetInput().(*pb.Dispatch_Value); ok {
		result.Outcome = &pb.DispatchResult_Value{Value: value.Value}
	} else {
		dict(result, dispatch.GetPayload())
	}
	return nil
}

func greet(dispatch *pb.Dispatch, result *pb.DispatchResult) error {
	greeting := "Hello, " + dispatch.GetPayload().GetFields()["name"].GetStringValue() + " from go"
	dict(result, &structpb.Struct{Fields: map[string]*structpb.Value{"greeting": structpb.NewStringValue(greeting)}})
	return nil
}

func fail(_ *pb.Dispatch, result *pb.DispatchResult) error {
	failure := &pb.Failure{Code: 9, Reason: "GO_FAILED", Message: "failed as it was told"}
	result.Outcome = &pb.DispatchResult_Failure{Failure: failure}
	return nil
}

// nested invokes another service: the token says on whose behalf.
func nested(dispatch *pb.Dispatch, result *pb.DispatchResult) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "cidery-dispatch", dispatch.GetToken())
	payload := &structpb.Struct{Fields: map[string]*structpb.Value{"cust_id": structpb.NewNumberValue(1)}}
	request := &pb.InvokeRequest{Service: "customer.get", Input: &pb.InvokeRequest_Payload{Payload: payload}}
	response, err := invocations.Invoke(ctx, request)
	dict(result, response.GetPayload())
	return err
}

var handlers = map[string]func(*pb.Dispatch, *pb.DispatchResult) error{
	"go.echo": echo, "go.greet": greet, "go.fail": fail, "go.nested": nested,
}

func handle(dispatch *pb.Dispatch, out chan<- *pb.DispatchResult) {
	result := &pb.DispatchResult{Token: dispatch.GetToken()}
	if err := handlers[dispatch.GetService()](dispatch, result); err != nil {
		failure := &pb.Failure{Code: pb.Code_CODE_INTERNAL, Message: err.Error()}
		result.Outcome = &pb.DispatchResult_Failure{Failure: failure}
	}
	out <- result
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func text(name string) *pb.Elements {
	return &pb.Elements{Elements: []*pb.Element{{Name: name, Type: pb.ElementType_ELEMENT_TYPE_TEXT}}}
}

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	invocations = pb.NewInvocationServiceClient(connection)
	stream, err := pb.NewWorkerServiceClient(connection).Serve(context.Background())
	must(err)
	hello := &pb.Hello{Name: "go-example", MaxInFlight: 100, Services: []*pb.ServiceDeclaration{
		{Name: "go.echo"}, {Name: "go.fail"}, {Name: "go.nested"},
		{Name: "go.greet", Sio: &pb.SimpleIo{Input: text("name"), Output: text("greeting")}},
	}}
	must(stream.Send(&pb.ServeRequest{Message: &pb.ServeRequest_Hello{Hello: hello}}))
	// One goroutine sends: a stream takes no two messages at once.
	out := make(chan *pb.DispatchResult)
	go func() {
		for result := range out {
			_ = stream.Send(&pb.ServeRequest{Message: &pb.ServeRequest_Result{Result: result}})
		}
	}()
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return
		}
		must(err)
		if dispatch := message.GetDispatch(); dispatch != nil {
			go handle(dispatch, out)
		}
	}
}
