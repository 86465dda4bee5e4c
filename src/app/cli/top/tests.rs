//! Screens of `top`, drawn without a terminal and compared with `tests/fixtures/top/`, and what keys do.
//!
//! `UPDATE_SNAPSHOTS=1` writes the screens again.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Modifier;

use super::draw::draw;
use super::keys;
use super::poll::{Answer, Request, Verb};
use super::state::{Effect, State};
use super::view::View;
use crate::codec::convert::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, reason};
use crate::model::id::Cid;

const SIZES: [(u16, u16); 2] = [(80, 24), (160, 48)];
const CID: &str = "0190f5a2-7b3c-7def-8123-456789abcdef";
/// A name that would clear the screen, and one that would be shown from right to left.
const HOSTILE: &str = "a\u{1b}[2J\u{202e}b\u{9b}31m";

fn now() -> Timestamp {
    Timestamp::from_second(1_900_000_000).unwrap()
}

fn ago(seconds: i64) -> Option<prost_types::Timestamp> {
    let time = Timestamp::from_second(1_900_000_000 - seconds).unwrap();
    Some(timestamp_to_proto(time))
}

fn stats(service: &str, calls: u64, failed: u64, workers: u32) -> v1::ServiceStats {
    let outcome = |outcome: v1::OutcomeKind, count| v1::OutcomeCount {
        kind: v1::InvocationKind::Sync.into(),
        outcome: outcome.into(),
        count,
    };
    v1::ServiceStats {
        service: service.to_owned(),
        outcomes: vec![
            outcome(v1::OutcomeKind::Succeeded, calls),
            outcome(v1::OutcomeKind::Failed, failed),
        ],
        duration: Some(v1::Histogram {
            bounds: vec![0.001, 0.01, 0.1],
            counts: vec![calls / 2, calls / 2, calls / 50, 0],
            sum: 0.0,
        }),
        queued: 2 * u64::from(workers),
        pending: 12 * u64::from(workers),
        running: 3,
        oldest_due_time: (workers > 0).then(|| ago(75)).flatten(),
        workers,
        last_failure_reason: if failed > 0 { "HANDLER_FAILED" } else { "" }.to_owned(),
        ..v1::ServiceStats::default()
    }
}

fn place(name: &str, health: v1::ServiceHealth, workers: &[&str]) -> v1::ServiceSummary {
    v1::ServiceSummary {
        name: name.to_owned(),
        health: health.into(),
        locations: match health {
            v1::ServiceHealth::NoWorker => 0,
            _ => 1,
        },
        workers: workers.iter().map(|name| (*name).to_owned()).collect(),
        ..v1::ServiceSummary::default()
    }
}

fn poll(seconds_ago: i64, stats: Vec<v1::ServiceStats>) -> Answer {
    Answer::Stats(Box::new(v1::ListServiceStatsResponse {
        stats,
        observe_time: ago(seconds_ago),
        start_time: ago(11_520),
        ..v1::ListServiceStatsResponse::default()
    }))
}

fn status() -> v1::GetStatusResponse {
    v1::GetStatusResponse {
        version: "0.1.0".to_owned(),
        services: 4,
        workers: 3,
        workers_away: 1,
        store: "sqlite".to_owned(),
        store_size_bytes: 1_288_490_189,
        store_bytes_limit: 64 << 30,
        disk_free_bytes: 40 << 30,
        health: v1::NodeHealth::Degraded.into(),
        health_reasons: vec![v1::HealthReason {
            reason: "SERVICE_UNSERVED".to_owned(),
            message: "12 pending invocations of `crm.import` wait, because no worker serves it"
                .to_owned(),
        }],
        held_invocations: 2,
        failing_services: vec![v1::FailingService {
            service: "crm.sync".to_owned(),
            calls: 100,
            failures: 12,
            reason: "HANDLER_FAILED".to_owned(),
            example_cid: CID.to_owned(),
            example_message: "the CRM is down".to_owned(),
        }],
        ..v1::GetStatusResponse::default()
    }
}

/// A node whose answers have all come.
fn busy() -> State {
    let mut state = State::new("127.0.0.1:24337", now());
    let names = ["cidery.echo", "crm.import", "crm.sync", "mail.send"];
    let of = |calls: u64, failed: u64| {
        vec![
            stats(names[0], calls * 10, 0, 0),
            stats(names[1], 0, 0, 0),
            stats(names[2], calls, failed, 2),
            stats(names[3], calls / 4, 0, 1),
        ]
    };
    state.take(&Request::Stats, Ok(poll(6, of(100, 0))));
    state.take(&Request::Stats, Ok(poll(1, of(600, 20))));
    state.take(&Request::Status, Ok(Answer::Status(Box::new(status()))));
    let services = vec![
        place(names[0], v1::ServiceHealth::Serving, &[]),
        place(names[1], v1::ServiceHealth::NoWorker, &[]),
        place(names[2], v1::ServiceHealth::Serving, &["a", "b"]),
        place(names[3], v1::ServiceHealth::Paused, &["c"]),
    ];
    let services = v1::ListServicesResponse {
        services,
        ..v1::ListServicesResponse::default()
    };
    state.take(&Request::Services, Ok(Answer::Services(services)));
    state
}

fn failed(cid: &str, service: &str) -> v1::Invocation {
    v1::Invocation {
        cid: cid.to_owned(),
        service: service.to_owned(),
        state: v1::State::Failed.into(),
        attempt: 3,
        accept_time: ago(90),
        first_attempt_time: ago(89),
        end_time: ago(60),
        outcome: Some(v1::Outcome {
            outcome: Some(v1::outcome::Outcome::Failure(v1::Failure {
                reason: "HANDLER_FAILED".to_owned(),
                message: "the CRM is down".to_owned(),
                ..v1::Failure::default()
            })),
            ..v1::Outcome::default()
        }),
        ..v1::Invocation::default()
    }
}

fn screen(state: &mut State, (width, height): (u16, u16)) -> String {
    state.size = (width, height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, true)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let rows = (0..height).map(|y| {
        let row: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        row.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n") + "\n"
}

/// Compares the screens of a state in both sizes.
#[track_caller]
fn check(name: &str, state: &mut State) {
    for size in SIZES {
        let found = screen(state, size);
        let file = format!("tests/fixtures/top/{name}-{}.txt", size.0);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == expected,
            "{name} differs from its snapshot.\n--- expected\n{expected}\n--- found\n{found}"
        );
    }
}

fn press(state: &mut State, code: KeyCode) -> Option<Effect> {
    let key = KeyEvent::new(code, KeyModifiers::NONE);
    let action = keys::action(key, state.mode())?;
    state.act(action)
}

fn type_keys(state: &mut State, text: &str) {
    text.chars()
        .for_each(|key| assert_eq!(press(state, KeyCode::Char(key)), None));
}

#[test]
fn a_busy_node() {
    check("services", &mut busy());
}

#[test]
fn a_node_that_has_not_answered() {
    check("loading", &mut State::new("127.0.0.1:24337", now()));
}

#[test]
fn a_node_without_services() {
    let mut state = State::new("127.0.0.1:24337", now());
    state.take(&Request::Stats, Ok(poll(1, Vec::new())));
    check("empty", &mut state);
}

/// Its last data stays, in gray, and it says why.
#[test]
fn a_node_that_is_lost() {
    let mut state = busy();
    let refused = Error::unavailable(reason::CONNECT_FAILED, "cannot connect: refused");
    state.take(&Request::Stats, Err(refused));
    check("lost", &mut state);
    assert_eq!(state.wanted(), [Request::Stats]);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(frame, &state, true)).unwrap();
    let of_row = terminal.backend().buffer()[(0, 7)].modifier;
    assert!(of_row.contains(Modifier::DIM), "{of_row:?}");
    // It comes back by itself.
    state.take(&Request::Stats, Ok(poll(0, Vec::new())));
    assert!(!screen(&mut state, (80, 24)).contains("reconnecting"));
}

#[test]
fn a_node_that_refuses() {
    let mut state = State::new("127.0.0.1:24337", now());
    let denied = Error::permission_denied(reason::NOT_PERMITTED, "`admin` is not granted");
    state.take(&Request::Stats, Err(denied));
    check("refused", &mut state);
    // What to do is at the end.
    let why = "`clerk` may not administer the node: `cidery whoami` shows what it may; make a key with `--admin`";
    let denied = Error::permission_denied(reason::NOT_PERMITTED, why);
    state.take(&Request::Stats, Err(denied));
    assert!(screen(&mut state, (80, 24)).contains("`--admin`"));
}

#[test]
fn many_services_and_long_names() {
    let mut state = State::new("node.example.com:24337", now());
    let names = (0..1_000).map(|n| match n {
        7 => "crm.".to_owned() + &"long".repeat(40),
        n => format!("crm.service.number-{n:04}"),
    });
    let many: Vec<_> = names.map(|name| stats(&name, 5, 0, 1)).collect();
    let response = v1::ListServiceStatsResponse {
        stats: many,
        next_page_token: "more".to_owned(),
        observe_time: ago(1),
        start_time: ago(100),
    };
    state.take(&Request::Stats, Ok(Answer::Stats(Box::new(response))));
    let status = v1::GetStatusResponse {
        services: 2_345,
        ..status()
    };
    state.take(&Request::Status, Ok(Answer::Status(Box::new(status))));
    press(&mut state, KeyCode::End);
    check("many", &mut state);
    press(&mut state, KeyCode::Home);
    type_keys(&mut state, "/long");
    check("filtered", &mut state);
}

#[test]
fn names_cannot_control_the_terminal() {
    let mut state = State::new(HOSTILE, now());
    state.take(&Request::Stats, Ok(poll(1, vec![stats(HOSTILE, 1, 1, 0)])));
    let workers = v1::ListWorkersResponse {
        workers: vec![v1::Worker {
            name: HOSTILE.to_owned(),
            build_id: HOSTILE.to_owned(),
            services: vec![HOSTILE.to_owned()],
            ..v1::Worker::default()
        }],
        ..v1::ListWorkersResponse::default()
    };
    state.take(&Request::Workers, Ok(Answer::Workers(workers)));
    check("hostile", &mut state);
    for key in ['1', '2', '3', '?'] {
        press(&mut state, KeyCode::Char(key));
        for size in SIZES {
            let screen = screen(&mut state, size);
            let is_control = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!screen.contains(is_control), "{screen:?}");
        }
    }
}

#[test]
fn workers_and_their_credits() {
    let mut state = busy();
    press(&mut state, KeyCode::Char('2'));
    assert!(state.wanted().contains(&Request::Workers));
    let worker = |name: &str, away| v1::Worker {
        id: format!("id-{name}"),
        name: name.to_owned(),
        build_id: "1.4.2".to_owned(),
        services: vec!["crm.sync".to_owned(), "mail.send".to_owned()],
        in_flight: 3,
        max_in_flight: 64,
        connect_time: ago(3_600),
        peer: "10.0.0.7:51234".to_owned(),
        away,
        ..v1::Worker::default()
    };
    let workers = v1::ListWorkersResponse {
        workers: vec![worker("billing", false), worker("mail", true)],
        ..v1::ListWorkersResponse::default()
    };
    state.take(&Request::Workers, Ok(Answer::Workers(workers)));
    check("workers", &mut state);
}

#[test]
fn an_invocation_is_retried_after_a_question() {
    let mut state = busy();
    press(&mut state, KeyCode::Char('3'));
    let found = vec![failed(CID, "crm.sync")];
    state.take(&Request::Failures, Ok(Answer::Invocations(found)));
    check("failures", &mut state);
    let cid = Cid::parse(CID).unwrap();
    press(&mut state, KeyCode::Char('r'));
    check("question", &mut state);
    assert_eq!(press(&mut state, KeyCode::Char('n')), None);
    press(&mut state, KeyCode::Char('r'));
    let request = Request::Change(Verb::Retry, cid);
    let asked = press(&mut state, KeyCode::Char('y'));
    assert_eq!(asked, Some(Effect::Ask(request.clone())));
    let change = v1::InvocationChange {
        cid: CID.to_owned(),
        new_cid: "0190f5a2-7b3d-7aaa-8123-456789abcdef".to_owned(),
        ..v1::InvocationChange::default()
    };
    state.take(&request, Ok(Answer::Changed(Box::new(change))));
    let shown = screen(&mut state, (80, 24));
    assert!(shown.contains("retried as 0190f5a2-7b3d-7aaa"), "{shown}");
    // The answer to a change is not known where the node is lost before.
    let lost = Error::unavailable(reason::TRANSPORT, "the connection broke");
    state.take(&request, Err(lost));
    assert!(screen(&mut state, (80, 24)).contains("the connection broke"));
}

#[test]
fn nothing_is_cancelled_without_an_invocation() {
    let mut state = busy();
    press(&mut state, KeyCode::Char('c'));
    assert!(state.question.is_none());
    press(&mut state, KeyCode::Char('3'));
    press(&mut state, KeyCode::Char('c'));
    assert!(state.question.is_none());
}

#[test]
fn a_service_and_its_invocations_are_opened() {
    let mut state = busy();
    type_keys(&mut state, "/sync");
    press(&mut state, KeyCode::Enter);
    press(&mut state, KeyCode::Enter);
    let name = "crm.sync".to_owned();
    assert_eq!(*state.view(), View::Service(name.clone()));
    let element = |name: &str, optional| v1::Element {
        name: name.to_owned(),
        r#type: v1::ElementType::Int.into(),
        optional,
        ..v1::Element::default()
    };
    let side = |elements| {
        Some(v1::Elements {
            elements,
            ..v1::Elements::default()
        })
    };
    let sio = v1::SimpleIo {
        input: side(vec![element("cust_id", false), element("limit", true)]),
        output: side(Vec::new()),
        ..v1::SimpleIo::default()
    };
    let description = v1::ServiceDescription {
        declaration: Some(v1::ServiceDeclaration {
            name: name.clone(),
            description: "Synchronizes a customer with the CRM.".to_owned(),
            sio: Some(sio),
            ..v1::ServiceDeclaration::default()
        }),
        health: v1::ServiceHealth::Serving.into(),
        ..v1::ServiceDescription::default()
    };
    let answer = Answer::Service(Box::new(description));
    state.take(&Request::Service(name.clone()), Ok(answer));
    let recent = Request::Recent(name.clone());
    let found = vec![failed(CID, &name)];
    state.take(&recent, Ok(Answer::Invocations(found)));
    // That of another service, which was closed, means nothing.
    let other = Request::Recent("other".to_owned());
    state.take(&other, Ok(Answer::Invocations(Vec::new())));
    check("service", &mut state);
    press(&mut state, KeyCode::Enter);
    let cid = Cid::parse(CID).unwrap();
    assert_eq!(*state.view(), View::Invocation(cid));
    let lines = (0..100).map(|n| format!("line {n}")).collect();
    let request = Request::Invocation(cid, 80);
    state.take(&request, Ok(Answer::Lines(lines)));
    press(&mut state, KeyCode::Down);
    check("invocation", &mut state);
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Esc);
    assert_eq!(*state.view(), View::Services);
    // Back in the list, it removes the filter.
    assert_eq!(state.table().unwrap().rows.len(), 1);
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.table().unwrap().rows.len(), 4);
}

#[test]
fn the_help_names_the_keys() {
    let mut state = busy();
    press(&mut state, KeyCode::Char('?'));
    check("help", &mut state);
    press(&mut state, KeyCode::Char('x'));
    assert!(!state.shows_help);
}

/// Whatever the size, there is a screen.
#[test]
fn every_size_can_be_drawn() {
    let mut state = busy();
    for key in ['1', '2', '3', '?'] {
        press(&mut state, KeyCode::Char(key));
        for size in [(1, 1), (2, 3), (10, 5), (20, 8), (79, 10), (400, 100)] {
            screen(&mut state, size);
        }
    }
}
