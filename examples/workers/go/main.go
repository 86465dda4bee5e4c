// A worker on the code generated from proto/. Its services are in services.go.
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/worker/stubs/cidery/v1"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	connection := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	invocations := pb.NewInvocationServiceClient(connection)
	stream := must(pb.NewWorkerServiceClient(connection).Serve(context.Background()))
	hello := &pb.Hello{Name: "go-example", MaxInFlight: 100, Services: declarations()}
	// A failed Send is reported by Recv.
	_ = stream.Send(&pb.ServeRequest{Message: &pb.ServeRequest_Hello{Hello: hello}})
	var sending sync.Mutex // A stream must not be used by two senders at once.
	for {
		if dispatch := must(stream.Recv()).GetDispatch(); dispatch != nil {
			go func() {
				result := handle(dispatch, invocations)
				sending.Lock()
				defer sending.Unlock()
				_ = stream.Send(&pb.ServeRequest{Message: &pb.ServeRequest_Result{Result: result}})
			}()
		}
	}
}
