// A Go client with types that `cidery export proto` wrote: calls typed methods, to wait and in the background, and
// reads their failures.
//
// Called with the address of a node that serves the demo services.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ciderypb "example.com/client/stubs/cidery/v1"
	customerpb "example.com/client/stubs/customer"
	invokingpb "example.com/client/stubs/invoking"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func check(holds bool, what ...any) {
	if !holds {
		log.Fatal(what...)
	}
}

// details finds the violations of a failure, and its reason.
func details(err error) (*errdetails.ErrorInfo, *errdetails.BadRequest) {
	var info *errdetails.ErrorInfo
	var bad *errdetails.BadRequest
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.BadRequest:
			bad = detail
		}
	}
	return info, bad
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer connection.Close()

	customers := customerpb.NewServiceClient(connection)
	var header metadata.MD
	customer, err := customers.Get(ctx, &customerpb.GetRequest{CustId: proto.Int64(1)}, grpc.Header(&header))
	must(err)
	check(customer.GetCustName() == "Alexis Smith" && customer.GetCustId() == 1, customer)
	check(len(header.Get("cidery-cid")) == 1, header)

	accepted, err := customers.GetAsync(ctx, &customerpb.GetAsyncRequest{CustId: proto.Int64(9007199254740993)})
	must(err)
	invocations := ciderypb.NewInvocationServiceClient(connection)
	stream, err := invocations.StreamResults(ctx, &ciderypb.StreamResultsRequest{Cids: []string{accepted.GetCid()}})
	must(err)
	for {
		event, err := stream.Recv()
		must(err)
		if done := event.GetSucceeded(); done != nil {
			// Beyond what a double holds: as text, digit for digit.
			id := done.GetPayload().GetFields()["cust_id"].GetStringValue()
			check(id == "9007199254740993", id)
			break
		}
	}

	_, err = customers.Get(ctx, &customerpb.GetRequest{})
	info, bad := details(err)
	check(info.GetReason() == "INPUT_INVALID", err)
	check(bad.GetFieldViolations()[0].GetField() == "/cust_id", bad)

	rows := make([]*customerpb.ImportRequest_Item, 100)
	for i := range rows {
		rows[i] = &customerpb.ImportRequest_Item{CustName: proto.String("A")}
	}
	_, err = customers.Import(ctx, &customerpb.ImportRequest{Items: rows})
	info, bad = details(err)
	check(info != nil && bad != nil, err)
	var omitted int
	_, err = fmt.Sscan(info.GetMetadata()["violations_omitted"], &omitted)
	must(err)
	check(len(bad.GetFieldViolations())+omitted == 100, len(bad.GetFieldViolations()), omitted)

	rows = []*customerpb.ImportRequest_Item{{
		CustId:   proto.Int64(7),
		CustName: proto.String("B"),
		Credit:   proto.String("0.1234567890123456789"),
	}}
	imported, err := customers.Import(ctx, &customerpb.ImportRequest{Items: rows})
	must(err)
	check(imported.GetItems()[0].GetCredit() == "0.1234567890123456789", imported)

	invoking := invokingpb.NewServiceClient(connection)
	answer, err := invoking.MyService2(ctx, &invokingpb.MyService2Request{CustomerId: proto.Int64(123)})
	must(err)
	check(answer.GetMyResponseElem().GetCustName().GetStringValue() == "Alexis Smith", answer)
}
