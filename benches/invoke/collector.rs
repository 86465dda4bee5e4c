//! A collector of traces that takes all spans and keeps none. A bench starts a node that sends its spans to it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidery::codec::proto::otlp::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use cidery::codec::proto::otlp::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// How many spans all collectors of this process have taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

struct Collector;

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.map(|scope| scope.spans.len()).sum();
        TAKEN.fetch_add(spans, Ordering::Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts one, on a thread of its own for as long as this process runs. Returns its address, as the options of a node
/// take it.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            Server::builder()
                .add_service(TraceServiceServer::new(Collector))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
    });
    format!("http://{address}")
}

/// Fails if no span has arrived: what was measured made no traces.
pub(crate) fn assert_used() {
    assert!(
        TAKEN.load(Ordering::Relaxed) > 0,
        "the collector took no span"
    );
}
