//! Typed methods as `.proto` files, for people and for generators of clients.

use std::fmt::Write as _;
use std::sync::Arc;

use super::descriptor::{file_name, imports, is_optional};
use super::message::{Field, Kind, Message};
use super::method::Method;
use super::names::SERVICE;

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtoFile {
    /// Where: `customer/service.proto`.
    pub path: String,
    /// What.
    pub text: String,
}

/// The file of a package. `go_package` is the import path under which the Go code of all files will be.
#[must_use]
pub fn proto_file(package: &str, methods: &[Arc<Method>], go_package: Option<&str>) -> ProtoFile {
    let mut text = String::from(
        "// Made by `cidery export proto` from the services of a node.\n\nsyntax = \"proto3\";\n\n",
    );
    let _ = writeln!(text, "package {package};\n");
    let imports = imports(methods);
    for import in &imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !imports.is_empty() {
        text.push('\n');
    }
    if let Some(path) = go_package {
        let folder = package.replace('.', "/");
        let last = package.rsplit('.').next().unwrap_or_default();
        let _ = writeln!(
            text,
            "option go_package = {};\n",
            quoted(&format!("{path}/{folder};{last}pb"))
        );
    }
    service(&mut text, package, methods);
    for method in methods {
        let name = &method.service;
        let request = &method.request.message;
        message(&mut text, request, 0, &format!("What `{name}` gets."), None);
        message(
            &mut text,
            &method.response.message,
            0,
            &format!("What `{name}` answers."),
            None,
        );
        let mut again = request.clone();
        again.name = format!("{}Request", method.background_name());
        let what = format!("What `{name}` gets in the background.");
        message(&mut text, &again, 0, &what, Some(&request.name));
        accepted(&mut text, method);
    }
    ProtoFile {
        path: file_name(package),
        text,
    }
}

/// The message that names an invocation in the background.
fn accepted(text: &mut String, method: &Method) {
    let (service, name) = (&method.service, method.background_name());
    for line in [
        format!("\n// Names the invocation of `{service}`."),
        format!("message {name}Response {{"),
        "  // The CID: its outcome can be fetched, awaited and streamed by it.".to_owned(),
        "  string cid = 1 [json_name = \"cid\"];".to_owned(),
        "  // Whether the invocation had been accepted before.".to_owned(),
        "  bool already_accepted = 2 [json_name = \"already_accepted\"];".to_owned(),
        "}".to_owned(),
    ] {
        text.push_str(&line);
        text.push('\n');
    }
}

fn service(text: &mut String, package: &str, methods: &[Arc<Method>]) {
    let _ = writeln!(
        text,
        "// The services of `{package}`.\nservice {SERVICE} {{"
    );
    for method in methods {
        let (name, background) = (&method.name, method.background_name());
        let what = match method.description.as_str() {
            "" => format!("Invokes `{}`.", method.service),
            description => one_line(description),
        };
        let _ = writeln!(
            text,
            "  // {what}\n  rpc {name}({name}Request) returns ({name}Response);"
        );
        let _ = writeln!(
            text,
            "  // Has `{}` run in the background.\n  rpc {background}({background}Request) returns \
             ({background}Response);",
            method.service,
        );
    }
    text.push_str("}\n");
}

/// Writes a message; `elsewhere` is the message that holds those it is made of, if it is another one.
fn message(text: &mut String, of: &Message, level: usize, what: &str, elsewhere: Option<&str>) {
    let indent = "  ".repeat(level);
    let _ = write!(text, "\n{indent}// {what}\n{indent}message {} {{", of.name);
    if of.fields.is_empty() {
        text.push_str("}\n");
        return;
    }
    text.push('\n');
    for (index, field) in of.fields.iter().enumerate() {
        if let (Kind::Message(inner), None) = (&field.kind, elsewhere) {
            let what = format!("The dicts of `{}`.", one_line(&field.key));
            let mut nested = String::new();
            message(&mut nested, inner, level + 1, &what, None);
            text.push_str(if index == 0 {
                nested.trim_start_matches('\n')
            } else {
                &nested
            });
        }
        if index > 0 && matches!(field.kind, Kind::Message(_)) && elsewhere.is_none() {
            text.push('\n');
        }
        self::field(text, field, level + 1, elsewhere);
    }
    let _ = writeln!(text, "{indent}}}");
}

fn field(text: &mut String, field: &Field, level: usize, elsewhere: Option<&str>) {
    let indent = "  ".repeat(level);
    let what = match field.description.as_str() {
        "" => format!("The element `{}`.", one_line(&field.key)),
        description => one_line(description),
    };
    let label = match (field.repeated, is_optional(field)) {
        (true, _) => "repeated ",
        (_, true) => "optional ",
        _ => "",
    };
    let kind = match (&field.kind, elsewhere) {
        (Kind::Message(inner), Some(holder)) => format!("{holder}.{}", inner.name),
        (Kind::Message(inner), None) => inner.name.clone(),
        (Kind::Instant | Kind::Struct | Kind::Value, _) => format!(".{}", field.kind.name()),
        (kind, _) => kind.name().to_owned(),
    };
    let mut options = format!("json_name = {}", quoted(&field.key));
    if field.redact {
        options.push_str(", debug_redact = true");
    }
    let _ = writeln!(
        text,
        "{indent}// {what}\n{indent}{label}{kind} {} = {} [{options}];",
        field.name, field.number,
    );
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A string literal of protobuf.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
