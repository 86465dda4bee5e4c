// A worker made from nothing but proto/: serves java.echo, java.greet, java.fail and java.nested.
//
// Run with `java -cp "stubs:$CIDERY_JAVA/*" ExampleWorker NODE_ADDRESS`; examples/README.md says how it is compiled.

import cidery.v1.Invocation.InvokeRequest;
import cidery.v1.Invocation.InvokeResponse;
import cidery.v1.InvocationServiceGrpc;
import cidery.v1.OutcomeOuterClass.Code;
import cidery.v1.OutcomeOuterClass.Failure;
import cidery.v1.Service.Element;
import cidery.v1.Service.ElementType;
import cidery.v1.Service.Elements;
import cidery.v1.Service.SimpleIo;
import cidery.v1.Worker.Dispatch;
import cidery.v1.Worker.DispatchResult;
import cidery.v1.Worker.Hello;
import cidery.v1.Worker.ServeRequest;
import cidery.v1.Worker.ServeResponse;
import cidery.v1.WorkerServiceGrpc;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

public final class ExampleWorker implements StreamObserver<ServeResponse> {
  private static final int MAX_IN_FLIGHT = 100;
  private static final Metadata.Key<String> DISPATCH =
      Metadata.Key.of("cidery-dispatch", Metadata.ASCII_STRING_MARSHALLER);

  private final ExecutorService handlers = Executors.newFixedThreadPool(MAX_IN_FLIGHT);
  private final InvocationServiceGrpc.InvocationServiceBlockingStub invocations;
  private final StreamObserver<ServeRequest> out;

  private ExampleWorker(ManagedChannel channel) {
    invocations = InvocationServiceGrpc.newBlockingStub(channel);
    out = WorkerServiceGrpc.newStub(channel).serve(this);
    SimpleIo sio = SimpleIo.newBuilder().setInput(text("name")).setOutput(text("greeting")).build();
    Hello.Builder hello = Hello.newBuilder().setName("java-example").setMaxInFlight(MAX_IN_FLIGHT);
    hello.addServicesBuilder().setName("java.echo");
    hello.addServicesBuilder().setName("java.greet").setSio(sio);
    hello.addServicesBuilder().setName("java.fail");
    hello.addServicesBuilder().setName("java.nested");
    send(ServeRequest.newBuilder().setHello(hello).build());
  }

  private static Elements text(String name) {
    Element.Builder element = Element.newBuilder().setName(name).setType(ElementType.ELEMENT_TYPE_TEXT);
    return Elements.newBuilder().addElements(element).build();
  }

  /** One at a time: a stream takes no two messages at once. */
  private synchronized void send(ServeRequest message) {
    out.onNext(message);
  }

  private void handle(Dispatch dispatch) {
    DispatchResult.Builder result = DispatchResult.newBuilder().setToken(dispatch.getToken());
    try {
      switch (dispatch.getService()) {
        case "java.echo" -> echo(dispatch, result);
        case "java.greet" -> greet(dispatch, result);
        case "java.fail" -> result.setFailure(
            Failure.newBuilder().setCodeValue(9).setReason("JAVA_FAILED").setMessage("failed as it was told"));
        default -> nested(dispatch, result);
      }
    } catch (RuntimeException e) {
      result.setFailure(Failure.newBuilder().setCode(Code.CODE_INTERNAL).setMessage(e.toString()));
    }
    send(ServeRequest.newBuilder().setResult(result).build());
  }

  /** Answers with what it got, as it is. */
  private static void echo(Dispatch dispatch, DispatchResult.Builder result) {
    if (dispatch.hasValue()) {
      result.setValue(dispatch.getValue());
    } else {
      result.setPayload(dispatch.getPayload());
    }
  }

  private static void greet(Dispatch dispatch, DispatchResult.Builder result) {
    String name = dispatch.getPayload().getFieldsOrThrow("name").getStringValue();
    Value greeting = Value.newBuilder().setStringValue("Hello, " + name + " from java").build();
    result.setPayload(Struct.newBuilder().putFields("greeting", greeting));
  }

  /** Invokes another service: the token says on whose behalf. */
  private void nested(Dispatch dispatch, DispatchResult.Builder result) {
    Metadata metadata = new Metadata();
    metadata.put(DISPATCH, dispatch.getToken());
    Struct.Builder payload = Struct.newBuilder().putFields("cust_id", Value.newBuilder().setNumberValue(1).build());
    InvokeResponse response = invocations
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata))
        .invoke(InvokeRequest.newBuilder().setService("customer.get").setPayload(payload).build());
    result.setPayload(response.getPayload());
  }

  @Override
  public void onNext(ServeResponse message) {
    if (message.hasDispatch()) {
      handlers.execute(() -> handle(message.getDispatch()));
    }
  }

  @Override
  public void onError(Throwable error) {
    System.err.println(error.getMessage());
    System.exit(1);
  }

  @Override
  public void onCompleted() {
    System.exit(0);
  }

  public static void main(String[] args) throws InterruptedException {
    new ExampleWorker(ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build());
    // Until the stream ends the process.
    Thread.currentThread().join();
  }
}
