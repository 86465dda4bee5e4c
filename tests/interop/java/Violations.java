import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/**
 * A default Java client that sends an input with more violations than fit into a status, and reads what it is told.
 *
 * <p>Called with the address of a node, the path of a method, and the request in hex.
 */
public final class Violations {
  /** Messages as bytes: no stubs are needed to read a failure. */
  private static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  };

  public static void main(String[] args) throws Exception {
    MethodDescriptor<byte[], byte[]> method = MethodDescriptor.<byte[], byte[]>newBuilder(BYTES, BYTES)
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(args[1])
        .build();
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    try {
      byte[] request = java.util.HexFormat.of().parseHex(args[2]);
      ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, request);
      throw new AssertionError("what does not fit was taken");
    } catch (StatusRuntimeException e) {
      int violations = 0;
      String omitted = null;
      for (Any detail : StatusProto.fromThrowable(e).getDetailsList()) {
        if (detail.is(BadRequest.class)) {
          violations = detail.unpack(BadRequest.class).getFieldViolationsCount();
        } else if (detail.is(ErrorInfo.class)) {
          omitted = detail.unpack(ErrorInfo.class).getMetadataOrThrow("violations_omitted");
        }
      }
      System.out.println(e.getStatus().getCode() + " " + violations + " " + omitted);
    } finally {
      channel.shutdownNow();
    }
  }
}
