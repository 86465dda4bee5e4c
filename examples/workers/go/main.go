// A worker on the code generated from proto/. Its services are in services.go.
package main

import (
	"context"
	"log"
	"math/rand"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

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
	for {
		err := serve(connection)
		if code := status.Code(err); code == codes.InvalidArgument || code == codes.AlreadyExists {
			log.Fatal(err) // It would fail again.
		}
		log.Print("the stream ended: ", err)
		time.Sleep(time.Duration(500+rand.Intn(500)) * time.Millisecond)
	}
}

// Serves until the stream ends.
func serve(connection *grpc.ClientConn) error {
	invocations := pb.NewInvocationServiceClient(connection)
	stream, err := pb.NewWorkerServiceClient(connection).Serve(context.Background())
	if err != nil {
		return err
	}
	hello := &pb.Hello{Name: "go-example", MaxInFlight: 100, Services: declarations()}
	// A failed Send is reported by Recv.
	_ = stream.Send(&pb.ServeRequest{Message: &pb.ServeRequest_Hello{Hello: hello}})
	var sending sync.Mutex // A stream must not be used by two senders at once.
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if dispatch := message.GetDispatch(); dispatch != nil {
			go func() {
				result := handle(dispatch, invocations)
				sending.Lock()
				defer sending.Unlock()
				_ = stream.Send(&pb.ServeRequest{Message: &pb.ServeRequest_Result{Result: result}})
			}()
		}
	}
}
