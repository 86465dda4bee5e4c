//! A page for each file of the contract: its gRPC service with its methods, messages, fields and enums.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost_types::{DescriptorProto, EnumDescriptorProto, MethodDescriptorProto};

use super::proto::{File, escaped, field_type, files, messages, part};
use crate::support::page::{assert_page, wrapped};

/// Where the documentation has a type: by its full name.
type Places = BTreeMap<String, String>;

/// What the files are about that have no gRPC service.
const SHARED: [(&str, &str); 2] = [
    (
        "outcome",
        "Invocations, their states, outcomes and failures.",
    ),
    (
        "service",
        "Declarations of services, their options and Simple IO.",
    ),
];

const MADE: &str =
    "<!-- Made from proto/cidery/v1 by tests/it/reference: scripts/docs --update. -->";

/// The anchor of a heading that is a name.
fn anchor(name: &str) -> String {
    name.to_lowercase().replace('.', "")
}

fn places(files: &[File]) -> Places {
    let mut places = Places::new();
    for file in files {
        for name in file.types() {
            let place = format!("{}.md#{}", file.name, anchor(&name));
            places.insert(format!("cidery.v1.{name}"), place);
        }
    }
    places
}

/// A page in the making.
struct Page<'a> {
    file: &'a File,
    places: &'a Places,
    text: String,
}

impl Page<'_> {
    /// Adds a paragraph or a block, and an empty line.
    fn add(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.text.push_str("\n\n");
        }
    }

    /// Adds a comment, with an empty line between its paragraphs.
    fn comment(&mut self, path: &[i32]) {
        let comment = escaped(self.file.comment(path)).replace('\n', "\n\n");
        self.add(wrapped(&comment).trim_end());
    }

    /// The name of a type, as a link where the documentation has it.
    fn link(&self, shown: &str, full: &str) -> String {
        let short = full.strip_prefix("cidery.v1.").unwrap_or(full);
        match self.places.get(full) {
            Some(place) => {
                let place = place
                    .strip_prefix(&format!("{}.md", self.file.name))
                    .unwrap_or(place);
                shown.replace(short, &format!("[{short}]({place})"))
            }
            None if full.is_empty() => shown.to_owned(),
            None => shown.replace(full, &format!("`{full}`")),
        }
    }

    fn method(&mut self, path: &[i32], method: &MethodDescriptorProto) {
        self.add(&format!("### {}", method.name()));
        let side = |name: &str, streams: bool| {
            let full = name.trim_start_matches('.');
            let short = full.strip_prefix("cidery.v1.").unwrap_or(full);
            let stream = ["", "stream of "][usize::from(streams)];
            format!("{stream}{}", self.link(short, full))
        };
        let request = side(method.input_type(), method.client_streaming());
        let response = side(method.output_type(), method.server_streaming());
        self.add(&format!("{request} → {response}"));
        self.comment(path);
    }

    fn message(&mut self, path: &[i32], prefix: &str, message: &DescriptorProto) {
        let name = format!("{prefix}{}", message.name());
        self.add(&format!("### {name}"));
        self.comment(path);
        if message.field.is_empty() {
            self.add("It has no fields.");
        } else {
            let mut table =
                String::from("| field | type | number | meaning |\n|---|---|---|---|\n");
            for (at, field) in (0..).zip(&message.field) {
                let (shown, full) = field_type(message, field);
                let mut meaning = self.file.cell(&[path, &[part::FIELDS, at]].concat());
                let choice = field.oneof_index.filter(|_| !field.proto3_optional());
                if let Some(choice) = choice {
                    let choice = &message.oneof_decl[usize::try_from(choice).unwrap()];
                    meaning = format!("One of `{}`. {meaning}", choice.name());
                }
                writeln!(
                    table,
                    "| `{}` | {} | {} | {meaning} |",
                    field.name(),
                    self.link(&shown, &full),
                    field.number()
                )
                .unwrap();
            }
            self.add(table.trim_end());
        }
        let inner = format!("{name}.");
        let indexes: Vec<_> = (0..).zip(&message.nested_type).collect();
        for nested in messages(message) {
            let (at, _) = indexes
                .iter()
                .find(|(_, other)| other.name() == nested.name())
                .unwrap();
            self.message(
                &[path, &[part::NESTED_MESSAGES, *at]].concat(),
                &inner,
                nested,
            );
        }
        for (at, nested) in (0..).zip(&message.enum_type) {
            self.enumeration(&[path, &[part::NESTED_ENUMS, at]].concat(), &inner, nested);
        }
    }

    fn enumeration(&mut self, path: &[i32], prefix: &str, item: &EnumDescriptorProto) {
        self.add(&format!("### {prefix}{}", item.name()));
        self.comment(path);
        let mut table = String::from("| value | number | meaning |\n|---|---|---|\n");
        for (at, value) in (0..).zip(&item.value) {
            let meaning = self.file.cell(&[path, &[part::VALUES, at]].concat());
            writeln!(
                table,
                "| `{}` | {} | {meaning} |",
                value.name(),
                value.number()
            )
            .unwrap();
        }
        self.add(table.trim_end());
    }
}

/// The title of a page: the name of its gRPC service, or of its file.
fn title(file: &File) -> String {
    match file.descriptor.service.first() {
        Some(service) => service.name().to_owned(),
        None => format!("{}.proto", file.name),
    }
}

fn page(file: &File, places: &Places) -> String {
    let mut page = Page {
        file,
        places,
        text: String::new(),
    };
    page.add(MADE);
    page.add(&format!("# {}", title(file)));
    let shared = SHARED.iter().find(|(name, _)| *name == file.name);
    if let Some((_, about)) = shared {
        page.add(about);
    }
    let source = format!("../../proto/cidery/v1/{}.proto", file.name);
    for (at, service) in (0..).zip(&file.descriptor.service) {
        let path = [part::SERVICES, at];
        page.comment(&path);
        let place = format!(
            "`cidery.v1.{}`, in [`{}.proto`]({source}).",
            service.name(),
            file.name
        );
        page.add(&place);
        page.add("[Rights](../rights.md) says what each method needs.");
        page.add("## Methods");
        for (at, method) in (0..).zip(&service.method) {
            page.method(&[&path[..], &[part::METHODS, at]].concat(), method);
        }
    }
    if file.descriptor.service.is_empty() {
        page.add(&format!(
            "Package `cidery.v1`, in [`{}.proto`]({source}).",
            file.name
        ));
    }
    page.add("## Messages");
    for (at, message) in (0..).zip(&file.descriptor.message_type) {
        page.message(&[part::MESSAGES, at], "", message);
    }
    if !file.descriptor.enum_type.is_empty() {
        page.add("## Enums");
    }
    for (at, item) in (0..).zip(&file.descriptor.enum_type) {
        page.enumeration(&[part::ENUMS, at], "", item);
    }
    page.text.trim_end().to_owned() + "\n"
}

const INDEX: &str = "\
# The contract

The gRPC services of a node, all on one port, in the package `cidery.v1`. The contract only grows:
[Upgrading](../upgrade.md#clients-and-workers).

| page | what it is for | methods |
|---|---|---|
";

const INDEX_END: &str = "
[Failures](../errors.md) have a reason and details; [typed methods](../sio.md#typed-methods) are made from
declarations. The node also has reflection, `grpc.health.v1.Health`, and the
[external scaler](../metrics.md#autoscaling-with-keda) of KEDA.
";

/// The page that leads to the others.
fn index(files: &[File]) -> String {
    let mut text = format!("{MADE}\n\n{INDEX}");
    for file in files {
        let (about, methods) = match file.descriptor.service.first() {
            Some(service) => {
                let comment = file.cell(&[part::SERVICES, 0]);
                let first = comment.split(". ").next().unwrap_or_default();
                let methods = service.method.iter().map(|method| {
                    let name = method.name();
                    format!("[{name}]({}.md#{})", file.name, anchor(name))
                });
                let about = format!("{}.", first.trim_end_matches('.'));
                (about, methods.collect::<Vec<_>>().join(", "))
            }
            None => {
                let shared = SHARED.iter().find(|(shared, _)| *shared == file.name);
                let (_, about) = shared.expect("a file without a gRPC service is explained");
                ((*about).to_owned(), "none: they share it".to_owned())
            }
        };
        let name = title(file);
        writeln!(text, "| [{name}]({}.md) | {about} | {methods} |", file.name).unwrap();
    }
    text + INDEX_END
}

#[test]
fn pages_of_the_contract_are_made_from_it() {
    let files = files();
    assert!(files.len() >= 8);
    let places = places(&files);
    for file in &files {
        assert_page(&format!("reference/{}.md", file.name), &page(file, &places));
    }
    assert_page("reference/index.md", &index(&files));
}

/// What the pages show of the contract: a field, its type with a link, and its comment.
#[test]
fn a_page_has_methods_fields_and_comments() {
    let files = files();
    let invocation = files.iter().find(|file| file.name == "invocation").unwrap();
    let page = page(invocation, &places(&files));
    assert!(page.contains(
        "\n### Invoke\n\n[InvokeRequest](#invokerequest) → [InvokeResponse](#invokeresponse)\n"
    ));
    assert!(page.contains("→ stream of [StreamResultsResponse](#streamresultsresponse)\n"));
    assert!(page.contains("\n| `service` | string | 1 | "), "{page}");
    assert!(page.contains("| One of `input`. "));
    assert!(page.contains("](outcome.md#"));
}
