//! What waits for the writer, by service: what many calls of one service bring does not keep the others waiting.

use std::collections::{HashMap, VecDeque};

use super::writer::Job;
use crate::model::id::ServiceName;

/// How much is committed together, at most.
const GROUP: usize = 1_024;
/// How many bytes are committed together, at most, the last job aside: 8 MiB.
const GROUP_BYTES: u64 = 8 << 20;
/// How much of one service is committed together while others write as well. A commit takes as long as what is in
/// it, and whoever comes meanwhile waits for it: a share takes little longer than the sync of the disk does.
const SHARE: usize = 16;
/// For how many commits it is remembered that several services write.
const REMEMBERED: u32 = 1_000;

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

    /// Takes what is committed together, and says how many bytes that brings.
    pub(super) fn take(&mut self) -> (Vec<Job>, u64) {
        if self.len == 0 {
            return (self.close.take().into_iter().collect(), 0);
        }
        let share = match self.shared_for {
            0 => GROUP,
            _ => SHARE,
        };
        self.shared_for = self.shared_for.saturating_sub(1);
        let (mut group, mut bytes) = (Vec::with_capacity(self.len.min(GROUP)), 0);
        for _ in 0..self.turns.len() {
            let Some(service) = self.turns.pop_front() else {
                break;
            };
            let Some(jobs) = self.waiting.get_mut(&service) else {
                continue;
            };
            let mut left = share.min(GROUP - group.len());
            while left > 0
                && bytes < GROUP_BYTES
                && let Some(job) = jobs.pop_front()
            {
                left -= 1;
                bytes += job.bytes();
                group.push(job);
            }
            match jobs.is_empty() {
                true => drop(self.waiting.remove(&service)),
                false => self.turns.push_back(service),
            }
        }
        self.len -= group.len();
        (group, bytes)
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
        let (group, _) = queue.take();
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
        for _ in 0..2 * SHARE {
            push(&mut queue, "a", 1);
        }
        push(&mut queue, "b", 1);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(taken(&mut queue), [(a.clone(), SHARE), (b, 1)]);
        assert_eq!(taken(&mut queue), [(a.clone(), SHARE)]);
        // Whoever comes next does not wait for more than a share either.
        for _ in 0..GROUP {
            push(&mut queue, "a", 1);
        }
        for _ in 0..GROUP / SHARE {
            assert_eq!(taken(&mut queue), [(a.clone(), SHARE)]);
        }
        for _ in 0..REMEMBERED {
            push(&mut queue, "a", 1);
            assert_eq!(taken(&mut queue), [(a.clone(), 1)]);
        }
        for _ in 0..2 * SHARE {
            push(&mut queue, "a", 1);
        }
        assert_eq!(taken(&mut queue), [(a, 2 * SHARE)]);
    }

    #[test]
    fn turns_are_taken_where_not_all_fit() {
        let mut queue = Queue::default();
        let services: Vec<_> = (0..=GROUP / SHARE).map(|n| format!("s{n}")).collect();
        for service in &services {
            for _ in 0..SHARE {
                push(&mut queue, service, 1);
            }
        }
        let last = services.last().unwrap();
        assert_eq!(taken(&mut queue).len(), GROUP / SHARE);
        assert_eq!(taken(&mut queue), [(last.clone(), SHARE)]);
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
        assert!(matches!(queue.take().0.as_slice(), [Job::Close(_)]));
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
