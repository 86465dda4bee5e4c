package main

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	pb "example.com/worker/stubs/cidery/v1"
)

func declarations() []*pb.ServiceDeclaration {
	integer := func(name string) *pb.Elements {
		return &pb.Elements{Elements: []*pb.Element{{Name: name, Type: pb.ElementType_ELEMENT_TYPE_INT}}}
	}
	return []*pb.ServiceDeclaration{
		{Name: "go.count", Sio: &pb.SimpleIo{Input: integer("to"), Output: integer("total")}},
	}
}

func dict(key string, number float64) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{key: structpb.NewNumberValue(number)}}
}

// Counts: an item for each number. It stops where its outcome is no longer needed.
func count(call *call) *pb.DispatchResult {
	result := &pb.DispatchResult{Token: call.GetToken()}
	to := call.GetPayload().GetFields()["to"].GetNumberValue()
	for number := 1.0; number <= to; number++ {
		select {
		case <-call.ctx.Done():
			failure := &pb.Failure{Code: pb.Code_CODE_CANCELLED, Message: "cancelled"}
			result.Outcome = &pb.DispatchResult_Failure{Failure: failure}
			return result
		case <-time.After(50 * time.Millisecond):
		}
		call.emit(dict("number", number))
		call.progress(fmt.Sprintf("%v of %v", number, to))
	}
	result.Outcome = &pb.DispatchResult_Payload{Payload: dict("total", to)}
	return result
}

func (c *call) emit(item *structpb.Struct) {
	c.worker.Lock()
	defer c.worker.Unlock()
	message := &pb.DispatchItem{
		Token: c.GetToken(), Item: &pb.DispatchItem_Payload{Payload: item}, Number: uint32(len(c.items) + 1),
	}
	c.items = append(c.items, &pb.ServeRequest{Message: &pb.ServeRequest_Item{Item: message}})
	c.worker.send(c.items[len(c.items)-1])
}

func (c *call) progress(text string) {
	c.worker.Lock()
	defer c.worker.Unlock()
	message := &pb.DispatchProgress{Token: c.GetToken(), Progress: &pb.Progress{Message: text}}
	c.worker.send(&pb.ServeRequest{Message: &pb.ServeRequest_Progress{Progress: message}})
}
