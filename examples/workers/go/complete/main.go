// A complete worker on the code generated from proto/, without a Cidery library: serves go.count, which is in count.go.
//
// It cancels, reports progress, emits items, accepts batches, resumes its session after a lost stream, and drains on
// SIGTERM. It does not hand dispatches back: those that still run after the drain are lost, and the node runs
// asynchronous ones again. See docs/worker-protocol.md.
package main

import (
	"context"
	"io"
	"log"
	"math/rand"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "example.com/worker/stubs/cidery/v1"
)

const (
	maxMessageBytes = 17 << 20 // More than a node sends by default.
	drainTimeout    = 30 * time.Second
	// The backoff between streams, and of gRPC between connections, stays far below the lease of the session (20 s).
	minBackoff, maxBackoff = 100 * time.Millisecond, 5 * time.Second
)

// A dispatch that runs, or whose result the node has not acknowledged.
type call struct {
	*pb.Dispatch
	worker *worker
	ctx    context.Context // Done once the outcome is no longer needed.
	cancel context.CancelFunc
	items  []*pb.ServeRequest // Sent again after a lost stream: the node knows them by their numbers.
	result *pb.ServeRequest
}

// What the worker keeps over streams. The lock is held for each change, and while a message is sent.
type worker struct {
	sync.Mutex
	calls              map[string]*call // By token.
	session            string
	stream             pb.WorkerService_ServeClient // nil while the worker is not welcomed.
	drained, isStopped bool
	stopping           chan struct{} // Closed on SIGTERM.
}

func (w *worker) send(message *pb.ServeRequest) {
	if w.stream != nil { // Otherwise it is lost, or sent again when the worker is welcomed.
		_ = w.stream.Send(message) // A failed Send is reported by Recv.
	}
}

func (w *worker) isStopping() bool {
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

func (w *worker) hello() *pb.ServeRequest {
	w.Lock()
	defer w.Unlock()
	tokens := make([]string, 0, len(w.calls))
	for token := range w.calls {
		tokens = append(tokens, token)
	}
	capabilities := []pb.Capability{
		pb.Capability_CAPABILITY_RESUME, pb.Capability_CAPABILITY_CANCEL, pb.Capability_CAPABILITY_DRAIN,
		pb.Capability_CAPABILITY_BATCHING,
	}
	return &pb.ServeRequest{Message: &pb.ServeRequest_Hello{Hello: &pb.Hello{
		Name: "go-complete", Services: declarations(), MaxInFlight: 100, Capabilities: capabilities,
		MaxMessageBytes: maxMessageBytes, Session: w.session, Tokens: tokens,
	}}}
}

// Serves until the stream ends.
func (w *worker) serve(connection *grpc.ClientConn, welcomed func()) error {
	stream, err := pb.NewWorkerServiceClient(connection).Serve(context.Background())
	if err != nil {
		return err
	}
	_ = stream.Send(w.hello())
	defer w.disconnected()
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if message.GetWelcome() != nil {
			welcomed()
		}
		w.receive(message, stream)
	}
}

func (w *worker) disconnected() {
	w.Lock()
	defer w.Unlock()
	w.stream = nil
}

func (w *worker) receive(message *pb.ServeResponse, stream pb.WorkerService_ServeClient) {
	w.Lock()
	defer w.Unlock()
	for _, dispatch := range message.GetDispatches() {
		w.start(dispatch)
	}
	switch message := message.GetMessage().(type) {
	case *pb.ServeResponse_Welcome:
		w.welcomed(message.Welcome, stream)
	case *pb.ServeResponse_Dispatch:
		w.start(message.Dispatch)
	case *pb.ServeResponse_Cancel:
		if call := w.calls[message.Cancel.GetToken()]; call != nil {
			call.cancel()
		}
	case *pb.ServeResponse_Received:
		w.forgetResults(message.Received.GetTokens()...)
	case *pb.ServeResponse_Refused:
		w.forgetResults(message.Refused.GetToken())
	case *pb.ServeResponse_Drained:
		w.drained = true
	}
	// After the node's `drain` nothing changes here: calls end on this stream, which the node then closes.
}

// Keeps what the node still knows, and sends again what it may not have received.
func (w *worker) welcomed(welcome *pb.Welcome, stream pb.WorkerService_ServeClient) {
	w.session, w.stream, w.drained = welcome.GetSession(), stream, false
	valid := map[string]bool{}
	for _, token := range welcome.GetTokens() {
		valid[token] = true
	}
	for token, call := range w.calls {
		if !valid[token] {
			call.cancel()
			delete(w.calls, token)
			continue
		}
		for _, item := range call.items {
			w.send(item)
		}
		if call.result != nil {
			w.send(call.result)
		}
	}
	if w.isStopping() {
		w.sendDrain()
	}
}

// A call that runs goes on: only its progress or an item was refused.
func (w *worker) forgetResults(tokens ...string) {
	for _, token := range tokens {
		if call := w.calls[token]; call != nil && call.result != nil {
			delete(w.calls, token)
		}
	}
}

func (w *worker) start(dispatch *pb.Dispatch) {
	if w.calls[dispatch.GetToken()] != nil {
		return // A repetition.
	}
	ctx, cancel := context.WithCancel(context.Background())
	call := &call{Dispatch: dispatch, worker: w, ctx: ctx, cancel: cancel}
	w.calls[dispatch.GetToken()] = call
	go func() {
		defer cancel()
		result := count(call)
		w.Lock()
		defer w.Unlock()
		if w.calls[dispatch.GetToken()] == call { // Otherwise its token is void.
			call.result = &pb.ServeRequest{Message: &pb.ServeRequest_Result{Result: result}}
			w.send(call.result)
		}
	}()
}

func (w *worker) sendDrain() {
	w.send(&pb.ServeRequest{Message: &pb.ServeRequest_Drain{Drain: &pb.WorkerDrain{}}})
}

// On SIGTERM: finishes the calls, and waits until the node has their results.
func (w *worker) drain(signals <-chan os.Signal) {
	<-signals
	w.Lock()
	close(w.stopping)
	w.sendDrain()
	w.Unlock()
	for end := time.Now().Add(drainTimeout); !w.isIdle() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	w.Lock()
	defer w.Unlock()
	w.isStopped = true
	if w.stream == nil {
		os.Exit(0)
	}
	_ = w.stream.CloseSend() // The node then closes its side.
}

func (w *worker) isIdle() bool {
	w.Lock()
	defer w.Unlock()
	return len(w.calls) == 0 && (w.drained || w.stream == nil)
}

func main() {
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A node whose machine is gone sends no reset: PINGs notice it.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: maxBackoff, Backoff: backoff.Config{
			BaseDelay: minBackoff, Multiplier: 2, Jitter: 0.2, MaxDelay: maxBackoff,
		}}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)))
	if err != nil {
		log.Fatal(err)
	}
	w := &worker{calls: map[string]*call{}, stopping: make(chan struct{})}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go w.drain(signals)
	for delay := minBackoff; ; delay = min(delay*2, maxBackoff) {
		err := w.serve(connection, func() { delay = minBackoff })
		w.Lock()
		if w.isStopped {
			return
		}
		switch code := status.Code(err); {
		case err == io.EOF:
		case code == codes.InvalidArgument && w.session != "": // The session is refused: a new one.
			w.welcomed(&pb.Welcome{}, nil)
		case code == codes.InvalidArgument, code == codes.AlreadyExists, code == codes.Unimplemented:
			log.Fatal(err) // It would fail again.
		}
		w.Unlock()
		log.Print("the stream ended: ", err)
		time.Sleep(delay/2 + time.Duration(rand.Int63n(int64(delay/2))))
	}
}
