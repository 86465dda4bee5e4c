//! Tests of the checks themselves: a check that cannot fail checks nothing.

use super::graph::{Crate, circles};
use super::{engine_faults, library_faults, missing_paths, room_faults};

fn rooms(files: &[(&str, &str)]) -> Vec<String> {
    room_faults(&Crate::new(files.iter().copied()).edges())
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    circles(&Crate::new(files.iter().copied()).edges())
}

const STORE_AND_EDGE: [(&str, &str); 3] = [
    (
        "src/lib.rs",
        "pub mod store;\npub mod edge;\npub use crate::edge::Front;",
    ),
    ("src/store/mod.rs", "pub mod memory;"),
    ("src/edge/mod.rs", "pub struct Front;"),
];

/// The faults of `src/store/memory.rs` with this code, which must not use `src/edge/`.
fn store_faults(code: &str) -> Vec<String> {
    let mut files = STORE_AND_EDGE.to_vec();
    files.push(("src/store/memory.rs", code));
    rooms(&files)
}

#[test]
fn a_room_that_uses_a_later_one_is_found_however_it_names_it() {
    for code in [
        "use crate::edge::Front;",
        "use crate::edge as way_in; fn f(_: way_in::Front) {}",
        "fn f() -> <crate::edge::Front as Clone>::Owned { todo() }",
        "use super::super::edge::Front;",
        "fn f(_: super::super::edge::Front) {}",
        "use cidery::edge::Front;",
        "use cidery::Front;",
        "use crate::Front;",
        "mod inner { use crate::edge::{self, Front}; }",
    ] {
        assert_eq!(
            store_faults(code),
            ["src/store/memory.rs:1: store uses edge"],
            "{code}"
        );
    }
    let later = store_faults("use crate::store;\n\nfn f<'a>(_: &'a crate::edge::Front) {}\n");
    assert_eq!(later, ["src/store/memory.rs:3: store uses edge"]);
}

#[test]
fn comments_literals_tests_and_earlier_rooms_are_no_faults() {
    for code in [
        "/// See [`crate::edge::Front`].\nfn f() {}",
        "/* crate::edge::Front */ fn f() -> &'static str { \"crate::edge::Front\" }",
        "fn f() -> &'static str { r#\"use crate::edge::Front; \"#\" }",
        "#[cfg(test)]\nmod tests {\n    use crate::edge::Front;\n}",
        "pub(in crate::edge) struct Memory;",
    ] {
        assert_eq!(store_faults(code), [""; 0], "{code}");
    }
    let mut files = STORE_AND_EDGE.to_vec();
    files.push(("src/store/memory.rs", "pub struct Memory;"));
    files[2].1 = "use crate::store::memory::Memory;\npub struct Front(Memory);";
    assert_eq!(rooms(&files), [""; 0]);
}

#[test]
fn files_that_import_each_other_are_found() {
    let two = [
        ("src/a/mod.rs", "mod b;\nmod c;"),
        ("src/a/b.rs", "use super::c::C;\npub struct B(C);"),
        ("src/a/c.rs", "pub struct C;\nfn f(_: crate::a::b::B) {}"),
    ];
    let found = circles_of(&two);
    assert_eq!(found, ["circle: src/a/b.rs -> src/a/c.rs -> src/a/b.rs"]);
    let three = [
        ("src/lib.rs", "mod a;\nmod b;\nmod c;"),
        ("src/a.rs", "use crate::b;\npub struct A(b::B);"),
        (
            "src/b.rs",
            "use crate::c::*;\nuse crate::c::C;\npub struct B(C);",
        ),
        (
            "src/c.rs",
            "pub struct C;\nimpl C { fn f(_: &crate::a::A) {} }",
        ),
    ];
    assert_eq!(
        circles_of(&three),
        ["circle: src/a.rs -> src/b.rs -> src/c.rs -> src/a.rs"]
    );
}

#[test]
fn a_parent_that_uses_a_child_that_uses_the_parent_is_a_circle() {
    let parent = "mod child;\npub use self::child::Child;\npub struct Parent(Child);";
    let child = "use super::Parent;\npub struct Child;\nfn f(_: Parent) {}";
    let files = [("src/a/mod.rs", parent), ("src/a/child.rs", child)];
    let expected = ["circle: src/a/child.rs -> src/a/mod.rs -> src/a/child.rs"];
    assert_eq!(circles_of(&files), expected);
    let inline = "mod child;\npub struct Parent;\nfn f(_: child::Child) {}";
    assert_eq!(circles_of(&[("src/a/mod.rs", inline), files[1]]), expected);
}

#[test]
fn a_parent_that_only_declares_and_re_exports_is_no_circle() {
    let files = [
        (
            "src/a/mod.rs",
            "mod b;\nmod c;\npub use self::b::B;\npub use self::c::{C, C as D};",
        ),
        ("src/a/b.rs", "pub struct B;"),
        ("src/a/c.rs", "use super::B;\npub struct C(B);"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
    // Only `c` uses what its parent defines.
    let defines = "mod b;\nmod c;\npub use self::c::C;\npub struct Own;";
    let uses = "use super::Own;\npub struct C(Own);";
    assert_eq!(
        circles_of(&[("src/a/mod.rs", defines), files[1], ("src/a/c.rs", uses)]),
        [""; 0]
    );
}

#[test]
fn macros_of_the_root_belong_to_their_files() {
    let files = [
        ("src/lib.rs", "mod a;\nmod b;"),
        (
            "src/a.rs",
            "use crate::b::B;\n#[macro_export]\nmacro_rules! dict { () => {} }\nfn f(_: B) {}",
        ),
        (
            "src/b.rs",
            "use crate::dict;\npub struct B;\nfn f() { dict! {} }",
        ),
    ];
    assert_eq!(
        circles_of(&files),
        ["circle: src/a.rs -> src/b.rs -> src/a.rs"]
    );
}

#[test]
fn a_folder_of_the_engine_that_uses_a_later_one_is_found() {
    let files = [
        ("src/engine/mod.rs", "mod admission;\nmod durable;"),
        (
            "src/engine/admission/mod.rs",
            "use crate::engine::durable::D;\nfn f(_: D) {}",
        ),
        ("src/engine/durable/mod.rs", "pub struct D;"),
    ];
    let faults = engine_faults(&Crate::new(files).edges());
    assert_eq!(
        faults,
        ["src/engine/admission/mod.rs:1: admission uses durable"]
    );
}

#[test]
fn a_library_outside_of_its_files_and_a_file_that_is_gone_are_found() {
    assert_eq!(
        library_faults("src/model/id.rs", "use tonic::Status;").len(),
        1
    );
    assert_eq!(
        library_faults("src/model/id.rs", "fn f(_: tonic::Status) {}").len(),
        1
    );
    assert_eq!(
        library_faults("src/model/id.rs", "fn f() -> Vec<tonic::Status> {}").len(),
        1
    );
    assert_eq!(
        library_faults("src/model/id.rs", "// tonic::Status\nuse x::tonic::Y;"),
        [""; 0]
    );
    assert_eq!(
        library_faults("src/edge/mod.rs", "use tonic::Status;"),
        [""; 0]
    );
    assert_eq!(
        missing_paths(["src/lib.rs", "src/gone.rs"]),
        ["src/gone.rs: no such file or folder"]
    );
}
