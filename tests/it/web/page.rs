//! `docs/connect.md`: its commands print what it shows, and its table of statuses is complete.

use std::io::Write as _;
use std::process::Command;

use cidery::Kind;

use super::call;
use crate::support::TestNode;
use crate::support::binary::Server;
use crate::support::console::{Shell, sessions};

const PAGE: &str = include_str!("../../../docs/connect.md");

#[test]
fn each_command_of_the_page_prints_what_it_shows() {
    if Command::new("curl").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "left out: the commands of docs/connect.md (there is no curl)"
        );
        return;
    }
    let server = Server::start(&[]);
    let mut shell = Shell::start(&server.address);
    let steps: Vec<_> = sessions(PAGE).into_iter().flatten().collect();
    assert_eq!(steps.len(), 2);
    for step in &steps {
        shell.check(step);
    }
}

/// Each code is in the table, with the status that it is answered with.
#[tokio::test]
async fn the_page_has_the_status_of_each_code() {
    let node = TestNode::demo().await;
    for kind in Kind::ALL {
        let code = kind.name();
        let body = format!(r#"{{"service":"demo.fail","payload":{{"code":"{code}"}}}}"#);
        let answer = call(node.address(), "cidery.v1.InvocationService/Invoke", &body).await;
        let name = answer.json()["code"].as_text().unwrap().to_owned();
        let row = PAGE.lines().find(|line| {
            let first = line.trim_start_matches("| ").split(' ').next();
            first.is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
                && line.contains(&format!("`{name}`"))
        });
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        let statuses = row.trim_start_matches("| ").split('|').next().unwrap();
        let names = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let place = names
            .split(", ")
            .position(|it| it == format!("`{name}`"))
            .unwrap();
        let statuses: Vec<&str> = statuses.trim().split(", ").collect();
        let status = statuses.get(place).or_else(|| statuses.last()).unwrap();
        assert_eq!(*status, answer.status.to_string(), "{name}");
    }
}
