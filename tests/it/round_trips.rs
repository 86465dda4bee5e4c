//! Property tests: values survive a round trip through every format.

use cidery::sio::{Bool, Float, Int, List, Sio, Text, Type};
use cidery::{Dict, Format, Payload, dict};
use proptest::prelude::*;

/// Arbitrary texts, without the line endings that the format itself adds.
fn any_text() -> impl Strategy<Value = String> {
    "[ -~äß日\n\",;']{0,12}"
}

fn any_row() -> impl Strategy<Value = Dict> {
    let float = any::<f64>().prop_filter("finite", |x| x.is_finite());
    let tags = prop::collection::vec(any_text(), 0..3);
    let optional = prop::option::of("[A-Za-z][ -~]{0,8}");
    (
        any::<i64>(),
        any_text(),
        float,
        any::<bool>(),
        tags,
        optional,
    )
        .prop_map(|(int, text, float, flag, tags, more)| {
            let mut row =
                dict! { "int": int, "text": text, "float": float, "bool": flag, "tags": tags };
            if let Some(more) = more {
                row.insert("more", more);
            }
            row
        })
}

fn rows_sio() -> Sio {
    let sio = Sio::new()
        .input(Int("int"))
        .input(Text("text"))
        .input(Float("float"))
        .input(Bool("bool"))
        .input(List("tags").of(Type::Text))
        .optional_input(Text("more"))
        .list_input();
    let mut sio = sio;
    sio.output = sio.input.clone();
    sio.prepared().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Rows survive a round trip through every format.
    #[test]
    fn rows_survive_a_round_trip_through_every_format(rows in prop::collection::vec(any_row(), 1..5)) {
        let sio = rows_sio();
        let value = sio.check_input(rows.into()).unwrap().value;
        for format in [Format::Json, Format::Csv, Format::Dict] {
            let output = cidery::codec::sio::check_output(&sio, value.clone().into()).unwrap();
            let written = cidery::codec::sio::write_output(&sio, output, format).unwrap();
            let again = cidery::codec::sio::read_input(&sio, written).unwrap();
            prop_assert_eq!(&again.value, &value, "{:?}", format);
        }
        let name = cidery::ServiceName::parse("rows.of").unwrap();
        let method = cidery::codec::typed::Method::new(&name, &sio, "").unwrap();
        let encoded = cidery::codec::typed::encode(&method.request, &value).unwrap();
        let (again, ignored) = cidery::codec::typed::decode(&method.request, &encoded).unwrap();
        prop_assert!(ignored.is_empty());
        prop_assert_eq!(sio.check_input(again).unwrap().value, value);
    }

    /// Text survives a round trip.
    #[test]
    fn text_survives_a_round_trip(text in any_text()) {
        let sio = Sio::new().input(Text("t")).output(Text("t")).prepared().unwrap();
        let read = cidery::codec::sio::read_input(&sio, Payload::Document(text.clone().into(), Format::Text)).unwrap();
        let output = cidery::codec::sio::check_output(&sio, read.value.into()).unwrap();
        let Payload::Document(written, Format::Text) =
            cidery::codec::sio::write_output(&sio, output, Format::Text).unwrap() else { panic!() };
        prop_assert_eq!(written.as_ref(), text.as_bytes());
    }
}
