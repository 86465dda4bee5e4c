//! Filter options of commands: by service, state, reason, time and relation, and as text.

use std::collections::HashMap;

use clap::Args;
use jiff::Timestamp;

use super::args::{key_value, usage_error};
use super::filter_text::{combine, filter_text};
use super::printer::{Printer, Tone};
use super::states::{PendingArg, StateArg};
use super::times::past_time;
use crate::codec::convert::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::remote::client::ContractClient;

/// A filter. All given options must match; of a repeated option, one value must match.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(super) struct FilterArgs {
    /// Only invocations that match a filter, such as `service = customer.get AND accept_time > -2h`.
    ///
    /// docs/filters.md describes the language. The other options have to match as well.
    #[arg(long = "filter", value_parser = filter_text, value_name = "TEXT")]
    text: Option<v1::InvocationFilter>,
    /// Only invocations of this service (repeatable).
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Only invocations in this state (repeatable, or several with commas).
    #[arg(
        long = "state",
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        value_name = "STATE"
    )]
    states: Vec<StateArg>,
    /// Only invocations that are pending for this reason (repeatable).
    #[arg(
        long = "pending",
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        value_name = "REASON"
    )]
    pending: Vec<PendingArg>,
    /// Only invocations whose last attempt failed for this reason (repeatable).
    #[arg(long = "failure", value_delimiter = ',', value_name = "REASON")]
    failures: Vec<String>,
    /// Only invocations whose last attempt failed with a message that contains this text, in any case of its letters.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new(), value_name = "TEXT")]
    failure_text: Option<String>,
    /// Only invocations whose metadata has this entry (repeatable: all of them).
    #[arg(long, value_parser = key_value, value_name = "KEY=VALUE")]
    metadata: Vec<(String, String)>,
    /// Only invocations accepted at or after this time: an age (`1h`, `2d`), a local date or time, or RFC 3339.
    #[arg(long, value_parser = past_time, value_name = "TIME")]
    accepted_after: Option<Timestamp>,
    /// Only invocations accepted before this time.
    #[arg(long, value_parser = past_time, value_name = "TIME")]
    accepted_before: Option<Timestamp>,
    /// Only invocations that ended at or after this time.
    #[arg(long, value_parser = past_time, value_name = "TIME")]
    ended_after: Option<Timestamp>,
    /// Only invocations that ended before this time.
    #[arg(long, value_parser = past_time, value_name = "TIME")]
    ended_before: Option<Timestamp>,
    /// Only invocations that this principal asked for.
    #[arg(long = "principal", value_name = "NAME")]
    principals: Vec<String>,
    /// Only direct children of this invocation.
    #[arg(long, value_name = "CID")]
    parent: Option<Cid>,
    /// Only descendants of this invocation.
    #[arg(long, value_name = "CID")]
    root: Option<Cid>,
    /// Only members of this group.
    #[arg(long, value_name = "CID")]
    group: Option<Cid>,
    /// Only dead letters, for the commands of their own.
    #[arg(skip)]
    dead_letter: bool,
}

/// Says which services of a filter that matches nothing the node does not know: their names may be misspelled.
pub(super) async fn note_unknown_services(
    client: &ContractClient,
    names: &[String],
    printer: &Printer,
) -> Result<()> {
    for name in unknown_services(client, names).await? {
        printer.note(Tone::Warning, &format!("no service `{name}` is known"));
    }
    Ok(())
}

/// The services of a filter that the node does not know.
pub(super) async fn unknown_services<'a>(
    client: &ContractClient,
    names: &'a [String],
) -> Result<Vec<&'a str>> {
    let mut unknown = Vec::new();
    for name in names {
        let known = client.services(name).await?;
        if !known.iter().any(|service| service.name == *name) {
            unknown.push(name.as_str());
        }
    }
    Ok(unknown)
}

impl FilterArgs {
    /// Whether the user gives any of it.
    pub(super) fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// The filter of a bulk change.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where it has no criterion, or its text has none: it is from a variable of a
    /// script that is not set. Else as for [`filter`](Self::filter).
    pub(super) fn criteria(self) -> Result<v1::InvocationFilter> {
        let nothing = v1::InvocationFilter::default();
        let is_text_empty = self.text.as_ref() == Some(&nothing);
        let filter = self.filter()?;
        if is_text_empty || filter == nothing {
            let message = "`--filter` has no criterion, and would select every invocation: `--state` selects all in \
                           some states";
            return Err(usage_error(message));
        }
        Ok(filter)
    }

    /// Restricts it to dead letters.
    pub(super) fn dead_letters(mut self) -> Self {
        self.dead_letter = true;
        self
    }

    /// Restricts it to held dead letters.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where it names another state or reason.
    pub(super) fn held_letters(mut self) -> Result<Self> {
        self.only_held()?;
        Ok(self.dead_letters())
    }

    /// Restricts it to failed dead letters.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where it names another state or reason.
    pub(super) fn failed_letters(mut self) -> Result<Self> {
        if !self.pending.is_empty() || self.states.iter().any(|state| *state != StateArg::Failed) {
            return Err(usage_error("only failed ones can be selected here"));
        }
        self.states = vec![StateArg::Failed];
        Ok(self.dead_letters())
    }

    fn only_held(&mut self) -> Result<()> {
        let other = self
            .pending
            .iter()
            .any(|reason| *reason != PendingArg::Held);
        let is_pending = |state: &StateArg| *state == StateArg::Pending;
        if other || !self.states.iter().all(is_pending) {
            return Err(usage_error("only held ones can be selected here"));
        }
        self.pending = vec![PendingArg::Held];
        Ok(())
    }

    /// Converts it to its message.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where an option and the text contradict each other.
    pub(super) fn filter(self) -> Result<v1::InvocationFilter> {
        for name in &self.services {
            ServiceName::parse(name)?;
        }
        let states = self.states.into_iter().map(StateArg::to_proto);
        let reasons = self.pending.into_iter().map(PendingArg::to_proto);
        // Reasons are in upper case, unless a service has its own idea of them.
        let failures = self.failures.into_iter();
        let failures = failures.flat_map(|reason| match reason.to_ascii_uppercase() {
            upper if upper == reason => vec![reason],
            upper => vec![reason, upper],
        });
        let mut metadata = HashMap::new();
        for (key, value) in self.metadata {
            if metadata
                .insert(key.clone(), value.clone())
                .is_some_and(|other| other != value)
            {
                let message = format!("`--metadata {key}` is given with two values");
                return Err(usage_error(message));
            }
        }
        let cid = |cid: Option<Cid>| cid.map(|cid| cid.to_string()).unwrap_or_default();
        let by_options = v1::InvocationFilter {
            services: self.services,
            states: states.map(i32::from).collect(),
            pending_reasons: reasons.map(i32::from).collect(),
            failure_reasons: failures.collect(),
            failure_text: self.failure_text.unwrap_or_default(),
            metadata,
            accepted_after: self.accepted_after.map(timestamp_to_proto),
            accepted_before: self.accepted_before.map(timestamp_to_proto),
            ended_after: self.ended_after.map(timestamp_to_proto),
            ended_before: self.ended_before.map(timestamp_to_proto),
            parent_cid: cid(self.parent),
            root_cid: cid(self.root),
            group_cid: cid(self.group),
            dead_letter: self.dead_letter,
            principals: self.principals,
            groups_only: false,
        };
        combine(by_options, self.text.unwrap_or_default())
    }
}
