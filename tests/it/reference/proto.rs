//! The files of the contract with their comments: what [`super::contract`] makes pages of.

use std::collections::BTreeMap;
use std::path::Path;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// The numbers of the fields that a path of source information goes through (`descriptor.proto`).
pub(super) mod part {
    pub(in super::super) const MESSAGES: i32 = 4;
    pub(in super::super) const ENUMS: i32 = 5;
    pub(in super::super) const SERVICES: i32 = 6;
    pub(in super::super) const METHODS: i32 = 2;
    pub(in super::super) const FIELDS: i32 = 2;
    pub(in super::super) const NESTED_MESSAGES: i32 = 3;
    pub(in super::super) const NESTED_ENUMS: i32 = 4;
    pub(in super::super) const VALUES: i32 = 2;
}

/// A file of the contract.
pub(super) struct File {
    /// Its name without folder and ending, such as `invocation`.
    pub(super) name: String,
    pub(super) descriptor: FileDescriptorProto,
    comments: BTreeMap<Vec<i32>, String>,
}

impl File {
    /// The comment of an element, its paragraphs one line each.
    pub(super) fn comment(&self, path: &[i32]) -> &str {
        self.comments.get(path).map_or("", String::as_str)
    }

    /// The same in one line, as a cell of a table.
    pub(super) fn cell(&self, path: &[i32]) -> String {
        escaped(self.comment(path))
            .replace('\n', " ")
            .replace('|', "\\|")
    }

    /// The names of its messages and enums, those of nested ones after that of their message.
    pub(super) fn types(&self) -> Vec<String> {
        fn nested(prefix: &str, message: &DescriptorProto, names: &mut Vec<String>) {
            let name = format!("{prefix}{}", message.name());
            let inner = format!("{name}.");
            names.push(name);
            for message in messages(message) {
                nested(&inner, message, names);
            }
            let enums = message.enum_type.iter().map(EnumDescriptorProto::name);
            names.extend(enums.map(|name| format!("{inner}{name}")));
        }
        let mut names = Vec::new();
        for message in &self.descriptor.message_type {
            nested("", message, &mut names);
        }
        let enums = self.descriptor.enum_type.iter();
        names.extend(enums.map(|it| it.name().to_owned()));
        names
    }
}

/// The nested messages that were written: not those that stand for maps.
pub(super) fn messages(message: &DescriptorProto) -> impl Iterator<Item = &DescriptorProto> {
    message
        .nested_type
        .iter()
        .filter(|message| !is_map_entry(message))
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(prost_types::MessageOptions::map_entry)
}

/// A text with the signs that Markdown would take for HTML.
pub(super) fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// All files of the contract, in the order of their names.
pub(super) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let folder = std::fs::read_dir(root.join("cidery/v1")).unwrap();
    let mut names: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let paths = names.iter().map(|name| format!("cidery/v1/{name}"));
    let set = protox::compile(paths, [root]).unwrap();
    let own = set.file.into_iter().filter(|file| {
        file.name().starts_with("cidery/v1/") // The set has the files that these import, too.
    });
    let mut files: Vec<File> = own.map(file).collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

fn file(descriptor: FileDescriptorProto) -> File {
    let name = descriptor.name().rsplit('/').next().unwrap();
    let name = name.strip_suffix(".proto").unwrap().to_owned();
    let locations = descriptor
        .source_code_info
        .as_ref()
        .unwrap()
        .location
        .iter();
    let comments = locations
        .filter(|location| location.leading_comments.is_some())
        .map(|location| {
            (
                location.path.clone(),
                paragraphs(location.leading_comments()),
            )
        })
        .collect();
    File {
        name,
        descriptor,
        comments,
    }
}

/// A comment with one line for each paragraph.
fn paragraphs(comment: &str) -> String {
    let mut text = String::new();
    for line in comment.lines().map(str::trim) {
        match line {
            "" => text.push('\n'),
            _ if text.is_empty() || text.ends_with('\n') => text.push_str(line),
            _ => {
                text.push(' ');
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}

/// The type of a field, as a `.proto` file writes it: its words, and the full name of a message or an enum.
pub(super) fn field_type(
    owner: &DescriptorProto,
    field: &FieldDescriptorProto,
) -> (String, String) {
    let entry = owner.nested_type.iter().find(|entry| {
        is_map_entry(entry) && field.type_name().ends_with(&format!(".{}", entry.name()))
    });
    if let Some(entry) = entry {
        let [key, value] = &entry.field[..] else {
            panic!("a map has keys and values");
        };
        let (value, full) = scalar(value);
        return (format!("map of {} to {value}", scalar(key).0), full);
    }
    let (name, full) = scalar(field);
    let repeated = field.label() == Label::Repeated;
    let optional = field.proto3_optional();
    let word = match (repeated, optional) {
        (true, _) => "repeated ",
        (_, true) => "optional ",
        _ => "",
    };
    (format!("{word}{name}"), full)
}

/// The name of a type, and its full name where it is a message or an enum.
fn scalar(field: &FieldDescriptorProto) -> (String, String) {
    let name = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => {
            let full = field.type_name().trim_start_matches('.').to_owned();
            let short = full.strip_prefix("cidery.v1.").unwrap_or(&full);
            return (short.to_owned(), full);
        }
        kind => kind
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    (name, String::new())
}
