//! Documents: JSON, CSV and text reach a service as the same dict, and responses have the requested format.

use std::fmt::Write as _;

use cidery::codec::{json, payload, struct_pb};
use cidery::model::call::Call;
use cidery::sio::{CsvOptions, Decimal, Int, Sio, Text};
use cidery::{Context, Definition, Format, Kind, Node, Payload, Reply, Result, Value, dict};

use crate::support::{PATIENCE, TestNode, document, echo};

async fn invoke(
    node: &TestNode,
    service: &'static str,
    input: Payload,
    asked: Option<Format>,
) -> Result<Reply> {
    let mut call = Call::new(service, input);
    call.response_format = asked;
    node.client.invoke(call).await.map(|(_, reply)| reply)
}

/// A reply as the text of its document; a dict as JSON.
fn text(reply: Reply) -> String {
    match reply.payload {
        Payload::Document(bytes, _) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => json::write(&payload::decode(other).unwrap()).unwrap(),
    }
}

fn customers() -> Sio {
    Sio::new()
        .input(Int("id"))
        .input(Text("name"))
        .optional_input(Decimal("credit"))
        .output(Int("id"))
        .output(Text("name"))
        .optional_output(Decimal("credit"))
}

#[tokio::test]
async fn documents_of_all_formats_are_equivalent_and_responses_have_the_requested_format() {
    let node = TestNode::start(Node::builder().define(echo("one", customers()))).await;
    let inputs = [
        dict! { "credit": "1.10", "name": "A", "id": 1 }.into(),
        document(
            "{\"name\":\"A\",\"credit\":\"1.10\",\"id\":\"1\"}",
            Format::Json,
        ),
        document("name,credit,id\nA,1.10,1\n", Format::Csv),
    ];
    for input in inputs {
        for (asked, expected) in [
            (
                Format::Json,
                "{\"id\":1,\"name\":\"A\",\"credit\":\"1.10\"}",
            ),
            (Format::Csv, "id,name,credit\r\n1,A,1.10\r\n"),
        ] {
            let reply = invoke(&node, "one", input.clone(), Some(asked))
                .await
                .unwrap();
            assert!(matches!(reply.payload, Payload::Document(_, format) if format == asked));
            assert_eq!(text(reply), expected, "{input:?}");
        }
        // By default the response has the format of the input.
        let own = match &input {
            Payload::Document(_, format) => Some(*format),
            _ => None,
        };
        let reply = invoke(&node, "one", input, None).await.unwrap();
        let encoded = match &reply.payload {
            Payload::Document(_, format) => Some(*format),
            _ => None,
        };
        assert_eq!(encoded, own);
    }
    let error = invoke(
        &node,
        "one",
        dict! { "id": 1, "name": "A" }.into(),
        Some(Format::Text),
    )
    .await
    .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "FORMAT_INVALID")
    );
}

#[tokio::test]
async fn text_is_the_only_required_element() {
    let one = Sio::new()
        .input(Text("line"))
        .optional_input(Int("n"))
        .output(Text("line"))
        .response_elem("out");
    let many = Sio::new()
        .input(Int("n"))
        .input(Int("m"))
        .output(Int("n"))
        .output(Int("m"));
    let builder = Node::builder()
        .define(echo("one", one))
        .define(echo("many", many));
    let node = TestNode::start(builder).await;
    let reply = invoke(&node, "one", document("a\nb", Format::Text), None)
        .await
        .unwrap();
    assert_eq!(text(reply), "a\nb");
    let reply = invoke(&node, "cidery.echo", document("plain", Format::Text), None)
        .await
        .unwrap();
    assert_eq!(text(reply), "plain");
    let error = invoke(&node, "many", document("1", Format::Text), None)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "INPUT_INVALID");
    // Without a requested format the response falls back to JSON, and is marked as such.
    let pair = Definition::new("pair", async |_: Value| dict! { "a": 1, "b": 2 }).unwrap();
    node.handle.invoker().add_service(pair).unwrap();
    let reply = invoke(&node, "pair", document("x", Format::Text), None)
        .await
        .unwrap();
    assert!(matches!(reply.payload, Payload::Document(_, Format::Json)));
    assert_eq!(text(reply), "{\"a\":1,\"b\":2}");
}

#[tokio::test]
async fn csv_follows_the_options_of_its_service() {
    let options = CsvOptions {
        header: false,
        delimiter: b';',
        quote: b'\'',
    };
    let sio = customers()
        .list_input()
        .list_output()
        .csv(options)
        .response_elem("rows");
    let node = TestNode::start(Node::builder().define(echo("all", sio))).await;
    let rows = "1;'a;b';\r\n2;'it''s';0.50\r\n";
    let reply = invoke(&node, "all", document(rows, Format::Csv), None)
        .await
        .unwrap();
    assert_eq!(text(reply), rows);
    let reply = invoke(
        &node,
        "all",
        document(rows, Format::Csv),
        Some(Format::Json),
    )
    .await
    .unwrap();
    let expected = r#"{"rows":[{"id":1,"name":"a;b"},{"id":2,"name":"it's","credit":"0.50"}]}"#;
    assert_eq!(text(reply), expected);
}

#[tokio::test]
async fn handlers_send_and_request_documents() {
    let caller = Definition::new("caller", async |ctx: Context| {
        let csv = "id,name\n7,A\n";
        let typed = ctx
            .invoke("one", Value::from(csv))
            .data_format(Format::Csv)
            .await?;
        let json = ctx
            .invoke("one", Value::from("{\"id\":8,\"name\":\"B\"}"))
            .data_format(Format::Json)
            .await?;
        let asked = ctx
            .invoke("one", dict! { "id": 9, "name": "C" })
            .response_format(Format::Csv)
            .await?;
        let document = asked
            .document()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let cid = ctx
            .invoke_async("one", Value::from(csv))
            .data_format(Format::Csv)
            .await?;
        Ok::<_, cidery::Error>(dict! {
            "typed": typed["id"].clone(), "json": json["id"].clone(), "document": document, "cid": cid.to_string(),
        })
    });
    let builder = Node::builder()
        .define(echo("one", customers()))
        .define(caller.unwrap());
    let node = TestNode::start(builder).await;
    let response = node.handle.invoke("caller", ()).await.unwrap();
    assert_eq!(response["typed"], Value::Int(7));
    assert_eq!(response["json"], Value::Int(8));
    assert_eq!(
        response["document"],
        Value::from("id,name,credit\r\n9,C,\r\n")
    );
    let cid = cidery::Cid::parse(&response.at::<String>("cid").unwrap()).unwrap();
    let found = node.handle.invoker().find(cid, PATIENCE).await.unwrap();
    let outcome = found.invocation.outcome().unwrap().unwrap();
    assert_eq!(text(outcome), "id,name,credit\r\n7,A,\r\n");
}

#[tokio::test]
async fn numbers_keep_all_digits_in_every_format() {
    let node = TestNode::demo().await;
    for number in [
        "9007199254740993",
        "123456789012345678901234567890",
        "0.1234567890123456789",
    ] {
        let reply = invoke(
            &node,
            "cidery.echo",
            document(format!("{{\"n\":{number}}}"), Format::Json),
            None,
        )
        .await;
        assert_eq!(text(reply.unwrap()), format!("{{\"n\":{number}}}"));
        // A Struct would lose digits in a double: they are sent as text, and typed readers restore them.
        let value = Value::number(number).unwrap();
        let reply = invoke(
            &node,
            "cidery.echo",
            dict! { "n": value.clone() }.into(),
            None,
        )
        .await
        .unwrap();
        assert_eq!(text(reply), format!("{{\"n\":\"{number}\"}}"));
        let reply = invoke(
            &node,
            "cidery.echo",
            document(format!("n\n{number}\n"), Format::Csv),
            None,
        )
        .await;
        assert_eq!(text(reply.unwrap()), format!("n\r\n{number}\r\n"));
        let sio = if number.contains('.') {
            Sio::new().input(Decimal("n"))
        } else {
            Sio::new().input(Int("n"))
        };
        let sio = sio.prepared().unwrap();
        let forms = [
            Payload::Struct(struct_pb::encode_dict(&dict! { "n": value }).unwrap()),
            document(format!("{{\"n\":{number}}}"), Format::Json),
            document(format!("n\n{number}\n"), Format::Csv),
            document(number, Format::Text),
        ];
        for form in forms {
            let checked = cidery::codec::sio::read_input(&sio, form).unwrap();
            let written = json::write(&checked.value["n"]).unwrap();
            assert_eq!(written.trim_matches('"'), number);
        }
    }
}

#[tokio::test]
async fn an_unsuitable_response_format_is_rejected_before_the_invocation() {
    static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let counted = |output: Sio| {
        Definition::new("counted", async |_: Value| {
            RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            dict! { "a": 1, "b": 2 }
        })
        .unwrap()
        .sio(output)
    };
    let declared = counted(Sio::new().output(Int("a")).output(Int("b")));
    let undeclared = counted(Sio::new()).named("undeclared").unwrap();
    let node = TestNode::start(Node::builder().define(declared).define(undeclared)).await;
    let mut call = Call::new("counted", ());
    call.response_format = Some(Format::Text);
    let error = node.client.invoke(call.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::InvalidArgument, "FORMAT_INVALID")
    );
    assert_eq!(
        node.client
            .invoke_async(call.clone())
            .await
            .unwrap_err()
            .reason(),
        "FORMAT_INVALID"
    );
    assert_eq!(RUNS.load(std::sync::atomic::Ordering::Relaxed), 0);
    // An actual output without a representation is stored as JSON.
    call.service = "undeclared".into();
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let found = node.handle.invoker().find(cid, PATIENCE).await.unwrap();
    assert_eq!(
        text(found.invocation.outcome().unwrap().unwrap()),
        "{\"a\":1,\"b\":2}"
    );
}

/// Sends 20 000 rows through a node in another process. Its memory use is in docs/benchmarks.md.
#[test]
fn large_csv_documents_take_little_memory_and_errors_name_the_line() {
    use crate::support::binary::{Server, cidery};
    let server = Server::start(&[]);
    let folder = std::env::temp_dir().join(format!("cidery-csv-{}", cidery::Cid::new()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut rows = String::from("cust_id,cust_name,since,credit\n");
    for n in 0..20_000 {
        let _ = writeln!(rows, "{n},\"Smith, {n}\",2026-01-31,{n}.10");
    }
    let path = folder.join("customers.csv");
    std::fs::write(&path, &rows).unwrap();
    let peak = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let invoke = |path: &std::path::Path| {
        let mut command = cidery();
        command
            .args(["invoke", "customer.import", "--file"])
            .arg(path);
        command
            .env("CIDERY_NODE", &server.address)
            .output()
            .unwrap()
    };
    let before = peak();
    let output = invoke(&path);
    let used = peak() - before;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answer.lines().count(), 20_001);
    assert!(answer.starts_with(
        "cust_id,cust_name,since,credit,imported\r\n0,\"Smith, 0\",2026-01-31,0.10,true\r\n"
    ));
    assert!(used < 64 * 1024, "{used} KiB for {} KiB", rows.len() / 1024);

    let bad = rows
        .replace("\n19999,", "\nx,")
        .replace("\n7,\"Smith, 7\"", "\n7");
    let path = folder.join("bad.csv");
    std::fs::write(&path, bad).unwrap();
    let output = invoke(&path);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    for line in [
        "`/7/since`: line 9: ",
        "`/19999/cust_id`: line 20001: the text \"x\" is not a whole number",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
    std::fs::write(&path, "cust_id,cust_name\n1,\"A\n").unwrap();
    let printed = String::from_utf8(invoke(&path).stderr).unwrap();
    assert!(
        printed.contains("line 2, column 3: the quote that begins here is not closed"),
        "{printed}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}
