//! Lists and summaries: those that were accepted last first. SQL narrows what is read, and the filter decides.

use std::collections::HashSet;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::Link;
use super::error::Failed;
use super::new_rows::{text, uuid};
use super::row::{ReadBy, bytes, columns, decode, log_damage, state_tables};
use super::shared::Shared;
use crate::engine::store::{Filter, Page, PageSize, SummaryPart};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{Invocation, State, Summaries, SummaryCount, SummaryKey};
use crate::store::blob;
use crate::store::state_column::encode_state;

/// How many rows one statement reads, at most.
const CHUNK: usize = 512;
/// How many rows one page or part reads, at most.
const MAX_READ: usize = 4_096;

/// The conditions of a filter that columns know, and their values.
struct Conditions {
    text: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Conditions {
    /// `None` where nothing can match.
    fn of(filter: &Filter, shared: &Shared) -> Option<Self> {
        let mut conditions = Self {
            text: String::new(),
            values: Vec::new(),
        };
        if !filter.services.is_empty() {
            let ids = filter.services.iter();
            let ids: Vec<i32> = ids.filter_map(|name| shared.services.known(name)).collect();
            if ids.is_empty() {
                return None;
            }
            conditions.add("invocation.service = ANY (?)", ids);
        }
        conditions.add_state(filter);
        for (column, cid) in [
            ("invocation.parent", filter.parent),
            ("invocation.root", filter.root),
            ("invocation.group_cid", filter.group),
        ] {
            if let Some(cid) = cid {
                conditions.add(&format!("{column} = ?"), uuid(cid));
            }
        }
        for (condition, time) in [
            ("invocation.accept_time >= ?", filter.accepted_after),
            ("invocation.accept_time < ?", filter.accepted_before),
            ("outcome.end_time >= ?", filter.ended_after),
            ("outcome.end_time < ?", filter.ended_before),
        ] {
            if let Some(time) = time {
                conditions.add(condition, blob::nanos(time));
            }
        }
        if let Some(owners) = &filter.owners {
            let own = owners.principal.as_str().as_bytes().to_vec();
            match &owners.group {
                None => conditions.add("invocation.owner = ?", own),
                Some(group) => {
                    let group = group.as_str().as_bytes().to_vec();
                    conditions.add_either("invocation.owner = ?", own);
                    conditions.add_or("invocation.owner_group = ?", group);
                }
            }
        }
        if !filter.failure_reasons.is_empty() {
            let reasons = filter.failure_reasons.iter();
            let reasons: Vec<String> = reasons.map(|it| text(it).into_owned()).collect();
            conditions.add(
                "coalesce(outcome.failure_reason, pending.failure_reason) = ANY (?)",
                reasons,
            );
        }
        Some(conditions)
    }

    /// One of the states, or one of these invocations, or what waits or is held.
    fn add_state(&mut self, filter: &Filter) {
        let mut any: Vec<String> = Vec::new();
        if !filter.states.is_empty() {
            let states = filter.states.iter().map(|state| encode_state(*state));
            let states: Vec<i16> = states
                .filter_map(|state| i16::try_from(state).ok())
                .collect();
            any.push(self.value("coalesce(outcome.state, pending.started) = ANY (?)", states));
        }
        if !filter.cids.is_empty() {
            let cids: Vec<Uuid> = filter.cids.iter().copied().map(uuid).collect();
            any.push(self.value("invocation.cid = ANY (?)", cids));
        }
        if filter.include_waiting {
            any.push("pending.awaited".to_owned());
        }
        if filter.include_held {
            any.push("pending.due >= 9223372036854775807".to_owned());
        }
        if !any.is_empty() {
            self.text += &format!(" AND ({})", any.join(" OR "));
        }
        if filter.held {
            self.text += " AND pending.due >= 9223372036854775807";
        }
        if filter.dead_letter {
            self.text += " AND (pending.due >= 9223372036854775807 OR outcome.state = 3)";
        }
    }

    /// Adds a condition, whose `?` is a value.
    fn add(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) {
        let condition = self.value(condition, value);
        self.text += &format!(" AND {condition}");
    }

    fn add_either(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) {
        let condition = self.value(condition, value);
        self.text += &format!(" AND ({condition}");
    }

    fn add_or(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) {
        let condition = self.value(condition, value);
        self.text += &format!(" OR {condition})");
    }

    fn value(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) -> String {
        self.values.push(Box::new(value));
        // `$1` and `$2` are those of every statement.
        condition.replace('?', &format!("${}", self.values.len() + 2))
    }
}

/// Reads the invocations that match a filter, from the newest on.
struct Scan<'s> {
    link: &'s Link,
    shared: &'s Shared,
    filter: &'s Filter,
    before: i64,
    read: usize,
}

/// What a chunk of a scan has.
struct Chunk {
    /// Those that match, each with its id and its bytes.
    found: Vec<(i64, usize, Invocation)>,
    /// Whether nothing follows.
    is_last: bool,
}

impl<'s> Scan<'s> {
    fn new(link: &'s Link, shared: &'s Shared, filter: &'s Filter, before: Option<u64>) -> Self {
        let before = before.and_then(|before| i64::try_from(before).ok());
        Self {
            link,
            shared,
            filter,
            before: before.unwrap_or(i64::MAX),
            read: 0,
        }
    }

    /// Reads more; `None` once it has read as much as it may.
    async fn next(&mut self, max: usize) -> Result<Option<Chunk>, Failed> {
        if self.read >= MAX_READ {
            return Ok(None);
        }
        let named = self.filter.services.iter();
        self.shared.services.find(self.link, named).await?;
        let Some(conditions) = Conditions::of(self.filter, self.shared) else {
            return Ok(Some(Chunk {
                found: Vec::new(),
                is_last: true,
            }));
        };
        let limit = max.clamp(1, CHUNK);
        let statement = format!(
            "SELECT {}, invocation.id FROM invocation {} WHERE invocation.id < $1{}
             ORDER BY invocation.id DESC LIMIT $2",
            columns!(),
            state_tables!(),
            conditions.text
        );
        let count = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&self.before, &count];
        values.extend(
            conditions
                .values
                .iter()
                .map(|value| &**value as &(dyn ToSql + Sync)),
        );
        let rows = self.link.client.query(&statement, &values).await?;
        let services = &self.shared.services;
        let ids = rows.iter().map(|row| row.try_get(1));
        let ids = ids.collect::<Result<Vec<i32>, _>>()?;
        services.meet_ids(self.link, ids.into_iter()).await?;
        let mut found = Vec::new();
        for row in &rows {
            let id: i64 = row.try_get(ID_COLUMN)?;
            self.before = id;
            match decode(row, services, &self.shared.cipher, ReadBy::Anyone)? {
                Ok(invocation) if self.filter.matches(&invocation) => {
                    found.push((id, bytes(row)?, invocation));
                }
                Ok(_) => {}
                Err(error) => log_damage(&error),
            }
        }
        self.read += rows.len();
        Ok(Some(Chunk {
            found,
            is_last: rows.len() < limit,
        }))
    }
}

/// The column after those of a row: its id.
const ID_COLUMN: usize = 24;

fn position(id: i64) -> Option<u64> {
    u64::try_from(id).ok()
}

/// A page of the invocations that match a filter.
pub(super) async fn list(
    link: &Link,
    shared: &Shared,
    filter: &Filter,
    before: Option<u64>,
    size: PageSize,
) -> Result<Page, Failed> {
    let mut scan = Scan::new(link, shared, filter, before);
    let (mut page, mut bytes) = (Page::default(), 0_usize);
    let mut last = before;
    loop {
        // One more tells whether there are more.
        let wanted = size
            .invocations
            .saturating_sub(page.invocations.len())
            .saturating_add(1);
        let Some(chunk) = scan.next(wanted).await? else {
            page.next = position(scan.before);
            return Ok(page);
        };
        for (id, row_bytes, invocation) in chunk.found {
            bytes = bytes.saturating_add(row_bytes);
            let is_full = page.invocations.len() >= size.invocations || bytes > size.bytes;
            if is_full && !page.invocations.is_empty() {
                page.next = last;
                return Ok(page);
            }
            page.invocations.push(invocation);
            last = position(id);
        }
        if chunk.is_last {
            return Ok(page);
        }
    }
}

/// Counts a part of the invocations that match a filter.
pub(super) async fn summarize(
    link: &Link,
    shared: &Shared,
    filter: &Filter,
    running: &HashSet<Cid>,
    before: Option<u64>,
) -> Result<SummaryPart, Failed> {
    let mut scan = Scan::new(link, shared, filter, before);
    let mut summaries = Summaries::default();
    let next = loop {
        let Some(chunk) = scan.next(CHUNK).await? else {
            break position(scan.before);
        };
        for (_, _, invocation) in &chunk.found {
            let mut key = SummaryKey::of(invocation);
            if running.contains(&invocation.request.cid) && !key.state.is_terminal() {
                (key.state, key.held) = (State::RUNNING, false);
            }
            summaries.add(key, &SummaryCount::of(invocation));
        }
        if chunk.is_last {
            break None;
        }
    };
    Ok(SummaryPart {
        summaries: summaries.into_each().collect(),
        next,
    })
}
