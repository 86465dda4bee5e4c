//! What waits for the writer, by service: what many calls of one service bring does not keep the others waiting.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::writer::Job;
use crate::model::id::ServiceName;

/// How many rows are committed together, at most, the last job aside.
const GROUP: usize = 1_024;
/// How many bytes are committed together, at most, the last job aside: 8 MiB.
const GROUP_BYTES: u64 = 8 << 20;
/// How many rows of one service are committed together while others write as well, at least.
const LEAST_SHARE: usize = 16;
/// For how many commits it is remembered that several services write.
const REMEMBERED: u32 = 1_000;
/// How much the last commit counts, of all that were.
const WEIGHT: f64 = 0.1;

/// What waits, in the order in which it came from each service; services take turns.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// None of them is empty.
    waiting: HashMap<ServiceName, VecDeque<Job>>,
    /// Whose turn is next.
    turns: VecDeque<ServiceName>,
    /// How many wait in all.
    len: usize,
    /// What comes after everything else.
    close: Option<Job>,
    /// The service that wrote last.
    last: Option<ServiceName>,
    /// For how many commits services still take turns.
    shared_for: u32,
    pub(super) pace: Pace,
}

impl Queue {
    pub(super) fn push(&mut self, job: Job) {
        if matches!(job, Job::Close(_)) {
            self.close = Some(job);
            return;
        }
        let service = job.service();
        if let Some(service) = service
            && self.last.as_ref() != Some(service)
        {
            // The first one has nobody to take turns with.
            if self.last.replace(service.clone()).is_some() {
                self.shared_for = REMEMBERED;
            }
        }
        let service = service.cloned().unwrap_or_else(ServiceName::none);
        self.len += 1;
        match self.waiting.get_mut(&service) {
            Some(jobs) => jobs.push_back(job),
            None => {
                self.turns.push_back(service.clone());
                self.waiting.insert(service, VecDeque::from([job]));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.close.is_none()
    }

    /// Takes what is committed together: of each service its share, until a commit is full. Whoever had no turn has the
    /// first one of the next commit.
    pub(super) fn take(&mut self) -> Taken {
        let mut taken = Taken::default();
        if self.len == 0 {
            taken.jobs.extend(self.close.take());
            return taken;
        }
        let share = match self.shared_for {
            0 => GROUP,
            _ => self.pace.share(),
        };
        self.shared_for = self.shared_for.saturating_sub(1);
        for _ in 0..self.turns.len() {
            if taken.is_full() {
                break;
            }
            let Some(service) = self.turns.pop_front() else {
                break;
            };
            let Some(jobs) = self.waiting.get_mut(&service) else {
                continue;
            };
            let before = taken.rows;
            while taken.rows - before < share
                && !taken.is_full()
                && let Some(job) = jobs.pop_front()
            {
                taken.add(job);
            }
            match jobs.is_empty() {
                true => drop(self.waiting.remove(&service)),
                false => self.turns.push_back(service),
            }
        }
        self.len -= taken.jobs.len();
        taken
    }
}

/// What is committed together.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) jobs: Vec<Job>,
    pub(super) bytes: u64,
    pub(super) rows: usize,
}

impl Taken {
    fn add(&mut self, job: Job) {
        self.bytes += job.bytes();
        self.rows += job.rows();
        self.jobs.push(job);
    }

    fn is_full(&self) -> bool {
        self.rows >= GROUP || self.bytes >= GROUP_BYTES
    }
}

/// How long commits take.
///
/// Whoever comes while something is committed waits for it. Where services take turns each has as much of a commit as
/// is written in the time that the disk takes to sync it: less would be waste, more would keep the others waiting.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What a row takes, in seconds.
    row: f64,
    /// What a sync takes, in seconds.
    sync: f64,
}

impl Pace {
    /// Takes note of a commit of so many rows.
    pub(super) fn note(&mut self, rows: usize, writing: Duration, syncing: Duration) {
        let Ok(rows @ 1..) = u32::try_from(rows) else {
            return;
        };
        let row = writing.as_secs_f64() / f64::from(rows);
        let sync = syncing.as_secs_f64();
        let of = |before: f64, now: f64| match before > 0.0 {
            true => before + (now - before) * WEIGHT,
            false => now,
        };
        (self.row, self.sync) = (of(self.row, row), of(self.sync, sync));
    }

    /// How many rows of one service are committed together while others write as well.
    fn share(&self) -> usize {
        if self.row <= 0.0 {
            return LEAST_SHARE;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "neither is negative, and what is too large is cut off"
        )]
        let share = (self.sync / self.row) as usize;
        share.clamp(LEAST_SHARE, GROUP)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::model::id::Cid;
    use crate::store::sqlite::rows::New;

    fn push(queue: &mut Queue, service: &str, bytes: usize) {
        let new = New {
            cid: Cid::new(),
            service: ServiceName::parse(service).unwrap(),
            due: 0,
            wake: 0,
            over: None,
            idempotency_key: None,
            concurrency_key: None,
            accept_time: 0,
            parent: None,
            root: None,
            sequence: 0,
            request: vec![0; bytes],
            member: None,
            open_members: None,
        };
        queue.push(Job::Accept(new, oneshot::channel().0));
    }

    /// How much of each service is committed next.
    fn taken(queue: &mut Queue) -> Vec<(String, usize)> {
        let before = queue.len();
        let group = queue.take().jobs;
        assert_eq!(queue.len(), before - group.len());
        let of_each = group.chunk_by(|one, next| one.service() == next.service());
        let of_each = of_each.map(|jobs| (jobs[0].service().unwrap().to_string(), jobs.len()));
        of_each.collect()
    }

    #[test]
    fn one_service_has_all_of_a_commit() {
        let mut queue = Queue::default();
        for _ in 0..GROUP + 5 {
            push(&mut queue, "a", 1);
        }
        assert_eq!(taken(&mut queue), [("a".to_owned(), GROUP)]);
        assert_eq!(taken(&mut queue), [("a".to_owned(), 5)]);
        assert!(taken(&mut queue).is_empty());
    }

    #[test]
    fn several_have_a_share_each_and_go_on_so_for_a_while() {
        let mut queue = Queue::default();
        for _ in 0..2 * LEAST_SHARE {
            push(&mut queue, "a", 1);
        }
        push(&mut queue, "b", 1);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(taken(&mut queue), [(a.clone(), LEAST_SHARE), (b, 1)]);
        assert_eq!(taken(&mut queue), [(a.clone(), LEAST_SHARE)]);
        // Whoever comes next does not wait for more than a share either.
        for _ in 0..GROUP {
            push(&mut queue, "a", 1);
        }
        for _ in 0..GROUP / LEAST_SHARE {
            assert_eq!(taken(&mut queue), [(a.clone(), LEAST_SHARE)]);
        }
        for _ in 0..REMEMBERED {
            push(&mut queue, "a", 1);
            assert_eq!(taken(&mut queue), [(a.clone(), 1)]);
        }
        for _ in 0..2 * LEAST_SHARE {
            push(&mut queue, "a", 1);
        }
        assert_eq!(taken(&mut queue), [(a, 2 * LEAST_SHARE)]);
    }

    #[test]
    fn whoever_had_no_turn_has_the_next_one() {
        let mut queue = Queue::default();
        let services: Vec<_> = (0..=GROUP / LEAST_SHARE).map(|n| format!("s{n}")).collect();
        let fill = |queue: &mut Queue| {
            for service in &services {
                for _ in 0..LEAST_SHARE {
                    push(queue, service, 1);
                }
            }
        };
        // All of them have more than fits.
        fill(&mut queue);
        fill(&mut queue);
        let first = taken(&mut queue);
        assert_eq!(first.len(), GROUP / LEAST_SHARE);
        let (last, _) = taken(&mut queue).swap_remove(0);
        assert_eq!(&last, services.last().unwrap());
    }

    #[test]
    fn a_large_commit_keeps_nobody_out() {
        let mut queue = Queue::default();
        for _ in 0..30 {
            push(&mut queue, "a", 1 << 20);
        }
        push(&mut queue, "b", 1);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(taken(&mut queue), [(a.clone(), 8)]);
        assert_eq!(taken(&mut queue), [(b, 1), (a, 8)]);
    }

    #[test]
    fn a_share_is_what_is_written_while_the_disk_syncs() {
        let (mut pace, row) = (Pace::default(), Duration::from_micros(10));
        assert_eq!(pace.share(), LEAST_SHARE);
        pace.note(100, row * 100, Duration::from_millis(1));
        assert_eq!(pace.share(), 100);
        // A slow disk is not kept from syncing much at once, a fast one not from syncing a little.
        for _ in 0..100 {
            pace.note(100, row * 100, Duration::from_millis(50));
        }
        assert_eq!(pace.share(), GROUP);
        for _ in 0..100 {
            pace.note(100, row * 100, Duration::from_micros(50));
        }
        assert_eq!(pace.share(), LEAST_SHARE);
    }

    #[test]
    fn whoever_closes_comes_last() {
        let mut queue = Queue::default();
        queue.push(Job::Close(oneshot::channel().0));
        for _ in 0..=GROUP {
            push(&mut queue, "a", 1);
        }
        assert_eq!(taken(&mut queue), [("a".to_owned(), GROUP)]);
        assert_eq!(taken(&mut queue), [("a".to_owned(), 1)]);
        assert!(!queue.is_empty());
        assert!(matches!(queue.take().jobs.as_slice(), [Job::Close(_)]));
        assert!(queue.is_empty());
    }

    #[test]
    fn large_ones_fill_a_commit_sooner() {
        let mut queue = Queue::default();
        for _ in 0..9 {
            push(&mut queue, "a", 1 << 20);
        }
        assert_eq!(taken(&mut queue), [("a".to_owned(), 8)]);
        assert_eq!(taken(&mut queue), [("a".to_owned(), 1)]);
    }
}
