//! Invocations, claims and records for the tests of stores.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use cidery::engine::store::{Acceptance, ClaimLimit, Record, Store, Stored};
use cidery::model::invocation::{
    Event, EventKind, Group, Grouping, Invocation, Member, NestedCalls, Request, State,
};
use cidery::{Cid, Dict, Payload, Principal, Principals, ServiceName, dict};
use jiff::Timestamp;

pub(crate) const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A key of a store.
pub(crate) const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The sequences of an invocation rise from record to record.
static NEXT_SEQUENCE: AtomicU64 = AtomicU64::new(2);

/// In a shared store, the generation that the first change of an invocation begins.
const SECOND_GENERATION: u32 = 2;

/// The generation of the last claim of each invocation, for the records of that claim.
static CLAIMS: LazyLock<Mutex<HashMap<Cid, u32>>> = LazyLock::new(Mutex::default);

pub(crate) fn at(seconds: i64) -> Timestamp {
    NOW.checked_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap()
}

pub(crate) fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

pub(crate) fn event(sequence: u64, kind: EventKind) -> Arc<Event> {
    Arc::new(Event {
        sequence,
        attempt: 1,
        time: NOW,
        kind,
    })
}

/// The start of an attempt in the node, without a worker.
pub(crate) fn started() -> EventKind {
    EventKind::Started {
        worker: String::new(),
        calls: NestedCalls::default(),
    }
}

pub(crate) fn invocation(name: &str, due: Timestamp, input: Dict) -> Invocation {
    let mut request = Request::new(Cid::new(), service(name), Payload::from(input), NOW);
    request.terms.start_time = Some(due);
    Invocation::accepted(request, 1)
}

/// Accepts an invocation that is due at `due`; answers with its CID.
pub(crate) async fn accepted(store: &dyn Store, name: &str, due: Timestamp) -> Cid {
    let invocation = invocation(name, due, dict! {});
    let cid = invocation.request.cid;
    assert!(matches!(
        store.accept(invocation).await.unwrap(),
        Acceptance::Stored
    ));
    cid
}

/// A record of the last claim of an invocation ([`claimed`]) or, of one that was neither claimed nor changed since it
/// was accepted, without a claim.
pub(crate) fn record(cid: Cid, state: State, kind: EventKind) -> Record {
    let ended = state.is_terminal();
    let claim = CLAIMS.lock().unwrap().get(&cid).copied();
    Record {
        id: NEXT_SEQUENCE.fetch_add(1, Ordering::Relaxed),
        generation: claim.unwrap_or(SECOND_GENERATION),
        cid,
        service: service("a"),
        owner: None,
        state,
        attempts: 1,
        crash_count: 0,
        due: NOW,
        next_wakeup: NOW,
        expires_at: None,
        first_attempt_time: Some(NOW),
        events: {
            let next = NEXT_SEQUENCE.fetch_add(2, Ordering::Relaxed);
            vec![event(next, started()), event(next + 1, kind)]
        },
        progress: None,
        last_failure: None,
        deferred: false,
        end_time: ended.then_some(NOW),
        purge_time: ended.then_some(at(10)),
        tombstone_until: ended.then_some(at(20)),
        followed_by: Vec::new(),
        completion: None,
        expected_attempts: claim.is_none().then_some(0),
    }
}

/// A record without a claim, decided on an invocation as it is now.
pub(crate) async fn unclaimed(store: &dyn Store, record: Record) -> Record {
    let found = found(store, record.cid).await;
    Record {
        generation: found.generation,
        expected_attempts: Some(found.attempts),
        ..record
    }
}

pub(crate) fn succeeded(cid: Cid) -> Record {
    record(
        cid,
        State::Succeeded,
        EventKind::Succeeded(Payload::empty().into()),
    )
}

pub(crate) async fn found(store: &dyn Store, cid: Cid) -> Invocation {
    match store.get(cid).await.unwrap() {
        Stored::Found(invocation) => *invocation,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn claimed(store: &dyn Store, name: &str, now: Timestamp, max: usize) -> Vec<Cid> {
    claimed_of(store, &service(name), now, max).await
}

/// As [`claimed`], for groups as well.
pub(crate) async fn claimed_of(
    store: &dyn Store,
    service: &ServiceName,
    now: Timestamp,
    max: usize,
) -> Vec<Cid> {
    let limit = ClaimLimit::invocations(max);
    let claim = store.claim(service, now, limit).await.unwrap();
    let mut claims = CLAIMS.lock().unwrap();
    let note = |invocation: &Invocation| {
        let cid = invocation.request.cid;
        claims.insert(cid, invocation.generation);
        cid
    };
    claim.invocations.iter().map(note).collect()
}

/// A group with so many members of the services `a` and `b` in turn.
pub(crate) fn group(members: u32) -> (Invocation, Vec<Invocation>) {
    let group = with_request(invocation("a", NOW, dict! {}), |request| {
        request.service = ServiceName::none();
        request.terms.start_time = None;
        let on_each = vec![service("each")];
        request.grouping = Some(Grouping::Group(Group { members, on_each }));
    });
    // The open members are counted from the request.
    let group = Invocation::accepted((*group.request).clone(), 1);
    let cid = group.request.cid;
    let member = |position: u32| {
        let name = if position.is_multiple_of(2) { "a" } else { "b" };
        with_request(invocation(name, NOW, dict! { "n": position }), |request| {
            let (group, on_each) = (cid, Vec::new());
            request.grouping = Some(Grouping::Member(Member {
                group,
                position,
                on_each,
            }));
        })
    };
    let members = (0..members).map(member).collect();
    (group, members)
}

/// An invocation that a principal asked for, and that belongs to it.
pub(crate) fn owned_by(owner: &Principal, invocation: Invocation) -> Invocation {
    with_request(invocation, |request| {
        request.principals = Some(Arc::new(Principals {
            principal: Some(owner.clone()),
            acting_principal: Some(owner.clone()),
            acting_group: None,
        }));
    })
}

pub(crate) fn with_request(
    mut invocation: Invocation,
    change: impl FnOnce(&mut Request),
) -> Invocation {
    let mut request = Request::clone(&invocation.request);
    change(&mut request);
    invocation.request = Arc::new(request);
    invocation
}
