//! Tests of CSV documents.

use super::*;
use crate::dict;
use crate::model::error::Result;
use crate::model::sio::{Bool, Checked, CsvOptions, Date, Decimal, Int, List, Sio, Text, Type};
use crate::model::value::Value;

fn customers() -> Sio {
    Sio::new()
        .input(Int("cust_id"))
        .input(Text("name"))
        .optional_input(Date("since"))
        .optional_input(Decimal("credit"))
        .optional_input(Bool("is_active").default(true))
        .optional_input(List("tags").of(Type::Text))
        .list_input()
        .prepared()
        .unwrap()
}

fn read_all(sio: &Sio, text: &str) -> Result<Checked> {
    read_checked(text.as_bytes(), sio, sio.input.as_ref().unwrap())
}

#[test]
fn cells_are_converted_to_their_elements() {
    let text = "\u{feff}name, cust_id,credit,extra,tags\r\n\r\n\"Smith, A\",0012,1.10,x,\"[\"\"a\"\"]\"\r\n,2\r\n";
    let checked = read_all(&customers(), text).unwrap();
    let expected = vec![
        dict! { "cust_id": 12, "name": "Smith, A", "credit": "1.10", "is_active": true, "tags": ["a"] },
        dict! { "cust_id": 2, "name": "", "is_active": true },
    ];
    assert_eq!(checked.value, expected.into());
    assert_eq!(checked.ignored.to_text(), "*/extra");
}

#[test]
fn without_a_header_columns_are_in_declaration_order() {
    let options = CsvOptions {
        header: false,
        delimiter: b';',
        quote: b'\'',
    };
    let sio = customers().csv(options);
    let checked = read_all(&sio, "1;'a;b';2026-01-31\n").unwrap();
    assert_eq!(checked.value[0]["name"], Value::from("a;b"));
    let written = write(&checked.value, sio.input.as_ref(), options).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "1;'a;b';2026-01-31;;true;\r\n"
    );
}

#[test]
fn violations_of_rows_name_the_line() {
    let text = "cust_id,name\n1,a\n\n\"x\",\"b\nc\"\n3\n4,d,e\n";
    let error = read_all(&customers(), text).unwrap_err();
    let said: Vec<String> = error
        .field_violations()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "`/1/cust_id`: line 4: the text \"x\" is not a whole number",
            "`/2/name`: line 6: is required",
            "`/3`: line 7: has 3 cells; there are 2 columns",
        ]
    );
}

#[test]
fn malformed_documents_are_reported_with_line_and_column() {
    for (text, line, column, code) in [
        ("a,b\n1,\"x", "2", "3", "NOT_CSV"),
        ("a,b\n1,\"x\"y\n", "2", "6", "NOT_CSV"),
    ] {
        let error = read(text.as_bytes(), CsvOptions::default()).unwrap_err();
        assert_eq!(error.reason(), "DOCUMENT_MALFORMED");
        assert_eq!(error.field_violations()[0].code, code, "{text:?}");
        assert_eq!(
            (error.fact("line"), error.fact("column")),
            (Some(line), Some(column)),
            "{text:?}"
        );
    }
    for (text, line, code) in [
        (&b"a\n\xff\n"[..], "2", "NOT_UTF8"),
        (b"a,a\n", "1", "DUPLICATE_KEY"),
        // Lines that end with CR alone.
        (b"a\r1\r1,2\r", "3", "TOO_MANY_CELLS"),
    ] {
        let error = read(text, CsvOptions::default()).unwrap_err();
        assert_eq!(error.field_violations()[0].code, code);
        assert_eq!(
            (error.fact("line"), error.fact("column")),
            (Some(line), None),
            "{error}"
        );
    }
}

#[test]
fn all_malformed_rows_are_reported() {
    let messages = |error: &crate::model::error::Error| -> Vec<String> {
        let violations = error.field_violations().iter();
        violations.map(ToString::to_string).collect()
    };
    let text = b"a,b\n1,2,3\n1,2\n\xff,\xfe\n1,2,3,4\n";
    let error = read(text, CsvOptions::default()).unwrap_err();
    assert_eq!(
        (error.reason(), error.fact("line")),
        ("DOCUMENT_MALFORMED", Some("2"))
    );
    assert_eq!(
        messages(&error),
        [
            "line 2: has 3 cells; there are 2 columns",
            "line 4: cell 1 is not UTF-8",
            "line 4: cell 2 is not UTF-8",
            "line 5: has 4 cells; there are 2 columns",
        ]
    );
    let error = read(b"a,a,b,b\n", CsvOptions::default()).unwrap_err();
    assert_eq!(messages(&error).len(), 2);
    let sio = customers();
    let text = b"cust_id,name\nx,\xff\n1,a,b\n\xff,a\n";
    let error = read_checked(text, &sio, sio.input.as_ref().unwrap()).unwrap_err();
    assert_eq!(
        messages(&error),
        [
            "`/0/name`: line 2: is not UTF-8",
            "`/0/cust_id`: line 2: the text \"x\" is not a whole number",
            "`/1`: line 3: has 3 cells; there are 2 columns",
            "`/2/cust_id`: line 4: is not UTF-8",
        ]
    );
}

#[test]
fn without_a_declaration_cells_are_texts_and_columns_are_all_keys() {
    let value = read(b"a,b\n1,x\n", CsvOptions::default()).unwrap();
    assert_eq!(value, vec![dict! { "a": "1", "b": "x" }].into());
    let rows = vec![dict! { "a": 1 }, dict! { "b": true, "a": Value::Null }];
    let written = write(&rows.into(), None, CsvOptions::default()).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "a,b\r\n1,\r\n,true\r\n"
    );
    assert!(write(&Value::Int(1), None, CsvOptions::default()).is_err());
}

#[test]
fn a_dict_takes_one_row() {
    let sio = Sio::new().input(Int("a")).prepared().unwrap();
    assert_eq!(
        read_all(&sio, "a\n1\n").unwrap().value,
        dict! { "a": 1 }.into()
    );
    let error = read_all(&sio, "a\nx\n").unwrap_err();
    assert_eq!(error.field_violations()[0].path, "/a");
    assert_eq!(
        read_all(&sio, "a\n1\n2\n").unwrap_err().field_violations()[0].code,
        "WRONG_TYPE"
    );
    assert!(read_all(&sio, "").is_err());
}
