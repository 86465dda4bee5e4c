// A Java client with generated types. docs/typed-clients.md explains it.
//
// Usage: java TypedClient ADDRESS, of a node that serves the demo services.

import com.example.cidery.v1.Failure;
import com.example.cidery.v1.GetInvocationRequest;
import com.example.cidery.v1.Invocation;
import com.example.cidery.v1.InvocationServiceGrpc;
import com.example.cidery.v1.InvocationServiceGrpc.InvocationServiceBlockingStub;
import com.example.cidery.v1.InvokeRequest;
import com.example.cidery.v1.StreamResultsRequest;
import com.example.cidery.v1.StreamResultsResponse;
import com.example.customer.GetAsyncRequest;
import com.example.customer.GetAsyncResponse;
import com.example.customer.GetRequest;
import com.example.customer.GetResponse;
import com.example.customer.ServiceGrpc;
import com.example.demo.CountAsyncRequest;
import com.example.demo.FailAsyncRequest;
import com.example.demo.FailResponse;
import com.example.demo.SleepRequest;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;

public final class TypedClient {
  /** A stub whose calls have an option. */
  private static <S extends AbstractStub<S>> S with(S stub, String option, String value) {
    Metadata headers = new Metadata();
    headers.put(Metadata.Key.of(option, Metadata.ASCII_STRING_MARSHALLER), value);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  /** Waits for the outcome of a background call, and returns its response. A failure is an exception. */
  private static <R extends Message> R result(InvocationServiceBlockingStub invocations, String cid, Class<R> response)
      throws InvalidProtocolBufferException {
    GetInvocationRequest request = GetInvocationRequest.newBuilder()
        .setCid(cid)
        .setWait(Duration.newBuilder().setSeconds(10))
        .setTyped(true)
        .build();
    Invocation invocation = invocations.getInvocation(request).getInvocation();
    while (!invocation.hasOutcome()) {
      invocation = invocations.getInvocation(request).getInvocation();
    }
    if (invocation.getOutcome().hasFailure()) {
      Failure failure = invocation.getOutcome().getFailure();
      throw StatusProto.toStatusRuntimeException(Status.newBuilder()
          .setCode(failure.getCodeValue())
          .setMessage(failure.getMessage())
          .addAllDetails(failure.getDetailsList())
          .build());
    }
    return invocation.getOutcome().getTyped().unpack(response);
  }

  /**
   * Prints the items and the progress of an invocation that come after a sequence, and returns the sequence of the last
   * event. Stops after `limit` items.
   */
  private static long follow(InvocationServiceBlockingStub invocations, String cid, long after, int limit)
      throws Exception {
    StreamResultsRequest request = StreamResultsRequest.newBuilder()
        .addCids(cid)
        .putAfterSequences(cid, after)
        .build();
    // Where it is left early, the stream is cancelled.
    try (var context = Context.current().withCancellation()) {
      Iterator<StreamResultsResponse> events = context.call(() -> invocations.streamResults(request));
      while (limit > 0 && events.hasNext()) {
        StreamResultsResponse event = events.next();
        if (event.getSequence() > 0) {
          after = event.getSequence();
        }
        if (event.hasItem()) {
          limit--;
          System.out.println("item " + (long) event.getItem().getPayload().getFieldsOrThrow("n").getNumberValue());
        } else if (event.hasProgress()) {
          System.err.println("progress " + event.getProgress().getProgress().getFraction());
        }
      }
    }
    return after;
  }

  /** Prints a failure: code, reason, message, and each invalid field. */
  private static void report(StatusRuntimeException e) throws InvalidProtocolBufferException {
    String reason = "";
    List<FieldViolation> violations = List.of();
    for (Any detail : StatusProto.fromThrowable(e).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        reason = detail.unpack(ErrorInfo.class).getReason();
      } else if (detail.is(BadRequest.class)) {
        violations = detail.unpack(BadRequest.class).getFieldViolationsList();
      }
    }
    System.out.println(e.getStatus().getCode() + " " + reason + ": " + e.getStatus().getDescription());
    for (FieldViolation violation : violations) {
      System.out.println("  " + violation.getField() + " " + violation.getReason());
    }
  }

  private static void run(ManagedChannel channel) throws Exception {
    var invocations = InvocationServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
    var demos = com.example.demo.ServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
    var customers = ServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
    GetRequest request = GetRequest.newBuilder().setCustId(1).build();
    GetResponse customer = customers.get(request);
    System.out.println(customer.getCustId() + " " + customer.getCustName());

    // In the background, once: a repeated call with the same key returns the first CID.
    var keyed = with(customers, "cidery-idempotency-key", "example-java");
    GetAsyncRequest background = GetAsyncRequest.newBuilder().setCustId(1).build();
    GetAsyncResponse accepted = keyed.getAsync(background);
    GetAsyncResponse again = keyed.getAsync(background);
    System.out.println("accepted once: " + accepted.getCid().equals(again.getCid()));

    GetResponse later = result(invocations, accepted.getCid(), GetResponse.class);
    System.out.println(later.getCustId() + " " + later.getCustName());

    try {
      customers.get(GetRequest.getDefaultInstance());
    } catch (StatusRuntimeException e) {
      report(e);
    }

    // The node ends the call, and so can say why.
    try {
      with(demos, "cidery-timeout", "100ms").sleep(SleepRequest.newBuilder().setSeconds(60).build());
    } catch (StatusRuntimeException e) {
      report(e);
    }

    FailAsyncRequest gone = FailAsyncRequest.newBuilder().setCode("NOT_FOUND").setMessage("gone").build();
    try {
      result(invocations, demos.failAsync(gone).getCid(), FailResponse.class);
    } catch (StatusRuntimeException e) {
      report(e);
    }

    // The events of a call. A stream that breaks, here after one item, is resumed after the last event.
    String counting = demos.countAsync(CountAsyncRequest.newBuilder().setTo(3).build()).getCid();
    long seen = follow(invocations, counting, 0, 1);
    follow(invocations, counting, seen, Integer.MAX_VALUE);

    // More than 4 MiB.
    ByteString document = ByteString.copyFromUtf8('"' + "x".repeat(5 << 20) + '"');
    InvokeRequest echo = InvokeRequest.newBuilder().setService("cidery.echo").setDocument(document).build();
    System.out.println(invocations.invoke(echo).getDocument().size() + " bytes");
  }

  public static void main(String[] args) throws Exception {
    if (args.length != 1) {
      System.err.println("usage: java TypedClient ADDRESS");
      System.exit(2);
    }
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0])
        .usePlaintext()
        .maxInboundMessageSize(16 << 20)
        .build();
    try {
      run(channel);
    } finally {
      channel.shutdownNow();
    }
  }
}
