//! The names of typed methods: `invoking.my-service2` is `invoking.Service/MyService2`.

/// Packages that typed methods must not use, since others own them.
const RESERVED: [&str; 4] = ["cidery.v1", "externalscaler", "grpc", "google"];

/// The words that cannot be names in Java, in alphabetical order.
const JAVA_KEYWORDS: &str = "\
    abstract assert boolean break byte case catch char class const continue default do double else enum \
    extends false final finally float for goto if implements import instanceof int interface long native \
    new null package private protected public return short static strictfp super switch synchronized \
    this throw throws transient true try void volatile while";

/// The name of the only gRPC service of a package.
pub const SERVICE: &str = "Service";

/// Converts a name to `lower_snake_case`: runs of other characters than letters and digits become one `_`, and a
/// leading digit gets the prefix `x`.
#[must_use]
pub fn to_snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut chars = name.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        if !c.is_ascii_alphanumeric() {
            before = '_';
            continue;
        }
        let begins_word = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase()
                    && chars.peek().is_some_and(char::is_ascii_lowercase)));
        if !out.is_empty() && (before == '_' || begins_word) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        before = c;
    }
    if !out.starts_with(|c: char| c.is_ascii_lowercase()) {
        out.insert(0, 'x');
    }
    out
}

/// Converts a name to `PascalCase`.
#[must_use]
pub fn to_pascal_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for word in to_snake_case(name).split('_') {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.extend(chars);
    }
    out
}

/// Whether a word cannot be a name in Java.
#[must_use]
pub fn is_java_keyword(word: &str) -> bool {
    JAVA_KEYWORDS.split(' ').any(|keyword| keyword == word)
}

/// The package and the method for the name of a service.
///
/// # Errors
///
/// The reason why there is none.
pub fn package_and_method(name: &str) -> Result<(String, String), String> {
    let (package, method) = match name.rsplit_once('.') {
        Some((package, method)) => (package, to_pascal_case(method)),
        None => (name, "Invoke".to_owned()),
    };
    let package = package
        .split('.')
        .map(to_snake_case)
        .collect::<Vec<_>>()
        .join(".");
    let reserved = RESERVED.iter().find(|reserved| {
        let rest = package.strip_prefix(**reserved);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    match reserved {
        None => Ok((package, method)),
        Some(reserved) => Err(format!(
            "the package `{reserved}` is reserved: choose another name"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_converted_by_rule() {
        for (name, lower, upper) in [
            ("get", "get", "Get"),
            ("my-service2", "my_service2", "MyService2"),
            ("custName", "cust_name", "CustName"),
            ("HTTPServer", "http_server", "HttpServer"),
            ("a--b__c", "a_b_c", "ABC"),
            ("_x_", "x", "X"),
            ("2nd", "x2nd", "X2nd"),
            ("größe", "gr_e", "GrE"),
            ("日", "x", "X"),
        ] {
            assert_eq!(
                (to_snake_case(name).as_str(), to_pascal_case(name).as_str()),
                (lower, upper),
                "{name}"
            );
        }
    }

    #[test]
    fn service_names_map_to_packages_and_methods() {
        for (name, package, method) in [
            ("customer.get", "customer", "Get"),
            ("a.b.c", "a.b", "C"),
            ("echo", "echo", "Invoke"),
            ("My-Team.CRM.look_up", "my_team.crm", "LookUp"),
            ("cidery.ping", "cidery", "Ping"),
            ("googley.x", "googley", "X"),
        ] {
            assert_eq!(
                package_and_method(name).unwrap(),
                (package.to_owned(), method.to_owned()),
                "{name}"
            );
        }
        for name in [
            "cidery.v1.x",
            "cidery.v1.y.z",
            "grpc.health.check",
            "google.x",
            "externalscaler.x",
            "grpc",
        ] {
            assert!(package_and_method(name).is_err(), "{name}");
        }
    }
}
