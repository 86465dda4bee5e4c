//! The declarations of the corpus, by the builder and by Rust types.

use std::collections::HashMap;

use bytes::Bytes;
use cidery::sio::{
    self, AsIs, Bool, CsvOptions, Date, DateTime, Decimal, DictList, EmptyStrings, Float, Int,
    List, Secret, Sio, Text, Type, UnknownKeys, Uuid, rust,
};
use cidery::{Input, Node, NodeHandle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All forms of a declaration, named.
pub(crate) fn forms(name: &str) -> Vec<(&'static str, Sio)> {
    let mut forms = Vec::new();
    forms.extend(built(name).map(|sio| ("builder", sio)));
    forms.extend(typed(name).map(|sio| ("Rust type", sio)));
    forms
}

/// A node with handlers that return their input, under the names of the corpus.
pub(crate) async fn node() -> NodeHandle {
    let node = Node::builder()
        .service("scalars", async |Input(x): Input<Scalars>| x)
        .service("optional", async |Input(x): Input<Optional>| x)
        .service("nested", async |Input(x): Input<Order>| x)
        .service("ranges", async |Input(x): Input<Ranges>| x)
        .service("enums", async |Input(x): Input<Enums>| x)
        .service("strict", async |Input(x): Input<Strict>| x)
        .service("kept", async |Input(x): Input<Flattened>| x)
        .service("list", async |Input(x): Input<Vec<Row>>| x)
        .service("annotated", async |Input(x): Input<Annotated>| x)
        .service("empty", async |Input(x): Input<Empty>| x);
    node.no_listener().start().await.unwrap()
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Scalars {
    text: String,
    /// A whole number.
    int: i64,
    float: f64,
    decimal: rust_decimal::Decimal,
    bool: bool,
    date: jiff02::civil::Date,
    #[serde(rename = "dateTime")]
    #[schemars(with = "rust::DateTime")]
    date_time: jiff::Timestamp,
    uuid: uuid::Uuid,
    any: cidery::Value,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Optional {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default)]
    count: i32,
    #[serde(default = "eighteen")]
    age: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<rust::Date>")]
    since: Option<jiff::civil::Date>,
    #[serde(default)]
    tags: Vec<String>,
}

fn eighteen() -> u8 {
    18
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Order {
    order_id: i64,
    customer: Person,
    lines: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gift_for: Option<Person>,
    labels: HashMap<String, String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Person {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Line {
    sku: String,
    count: u32,
    notes: Vec<Note>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Note {
    text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ranges {
    small: i8,
    port: u16,
    big: u64,
    many: Vec<u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Plain,
    NextDay,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Color {
    /// As blood.
    Red,
    /// As the sky.
    Blue,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Enums {
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<Color>,
    kinds: Vec<Kind>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Strict {
    cust_id: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Flattened {
    cust_id: i64,
    #[serde(flatten)]
    rest: HashMap<String, cidery::Value>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Row {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Annotated {
    #[schemars(with = "rust::Secret")]
    token: String,
    #[schemars(with = "rust::Bytes")]
    content: Bytes,
    #[schemars(extend("x-cidery-number" = 7))]
    numbered: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Empty {}

fn typed(name: &str) -> Option<Sio> {
    fn of<T: JsonSchema>() -> Option<Sio> {
        let mut sio = Sio::new();
        sio.input = rust::input_of::<T>();
        assert!(sio.input.is_some());
        Some(sio)
    }
    match name {
        "scalars" => of::<Scalars>(),
        "optional" => of::<Optional>(),
        "nested" => of::<Order>(),
        "ranges" => of::<Ranges>(),
        "enums" => of::<Enums>(),
        "strict" => of::<Strict>(),
        "kept" => of::<Flattened>(),
        "list" => of::<Vec<Row>>(),
        "annotated" => of::<Annotated>(),
        "empty" => of::<Empty>(),
        _ => None,
    }
}

fn i64s(name: &str) -> sio::Element {
    Int(name).range(i64::MIN..=i64::MAX)
}

fn built(name: &str) -> Option<Sio> {
    let sio = Sio::new();
    Some(match name {
        "scalars" => sio
            .input(Text("text"))
            .input(i64s("int").description("A whole number."))
            .input(Float("float"))
            .input(Decimal("decimal"))
            .input(Bool("bool"))
            .input(Date("date"))
            .input(DateTime("dateTime"))
            .input(Uuid("uuid"))
            .input(AsIs("any")),
        "optional" => sio
            .optional_input(Text("note"))
            .input(
                Int("count")
                    .range(i32::MIN.into()..=i32::MAX.into())
                    .default(0),
            )
            .input(Int("age").range(0..=255).default(18))
            .optional_input(Date("since"))
            .input(
                List("tags")
                    .of(Type::Text)
                    .default(cidery::Value::List(Vec::new())),
            ),
        "nested" => nested(sio),
        "ranges" => ranges(sio),
        "enums" => enums(sio),
        // The type declares the policy of the input, the builder that of both directions; for an input they are
        // equivalent.
        "strict" | "kept" => {
            let mut sio = sio.input(i64s("cust_id"));
            let policy = if name == "strict" {
                UnknownKeys::Refuse
            } else {
                UnknownKeys::Keep
            };
            sio.input.as_mut().unwrap().unknown_keys = Some(policy);
            sio
        }
        "list" => sio
            .input(i64s("id"))
            .optional_input(Text("name"))
            .list_input(),
        "annotated" => sio
            .input(Secret("token"))
            .input(sio::Bytes("content"))
            .input(i64s("numbered").number(7)),
        "empty" => sio.no_input(),
        "bare" => sio
            .input("cust_id")
            .input("-first-name")
            .output("cust_name")
            .response_elem("customer"),
        "inferred" => sio
            .infer_types()
            .input("cust_id")
            .input("is_active")
            .input("-token")
            .input("name")
            .input(AsIs("user_id")),
        "model-style" => model_style(sio),
        _ => return None,
    })
}

fn nested(sio: Sio) -> Sio {
    let person = || [Text("name"), Text("-phone")];
    let line = [
        Text("sku"),
        Int("count").range(0..=u32::MAX.into()),
        DictList("notes").with([Text("text")]),
    ];
    sio.input(i64s("order_id"))
        .input(sio::Dict("customer").with(person()))
        .input(DictList("lines").with(line))
        .optional_input(sio::Dict("gift_for").with(person()))
        .input(sio::Dict("labels"))
}

fn ranges(sio: Sio) -> Sio {
    let mut big = Int("big");
    (big.minimum, big.maximum) = (Some(0), Some(u64::MAX.into()));
    sio.input(Int("small").range(-128..=127))
        .input(Int("port").range(0..=65_535))
        .input(big)
        .input(List("many").of(Int("").range(0..=255)))
}

fn enums(sio: Sio) -> Sio {
    let kinds = ["plain", "next-day"];
    sio.input(Text("kind").one_of(kinds))
        .optional_input(Text("color").one_of(["Red", "Blue"]))
        .input(List("kinds").of(Text("").one_of(kinds)))
}

fn model_style(sio: Sio) -> Sio {
    sio.input(Int("age").default(18))
        .input(sio::Csv("roles"))
        .input(Float("-limit"))
        .output(sio::Csv("roles"))
        .optional_output(Int("age"))
        .empty_strings(EmptyStrings::Absent)
        .csv(CsvOptions {
            delimiter: b';',
            ..CsvOptions::default()
        })
}
