//! What `top` knows of the node: the last answers, and whether it answers.

use std::collections::HashMap;

use super::change;
use super::poll::{Answer, MAX_INVOCATIONS, Request};
use super::rates::Window;
use super::table::Tone;
use super::view::View;
use crate::app::cli::lost::is_lost;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result};

/// Whether the node answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Connection {
    /// It has not answered yet.
    #[default]
    Loading,
    Live,
    /// It does not; with the reason.
    Lost(String),
    /// It refuses to tell what its services do; with the reason.
    Refused(String),
}

/// Invocations that were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocations {
    pub(super) found: Vec<v1::Invocation>,
    /// Whether there are more.
    pub(super) has_more: bool,
    /// Whether the node has answered.
    pub(super) is_known: bool,
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) connection: Connection,
    pub(super) stats: Vec<v1::ServiceStats>,
    /// Whether the node has more services.
    pub(super) has_more: bool,
    pub(super) window: Window,
    pub(super) status: Option<Box<v1::GetStatusResponse>>,
    /// Where the services are served, and whether they are paused.
    pub(super) places: HashMap<String, v1::ServiceSummary>,
    pub(super) workers: Option<v1::ListWorkersResponse>,
    pub(super) failures: Invocations,
    /// The open service.
    pub(super) service: Option<Box<v1::ServiceDescription>>,
    pub(super) recent: Invocations,
    /// The open invocation, as text.
    pub(super) history: Vec<String>,
    /// What came of the last change, or of a request that failed.
    pub(super) message: Option<(Tone, String)>,
}

impl Data {
    /// Whether the node has ever told what its services do.
    pub(super) fn has_answered(&self) -> bool {
        self.window.start_time().is_some()
    }

    /// Takes an answer. That of something which is not open any more means nothing.
    pub(super) fn take(&mut self, view: &View, request: &Request, outcome: Result<Answer>) {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return self.fail(request, &error),
        };
        match (answer, request, view) {
            (Answer::Stats(response), _, _) => self.take_stats(*response),
            (Answer::Status(status), _, _) => self.status = Some(status),
            (Answer::Services(response), _, _) => {
                let services = response.services.into_iter();
                self.places = services.map(|one| (one.name.clone(), one)).collect();
            }
            (Answer::Workers(workers), _, _) => self.workers = Some(workers),
            (Answer::Invocations(found), Request::Failures, _) => {
                self.failures = Invocations::of(found);
            }
            (Answer::Invocations(found), Request::Recent(name), View::Service(open))
                if name == open =>
            {
                self.recent = Invocations::of(found);
            }
            (Answer::Service(service), Request::Service(name), View::Service(open))
                if name == open =>
            {
                self.service = Some(service);
            }
            (Answer::Lines(lines), Request::Invocation(cid, _), View::Invocation(open))
                if cid == open =>
            {
                self.history = lines;
            }
            (Answer::Changed(changed), Request::Change(verb, _), _) => {
                self.message = Some(change::message(*verb, &changed));
            }
            _ => {}
        }
    }

    /// Forgets what was known of a service that was open.
    pub(super) fn open_service(&mut self) {
        (self.service, self.recent) = (None, Invocations::default());
    }

    /// Forgets what was known of an invocation that was open.
    pub(super) fn open_invocation(&mut self) {
        self.history = Vec::new();
    }

    fn take_stats(&mut self, response: v1::ListServiceStatsResponse) {
        self.connection = Connection::Live;
        self.window.add(&response);
        self.has_more = !response.next_page_token.is_empty();
        self.stats = response.stats;
    }

    fn fail(&mut self, request: &Request, error: &Error) {
        let text = format!("{error} ({})", error.reason());
        match request {
            Request::Stats if is_lost(error) => self.connection = Connection::Lost(text),
            Request::Stats => self.connection = Connection::Refused(text),
            // The next poll of the statistics says so, but not what became of a change.
            _ if is_lost(error) && !matches!(request, Request::Change(..)) => {}
            _ => self.message = Some((Tone::Bad, text)),
        }
    }
}

impl Invocations {
    fn of(mut found: Vec<v1::Invocation>) -> Self {
        let has_more = found.len() > MAX_INVOCATIONS;
        found.truncate(MAX_INVOCATIONS);
        Self {
            found,
            has_more,
            is_known: true,
        }
    }
}
