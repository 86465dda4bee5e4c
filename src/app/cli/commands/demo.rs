//! `cidery demo`: a node with demo services, and a client that calls them.

use std::net::SocketAddr;

use clap::Args;

use crate::app::Node;
use crate::app::cli::args::LogArgs;
use crate::app::cli::follow::Follower;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::shutdown::catch_signals;
use crate::codec::{json, payload};
use crate::dict;
use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::payload::Format;
use crate::model::value::{Dict, Value};
use crate::remote::client::ContractClient;

/// Run a node with demo services, invoke them over gRPC, and keep the node running.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Demo {
    /// Address to listen on. With port 0, the node uses any free port.
    #[arg(long, default_value = "127.0.0.1:24337", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Exit after the demonstration.
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    log: LogArgs,
}

impl Demo {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let _log = self.log.init(printer.log_filter())?;
        let mut signals = catch_signals()?;
        let node = Node::builder().listen(self.listen).demo().start().await?;
        let address = node
            .address()
            .map(|address| address.to_string())
            .unwrap_or_default();
        printer.data(&format!("listening on {address}"));
        let client = ContractClient::connect(&address).await?;
        let outcome = Demonstration { client, printer }.everything().await;
        if outcome.is_ok() {
            print_examples(&address, printer);
            if !self.exit {
                printer.note(Tone::Quiet, "");
                printer.note(
                    Tone::Heading,
                    "The node keeps running; press Ctrl-C to stop it.",
                );
                signals.next().await;
            }
        }
        node.stop().await;
        outcome
    }
}

/// The demonstration.
struct Demonstration<'a> {
    client: ContractClient,
    printer: &'a Printer,
}

impl Demonstration<'_> {
    async fn everything(&self) -> Result<()> {
        self.invoke("A typed service", "customer.get", dict! { "cust_id": 1 })
            .await?;
        self.invoke(
            "A service that invokes another one and logs the response",
            "invoking.list-security",
            dict! {},
        )
        .await?;
        self.invoke("A dict sent as JSON", "invoking.as-json", dict! {})
            .await?;
        self.invoke("Inline parameters", "invoking.inline-parameters", dict! {})
            .await?;
        self.in_background().await?;
        self.invoke(
            "A wrapped response, read by index and by dotted path",
            "invoking.by-response-elem",
            dict! {},
        )
        .await?;
        self.follow(
            "Items and progress of an asynchronous invocation",
            "demo.count",
            dict! { "to": 3 },
        )
        .await?;
        self.follow(
            "A service that fails once and is retried",
            "demo.flaky",
            dict! { "failures": 1 },
        )
        .await?;
        self.failure().await
    }

    fn heading(&self, text: &str) {
        self.printer.data("");
        self.printer.data(&format!("== {text}"));
    }

    fn request(&self, rpc: &str, service: &str, input: &Dict) {
        let input = json::write(&Value::Dict(input.clone())).unwrap_or_default();
        self.printer.data(&format!("-> {rpc} {service} {input}"));
    }

    fn response(&self, cid: Cid, value: &Value) {
        let value = json::write(value).unwrap_or_default();
        self.printer.data(&format!("<- {value}   cid {cid}"));
    }

    async fn invoke(&self, title: &str, service: &'static str, input: Dict) -> Result<Value> {
        self.heading(title);
        self.request("Invoke", service, &input);
        let (cid, reply) = self.client.invoke(Call::new(service, input)).await?;
        let value = payload::decode(reply.payload)?;
        self.response(cid, &value);
        Ok(value)
    }

    /// The invoked service runs under the CID that its caller received.
    async fn in_background(&self) -> Result<()> {
        let title = "A service that invokes another one asynchronously";
        let value = self
            .invoke(title, "invoking.in-background", dict! {})
            .await?;
        let cid = Cid::parse(value["cid"].as_text().unwrap_or_default())?;
        self.events(cid).await
    }

    async fn follow(&self, title: &str, service: &'static str, input: Dict) -> Result<()> {
        self.heading(title);
        self.request("InvokeAsync", service, &input);
        let mut call = Call::new(service, input);
        call.response_format = Some(Format::Dict);
        let accepted = self.client.invoke_async(call).await?;
        self.printer.data(&format!("<- cid {}", accepted.cid));
        self.events(accepted.cid).await
    }

    /// Prints the events of an invocation by their names in the proto.
    async fn events(&self, cid: Cid) -> Result<()> {
        self.printer.data(&format!("-> StreamResults {cid}"));
        let mut results = self.client.results(cid).await?;
        let mut follower = Follower::new(cid, self.printer);
        while let Some(response) = results.next().await? {
            let name = response.event.as_ref().map_or("", event_name);
            let (sequence, attempt) = (response.sequence & 0xffff_ffff, response.attempt);
            self.printer.data(&format!(
                "<- {name} (sequence {sequence}, attempt {attempt})"
            ));
            if let Some(outcome) = follower.show(&response) {
                outcome?;
            }
        }
        Ok(())
    }

    async fn failure(&self) -> Result<()> {
        self.heading("An unknown service");
        self.request("Invoke", "customer.gte", &dict! {});
        match self
            .client
            .invoke(Call::new("customer.gte", dict! {}))
            .await
        {
            Ok(_) => Err(Error::internal("DEMO_BROKEN", "`customer.gte` answered")),
            Err(error) => {
                let (kind, reason) = (error.kind().name(), error.reason());
                self.printer.data(&format!("<- {kind} {reason}: {error}"));
                Ok(())
            }
        }
    }
}

fn event_name(event: &crate::codec::proto::v1::stream_results_response::Event) -> &'static str {
    use crate::codec::proto::v1::stream_results_response::Event;
    match event {
        Event::Accepted(_) => "accepted",
        Event::Started(_) => "started",
        Event::Progress(_) => "progress",
        Event::Item(_) => "item",
        Event::RetryScheduled(_) => "retry_scheduled",
        Event::Succeeded(_) => "succeeded",
        Event::Failed(_) => "failed",
        Event::Cancelled(_) => "cancelled",
        Event::Expired(_) => "expired",
        Event::NotFound(_) => "not_found",
    }
}

fn print_examples(address: &str, printer: &Printer) {
    printer.data("");
    printer.data("== Try it yourself");
    for line in [
        format!("grpcurl -plaintext {address} list"),
        format!("grpcurl -plaintext {address} describe customer.Service"),
        format!("grpcurl -plaintext -d '{{\"cust_id\": 1}}' {address} customer.Service/Get"),
        format!(
            "grpcurl -plaintext -d '{{\"service\":\"customer.get\",\"payload\":{{\"cust_id\":1}}}}' {address} \
             cidery.v1.InvocationService/Invoke"
        ),
        format!(
            "grpcurl -plaintext -d '{{\"service\":\"demo.count\",\"payload\":{{\"to\":3}}}}' {address} \
             cidery.v1.InvocationService/InvokeAsync"
        ),
        format!(
            "grpcurl -plaintext -d '{{\"cids\":[\"CID\"]}}' {address} \
             cidery.v1.InvocationService/StreamResults"
        ),
    ] {
        printer.data(&format!("  {line}"));
    }
}
