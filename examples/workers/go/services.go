// The services of the worker: go.echo, go.greet, go.fail and go.nested.
package main

import (
	"context"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	pb "example.com/worker/stubs/cidery/v1"
)

func declarations() []*pb.ServiceDeclaration {
	text := func(name string) *pb.Elements {
		return &pb.Elements{Elements: []*pb.Element{{Name: name, Type: pb.ElementType_ELEMENT_TYPE_TEXT}}}
	}
	return []*pb.ServiceDeclaration{
		{Name: "go.echo"}, {Name: "go.fail"}, {Name: "go.nested"},
		{Name: "go.greet", Sio: &pb.SimpleIo{Input: text("name"), Output: text("greeting")}},
	}
}

func handle(dispatch *pb.Dispatch, invocations pb.InvocationServiceClient) *pb.DispatchResult {
	result := &pb.DispatchResult{Token: dispatch.GetToken()}
	switch dispatch.GetService() {
	case "go.echo":
		result.DataFormat = dispatch.GetDataFormat()
		switch input := dispatch.GetInput().(type) {
		case *pb.Dispatch_Payload:
			result.Outcome = &pb.DispatchResult_Payload{Payload: input.Payload}
		case *pb.Dispatch_Value:
			result.Outcome = &pb.DispatchResult_Value{Value: input.Value}
		case *pb.Dispatch_Document:
			result.Outcome = &pb.DispatchResult_Document{Document: input.Document}
		}
	case "go.greet":
		greeting := "Hello, " + dispatch.GetPayload().GetFields()["name"].GetStringValue() + " from go"
		payload := must(structpb.NewStruct(map[string]any{"greeting": greeting}))
		result.Outcome = &pb.DispatchResult_Payload{Payload: payload}
	case "go.fail":
		failure := &pb.Failure{Code: 9, Reason: "GO_FAILED", Message: "failed on purpose"}
		result.Outcome = &pb.DispatchResult_Failure{Failure: failure}
	case "go.nested":
		// Invokes another service, with the token of the dispatch.
		ctx := metadata.AppendToOutgoingContext(context.Background(), "cidery-dispatch", dispatch.GetToken())
		input := &pb.InvokeRequest_Payload{Payload: must(structpb.NewStruct(map[string]any{"cust_id": 1}))}
		response, err := invocations.Invoke(ctx, &pb.InvokeRequest{Service: "customer.get", Input: input})
		result.Outcome = &pb.DispatchResult_Payload{Payload: response.GetPayload()}
		if err != nil {
			failure := &pb.Failure{Code: pb.Code_CODE_INTERNAL, Message: err.Error()}
			result.Outcome = &pb.DispatchResult_Failure{Failure: failure}
		}
	}
	return result
}
