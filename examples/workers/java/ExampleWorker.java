// A worker on the code generated from proto/. Its services are in Services.java.

import cidery.v1.InvocationServiceGrpc;
import cidery.v1.Worker.ServeRequest;
import cidery.v1.WorkerServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;

public final class ExampleWorker {
  public static void main(String[] args) throws Exception {
    var channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    // One thread for each dispatch: a dispatch that waits for a nested call keeps its thread, but not its credit.
    var handlers = Executors.newCachedThreadPool(run -> {
      var thread = new Thread(run);
      thread.setDaemon(true);
      return thread;
    });
    while (true) {
      try {
        serve(channel, handlers);
      } catch (StatusException e) {
        switch (e.getStatus().getCode()) {
          case INVALID_ARGUMENT, ALREADY_EXISTS -> throw e; // It would fail again.
          default -> System.err.println("the stream ended: " + e.getStatus());
        }
      }
      Thread.sleep(ThreadLocalRandom.current().nextInt(500, 1000));
    }
  }

  /** Serves until the stream ends. */
  private static void serve(ManagedChannel channel, ExecutorService handlers) throws Exception {
    var invocations = InvocationServiceGrpc.newBlockingStub(channel);
    var stream = WorkerServiceGrpc.newBlockingV2Stub(channel).serve();
    var first = ServeRequest.newBuilder();
    Services.declare(first.getHelloBuilder().setName("java-example").setMaxInFlight(100));
    stream.write(first.build());
    for (var message = stream.read(); message != null; message = stream.read()) {
      if (message.hasDispatch()) {
        var dispatch = message.getDispatch();
        handlers.submit(() -> {
          var result = ServeRequest.newBuilder().setResult(Services.handle(dispatch, invocations)).build();
          synchronized (stream) { // A stream must not be used by two threads at once.
            return stream.write(result);
          }
        });
      }
    }
  }
}
