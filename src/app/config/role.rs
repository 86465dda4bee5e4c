//! The text of a role.

use crate::codec::convert::rights_from_proto;
use crate::codec::proto::v1;
use crate::model::access::Rights;

/// Parses a role: its name, then what it allows.
pub(super) fn role(text: &str) -> Result<(String, Rights), String> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().ok_or("use `NAME invoke=PATTERN …`")?;
    if name.contains('=') || name.contains(char::is_control) || name == "admin" {
        return Err("a role begins with its name".to_owned());
    }
    let mut rights = v1::Rights::default();
    for word in words {
        let patterns = |list: &str| list.split(',').map(ToOwned::to_owned).collect::<Vec<_>>();
        match word.split_once('=') {
            None if word == "admin" => rights.administer = true,
            Some(("invoke", list)) => rights.invoke.extend(patterns(list)),
            Some(("serve", list)) => rights.serve.extend(patterns(list)),
            Some(("read", whose)) => rights.read = scope(whose)?,
            Some(("control", whose)) => rights.control = scope(whose)?,
            _ => {
                return Err(format!(
                    "`{word}` is none of `invoke=`, `serve=`, `read=`, `control=` and `admin`"
                ));
            }
        }
    }
    let rights = rights_from_proto("", &rights).map_err(|error| error.message().to_owned())?;
    Ok((name.to_owned(), rights))
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
}
