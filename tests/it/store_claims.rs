//! Claims of the embedded store, which are served from memory where they can be, compared with those of the store in
//! memory: the same random operations on both, and the same invocations claimed in the same order.

use cidery::engine::store::{ClaimLimit, Record, Store};
use cidery::model::invocation::{Invocation, State};
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{Cid, ServiceName, dict};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::support::Folder;
use crate::support::stored::{NOW, group, invocation, record, service, started, with_request};

const SEEDS: u64 = 6;
const STEPS: usize = 250;
const SERVICES: [&str; 2] = ["a", "b"];

/// Both stores, and what was accepted and claimed.
struct Pair {
    sqlite: SqliteStore,
    memory: MemoryStore,
    random: Rng,
    now: Timestamp,
    claimed: Vec<(Cid, String)>,
    unclaimed: Vec<(Cid, String)>,
    cancelled: Vec<Cid>,
    trace: Vec<String>,
}

impl Pair {
    fn name(&mut self) -> &'static str {
        SERVICES[self.random.usize(..SERVICES.len())]
    }

    fn later(&mut self) -> Timestamp {
        self.now + SignedDuration::from_millis(self.random.i64(1..20))
    }

    fn new_invocation(&mut self, name: &str, due: Option<Timestamp>) -> Invocation {
        let mut request = (*invocation(name, self.now, dict! {}).request).clone();
        request.accept_time = self.now;
        request.terms.start_time = due;
        if self.random.u8(..) < 64 {
            request.terms.concurrency_key = Some("key".to_owned());
        }
        Invocation::accepted(request, 1)
    }

    async fn accept(&mut self) {
        let name = self.name();
        let due = (self.random.u8(..) < 64).then(|| self.later());
        let new = self.new_invocation(name, due);
        self.trace.push(format!(
            "accept {} due {due:?} key {:?}",
            new.request.cid, new.request.terms.concurrency_key
        ));
        self.unclaimed.push((new.request.cid, name.to_owned()));
        self.sqlite.accept(new.clone()).await.unwrap();
        self.memory.accept(new).await.unwrap();
    }

    async fn accept_group(&mut self) {
        let (group, members) = group(3);
        let now = self.now;
        let at_now = |one: Invocation| {
            let one = with_request(one, |request| {
                request.accept_time = now;
                request.terms.start_time = None;
            });
            Invocation::accepted((*one.request).clone(), 1)
        };
        let (group, members) = (at_now(group), members.into_iter().map(at_now));
        let members: Vec<_> = members.collect();
        self.trace.push(format!(
            "group {:?}",
            members
                .iter()
                .map(|one| one.request.cid)
                .collect::<Vec<_>>()
        ));
        for member in &members {
            let request = &member.request;
            self.unclaimed
                .push((request.cid, request.service.to_string()));
        }
        let (again, same) = (group.clone(), members.clone());
        self.sqlite.accept_group(group, members).await.unwrap();
        self.memory.accept_group(again, same).await.unwrap();
    }

    async fn claim(&mut self, seed: u64) {
        let name = match self.random.u8(..) {
            0..16 => ServiceName::none(),
            _ => service(self.name()),
        };
        let limit = ClaimLimit::invocations(self.random.usize(1..4));
        let ours = self.sqlite.claim(&name, self.now, limit).await.unwrap();
        let model = self.memory.claim(&name, self.now, limit).await.unwrap();
        let cids = |claim: &[Invocation]| {
            let cids = claim.iter().map(|one| one.request.cid);
            cids.collect::<Vec<_>>()
        };
        let (ours, model) = (cids(&ours.invocations), cids(&model.invocations));
        self.trace
            .push(format!("claim `{name}` at {}: {ours:?}", self.now));
        assert_eq!(ours, model, "seed {seed}:\n{}", self.trace.join("\n"));
        for cid in ours {
            self.unclaimed.retain(|(other, _)| *other != cid);
            self.claimed.push((cid, name.to_string()));
        }
    }

    /// Records an invocation that is claimed, or one that is not.
    async fn record(&mut self) {
        let is_claimed = self.random.u8(..) < 200;
        let from = match is_claimed {
            true => &mut self.claimed,
            false => &mut self.unclaimed,
        };
        if from.is_empty() {
            return;
        }
        let (cid, name) = from.swap_remove(self.random.usize(..from.len()));
        // An attempt of an invocation that was cancelled is not followed by another one.
        let is_pending =
            self.random.u8(..) < 64 && !name.is_empty() && !self.cancelled.contains(&cid);
        let state = match is_pending {
            true => State::Pending { started: true },
            false => State::Succeeded,
        };
        let kind = match is_pending {
            true => started(),
            false => {
                cidery::model::invocation::EventKind::Succeeded(cidery::Payload::empty().into())
            }
        };
        let mut ended = record(cid, state, kind);
        ended.service = ServiceName::from_record(&name).unwrap();
        (ended.due, ended.next_wakeup) = (self.later(), self.later());
        ended.next_wakeup = ended.due;
        if is_pending {
            self.unclaimed.push((cid, name.clone()));
        }
        if let (false, 0..64) = (is_pending, self.random.u8(..)) {
            let name = self.name();
            let next = self.new_invocation(name, None);
            self.unclaimed.push((next.request.cid, name.to_owned()));
            ended.followed_by.push(next);
        }
        ended.expected_attempts = None;
        if !is_claimed {
            let attempts = self.sqlite.get(cid).await.unwrap();
            let cidery::engine::store::Stored::Found(found) = attempts else {
                panic!("{cid} is gone");
            };
            ended.expected_attempts = Some(found.attempts);
            ended.attempts = found.attempts;
        }
        self.trace.push(format!(
            "record {cid} {state:?} due {} claimed {is_claimed}",
            ended.due
        ));
        let same = Record::clone(&ended);
        assert_eq!(
            self.sqlite.record(ended).await.unwrap(),
            self.memory.record(same).await.unwrap()
        );
    }

    async fn cancel(&mut self) {
        let Some((cid, _)) = self.random.choice(&self.claimed) else {
            return;
        };
        let cid = *cid;
        self.trace.push(format!("cancel {cid}"));
        self.cancelled.push(cid);
        let ours = self.sqlite.request_cancel(cid, None).await.unwrap();
        assert_eq!(ours, self.memory.request_cancel(cid, None).await.unwrap());
    }
}

#[tokio::test]
async fn claims_are_those_of_the_store_in_memory() {
    for seed in 0..SEEDS {
        let folder = Folder::new("claims");
        let mut pair = Pair {
            sqlite: SqliteStore::open(folder.path()).unwrap(),
            memory: MemoryStore::default(),
            random: Rng::with_seed(seed),
            now: NOW,
            claimed: Vec::new(),
            unclaimed: Vec::new(),
            cancelled: Vec::new(),
            trace: Vec::new(),
        };
        for _ in 0..STEPS {
            pair.now += SignedDuration::from_millis(1);
            match pair.random.u8(..) {
                0..90 => pair.accept().await,
                90..94 => pair.accept_group().await,
                94..184 => pair.claim(seed).await,
                184..252 => pair.record().await,
                252.. => pair.cancel().await,
            }
        }
    }
}
