//! The names of typed methods: `invoking.my-service2` is `invoking.Service/MyService2`.

/// Where typed methods must not be: packages that others own.
const REFUSED: [&str; 3] = ["cidery.v1", "grpc", "google"];

/// The name of the one service of a package.
pub const SERVICE: &str = "Service";

/// A name in `lower_snake_case`: runs of anything but letters and digits are one `_`, a leading digit gets an `x`.
#[must_use]
pub fn snake(name: &str) -> String {
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

/// A name in `PascalCase`.
#[must_use]
pub fn pascal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for word in snake(name).split('_') {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.extend(chars);
    }
    out
}

/// The package and the method of a service's name.
///
/// # Errors
///
/// Why there is none.
pub fn of_service(name: &str) -> Result<(String, String), String> {
    let (package, method) = match name.rsplit_once('.') {
        Some((package, method)) => (package, pascal(method)),
        None => (name, "Invoke".to_owned()),
    };
    let package = package.split('.').map(snake).collect::<Vec<_>>().join(".");
    let refused = REFUSED.iter().find(|refused| {
        let rest = package.strip_prefix(**refused);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    match refused {
        None => Ok((package, method)),
        Some(refused) => Err(format!(
            "the package `{refused}` is kept for others: choose another name"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_by_rule() {
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
                (snake(name).as_str(), pascal(name).as_str()),
                (lower, upper),
                "{name}"
            );
        }
    }

    #[test]
    fn services_have_packages_and_methods() {
        for (name, package, method) in [
            ("customer.get", "customer", "Get"),
            ("a.b.c", "a.b", "C"),
            ("echo", "echo", "Invoke"),
            ("My-Team.CRM.look_up", "my_team.crm", "LookUp"),
            ("cidery.ping", "cidery", "Ping"),
            ("googley.x", "googley", "X"),
        ] {
            assert_eq!(
                of_service(name).unwrap(),
                (package.to_owned(), method.to_owned()),
                "{name}"
            );
        }
        for name in [
            "cidery.v1.x",
            "cidery.v1.y.z",
            "grpc.health.check",
            "google.x",
            "grpc",
        ] {
            assert!(of_service(name).is_err(), "{name}");
        }
    }
}
