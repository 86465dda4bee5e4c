//! The text of a role: its name, then what it allows.

use crate::codec::convert::new_rights_from_proto;
use crate::codec::proto::v1;
use crate::model::access::Rights;

/// The words that say what a principal may do.
pub(super) const RIGHTS: &str = "`invoke=`, `serve=`, `read=`, `control=` and `admin`";

/// Parses a role: its name, then what it allows.
pub(super) fn role(text: &str) -> Result<(String, Rights), String> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().ok_or("use `NAME invoke=PATTERN …`")?;
    if name.contains('=') || name.contains(char::is_control) || name == "admin" {
        return Err("a role begins with its name".to_owned());
    }
    let rights = rights(words, RIGHTS).map_err(|faults| faults.join("; "))?;
    Ok((name.to_owned(), rights.unwrap_or_default()))
}

/// What words allow together; `None` where there are none. `known`: the words that there are, for the error.
///
/// # Errors
///
/// All that is wrong with them.
pub(super) fn rights<'a>(
    words: impl Iterator<Item = &'a str>,
    known: &str,
) -> Result<Option<Rights>, Vec<String>> {
    let (mut rights, mut faults) = (v1::Rights::default(), Vec::new());
    let mut words = words.peekable();
    if words.peek().is_none() {
        return Ok(None);
    }
    for word in words {
        let patterns = |list: &str| list.split(',').map(ToOwned::to_owned).collect::<Vec<_>>();
        match word.split_once('=') {
            None if word == "admin" => rights.administer = true,
            Some(("invoke", list)) => rights.invoke.extend(patterns(list)),
            Some(("serve", list)) => rights.serve.extend(patterns(list)),
            Some(("read", whose)) => match scope(whose) {
                Ok(scope) => rights.read = scope,
                Err(fault) => faults.push(fault),
            },
            Some(("control", whose)) => match scope(whose) {
                Ok(scope) => rights.control = scope,
                Err(fault) => faults.push(fault),
            },
            _ => faults.push(format!("`{word}` is none of {known}")),
        }
    }
    match new_rights_from_proto("", &rights) {
        Ok(rights) if faults.is_empty() => Ok(Some(rights)),
        Ok(_) => Err(faults),
        Err(error) => {
            let violations = error.field_violations().iter();
            faults.extend(violations.map(ToString::to_string));
            Err(faults)
        }
    }
}

fn scope(whose: &str) -> Result<i32, String> {
    let scope = match whose {
        "none" => v1::Scope::None,
        "own" => v1::Scope::Own,
        "group" => v1::Scope::Group,
        "all" => v1::Scope::All,
        _ => {
            return Err(format!(
                "`{whose}` is none of `none`, `own`, `group` and `all`"
            ));
        }
    };
    Ok(scope.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Scope;

    #[test]
    fn a_role_is_parsed() {
        let (name, rights) =
            role("clerk invoke=customer.*,order.get serve=crm.* read=all").unwrap();
        assert_eq!(name, "clerk");
        assert!(rights.may_invoke("customer.get") && rights.may_invoke("order.get"));
        assert!(rights.may_serve("crm.x") && !rights.administer);
        assert_eq!((rights.read, rights.control), (Scope::All, Scope::Own));
        assert!(role("root admin control=none").unwrap().1.administer);
        for wrong in [
            "",
            "invoke=a",
            "admin",
            "clerk invoke=",
            "clerk invoke=a b",
            "clerk read=some",
            "clerk admin=yes",
            "clerk invoke=a/b",
            "a\u{b}b admin",
        ] {
            assert!(role(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let wrong = role("clerk read=some invoke=a/b admin=yes").unwrap_err();
        for part in ["`some`", "/invoke/0", "`admin=yes`"] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
    }
}
