//! By the size of the payload: `Invoke` of an echo, and accept and run on the embedded store; a payload of one text,
//! and one of many rows.

use bytes::Bytes;
use prost::Message as _;
use prost_types::value::Kind;

use super::calls::{Calls, accept, invoke};
use super::curve::{Curve, Growth};
use super::rounds::{Scale, alternate};
use super::served::Subject;
use crate::durable::ACCEPT;
use crate::load::{self, INVOKE};

const SIZES: [usize; 6] = [100, 1_000, 10_000, 100_000, 1_000_000, 4 << 20];
const QUICK: usize = 1_000_000;
/// One, so that the bytes in flight are those of one payload.
const CALLERS: usize = 1;
/// How many calls a round has at most, and how many bytes they have in all.
const CALLS: usize = 200;
const BYTES: usize = 16 << 20;
/// Calls of the largest payloads.
const FEW_CALLS: usize = 8;

/// Makes a content of about so many bytes.
type Content = fn(usize) -> Kind;

pub(super) fn measure(scale: Scale) -> Vec<Curve> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure_in(scale))
}

async fn measure_in(scale: Scale) -> Vec<Curve> {
    let sizes = scale.sizes(&SIZES, QUICK);
    let subject = Subject::start(0, &["echo"]).await;
    let mut curves = Vec::new();
    let kinds: [(&str, Content); 2] = [("one text", text), ("rows", rows)];
    for (kind, content) in kinds {
        let mut calls = Vec::new();
        for size in &sizes {
            let payload: Bytes = payload(content(*size)).encode_to_vec().into();
            let one = vec![invoke("echo", payload.clone())];
            let invokes = Calls::new(&subject.server, INVOKE, one, CALLERS).await;
            let one = vec![accept("echo", payload).encode_to_vec().into()];
            let accepts = Calls::new(&subject.server, ACCEPT, one, CALLERS).await;
            let count = (BYTES / size).clamp(FEW_CALLS, CALLS);
            calls.push((count, invokes, accepts));
        }
        let server = &subject.server;
        let [invoked, accepted] =
            alternate(&calls, scale.rounds(), async |(count, invokes, accepts)| {
                subject.ask(2 * count);
                [
                    invokes.run(server, *count).await,
                    Box::pin(accepts.run_until(server, *count, subject.idle())).await,
                ]
            })
            .await;
        let curve = |title, samples| {
            Curve::new(
                format!("{title}, {kind}"),
                "us of CPU",
                Growth::Linear,
                &sizes,
                samples,
            )
        };
        curves.push(curve("Invoke", invoked));
        curves.push(curve("Accept and run", accepted));
    }
    curves
}

fn payload(content: Kind) -> prost_types::Struct {
    let value = prost_types::Value {
        kind: Some(content),
    };
    prost_types::Struct {
        fields: std::iter::once(("content".to_owned(), value)).collect(),
    }
}

fn text(size: usize) -> Kind {
    Kind::StringValue("x".repeat(size))
}

/// Dicts of six fields.
fn rows(size: usize) -> Kind {
    let row = load::customer();
    let count = (size / row.encoded_len()).max(1);
    let row = prost_types::Value {
        kind: Some(Kind::StructValue(row)),
    };
    Kind::ListValue(prost_types::ListValue {
        values: vec![row; count],
    })
}
