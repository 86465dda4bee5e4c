//! Round-robin between services at the single writer: many commands of one service do not delay those of the others.

use std::collections::{HashMap, VecDeque};

use crate::model::id::ServiceName;
use crate::store::sqlite::commands::QueuedCommand;

/// How many rows are committed together at most, the last command aside.
pub(in crate::store::sqlite) const MAX_COMMIT_ROWS: usize = 1_024;
/// How many bytes are committed together at most, the last command aside: 8 MiB.
const MAX_COMMIT_BYTES: u64 = 8 << 20;
/// After commands of two services were queued, the next 1 000 commits use shares.
const SHARED_COMMITS: u32 = 1_000;

/// The queue of the writer: first in, first out within a service, round-robin between services.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct RoundRobin {
    /// The commands of each service. No queue is empty.
    queues: HashMap<ServiceName, VecDeque<Box<dyn QueuedCommand>>>,
    /// The services with commands, the next one first.
    order: VecDeque<ServiceName>,
    len: usize,
    /// The service of the last command that was queued.
    last_service: Option<ServiceName>,
    /// How many more commits use shares.
    shared_commits: u32,
}

impl RoundRobin {
    /// Queues a command behind those of its service.
    pub(in crate::store::sqlite) fn push(&mut self, command: Box<dyn QueuedCommand>) {
        let service = command.service();
        if let Some(service) = service
            && self.last_service.as_ref() != Some(service)
            && self.last_service.replace(service.clone()).is_some()
        {
            self.shared_commits = SHARED_COMMITS;
        }
        let service = service.cloned().unwrap_or_else(ServiceName::none);
        self.len += 1;
        match self.queues.get_mut(&service) {
            Some(queue) => queue.push_back(command),
            None => {
                self.order.push_back(service.clone());
                self.queues.insert(service, VecDeque::from([command]));
            }
        }
    }

    pub(in crate::store::sqlite) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::store::sqlite) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the commands of the next commit: of each service its `share` of rows, until the commit is full. The
    /// services that were not reached come first in the commit after it.
    pub(in crate::store::sqlite) fn next_commit(&mut self, share: usize) -> CommitGroup {
        let mut group = CommitGroup::default();
        let share = match self.shared_commits {
            0 => MAX_COMMIT_ROWS,
            _ => share,
        };
        self.shared_commits = self.shared_commits.saturating_sub(1);
        for _ in 0..self.order.len() {
            if group.is_full() {
                break;
            }
            let Some(service) = self.order.pop_front() else {
                break;
            };
            let Some(queue) = self.queues.get_mut(&service) else {
                continue;
            };
            let rows_before = group.rows;
            while group.rows - rows_before < share
                && !group.is_full()
                && let Some(command) = queue.pop_front()
            {
                group.push(command);
            }
            match queue.is_empty() {
                true => drop(self.queues.remove(&service)),
                false => self.order.push_back(service),
            }
        }
        self.len -= group.commands.len();
        group
    }
}

/// Commands that are committed together: one transaction, and one sync for all of them.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct CommitGroup {
    pub(in crate::store::sqlite) commands: Vec<Box<dyn QueuedCommand>>,
    pub(in crate::store::sqlite) bytes: u64,
    pub(in crate::store::sqlite) rows: usize,
}

impl CommitGroup {
    fn push(&mut self, command: Box<dyn QueuedCommand>) {
        self.bytes += command.bytes();
        self.rows += command.rows();
        self.commands.push(command);
    }

    fn is_full(&self) -> bool {
        self.rows >= MAX_COMMIT_ROWS || self.bytes >= MAX_COMMIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Result;
    use crate::store::sqlite::commands::{Command, Tx, queue};

    const SHARE: usize = 16;

    /// A command of one row.
    #[derive(Debug)]
    struct Write {
        service: ServiceName,
        bytes: usize,
    }

    impl Command for Write {
        type Reply = ();

        fn apply(&self, _: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
            Ok(Ok(()))
        }

        fn service(&self) -> Option<&ServiceName> {
            Some(&self.service)
        }

        fn bytes(&self) -> usize {
            self.bytes
        }
    }

    fn push(round_robin: &mut RoundRobin, service: &str, bytes: usize) {
        let service = ServiceName::parse(service).unwrap();
        round_robin.push(queue(Write { service, bytes }).0);
    }

    fn push_many(round_robin: &mut RoundRobin, service: &str, count: usize) {
        for _ in 0..count {
            push(round_robin, service, 1);
        }
    }

    /// How many commands of each service are in the next commit.
    fn next_commit(round_robin: &mut RoundRobin) -> Vec<(String, usize)> {
        let before = round_robin.len();
        let commands = round_robin.next_commit(SHARE).commands;
        assert_eq!(round_robin.len(), before - commands.len());
        let by_service = commands.chunk_by(|one, next| one.service() == next.service());
        let by_service =
            by_service.map(|chunk| (chunk[0].service().unwrap().to_string(), chunk.len()));
        by_service.collect()
    }

    #[test]
    fn one_service_alone_fills_a_commit() {
        let mut round_robin = RoundRobin::default();
        push_many(&mut round_robin, "a", MAX_COMMIT_ROWS + 5);
        let a = "a".to_owned();
        assert_eq!(
            next_commit(&mut round_robin),
            [(a.clone(), MAX_COMMIT_ROWS)]
        );
        assert_eq!(next_commit(&mut round_robin), [(a, 5)]);
        assert!(next_commit(&mut round_robin).is_empty());
    }

    #[test]
    fn several_services_have_a_share_each_and_keep_it_for_many_commits() {
        let mut round_robin = RoundRobin::default();
        push_many(&mut round_robin, "a", 2 * SHARE);
        push(&mut round_robin, "b", 1);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(next_commit(&mut round_robin), [(a.clone(), SHARE), (b, 1)]);
        assert_eq!(next_commit(&mut round_robin), [(a.clone(), SHARE)]);
        // A command of another service that arrives now waits for no more than one share.
        push_many(&mut round_robin, "a", MAX_COMMIT_ROWS);
        for _ in 0..MAX_COMMIT_ROWS / SHARE {
            assert_eq!(next_commit(&mut round_robin), [(a.clone(), SHARE)]);
        }
        for _ in 0..SHARED_COMMITS {
            push(&mut round_robin, "a", 1);
            assert_eq!(next_commit(&mut round_robin), [(a.clone(), 1)]);
        }
        push_many(&mut round_robin, "a", 2 * SHARE);
        assert_eq!(next_commit(&mut round_robin), [(a, 2 * SHARE)]);
    }

    #[test]
    fn a_service_that_was_not_reached_comes_first_in_the_next_commit() {
        let mut round_robin = RoundRobin::default();
        let services: Vec<_> = (0..=MAX_COMMIT_ROWS / SHARE)
            .map(|n| format!("s{n}"))
            .collect();
        // Each of them has more than fits.
        for service in services.iter().chain(&services) {
            push_many(&mut round_robin, service, SHARE);
        }
        let first = next_commit(&mut round_robin);
        assert_eq!(first.len(), MAX_COMMIT_ROWS / SHARE);
        let (next, _) = next_commit(&mut round_robin).swap_remove(0);
        assert_eq!(&next, services.last().unwrap());
    }

    #[test]
    fn a_commit_full_of_bytes_does_not_exclude_other_services() {
        let mut round_robin = RoundRobin::default();
        for _ in 0..30 {
            push(&mut round_robin, "a", 1 << 20);
        }
        push(&mut round_robin, "b", 1);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(next_commit(&mut round_robin), [(a.clone(), 8)]);
        assert_eq!(next_commit(&mut round_robin), [(b, 1), (a, 8)]);
    }

    #[test]
    fn large_commands_fill_a_commit_sooner() {
        let mut round_robin = RoundRobin::default();
        for _ in 0..9 {
            push(&mut round_robin, "a", 1 << 20);
        }
        assert_eq!(next_commit(&mut round_robin), [("a".to_owned(), 8)]);
        assert_eq!(next_commit(&mut round_robin), [("a".to_owned(), 1)]);
    }
}
