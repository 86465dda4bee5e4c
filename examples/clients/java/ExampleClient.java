// A client made from nothing but proto/: invokes a service, to wait, in the background, or following its events.
//
// `run NODE SERVICE JSON sync|async|stream` starts it. A failure is `REASON CODE`, and the status 3.

import cidery.v1.Invocation.GetInvocationRequest;
import cidery.v1.Invocation.InvokeAsyncRequest;
import cidery.v1.Invocation.InvokeRequest;
import cidery.v1.Invocation.InvokeResponse;
import cidery.v1.Invocation.StreamResultsRequest;
import cidery.v1.Invocation.StreamResultsResponse;
import cidery.v1.InvocationServiceGrpc;
import cidery.v1.InvocationServiceGrpc.InvocationServiceBlockingStub;
import cidery.v1.OutcomeOuterClass.Failure;
import cidery.v1.OutcomeOuterClass.Invocation;
import cidery.v1.OutcomeOuterClass.Outcome;
import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Iterator;
import java.util.Locale;

public final class ExampleClient {
  private final InvocationServiceBlockingStub stub;
  private final String service;
  private final Struct payload;

  private ExampleClient(InvocationServiceBlockingStub stub, String service, String json)
      throws InvalidProtocolBufferException {
    Struct.Builder builder = Struct.newBuilder();
    JsonFormat.parser().merge(json, builder);
    this.stub = stub;
    this.service = service;
    this.payload = builder.build();
  }

  private static void fail(String reason, int code) {
    System.out.println(reason + " " + code);
    System.exit(3);
  }

  private static void fail(Failure failure) {
    fail(failure.getReason(), failure.getCodeValue());
  }

  /** Prints the payload of a response, an outcome or an event, as one line of JSON. */
  private static void show(MessageOrBuilder answer) throws InvalidProtocolBufferException {
    System.out.println(JsonFormat.printer().omittingInsignificantWhitespace().print(answer));
  }

  private void sync() throws InvalidProtocolBufferException {
    InvokeRequest request = InvokeRequest.newBuilder().setService(service).setPayload(payload).build();
    InvokeResponse response = stub.invoke(request);
    show(response.hasValue() ? response.getValue() : response.getPayload());
  }

  private String accepted() {
    InvokeAsyncRequest request = InvokeAsyncRequest.newBuilder().setService(service).setPayload(payload).build();
    return stub.invokeAsync(request).getCid();
  }

  private void async() throws InvalidProtocolBufferException {
    GetInvocationRequest request = GetInvocationRequest.newBuilder()
        .setCid(accepted())
        .setWait(Duration.newBuilder().setSeconds(30))
        .build();
    Invocation invocation;
    do {
      invocation = stub.getInvocation(request).getInvocation();
    } while (!invocation.hasOutcome());
    Outcome outcome = invocation.getOutcome();
    if (outcome.hasFailure()) {
      fail(outcome.getFailure());
    }
    show(outcome.hasValue() ? outcome.getValue() : outcome.getPayload());
  }

  private void stream() throws InvalidProtocolBufferException {
    StreamResultsRequest request = StreamResultsRequest.newBuilder().addCids(accepted()).build();
    Iterator<StreamResultsResponse> events = stub.streamResults(request);
    while (events.hasNext()) {
      StreamResultsResponse event = events.next();
      System.out.println(event.getEventCase().name().toLowerCase(Locale.ROOT));
      switch (event.getEventCase()) {
        case SUCCEEDED -> show(event.getSucceeded().hasValue()
            ? event.getSucceeded().getValue()
            : event.getSucceeded().getPayload());
        case FAILED -> fail(event.getFailed().getFailure());
        case CANCELLED -> fail(event.getCancelled().getFailure());
        case EXPIRED -> fail(event.getExpired().getFailure());
        default -> { }
      }
    }
  }

  public static void main(String[] args) throws Exception {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    try {
      ExampleClient client = new ExampleClient(InvocationServiceGrpc.newBlockingStub(channel), args[1], args[2]);
      switch (args[3]) {
        case "sync" -> client.sync();
        case "async" -> client.async();
        default -> client.stream();
      }
    } catch (StatusRuntimeException e) {
      // The reason is in the details of the status.
      for (Any detail : StatusProto.fromThrowable(e).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          fail(detail.unpack(ErrorInfo.class).getReason(), e.getStatus().getCode().value());
        }
      }
      throw e;
    } finally {
      channel.shutdownNow();
    }
  }
}
