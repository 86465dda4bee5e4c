//! The object of a context.

use std::path::PathBuf;

use crate::app::cli::contexts::Context;
use crate::dict;
use crate::model::value::Value;

/// `context` in the schema.
pub(in crate::app::cli) fn context(name: &str, is_current: bool, context: &Context) -> Value {
    let path = |path: &Option<PathBuf>| {
        let path = path.as_ref().map(|path| path.display().to_string());
        Value::from(path)
    };
    dict! {
        "name": name,
        "current": is_current,
        "node": context.node.as_str(),
        "api_key_file": path(&context.api_key_file),
        "ca": path(&context.ca),
        "cert": path(&context.cert),
        "key": path(&context.key),
    }
    .into()
}
