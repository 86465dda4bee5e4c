//! `Invoke`: dicts, values and documents as inputs and responses, and a CID in every response.

use bytes::Bytes;
use cidery::codec::payload;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invoke_request::Input;
use cidery::codec::proto::v1::invoke_response::Output;
use cidery::codec::struct_pb;
use cidery::model::call::Call;
use cidery::{Cid, Format, Kind, Metadata, Node, Payload, Value, dict};

use crate::support::{TestNode, error_of};

fn echo(input: Input) -> v1::InvokeRequest {
    v1::InvokeRequest {
        service: "cidery.echo".to_owned(),
        input: Some(input),
        ..v1::InvokeRequest::default()
    }
}

async fn output(node: &TestNode, request: v1::InvokeRequest) -> (Output, v1::DataFormat) {
    let response = node
        .stub
        .clone()
        .invoke(request)
        .await
        .unwrap()
        .into_inner();
    let format = response.data_format();
    (response.output.unwrap(), format)
}

#[tokio::test]
async fn a_response_has_the_format_of_the_input() {
    let node = TestNode::demo().await;
    let dict = struct_pb::encode_dict(&dict! { "a": 1 }).unwrap();
    let list = struct_pb::encode_value(&Value::from(vec![1, 2])).unwrap();
    let wrapped = struct_pb::encode_value(&Value::from(dict! { "a": 1 })).unwrap();
    let json = Bytes::from_static(b"{\"a\":123456789012345678901234567890}");
    let cases = [
        (
            Input::Payload(dict.clone()),
            Output::Payload(dict.clone()),
            v1::DataFormat::Dict,
        ),
        (
            Input::Value(list.clone()),
            Output::Value(list),
            v1::DataFormat::Dict,
        ),
        (
            Input::Value(wrapped),
            Output::Payload(dict),
            v1::DataFormat::Dict,
        ),
        (
            Input::Document(json.clone()),
            Output::Document(json),
            v1::DataFormat::Json,
        ),
    ];
    for (input, expected, format) in cases {
        assert_eq!(
            output(&node, echo(input.clone())).await,
            (expected, format),
            "{input:?}"
        );
    }
    let nothing = v1::InvokeRequest {
        input: None,
        ..echo(Input::Payload(Bytes::new()))
    };
    assert_eq!(
        output(&node, nothing).await.0,
        Output::Payload(Bytes::new())
    );
}

#[tokio::test]
async fn a_response_has_the_requested_format() {
    let node = TestNode::demo().await;
    let dict = struct_pb::encode_dict(&dict! { "a": 1 }).unwrap();
    let as_json = v1::InvokeRequest {
        response_format: v1::DataFormat::Json.into(),
        ..echo(Input::Payload(dict.clone()))
    };
    let json = Output::Document(Bytes::from_static(b"{\"a\":1}"));
    assert_eq!(output(&node, as_json).await, (json, v1::DataFormat::Json));
    let as_dict = v1::InvokeRequest {
        response_format: v1::DataFormat::Dict.into(),
        ..echo(Input::Document(Bytes::from_static(b"{\"a\":1}")))
    };
    assert_eq!(
        output(&node, as_dict).await,
        (Output::Payload(dict), v1::DataFormat::Dict)
    );
}

#[tokio::test]
async fn every_response_has_the_cid() {
    let node = TestNode::demo().await;
    let cid = Cid::new();
    let mut request = echo(Input::Payload(Bytes::new()));
    request.cid = cid.to_string();
    let response = node.stub.clone().invoke(request.clone()).await.unwrap();
    assert_eq!(
        response.metadata().get("cidery-cid").unwrap(),
        &cid.to_string()
    );
    assert_eq!(response.get_ref().cid, cid.to_string());
    request.service = "nothing".to_owned();
    let status = node.stub.clone().invoke(request).await.unwrap_err();
    assert_eq!(
        status.metadata().get("cidery-cid").unwrap(),
        &cid.to_string()
    );
    assert_eq!(error_of(&status).cid(), Some(cid));
}

#[tokio::test]
async fn an_unknown_service_is_reported_with_the_closest_name() {
    let node = TestNode::demo().await;
    let error = node
        .client
        .invoke(Call::new("customer.gte", ()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::NotFound, "SERVICE_UNKNOWN")
    );
    assert_eq!(error.fact("nearest"), Some("customer.get"));
    let error = node.client.invoke(Call::new("q", ())).await.unwrap_err();
    assert_eq!(error.fact("nearest"), None);
}

#[tokio::test]
async fn errors_keep_code_reason_and_details_through_nested_calls() {
    use cidery::model::error::Detail;
    use cidery::{Context, Error, Result, Violation};
    async fn inner() -> Result<()> {
        Err(Error::aborted("LOST_RACE", "another one was faster")
            .with_violation(Violation::new("/a/0", "WRONG", "is wrong"))
            .with_info("who", "other")
            .with_detail(Detail {
                type_url: "type.googleapis.com/x.Y".to_owned(),
                value: Bytes::from_static(b"\x08\x01"),
            }))
    }
    async fn outer(ctx: Context) -> Result<Value> {
        Ok(ctx.invoke("inner", ()).await?.into_value())
    }
    let builder = Node::builder()
        .service("inner", inner)
        .service("outer", outer);
    let node = TestNode::start(builder).await;
    let error = node
        .client
        .invoke(Call::new("outer", ()))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::Aborted, "LOST_RACE"));
    assert_eq!(error.field_violations()[0].path, "/a/0");
    assert_eq!(error.fact("who"), Some("other"));
    assert_eq!(error.details().len(), 1);
    assert!(error.cid().is_some());
}

#[tokio::test]
async fn metadata_and_trace_context_reach_nested_handlers() {
    use cidery::{Context, Result};
    async fn inner(metadata: Metadata) -> cidery::Dict {
        metadata
            .iter()
            .map(|(k, v)| (k.to_owned(), v.into()))
            .collect()
    }
    async fn outer(ctx: Context) -> Result<Value> {
        Ok(ctx.invoke("inner", ()).await?.into_value())
    }
    let builder = Node::builder()
        .service("inner", inner)
        .service("outer", outer);
    let node = TestNode::start(builder).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut request = tonic::Request::new(v1::InvokeRequest {
        service: "outer".to_owned(),
        metadata: [("request-id".to_owned(), "7".to_owned())].into(),
        ..v1::InvokeRequest::default()
    });
    request
        .metadata_mut()
        .insert("traceparent", trace.parse().unwrap());
    let response = node
        .stub
        .clone()
        .invoke(request)
        .await
        .unwrap()
        .into_inner();
    let Some(Output::Payload(bytes)) = response.output else {
        panic!("no dict")
    };
    let expected = dict! { "request-id": "7", "traceparent": trace };
    assert_eq!(struct_pb::decode_dict(&bytes).unwrap(), expected);
}

#[tokio::test]
async fn a_cid_in_use_is_rejected_until_its_call_ends() {
    let node = TestNode::demo().await;
    let cid = Cid::new();
    let mut call = Call::new("demo.sleep", dict! { "seconds": 60 });
    call.cid = Some(cid);
    let engine = node.handle.invoker().clone();
    let client = node.client.clone();
    let sleeping = crate::support::raw::spawn({
        let call = call.clone();
        async move { client.invoke(call).await }
    });
    crate::support::until("it runs", || engine.running_handlers() == 1).await;
    let error = node.client.invoke(call.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::AlreadyExists, "CID_IN_USE")
    );
    let error = node.client.invoke_async(call).await.unwrap_err();
    assert_eq!(error.reason(), "CID_IN_USE");
    sleeping.abort();
    crate::support::until("it has ended", || engine.running_handlers() == 0).await;
    let mut again = Call::new("cidery.ping", ());
    again.cid = Some(cid);
    assert_eq!(node.client.invoke(again).await.unwrap().0, cid);
}

#[tokio::test]
async fn integers_of_every_width_keep_all_digits_in_json() {
    let node = TestNode::demo().await;
    for text in [
        "9007199254740993",
        "123456789012345678901234567890",
        "0.1234567890123456789",
    ] {
        let document = Payload::Document(Bytes::from_static(text.as_bytes()), Format::Json);
        let (_, reply) = node
            .client
            .invoke(Call::new("cidery.echo", document))
            .await
            .unwrap();
        let value = payload::decode(reply.payload).unwrap();
        assert_eq!(cidery::codec::json::write(&value).unwrap(), text);
    }
}
