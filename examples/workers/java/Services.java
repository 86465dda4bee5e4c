// The services of the worker: java.echo, java.greet, java.fail and java.nested.

import cidery.v1.Invocation.InvokeRequest;
import cidery.v1.InvocationServiceGrpc.InvocationServiceBlockingStub;
import cidery.v1.OutcomeOuterClass.Code;
import cidery.v1.OutcomeOuterClass.Failure;
import cidery.v1.Service.ElementType;
import cidery.v1.Worker.Dispatch;
import cidery.v1.Worker.DispatchResult;
import cidery.v1.Worker.Hello;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;

final class Services {
  static void declare(Hello.Builder hello) {
    hello.addServicesBuilder().setName("java.echo");
    hello.addServicesBuilder().setName("java.fail");
    hello.addServicesBuilder().setName("java.nested");
    var sio = hello.addServicesBuilder().setName("java.greet").getSioBuilder();
    sio.getInputBuilder().addElementsBuilder().setName("name").setType(ElementType.ELEMENT_TYPE_TEXT);
    sio.getOutputBuilder().addElementsBuilder().setName("greeting").setType(ElementType.ELEMENT_TYPE_TEXT);
  }

  static DispatchResult.Builder handle(Dispatch dispatch, InvocationServiceBlockingStub invocations) {
    var result = DispatchResult.newBuilder().setToken(dispatch.getToken());
    try {
      return switch (dispatch.getService()) {
        case "java.echo" -> switch (dispatch.getInputCase()) {
          case VALUE -> result.setValue(dispatch.getValue());
          case DOCUMENT -> result.setDocument(dispatch.getDocument()).setDataFormat(dispatch.getDataFormat());
          default -> result.setPayload(dispatch.getPayload());
        };
        case "java.greet" -> result.setPayload(greet(dispatch.getPayload()));
        case "java.fail" -> result.setFailure(
            Failure.newBuilder().setCodeValue(9).setReason("JAVA_FAILED").setMessage("failed on purpose"));
        default -> result.setPayload(nested(dispatch.getToken(), invocations));
      };
    } catch (RuntimeException e) {
      return result.setFailure(Failure.newBuilder().setCode(Code.CODE_INTERNAL).setMessage(e.toString()));
    }
  }

  private static Struct.Builder greet(Struct payload) {
    var greeting = "Hello, " + payload.getFieldsOrThrow("name").getStringValue() + " from java";
    return Struct.newBuilder().putFields("greeting", Value.newBuilder().setStringValue(greeting).build());
  }

  /** Invokes another service: the token says on whose behalf. */
  private static Struct nested(String token, InvocationServiceBlockingStub invocations) {
    var metadata = new Metadata();
    metadata.put(Metadata.Key.of("cidery-dispatch", Metadata.ASCII_STRING_MARSHALLER), token);
    var payload = Struct.newBuilder().putFields("cust_id", Value.newBuilder().setNumberValue(1).build());
    var request = InvokeRequest.newBuilder().setService("customer.get").setPayload(payload).build();
    var headers = MetadataUtils.newAttachHeadersInterceptor(metadata);
    return invocations.withInterceptors(headers).invoke(request).getPayload();
  }
}
