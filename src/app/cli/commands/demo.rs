//! `cidery demo`: a node with demo services, and a client that calls them.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use crate::app::Node;
use crate::app::cli::address::{dial_address, node_option};
use crate::app::cli::args::LogArgs;
use crate::app::cli::printer::{Printer, Tone, log_failure};
use crate::app::cli::stop::stop;
use crate::app::config::listen_address;
use crate::app::shutdown::{DRAIN_TIMEOUT, catch_signals};
use crate::codec::convert::{failure_from_proto, outcome_from_proto};
use crate::codec::proto::v1::item_event::Item;
use crate::codec::proto::v1::stream_results_response::Event;
use crate::codec::{json, payload, struct_pb};
use crate::dict;
use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::payload::Format;
use crate::model::value::{Dict, Value};
use crate::remote::client::ContractClient;

/// Run a node with demo services and demonstrate its features.
///
/// The services are invoked over gRPC; then the node keeps running until Ctrl-C. The default log level is `error`.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Demo {
    /// Address to listen on. Default host: 127.0.0.1; default port: 24337. Port 0 selects a free port.
    #[arg(
        long,
        value_parser = listen_address,
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    listen: SocketAddr,
    /// Exit after the demonstration.
    #[arg(long)]
    exit: bool,
    #[command(flatten)]
    log: LogArgs,
}

impl Demo {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        // By default the log has errors only, so that no lines appear within the demonstration.
        let _log = self.log.init(printer.log_filter().or(Some("error")))?;
        log_failure(self.log.log_format, self.serve(printer).await)
    }

    async fn serve(&self, printer: &Printer) -> Result<ExitCode> {
        let mut signals = catch_signals()?;
        let node = Node::builder().listen(self.listen).demo().start().await?;
        let address = dial_address(node.address().unwrap_or(self.listen));
        let client = ContractClient::connect(&address.to_string()).await?;
        let signal = tokio::select! {
            outcome = self.demonstrate(&client, address, printer) => match outcome {
                Ok(()) if self.exit => None,
                Ok(()) => Some(signals.next().await),
                Err(error) => {
                    node.stop().await;
                    return Err(error);
                }
            },
            signal = signals.next() => Some(signal),
        };
        drop(client);
        Ok(match signal {
            None => {
                node.stop().await;
                ExitCode::SUCCESS
            }
            Some(signal) => stop(node, DRAIN_TIMEOUT, signal, &mut signals, printer).await,
        })
    }

    async fn demonstrate(
        &self,
        client: &ContractClient,
        address: SocketAddr,
        printer: &Printer,
    ) -> Result<()> {
        printer.data(&format!("listening on {address}"));
        let client = client.clone();
        let demonstration = Demonstration { client, printer };
        demonstration.everything().await?;
        if self.exit {
            let text = "The node stops now. Its invocations were in memory only; `cidery demo` keeps it running, and \
                        `cidery serve` stores them on disk.";
            printer.note(Tone::Heading, text);
            return Ok(());
        }
        demonstration.print_examples(address).await?;
        printer.note(Tone::Quiet, "");
        let text =
            "The node keeps running, with its invocations in memory only; press Ctrl-C to stop it.";
        printer.note(Tone::Heading, text);
        Ok(())
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

    /// Prints each event of an invocation on one line, by its name in the contract.
    async fn events(&self, cid: Cid) -> Result<()> {
        self.printer.data(&format!("-> StreamResults {cid}"));
        let mut results = self.client.results(cid).await?;
        while let Some(response) = results.next().await? {
            let attempt = response.attempt;
            if let Some(event) = response.event {
                let text = event_text(event, attempt)?;
                self.printer.data(&format!("<- {text}"));
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

    /// The same calls by `cidery`, by grpcurl, and in Python.
    async fn print_examples(&self, address: SocketAddr) -> Result<()> {
        self.heading("Try it yourself");
        let node = node_option(address);
        for line in [
            format!("cidery services{node}"),
            format!("cidery describe customer.get{node}"),
            format!("cidery invoke customer.get cust_id=1{node}"),
            format!("cidery invoke demo.count to=3 --follow{node}"),
            format!("grpcurl -plaintext {address} list"),
            format!("grpcurl -plaintext {address} describe customer.Service"),
            format!("grpcurl -plaintext -d '{{\"cust_id\": 1}}' {address} customer.Service/Get"),
        ] {
            self.printer.data(&format!("  {line}"));
        }
        self.heading("In Python (pip install ./python)");
        let service = self.client.describe("customer.get").await?;
        let python = service
            .examples
            .iter()
            .find(|example| example.tool == "python");
        if let Some(example) = python {
            // Not indented, so that it can be pasted as it is.
            self.printer.text(&example.text);
        }
        Ok(())
    }
}

/// An event on one line: its name in the contract, and what it holds.
fn event_text(event: Event, attempt: u32) -> Result<String> {
    Ok(match event {
        Event::Accepted(event) => format!("accepted         {}", event.service),
        Event::Started(_) => format!("started          attempt {attempt}"),
        Event::Progress(event) => {
            let progress = event.progress.unwrap_or_default();
            let percent = progress.fraction.unwrap_or_default() * 100.0;
            format!("progress         {percent:.0} % {}", progress.message)
                .trim_end()
                .to_owned()
        }
        Event::Item(event) => {
            let value = match event.item {
                Some(Item::Payload(bytes)) => Value::Dict(struct_pb::decode_dict(&bytes)?),
                Some(Item::Value(bytes)) => struct_pb::decode_value(&bytes)?,
                None => Value::Null,
            };
            format!("item             {}", json::write(&value)?)
        }
        Event::RetryScheduled(event) => {
            let failure = failure_from_proto(event.failure.unwrap_or_default());
            format!("retry_scheduled  attempt {attempt} failed: {failure}")
        }
        Event::Succeeded(_) => {
            let outcome = outcome_from_proto(event)?.transpose()?;
            let value = outcome.map(|reply| payload::decode(reply.payload));
            let value = value.transpose()?.unwrap_or_default();
            format!("succeeded        {}", json::write(&value)?)
        }
        Event::Failed(_) => "failed".to_owned(),
        Event::Cancelled(_) => "cancelled".to_owned(),
        Event::Expired(_) => "expired".to_owned(),
        Event::NotFound(_) => "not_found".to_owned(),
    })
}
