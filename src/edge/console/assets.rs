//! The table of the embedded files.

use http::HeaderValue;

/// What a build tells the next one from, in the addresses of files that browsers keep for ever.
const VERSION: &str = include_str!(concat!(env!("OUT_DIR"), "/console/version"));
/// What precedes the version in these addresses: no name of a file begins with it.
const VERSION_MARK: char = '@';

/// A file of the console.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path below the folder of the files.
    pub(super) path: &'static str,
    /// The tag of its content, as the header has it.
    pub(super) etag: &'static str,
    pub(super) plain: &'static [u8],
    pub(super) gzip: &'static [u8],
}

/// All files, by path.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/console/assets.rs"));

/// The types of files, by the end of their names.
const TYPES: [(&str, &str); 10] = [
    (".css", "text/css; charset=utf-8"),
    (".html", "text/html; charset=utf-8"),
    (".ico", "image/x-icon"),
    (".js", "text/javascript; charset=utf-8"),
    (".json", "application/json"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain; charset=utf-8"),
    (".woff2", "font/woff2"),
    ("/LICENSE", "text/plain; charset=utf-8"),
];

impl Asset {
    /// The page.
    pub(super) fn index() -> Option<&'static Self> {
        Self::named("index.html")
    }

    fn named(path: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// The file of a path below `/console/`, and whether its address changes with its content.
    pub(super) fn at(path: &str) -> Option<(&'static Self, bool)> {
        match path.strip_prefix(VERSION_MARK) {
            None => Some((Self::named(path)?, false)),
            Some(rest) => {
                let (version, path) = rest.split_once('/')?;
                // After an upgrade an open page asks for files of the one before: it gets those of now, for once.
                Some((Self::named(path)?, version == VERSION))
            }
        }
    }

    /// Whether a path below `/console/` can only be that of a file: it is in a folder of files, or has an extension and
    /// is in none. Others are screens: names of services have dots, too.
    pub(super) fn is_name(path: &str) -> bool {
        let Some((first, _)) = path.split_once('/') else {
            return path.contains('.');
        };
        let mut folders = ASSETS.iter().filter_map(|asset| asset.path.split_once('/'));
        first.starts_with(VERSION_MARK) || folders.any(|(folder, _)| folder == first)
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        let mut types = TYPES.iter();
        let found = types.find(|(end, _)| self.path.ends_with(end));
        HeaderValue::from_static(found.map_or("application/octet-stream", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read as _;

    use super::*;

    /// What the whole console may have, compressed.
    const MAX_COMPRESSED_BYTES: usize = 400 << 10;

    fn text(asset: &Asset) -> Option<&'static str> {
        let is_text = [".css", ".html", ".js", ".svg"];
        let is_text = is_text.iter().any(|end| asset.path.ends_with(end));
        is_text.then(|| str::from_utf8(asset.plain).unwrap())
    }

    #[test]
    fn the_whole_console_is_small() {
        let sizes = ASSETS.iter().map(|asset| asset.gzip.len());
        let all: usize = sizes.sum();
        assert!(all <= MAX_COMPRESSED_BYTES, "{all} bytes");
    }

    #[test]
    fn the_compressed_content_is_the_same() {
        for asset in ASSETS {
            let mut read = Vec::new();
            let mut gzip = flate2::read::GzDecoder::new(asset.gzip);
            gzip.read_to_end(&mut read).unwrap();
            assert!(read == asset.plain, "{}", asset.path);
            assert!(
                TYPES.iter().any(|(end, _)| asset.path.ends_with(end)),
                "{} has no content type",
                asset.path
            );
        }
    }

    /// The lines of a file without its comments.
    fn code(text: &str) -> String {
        let mut code = String::new();
        let mut rest = text;
        while let Some((before, comment)) = rest.split_once("/*") {
            code.push_str(before);
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        }
        code.push_str(rest);
        let lines = code.lines().map(|line| match line.trim_start() {
            comment if comment.starts_with("//") => "",
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Names of XML, which no browser asks for.
    const NAMESPACES: [&str; 2] = ["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"];

    #[test]
    fn no_file_names_another_host() {
        for asset in ASSETS {
            let Some(text) = text(asset) else { continue };
            let code = NAMESPACES
                .iter()
                .fold(code(text), |code, name| code.replace(name, ""));
            for line in code.lines() {
                let found = [
                    "http://", "https://", "ws://", "wss://", "\"//", "'//", "(//",
                ]
                .into_iter()
                .find(|url| line.contains(url));
                assert_eq!(found, None, "{}: {line}", asset.path);
            }
        }
    }

    /// The text between `before` and the quote that follows, wherever `before` stands.
    fn quoted<'a>(code: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        code.split(before).skip(1).filter_map(|rest| {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            rest.get(1..)?.split(quote).next()
        })
    }

    /// What a file names, as paths of files.
    fn named_by(asset: &Asset, code: &str) -> BTreeSet<String> {
        let mut named = BTreeSet::new();
        let folder = asset.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_code = asset.path.ends_with(".js");
        let before: &[&str] = match is_code {
            true => &["from ", "from", "import ", "import", "import(", "new URL("],
            false => &["src=", "href=", "url("],
        };
        for name in before.iter().flat_map(|before| quoted(code, before)) {
            let versioned = format!("/console/{VERSION_MARK}{VERSION}/");
            if let Some(path) = name
                .strip_prefix(&versioned)
                .or_else(|| name.strip_prefix("/console/"))
            {
                // Links to screens have no extension.
                if path.contains('.') {
                    named.insert(path.to_owned());
                }
            } else if name.starts_with("./") || name.starts_with("../") {
                let mut parts: Vec<&str> = folder.split('/').filter(|it| !it.is_empty()).collect();
                for part in name.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(parts.pop()),
                        part => parts.push(part),
                    }
                }
                named.insert(parts.join("/"));
            }
        }
        named
    }

    #[test]
    fn each_file_that_is_named_exists() {
        let mut all = BTreeSet::new();
        for asset in ASSETS {
            let Some(text) = text(asset) else { continue };
            for name in named_by(asset, &code(text)) {
                assert!(
                    Asset::named(&name).is_some(),
                    "{} names {name}, which does not exist",
                    asset.path
                );
                all.insert(name);
            }
        }
        assert!(!all.is_empty(), "the page names nothing");
    }

    #[test]
    fn the_page_names_its_files_with_the_version() {
        let page = text(Asset::index().unwrap()).unwrap();
        let address = format!("\"/console/{VERSION_MARK}{VERSION}/");
        assert!(page.contains(&address), "{page}");
        for (path, is_versioned) in [
            (format!("@{VERSION}/index.html"), true),
            ("@0/index.html".to_owned(), false),
            ("index.html".to_owned(), false),
        ] {
            let found = Asset::at(&path).map(|(_, is_versioned)| is_versioned);
            assert_eq!(found, Some(is_versioned), "{path}");
        }
        for path in ["@", "@0", "", "other.js", "../Cargo.toml"] {
            assert!(Asset::at(path).is_none(), "{path}");
        }
    }
}
