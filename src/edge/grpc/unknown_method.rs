//! The failure of a call to a path that is no method: it says what there is.

use super::catalog::Snapshot;
use crate::codec::typed::names::{SERVICE, to_snake_case};
use crate::model::error::{Error, reason};
use crate::model::id::truncated;

/// How many methods of a gRPC service the message lists.
const MAX_METHODS: usize = 4;
/// How similar a name is, at least, to be suggested.
const MIN_SIMILARITY: f64 = 0.8;
/// Longer names are not compared.
const MAX_COMPARED_BYTES: usize = 255;

/// `UNIMPLEMENTED` / `METHOD_UNKNOWN`, or `NO_TYPED_METHOD` for a service that has none.
pub(super) fn unknown_method(catalog: &Snapshot, path: &str) -> Error {
    let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let Some((service, method)) = names else {
        let path = truncated(path);
        return unknown(format!(
            "there is no method `{path}`: a path is `/PACKAGE.SERVICE/METHOD`"
        ));
    };
    let shown = truncated(service);
    if let Some((name, note)) = untyped(catalog, service, method) {
        let message =
            format!("service `{name}` has no typed method: {note}; call it with `Invoke`");
        return Error::unimplemented(reason::NO_TYPED_METHOD, message);
    }
    if let Some(methods) = catalog.directory.of_grpc_service(service) {
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
    if catalog.pool.services.contains(service) {
        let method = truncated(method);
        return unknown(format!(
            "`{shown}` has no method `{method}`; `grpcurl -plaintext HOST:PORT list {shown}` lists them"
        ));
    }
    let services = catalog.pool.services.iter().map(|name| &**name);
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
fn untyped<'a>(catalog: &'a Snapshot, service: &str, method: &str) -> Option<(String, &'a str)> {
    let package = service.strip_suffix(SERVICE)?.strip_suffix('.')?;
    let method = method.strip_suffix("Async").unwrap_or(method);
    let snake = to_snake_case(method);
    let names = [
        format!("{package}.{snake}"),
        format!("{package}.{}", snake.replace('_', "-")),
    ];
    names
        .into_iter()
        .find_map(|name| Some((name.clone(), catalog.directory.note(&name)?)))
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
