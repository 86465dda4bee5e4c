//! Hooks: before, after and finally, of a service and of the node, for every outcome of the handler.

use std::sync::{Arc, Mutex};

use cidery::model::call::Call;
use cidery::sio::{Int, Sio};
use cidery::{Context, Definition, Dict, Error, Hooks, Node, Payload, Reply, Result, Worker, dict};

use crate::support::TestNode;

type Lines = Arc<Mutex<Vec<String>>>;

struct Noted {
    who: &'static str,
    lines: Lines,
    refuse: bool,
}

impl Noted {
    fn note(&self, what: &str) {
        self.lines
            .lock()
            .unwrap()
            .push(format!("{} {what}", self.who));
    }
}

impl Hooks for Noted {
    async fn before(&self, _: &Context, input: &mut Payload) -> Result<()> {
        self.note("before");
        if self.refuse {
            return Err(Error::permission_denied("NOT_TODAY", "not today"));
        }
        *input = Payload::from(dict! { "seen_by": self.who });
        Ok(())
    }

    async fn after(&self, _: &Context, outcome: &mut Result<Reply>) {
        let reason = outcome.as_ref().err().map_or("ok", Error::reason);
        self.note(&format!("after {reason}"));
    }

    async fn finally(&self, ctx: &Context) {
        self.note(&format!("finally {}", ctx.service()));
    }
}

async fn run(service: Definition, refuse: bool) -> (Result<cidery::Response>, Vec<String>) {
    let lines = Lines::default();
    let hooks = |who, refuse| Noted {
        who,
        lines: Arc::clone(&lines),
        refuse,
    };
    let node = Node::builder()
        .hooks(hooks("node", false))
        .register(service.hooks(hooks("service", refuse)))
        .no_listener()
        .start()
        .await
        .unwrap();
    let outcome = node.invoke("s", ()).await;
    let lines = lines.lock().unwrap().clone();
    (outcome, lines)
}

fn all(reason: &str) -> Vec<String> {
    vec![
        "node before".to_owned(),
        "service before".to_owned(),
        format!("service after {reason}"),
        format!("node after {reason}"),
        "service finally s".to_owned(),
        "node finally s".to_owned(),
    ]
}

#[tokio::test]
async fn node_hooks_enclose_service_hooks_and_can_change_the_input() {
    let echo = Definition::new("s", async |input: Payload| input).unwrap();
    let (outcome, lines) = run(echo, false).await;
    assert_eq!(outcome.unwrap()["seen_by"].as_text(), Some("service"));
    assert_eq!(lines, all("ok"));
}

#[tokio::test]
async fn after_and_finally_run_after_a_failure() {
    let fail = Definition::new("s", async || Err::<(), _>(Error::aborted("LOST", "lost"))).unwrap();
    let (outcome, lines) = run(fail, false).await;
    assert_eq!(outcome.unwrap_err().reason(), "LOST");
    assert_eq!(lines, all("LOST"));
}

#[tokio::test]
async fn after_and_finally_run_after_a_panic() {
    async fn panics() {
        panic!("oh no");
    }
    let (outcome, lines) = run(Definition::new("s", panics).unwrap(), false).await;
    assert_eq!(outcome.unwrap_err().reason(), "HANDLER_PANICKED");
    assert_eq!(lines, all("HANDLER_PANICKED"));
}

#[tokio::test]
async fn a_failed_before_hook_skips_the_handler() {
    async fn never() {
        panic!("the handler ran");
    }
    let (outcome, lines) = run(Definition::new("s", never).unwrap(), true).await;
    assert_eq!(outcome.unwrap_err().reason(), "NOT_TODAY");
    assert_eq!(lines, all("NOT_TODAY"));
}

#[tokio::test]
async fn a_panic_in_a_hook_does_not_skip_other_hooks() {
    struct Panics;
    impl Hooks for Panics {
        async fn after(&self, _: &Context, _: &mut Result<Reply>) {
            panic!("in after");
        }
        async fn finally(&self, _: &Context) {
            panic!("in finally");
        }
    }
    let ping = Definition::new("s", async || "pong").unwrap().hooks(Panics);
    let (outcome, lines) = run(ping, false).await;
    assert_eq!(outcome.unwrap().value().as_text(), Some("pong"));
    assert_eq!(lines, all("ok"));
}

/// Hooks see the response as callers do: checked and wrapped.
#[tokio::test]
async fn hooks_in_a_worker_see_the_same_response_as_in_a_node() {
    #[derive(Clone, Default)]
    struct Saw(Lines);
    impl Hooks for Saw {
        async fn after(&self, _: &Context, outcome: &mut Result<Reply>) {
            let line = match outcome {
                Ok(reply) => {
                    let value = cidery::codec::payload::decode(reply.payload.clone()).unwrap();
                    cidery::codec::json::write(&value).unwrap()
                }
                Err(error) => error.reason().to_owned(),
            };
            self.0.lock().unwrap().push(line);
        }
    }
    let wrapped = |hooks: Saw| {
        let echo = Definition::new("a.echo", async |input: Dict| input).unwrap();
        let sio = Sio::new().output(Int("n")).response_elem("found");
        echo.sio(sio).hooks(hooks)
    };
    let (in_node, in_worker) = (Saw::default(), Saw::default());
    let node = TestNode::start(Node::builder().register(wrapped(in_node.clone()))).await;
    let other = TestNode::start(Node::builder()).await;
    let worker = Worker::builder().register(wrapped(in_worker.clone()));
    let _worker = worker.connect(&other.address().to_string()).await.unwrap();
    let mut answers = Vec::new();
    for node in [&node, &other] {
        for input in [dict! { "n": 1 }, dict! { "n": "one" }] {
            let answer = node.client.invoke(Call::new("a.echo", input)).await;
            let answer = answer.map(|(_, reply)| cidery::codec::payload::decode(reply.payload));
            answers.push(match answer {
                Ok(value) => Ok(value.unwrap()),
                Err(error) => Err(error.reason().to_owned()),
            });
        }
    }
    assert_eq!(answers[..2], answers[2..]);
    assert_eq!(answers[0], Ok(dict! { "found": dict! { "n": 1 } }.into()));
    let saw = in_node.0.lock().unwrap().clone();
    assert_eq!(saw, ["{\"found\":{\"n\":1}}", "OUTPUT_INVALID"]);
    assert_eq!(*in_worker.0.lock().unwrap(), saw);
}
