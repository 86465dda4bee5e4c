//! File descriptors of packages of typed methods, for reflection.
//!
//! `prost_types` does not know `debug_redact`, so this file defines the required messages of `descriptor.proto` with
//! it.

use std::sync::Arc;

use prost::Message as _;

use super::message::{Field, FieldType, MessageType};
use super::method::Method;
use super::names::SERVICE;

#[derive(Clone, PartialEq, prost::Message)]
struct FileProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    message_type: Vec<MessageProto>,
    #[prost(message, repeated, tag = "6")]
    service: Vec<ServiceProto>,
    #[prost(string, tag = "12")]
    syntax: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MessageProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    field: Vec<FieldProto>,
    #[prost(message, repeated, tag = "3")]
    nested_type: Vec<Self>,
    #[prost(message, repeated, tag = "8")]
    oneof_decl: Vec<Named>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FieldProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "3")]
    number: u32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    kind: i32,
    #[prost(string, optional, tag = "6")]
    type_name: Option<String>,
    #[prost(message, optional, tag = "8")]
    options: Option<FieldOptions>,
    #[prost(uint32, optional, tag = "9")]
    oneof_index: Option<u32>,
    #[prost(string, tag = "10")]
    json_name: String,
    #[prost(bool, optional, tag = "17")]
    proto3_optional: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FieldOptions {
    #[prost(bool, tag = "16")]
    debug_redact: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ServiceProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<MethodProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MethodProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input_type: String,
    #[prost(string, tag = "3")]
    output_type: String,
}

/// `LABEL_OPTIONAL` and `LABEL_REPEATED`.
const OPTIONAL: i32 = 1;
const REPEATED: i32 = 3;
const TYPE_STRING: i32 = 9;
const TYPE_BOOL: i32 = 8;

/// The file path of a package: `crm/customer/crm_customer.proto` for `crm.customer`. Each file has a name of its own,
/// because some code generators name their output after the file alone.
pub(super) fn file_path(package: &str) -> String {
    format!("{}/{}.proto", package.replace('.', "/"), file_stem(package))
}

/// The file name of a package, without its extension.
pub(super) fn file_stem(package: &str) -> String {
    package.replace('.', "_")
}

/// The files that the messages of a package import.
pub(super) fn imports(methods: &[Arc<Method>]) -> Vec<String> {
    fn uses(message: &MessageType, predicate: fn(&FieldType) -> bool) -> bool {
        message.fields.iter().any(|field| match &field.kind {
            FieldType::Message(inner) => uses(inner, predicate),
            kind => predicate(kind),
        })
    }
    let imported = |file: &str, predicate: fn(&FieldType) -> bool| {
        let mut bodies = methods
            .iter()
            .flat_map(|method| [&method.request, &method.response]);
        bodies
            .any(|body| uses(&body.message, predicate))
            .then(|| file.to_owned())
    };
    let of_struct = |kind: &FieldType| matches!(kind, FieldType::Struct | FieldType::Value);
    let of_instants = |kind: &FieldType| matches!(kind, FieldType::Instant);
    [
        imported("google/protobuf/struct.proto", of_struct),
        imported("google/protobuf/timestamp.proto", of_instants),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The encoded `FileDescriptorProto` of all methods of a package.
#[must_use]
pub fn descriptor(package: &str, methods: &[Arc<Method>]) -> Vec<u8> {
    let mut file = FileProto {
        name: file_path(package),
        package: package.to_owned(),
        dependency: imports(methods),
        syntax: "proto3".to_owned(),
        ..FileProto::default()
    };
    let mut service = ServiceProto {
        name: SERVICE.to_owned(),
        method: Vec::new(),
    };
    for method in methods {
        let name = &method.name;
        let background = method.background_name();
        for rpc in [name, &background] {
            service.method.push(MethodProto {
                name: rpc.clone(),
                input_type: format!(".{package}.{rpc}Request"),
                output_type: format!(".{package}.{rpc}Response"),
            });
        }
        let request = &method.request.message;
        let scope = format!(".{package}.{}", request.name);
        let sync_request = message(request, &scope);
        let background_request = MessageProto {
            name: format!("{background}Request"),
            // Its fields have the nested messages of the synchronous request.
            nested_type: Vec::new(),
            ..sync_request.clone()
        };
        let response = &method.response.message;
        file.message_type.extend([
            sync_request,
            message(response, &format!(".{package}.{}", response.name)),
            background_request,
            accepted(format!("{background}Response")),
        ]);
    }
    file.service.push(service);
    file.encode_to_vec()
}

fn message(of: &MessageType, scope: &str) -> MessageProto {
    let mut proto = MessageProto {
        name: of.name.clone(),
        ..MessageProto::default()
    };
    for declared in &of.fields {
        let mut field = field(declared, scope);
        if let FieldType::Message(inner) = &declared.kind {
            proto
                .nested_type
                .push(message(inner, &format!("{scope}.{}", inner.name)));
        }
        if is_optional(declared) {
            field.proto3_optional = Some(true);
            field.oneof_index = u32::try_from(proto.oneof_decl.len()).ok();
            let name = format!("_{}", declared.name);
            proto.oneof_decl.push(Named { name });
        }
        proto.field.push(field);
    }
    proto
}

/// Whether a field is `optional`: every singular scalar is, so that absent and zero differ.
pub(super) fn is_optional(field: &Field) -> bool {
    !field.repeated && !field.kind.is_message()
}

fn field(declared: &Field, scope: &str) -> FieldProto {
    let (kind, type_name) = match &declared.kind {
        FieldType::Float => (1, None),
        FieldType::Int => (3, None),
        FieldType::Bool => (TYPE_BOOL, None),
        FieldType::Text => (TYPE_STRING, None),
        FieldType::Bytes => (12, None),
        FieldType::Message(inner) => (11, Some(format!("{scope}.{}", inner.name))),
        known @ (FieldType::Instant | FieldType::Struct | FieldType::Value) => {
            (11, Some(format!(".{}", known.name())))
        }
    };
    FieldProto {
        name: declared.name.clone(),
        number: declared.number,
        label: if declared.repeated {
            REPEATED
        } else {
            OPTIONAL
        },
        kind,
        type_name,
        options: declared
            .redact
            .then_some(FieldOptions { debug_redact: true }),
        json_name: declared.key.clone(),
        ..FieldProto::default()
    }
}

/// The response of an asynchronous call, with the fields of `cidery.v1.InvokeAsyncResponse`.
fn accepted(name: String) -> MessageProto {
    let field = |name: &str, number, kind| FieldProto {
        name: name.to_owned(),
        number,
        label: OPTIONAL,
        kind,
        json_name: name.to_owned(),
        ..FieldProto::default()
    };
    MessageProto {
        name,
        field: vec![
            field("cid", 1, TYPE_STRING),
            field("already_accepted", 2, TYPE_BOOL),
        ],
        ..MessageProto::default()
    }
}
