//! The names of packages that a person gives to `cidery export proto`.

use crate::codec::typed::names::is_java_keyword;

/// Parses the import path of a folder with Go code, `example.com/stubs`, by the rules of Go modules.
pub(super) fn go_import_path(path: &str) -> Result<String, String> {
    if let Some((_, name)) = path.split_once(';') {
        return Err(format!(
            "remove `;{name}`: each package of the export is a Go package in this folder, with a name of its own"
        ));
    }
    if path.contains("://") {
        return Err(
            "an import path has no scheme: use a path such as `example.com/stubs`".to_owned(),
        );
    }
    let is_element = |element: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+".contains(c);
        !element.is_empty() && element.chars().all(is_allowed) && !element.ends_with('.')
    };
    match path.split('/').all(is_element) && !path.starts_with(['.', '-']) {
        true => Ok(path.to_owned()),
        false => Err(
            "use a Go import path such as `example.com/stubs`: elements of ASCII letters, digits and `-._~+`, \
             separated by `/`"
                .to_owned(),
        ),
    }
}

/// Parses a Java package, `com.example`.
pub(super) fn java_package(package: &str) -> Result<String, String> {
    let is_identifier = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !package.split('.').all(is_identifier) {
        return Err(
            "use a Java package such as `com.example`: ASCII identifiers, separated by `.`"
                .to_owned(),
        );
    }
    match package.split('.').find(|name| is_java_keyword(name)) {
        None => Ok(package.to_owned()),
        Some(keyword) => Err(format!("`{keyword}` is a keyword of Java")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_paths_follow_the_rules_of_go() {
        for path in [
            "example.com/stubs",
            "stubs",
            "example.com/x/v2",
            "a.b/c_d-e~f",
        ] {
            assert_eq!(go_import_path(path).unwrap(), path);
        }
        for path in [
            "",
            "/x",
            "x/",
            "a//b",
            "./x",
            "a/../b",
            "a b",
            "a\"b",
            "https://example.com/x",
            "example.com/x;stubs",
            "a\\b",
            "ä",
            "-x",
        ] {
            assert!(go_import_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn java_packages_are_identifiers() {
        for package in ["com.example", "x", "com.example_2.y"] {
            assert_eq!(java_package(package).unwrap(), package);
        }
        for package in [
            "",
            "com.",
            ".x",
            "com.2x",
            "com-x",
            "com.new.x",
            "com/x",
            "a b",
        ] {
            assert!(java_package(package).is_err(), "{package}");
        }
    }
}
