//! However many services there are, metrics name a thousand: the others are added up.

use std::collections::BTreeSet;

use cidery::model::call::Call;
use cidery::{Node, Worker, WorkerHandle};

use super::{check_with_promtool, scrape};
use crate::support::TestNode;

/// More than metrics name.
const SERVICES: usize = 1_002;
const MAX_NAMED: usize = 1_000;
const OTHER: &str = "(other)";

fn name(number: usize) -> String {
    format!("many.s{number}")
}

/// A worker with services that do nothing.
async fn serve(node: &TestNode, names: impl Iterator<Item = String>) -> WorkerHandle {
    let builder = names.fold(Worker::builder(), |builder, name| {
        builder.service(&name, async || {})
    });
    builder.connect(&node.address().to_string()).await.unwrap()
}

async fn call(node: &TestNode, name: &str) {
    node.client
        .invoke(Call::new(name.to_owned(), ()))
        .await
        .unwrap();
}

/// The label `service` of a series.
fn service_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("service=\"")?;
    Some(rest.split_once('"')?.0)
}

/// The services that metrics name.
fn named(text: &str) -> BTreeSet<&str> {
    let names = text.lines().filter_map(service_of);
    names.filter(|name| *name != OTHER).collect()
}

/// How many invocations are counted under a name; 0 where it has no series.
fn invocations(text: &str, name: &str) -> f64 {
    let series = text
        .lines()
        .filter(|line| line.starts_with("cidery_invocations_total{"))
        .filter(|line| service_of(line) == Some(name));
    series
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_beyond_a_thousand_are_one_until_there_is_room() {
    let node = TestNode::start(Node::builder()).await;
    let worker = serve(&node, (0..SERVICES).map(name)).await;
    for number in 0..SERVICES {
        call(&node, &name(number)).await;
    }
    // The first one again: it counts where its service is.
    call(&node, &name(0)).await;
    let text = scrape(node.address()).await;
    check_with_promtool(&text);
    let known = named(&text);
    assert_eq!(known.len(), MAX_NAMED);
    let ours: Vec<&str> = known
        .iter()
        .copied()
        .filter(|name| name.starts_with("many."))
        .collect();
    let unnamed = SERVICES - ours.len();
    assert!(unnamed >= 2, "{unnamed}");
    let expected = ours
        .iter()
        .map(|name| invocations(&text, name))
        .sum::<f64>();
    assert_eq!(expected + invocations(&text, OTHER), 1_003.0);
    assert!(invocations(&text, OTHER) >= 2.0);
    let others = text.lines().filter(|line| {
        line.starts_with("cidery_service_workers{") && service_of(line) == Some(OTHER)
    });
    assert_eq!(others.count(), 1, "one series");

    // A name that is forgotten makes room for a new service, and not for one that is among the others already.
    let gone = ours[0].to_owned();
    worker.stop().await;
    node.client.forget_service(&gone).await.unwrap();
    let worker = serve(&node, std::iter::once("new.one".to_owned())).await;
    call(&node, "new.one").await;
    let later = scrape(node.address()).await;
    let known_later = named(&later);
    assert_eq!(known_later.len(), MAX_NAMED);
    assert!(known_later.contains("new.one") && !known_later.contains(&*gone));
    assert_eq!(invocations(&later, "new.one"), 1.0);
    assert_eq!(invocations(&later, OTHER), invocations(&text, OTHER));
    worker.stop().await;
}
