//! The failure of a call to a path that is no method: it says what there is.

use super::catalog::Snapshot;
use super::descriptor_pool::DescriptorPool;
use crate::codec::typed::Note;
use crate::codec::typed::names::{SERVICE, to_snake_case};
use crate::engine::Invoker;
use crate::model::error::{Error, reason};
use crate::model::id::truncated;

/// How many methods of a gRPC service the message lists.
const MAX_METHODS: usize = 4;
/// How similar a name is, at least, to be suggested.
const MIN_SIMILARITY: f64 = 0.8;
/// Longer names are not compared.
const MAX_COMPARED_BYTES: usize = 255;

/// The failure of a call to a path that is no method, or none of those that the caller may invoke: the same for both.
///
/// It is `PERMISSION_DENIED` / `NOT_PERMITTED` where the caller may invoke no service that could be meant, otherwise
/// `UNIMPLEMENTED` / `METHOD_UNKNOWN`, or `NO_TYPED_METHOD` for a service that has none.
pub(super) fn refused_method(
    catalog: &Snapshot,
    visible: &DescriptorPool,
    invoker: &Invoker,
    path: &str,
) -> Error {
    let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let meant = names.and_then(|(service, method)| meant_services(service, method));
    if let Some([first, other]) = &meant
        && !invoker.sees_service(first)
        && !invoker.sees_service(other)
        && let Err(refused) = invoker.check_invoke(first)
    {
        return with_derived_name(refused, first, other);
    }
    if let Err(refused) = invoker.check_authenticated() {
        return refused;
    }
    unknown_method(catalog, visible, invoker, path)
}

/// Says that a refusal names a service that may have another name: the path of a method does not tell `-` from `_`.
fn with_derived_name(refused: Error, first: &str, other: &str) -> Error {
    if first == other {
        return refused;
    }
    let message = format!(
        "{}; the name is derived from that of the method: the service may be `{}`",
        refused.message(),
        truncated(other)
    );
    refused.with_message(message)
}

fn unknown_method(
    catalog: &Snapshot,
    visible: &DescriptorPool,
    invoker: &Invoker,
    path: &str,
) -> Error {
    let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let Some((service, method)) = names else {
        let path = truncated(path);
        return unknown(format!(
            "there is no method `{path}`: a path is `/PACKAGE.SERVICE/METHOD`"
        ));
    };
    let shown = truncated(service);
    let untyped = untyped(catalog, service, method);
    if let Some((name, note)) = untyped.filter(|(name, _)| invoker.sees_service(name)) {
        let note = note.text(|service| invoker.sees_service(service));
        let message =
            format!("service `{name}` has no typed method: {note}; call it with `Invoke`");
        return Error::unimplemented(reason::NO_TYPED_METHOD, message);
    }
    let methods = catalog
        .directory
        .of_grpc_service(service)
        .unwrap_or_default();
    let methods = methods.iter();
    let methods: Vec<_> = methods
        .filter(|method| invoker.sees_service(method.service.as_str()))
        .collect();
    if !methods.is_empty() {
        let names = methods.iter().map(|method| method.name.as_str());
        let others = match methods.len().saturating_sub(MAX_METHODS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let listed: Vec<String> = most_similar(method, names)
            .take(MAX_METHODS)
            .map(|(_, name)| format!("`{name}`"))
            .collect();
        return unknown(format!(
            "`{shown}` has no method `{}`; it has {}{others}, and each with `Async`",
            truncated(method),
            listed.join(", "),
        ));
    }
    if visible.services.contains(service) {
        let method = truncated(method);
        return unknown(format!(
            "`{shown}` has no method `{method}`; `grpcurl -plaintext HOST:PORT list {shown}` lists them"
        ));
    }
    let services = visible.services.iter().map(|name| &**name);
    let nearest = most_similar(service, services).next();
    let advice = match nearest.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY) {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => "`grpcurl -plaintext HOST:PORT list` lists them".to_owned(),
    };
    unknown(format!("there is no gRPC service `{shown}`; {advice}"))
}

fn unknown(message: String) -> Error {
    Error::unimplemented(reason::METHOD_UNKNOWN, message)
}

/// The service that would have a typed method at this path, and why it has none.
fn untyped<'a>(catalog: &'a Snapshot, service: &str, method: &str) -> Option<(String, &'a Note)> {
    meant_services(service, method)?
        .into_iter()
        .find_map(|name| Some((name.clone(), catalog.directory.note(&name)?)))
}

/// The services that a path may mean.
fn meant_services(service: &str, method: &str) -> Option<[String; 2]> {
    let package = service.strip_suffix(SERVICE)?.strip_suffix('.')?;
    let method = method.strip_suffix("Async").unwrap_or(method);
    let snake = to_snake_case(method);
    Some([
        format!("{package}.{snake}"),
        format!("{package}.{}", snake.replace('_', "-")),
    ])
}

/// Names with their similarity to one, the most similar first.
fn most_similar<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (f64, &'a str)> {
    let name = name
        .get(..name.floor_char_boundary(MAX_COMPARED_BYTES))
        .unwrap_or_default();
    let mut similar: Vec<_> = names
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .collect();
    similar.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    similar.into_iter()
}
