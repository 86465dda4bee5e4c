//! The `.proto` files that this binary was built with: Cidery's own API, and the messages of error details.

use std::path::Path;

use crate::codec::typed::names::to_pascal_case;
use crate::codec::typed::{HEADER, PackageOptions, ProtoFile};

/// The package of Cidery's own API.
pub(super) const PACKAGE: &str = "cidery.v1";

macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        [$(($path, include_str!(concat!("../../../../../", $folder, "/", $path)))),*]
    };
}

const API: [(&str, &str); 7] = files!("proto":
    "cidery/v1/admin.proto"
    "cidery/v1/discovery.proto"
    "cidery/v1/invocation.proto"
    "cidery/v1/operation.proto"
    "cidery/v1/outcome.proto"
    "cidery/v1/service.proto"
    "cidery/v1/worker.proto"
);

/// What a client needs to decode `grpc-status-details-bin`.
const DETAILS: [(&str, &str); 2] = files!("third_party":
    "google/rpc/error_details.proto"
    "google/rpc/status.proto"
);

/// What a generator needs to read the paths of methods over plain HTTP.
const HTTP: [(&str, &str); 2] = files!("third_party":
    "google/api/annotations.proto"
    "google/api/http.proto"
);

/// Cidery's own files, with options for code generators.
pub(super) fn api_files<'a>(options: &'a PackageOptions) -> impl Iterator<Item = ProtoFile> + 'a {
    API.into_iter()
        .map(|(path, text)| with_options(path, text, options))
}

/// The files with the messages of error details. Only their header is new.
pub(super) fn details_files() -> impl Iterator<Item = ProtoFile> {
    DETAILS
        .into_iter()
        .map(|(path, text)| proto_file(path, text))
}

/// The files with the options of paths over plain HTTP. Only their header is new.
pub(super) fn http_files() -> impl Iterator<Item = ProtoFile> {
    HTTP.into_iter().map(|(path, text)| proto_file(path, text))
}

/// Whether a path in the output directory is that of one of these files.
pub(super) fn is_own(path: &Path) -> bool {
    let mut own = API.iter().chain(&DETAILS).chain(&HTTP);
    own.any(|(known, _)| path == Path::new(known))
}

fn proto_file(path: &str, text: &str) -> ProtoFile {
    ProtoFile {
        path: path.to_owned(),
        text: format!("{HEADER} --api`.\n\n{text}"),
    }
}

/// Inserts the options after the imports, their usual position.
fn with_options(path: &str, text: &str, options: &PackageOptions) -> ProtoFile {
    let name = path.rsplit('/').next().unwrap_or(path);
    let class = to_pascal_case(name.trim_end_matches(".proto"));
    let options = options.text(&format!("{class}Proto"));
    let head = |line: &&str| {
        let words = ["syntax", "package", "import", "\n"];
        words.iter().any(|word| line.starts_with(word))
    };
    let length = text.split_inclusive('\n').take_while(head).map(str::len);
    let (head, body) = text.split_at(length.sum());
    proto_file(path, &format!("{head}{options}\n{body}"))
}
