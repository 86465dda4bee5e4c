//! What `top` asks the node: requests, when each is due, and their answers.
//!
//! Only what is on the screen is asked for. Each request has a deadline, there is one of a kind at a time, and one that
//! takes long is repeated less often: `top` may not be what a busy node is busy with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::app::cli::commands::explain::print_history;
use crate::app::cli::lost::no_answer;
use crate::app::cli::printer::{Page, Printer};
use crate::codec::proto::v1;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::remote::client::ContractClient;

/// How long the node has to answer.
const DEADLINE_SECONDS: u64 = 5;
/// The part of the time that a request may take: after one of 200 ms, 2 s pass before the next one.
const MAX_SHARE: u32 = 10;
/// The longest time between two requests of a kind.
const MAX_INTERVAL: Duration = Duration::from_secs(10);
/// How many services and workers are read: what the node answers at once.
pub(super) const MAX_ROWS: u32 = 1_000;
/// How many invocations are read.
pub(super) const MAX_INVOCATIONS: usize = 100;

/// A change of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Cancel,
    Retry,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    /// What the services have done.
    Stats,
    /// The status of the node.
    Status,
    /// Where the services are served.
    Services,
    /// The workers.
    Workers,
    /// The invocations that failed or are held.
    Failures,
    /// One service.
    Service(String),
    /// The newest invocations of a service.
    Recent(String),
    /// The history of an invocation, as text of this width.
    Invocation(Cid, u16),
    /// A change: asked for once.
    Change(Verb, Cid),
}

impl Request {
    /// The time between two of them.
    fn interval(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Stats => 1,
            Self::Workers | Self::Failures | Self::Recent(_) | Self::Invocation(..) => 2,
            // Those of a status read an index of the store.
            Self::Status | Self::Services | Self::Service(_) => 5,
            Self::Change(..) => 0,
        })
    }
}

/// An answer.
#[derive(Debug)]
pub(super) enum Answer {
    Stats(Box<v1::ListServiceStatsResponse>),
    Status(Box<v1::GetStatusResponse>),
    Services(v1::ListServicesResponse),
    Workers(v1::ListWorkersResponse),
    /// At most one more than [`MAX_INVOCATIONS`].
    Invocations(Vec<v1::Invocation>),
    Service(Box<v1::ServiceDescription>),
    Lines(Vec<String>),
    Changed(Box<v1::InvocationChange>),
}

/// The requests that run, and when others are due.
pub(super) struct Poller {
    client: ContractClient,
    printer: Printer,
    running: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// When the next one of a kind is due; `None` while it runs.
    due: HashMap<Request, Option<Instant>>,
}

struct Done {
    request: Request,
    took: Duration,
    outcome: Result<Answer>,
}

impl Poller {
    pub(super) fn new(client: ContractClient, printer: Printer) -> Self {
        Self {
            // The screen says itself that the node is lost.
            client: client.max_attempts(1),
            printer,
            running: FuturesUnordered::new(),
            due: HashMap::new(),
        }
    }

    /// Starts those of the requests that are due. Others are forgotten.
    pub(super) fn start(&mut self, wanted: Vec<Request>) {
        let now = Instant::now();
        self.due
            .retain(|request, due| due.is_none() || wanted.contains(request));
        for request in wanted {
            let is_due = match self.due.get(&request) {
                Some(due) => due.is_some_and(|due| due <= now),
                None => true,
            };
            if is_due {
                self.ask(request);
            }
        }
    }

    /// Asks now.
    pub(super) fn ask(&mut self, request: Request) {
        let (client, printer) = (self.client.clone(), self.printer.clone());
        self.due.insert(request.clone(), None);
        self.running.push(Box::pin(async move {
            let begun = Instant::now();
            let limit = Duration::from_secs(DEADLINE_SECONDS);
            let outcome = tokio::time::timeout(limit, answer(&client, &printer, &request)).await;
            Done {
                request,
                took: begun.elapsed(),
                outcome: outcome.unwrap_or_else(|_| Err(no_answer(DEADLINE_SECONDS))),
            }
        }));
    }

    /// Waits for the next answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no answer.
    pub(super) async fn next(&mut self) -> (Request, Result<Answer>) {
        let Some(done) = self.running.next().await else {
            return std::future::pending().await;
        };
        let pause = (done.took * MAX_SHARE).min(MAX_INTERVAL);
        let pause = done.request.interval().max(pause).saturating_sub(done.took);
        match done.request {
            // What was read before shows another state.
            Request::Change(..) => {
                self.due.remove(&done.request);
                let now = Instant::now();
                let waiting = self.due.values_mut().flatten();
                waiting.for_each(|due| *due = now);
            }
            _ => drop(
                self.due
                    .insert(done.request.clone(), Some(Instant::now() + pause)),
            ),
        }
        (done.request, done.outcome)
    }
}

async fn answer(client: &ContractClient, printer: &Printer, request: &Request) -> Result<Answer> {
    Ok(match request {
        Request::Stats => Answer::Stats(Box::new(client.service_stats(MAX_ROWS).await?)),
        Request::Status => Answer::Status(Box::new(client.status().await?)),
        Request::Services => Answer::Services(client.first_services(MAX_ROWS).await?),
        Request::Workers => Answer::Workers(client.first_workers(MAX_ROWS).await?),
        Request::Failures => {
            let filter = v1::InvocationFilter {
                dead_letter: true,
                ..v1::InvocationFilter::default()
            };
            invocations(client, filter).await?
        }
        Request::Service(name) => Answer::Service(Box::new(client.describe(name).await?)),
        Request::Recent(name) => {
            let filter = v1::InvocationFilter {
                services: vec![name.clone()],
                ..v1::InvocationFilter::default()
            };
            invocations(client, filter).await?
        }
        Request::Invocation(cid, width) => {
            let page = Arc::new(Page::new(*width));
            print_history(client, *cid, &printer.on_page(&page)).await?;
            Answer::Lines(page.plain_lines())
        }
        Request::Change(verb, cid) => {
            let changes = match verb {
                Verb::Cancel => client.cancel(*cid, false).await?,
                Verb::Retry => client.retry(*cid, false).await?,
            };
            let change = changes.into_iter().next().ok_or_else(|| {
                let message = format!("the node does not say what became of {cid}");
                Error::internal("RESPONSE_INVALID", message)
            })?;
            Answer::Changed(Box::new(change))
        }
    })
}

async fn invocations(client: &ContractClient, filter: v1::InvocationFilter) -> Result<Answer> {
    // One more tells whether these are all.
    let found = client.invocations(filter, MAX_INVOCATIONS + 1).await?;
    Ok(Answer::Invocations(found))
}
