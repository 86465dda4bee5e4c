// A client made from nothing but proto/: invokes a service, to wait, in the background, or following its events.
//
// `run NODE SERVICE JSON sync|async|stream [SECONDS]` starts it; it ends after 60 seconds by default. The response goes
// to standard output, all else to standard error. The status after a failure is 3.

import cidery.v1.Invocation.GetInvocationRequest;
import cidery.v1.Invocation.InvokeAsyncRequest;
import cidery.v1.Invocation.InvokeRequest;
import cidery.v1.Invocation.InvokeResponse;
import cidery.v1.Invocation.RetryScheduledEvent;
import cidery.v1.Invocation.StreamResultsRequest;
import cidery.v1.Invocation.StreamResultsResponse;
import cidery.v1.InvocationServiceGrpc;
import cidery.v1.InvocationServiceGrpc.InvocationServiceBlockingStub;
import cidery.v1.OutcomeOuterClass.Failure;
import cidery.v1.OutcomeOuterClass.Invocation;
import cidery.v1.OutcomeOuterClass.Outcome;
import cidery.v1.OutcomeOuterClass.Progress;
import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.Struct;
import com.google.protobuf.TypeRegistry;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import com.google.rpc.ErrorDetailsProto;
import com.google.rpc.ErrorInfo;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

public final class ExampleClient {
  private static final JsonFormat.Printer ONE_LINE = JsonFormat.printer()
      .omittingInsignificantWhitespace()
      .usingTypeRegistry(
          TypeRegistry.newBuilder().add(ErrorDetailsProto.getDescriptor().getMessageTypes()).build());

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

  /** A failure in one line. Failures of the client's own library have no reason. */
  private static String summary(Object code, String reason, String message) {
    return code + (reason.isEmpty() ? "" : " " + reason) + ": " + message;
  }

  private static String summary(Failure failure) {
    String code = failure.getCode().name().replaceFirst("^CODE_", "");
    return summary(code, failure.getReason(), failure.getMessage());
  }

  /** Prints a failure with its details, and ends the program. */
  private static void fail(String summary, List<Any> details) {
    System.err.println(summary);
    for (Any detail : details) {
      String text = detail.getTypeUrl();
      try {
        text = ONE_LINE.print(detail);
      } catch (InvalidProtocolBufferException e) {
        // A detail of the handler, whose type this program does not know.
      }
      System.err.println("  " + text);
    }
    System.exit(3);
  }

  private static void fail(Failure failure) {
    fail(summary(failure), failure.getDetailsList());
  }

  /** Prints the failure of a call. The reason is in the details of its status. */
  private static void fail(StatusRuntimeException e) throws InvalidProtocolBufferException {
    List<Any> details = StatusProto.fromThrowable(e).getDetailsList();
    String reason = "";
    for (Any detail : details) {
      if (detail.is(ErrorInfo.class)) {
        reason = detail.unpack(ErrorInfo.class).getReason();
      }
    }
    fail(summary(e.getStatus().getCode(), reason, e.getStatus().getDescription()), details);
  }

  /** Prints the payload of a response, an outcome or an event. */
  private static void show(MessageOrBuilder answer) throws InvalidProtocolBufferException {
    System.out.println(ONE_LINE.print(answer));
  }

  private void sync() throws InvalidProtocolBufferException {
    InvokeRequest request = InvokeRequest.newBuilder().setService(service).setPayload(payload).build();
    InvokeResponse response = stub.invoke(request);
    show(response.hasValue() ? response.getValue() : response.getPayload());
  }

  private String accepted() {
    InvokeAsyncRequest request = InvokeAsyncRequest.newBuilder().setService(service).setPayload(payload).build();
    String cid = stub.invokeAsync(request).getCid();
    // Where this program gives up, `cidery result CID` has the outcome later.
    System.err.println("accepted " + cid);
    return cid;
  }

  /** Waits for the outcome of an invocation, and prints its state when that changes. */
  private void async() throws InvalidProtocolBufferException {
    GetInvocationRequest request = GetInvocationRequest.newBuilder()
        .setCid(accepted())
        .setWait(Duration.newBuilder().setSeconds(1))
        .build();
    String before = "";
    Invocation invocation = stub.getInvocation(request).getInvocation();
    while (!invocation.hasOutcome()) {
      String state = invocation.getState() + ", attempt " + invocation.getAttempt();
      if (invocation.hasLastFailure()) {
        state += " after " + summary(invocation.getLastFailure());
      }
      if (!state.equals(before)) {
        System.err.println(state);
      }
      before = state;
      invocation = stub.getInvocation(request).getInvocation();
    }
    Outcome outcome = invocation.getOutcome();
    if (outcome.hasFailure()) {
      fail(outcome.getFailure());
    }
    show(outcome.hasValue() ? outcome.getValue() : outcome.getPayload());
  }

  /** Shows the events of an invocation, from the first to the last. */
  private void stream() throws InvalidProtocolBufferException {
    StreamResultsRequest request = StreamResultsRequest.newBuilder().addCids(accepted()).build();
    Iterator<StreamResultsResponse> events = stub.streamResults(request);
    while (events.hasNext()) {
      StreamResultsResponse event = events.next();
      System.out.println(event.getEventCase().name().toLowerCase(Locale.ROOT));
      switch (event.getEventCase()) {
        case ITEM -> show(event.getItem().hasValue() ? event.getItem().getValue() : event.getItem().getPayload());
        case PROGRESS -> {
          Progress progress = event.getProgress().getProgress();
          System.err.println("progress " + progress.getFraction() + " " + progress.getMessage());
        }
        case RETRY_SCHEDULED -> {
          RetryScheduledEvent retry = event.getRetryScheduled();
          System.err.println("attempt " + event.getAttempt() + ": " + summary(retry.getFailure())
              + "; next at " + Timestamps.toString(retry.getStartTime()));
        }
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

  /**
   * Opens a channel. With TLS to {@code https://HOST:PORT}: CIDERY_CA names the file with the CA of the node, and the key
   * in CIDERY_API_KEY is sent with each call.
   */
  private static ManagedChannel open(String node) throws IOException {
    if (!node.startsWith("https://")) {
      return Grpc.newChannelBuilder(node, InsecureChannelCredentials.create()).build();
    }
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    if (System.getenv("CIDERY_CA") != null) {
      tls.trustManager(new File(System.getenv("CIDERY_CA")));
    }
    ManagedChannelBuilder<?> channel = Grpc.newChannelBuilder(node.replaceFirst("^https://", ""), tls.build());
    if (System.getenv("CIDERY_API_KEY") != null) {
      Metadata headers = new Metadata();
      Metadata.Key<String> authorization = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
      headers.put(authorization, "Bearer " + System.getenv("CIDERY_API_KEY"));
      channel.intercept(MetadataUtils.newAttachHeadersInterceptor(headers));
    }
    return channel.build();
  }

  public static void main(String[] args) throws Exception {
    ManagedChannel channel = open(args[0]);
    double seconds = args.length > 4 ? Double.parseDouble(args[4]) : 60;
    // The deadline of all its calls.
    InvocationServiceBlockingStub stub = InvocationServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter((long) (seconds * 1000), TimeUnit.MILLISECONDS);
    try {
      ExampleClient client = new ExampleClient(stub, args[1], args[2]);
      switch (args[3]) {
        case "sync" -> client.sync();
        case "async" -> client.async();
        default -> client.stream();
      }
    } catch (StatusRuntimeException e) {
      fail(e);
    } finally {
      channel.shutdownNow();
    }
  }
}
