//! The samples of `cidery describe` can be pasted into a shell, or into Python.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use cidery::sio::{
    Bool, Bytes, Csv, Date, DateTime, Decimal, Dict, DictList, Float, Int, List, Secret, Sio, Text,
    Type, Uuid,
};
use cidery::{Definition, Handler, Input, Node};

use crate::support::binary::{stderr, stdout, tool};
use crate::support::programs::root;
use crate::support::{Folder, TestNode, echo};

/// Services whose samples need quotes, other names in messages, or another method.
fn definitions() -> Vec<Definition> {
    let all = Sio::new()
        .input(Bool("bool"))
        .input(Int("int").range(7..=9))
        .input(Float("float"))
        .input(Decimal("decimal"))
        .input(Text("text").one_of(["it's", "b"]))
        .input(Date("date"))
        .input(DateTime("date_time"))
        .input(Uuid("uuid"))
        .input(Bytes("bytes"))
        .input(Csv("csv"))
        .input(Secret("secret"))
        .input(List("list").of(Type::Int))
        .input(Dict("dict").with([Text("nested"), Int("number")]))
        .input(DictList("dicts").with([Text("nested")]));
    let odd = Sio::new()
        .input(Text("two-words"))
        .input(Text("ümlaut"))
        .input(Text("camelCase"));
    vec![
        echo("sample.all", all),
        echo("sample.odd-names", odd),
        echo("sample.list", Sio::new().input(Int("n")).list_input()),
        echo("sample.optional", Sio::new().input(Text("t").optional())),
        echo("sample.undeclared", Sio::new()),
        echo("Sample", Sio::new().input(Text("t"))),
        value("value.int", async |Input(n): Input<u8>| n / 2),
        value("value.float", async |Input(n): Input<f64>| n),
        value("value.text", async |Input(text): Input<String>| text),
        value("value.bool", async |Input(flag): Input<bool>| !flag),
        value("value.optional", async |Input(n): Input<Option<i64>>| n),
        value("value.list", async |Input(list): Input<Vec<i64>>| list),
    ]
}

/// A service whose input is not a dict.
fn value<Args>(name: &str, handler: impl Handler<Args>) -> Definition {
    Definition::new(name, handler).unwrap()
}

/// `PATH` with the folders of programs in front.
fn path(programs: &[&str]) -> OsString {
    let folders = programs
        .iter()
        .filter_map(|program| Path::new(program).parent());
    let old = std::env::var_os("PATH").unwrap_or_default();
    let all = folders
        .map(Path::to_owned)
        .chain(std::env::split_paths(&old));
    std::env::join_paths(all).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_work_when_they_are_pasted() {
    let builder = definitions()
        .into_iter()
        .fold(Node::builder().demo(), cidery::NodeBuilder::register);
    let node = TestNode::start(builder).await;
    let grpcurl = tool("CIDERY_GRPCURL", "samples for grpcurl");
    let sdk = tool("CIDERY_SDK", "samples in Python");
    let path = path(&[
        env!("CARGO_BIN_EXE_cidery"),
        grpcurl.as_deref().unwrap_or("grpcurl"),
    ]);
    // Exported files.
    let folder = Folder::new("samples");
    // Called with their samples, these two fail as their descriptions say.
    let failing = ["demo.fail", "demo.flaky"];
    for service in node.client.services("").await.unwrap() {
        let described = node.client.describe(&service.name).await.unwrap();
        let tools: Vec<_> = described.examples.iter().map(|e| &*e.tool).collect();
        let typed = if described.typed_method.is_empty() {
            5
        } else {
            6
        };
        let all = [
            "cidery",
            "background",
            "python",
            "grpcurl",
            "curl",
            "export",
        ];
        assert_eq!(tools, all[..typed]);
        for example in described.examples {
            let mut command = match (example.tool.as_str(), &sdk) {
                ("cidery" | "export", _) => Command::new("sh"),
                // It waits for attempts that fail and are retried.
                ("background", _) if !failing.contains(&&*service.name) => Command::new("sh"),
                ("grpcurl", _) if grpcurl.is_some() => Command::new("sh"),
                // Python starts slowly: one service with all types is enough.
                ("python", Some(sdk)) if service.name.starts_with("sample.") => {
                    Command::new(Path::new(sdk).join("python"))
                }
                _ => continue,
            };
            command
                .arg("-c")
                .arg(&example.text)
                .current_dir(folder.path())
                .env("PATH", &path)
                .env("XDG_STATE_HOME", folder.path())
                .env("PYTHONPATH", root().join("python/src"))
                .stdin(Stdio::null());
            let output = command.output().unwrap();
            let shown = format!("{}\n{}{}", example.text, stdout(&output), stderr(&output));
            match example.tool != "export" && failing.contains(&&*service.name) {
                true => assert!(shown.contains("DEMO_F"), "{shown}"),
                false => assert!(output.status.success(), "{shown}"),
            }
        }
    }
}
