//! Type inference from bare names, by the rules of Zato 3.2's `simple-io.conf`.

use super::element::{Element, Type};

const BOOL_PREFIXES: [&str; 6] = ["by_", "has_", "is_", "may_", "needs_", "should_"];
const INT_SUFFIXES: [&str; 6] = [
    "_count",
    "_id",
    "_size",
    "_size_min",
    "_size_max",
    "_timeout",
];
const SECRETS: [&str; 11] = [
    "apiKey",
    "api_key",
    "auth_data",
    "auth_token",
    "password",
    "password1",
    "password2",
    "secret_key",
    "tls_pem_passphrase",
    "token",
    "xApiKey",
];

impl Element {
    /// Infers the type of an element that was declared by its name alone.
    pub(super) fn infer(&mut self) {
        if self.bare {
            self.kind = inferred(&self.name);
        }
    }
}

/// The type that a name implies.
fn inferred(name: &str) -> Type {
    if SECRETS.contains(&name) {
        Type::Secret
    } else if BOOL_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        Type::Bool
    } else if name == "id" || INT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        Type::Int
    } else {
        Type::Text
    }
}

#[cfg(test)]
mod tests {
    use crate::model::sio::{AsIs, Sio, Type};

    #[test]
    fn types_are_inferred_from_names_only_on_request() {
        let names = [
            "id",
            "cust_id",
            "is_active",
            "token",
            "name",
            "page_size_max",
            "idea",
        ];
        let kinds = |sio: Sio| -> Vec<Type> {
            let elements = sio.input.unwrap().elements;
            elements.into_iter().map(|element| element.kind).collect()
        };
        let bare = names.iter().fold(Sio::new(), |sio, name| sio.input(*name));
        assert!(kinds(bare.clone()).iter().all(|kind| *kind == Type::AsIs));
        let expected = [
            Type::Int,
            Type::Int,
            Type::Bool,
            Type::Secret,
            Type::Text,
            Type::Int,
            Type::Text,
        ];
        assert_eq!(kinds(bare.infer_types()), expected);
        let explicit = Sio::new()
            .infer_types()
            .input(AsIs("user_id"))
            .input("user_id");
        assert_eq!(kinds(explicit), [Type::AsIs, Type::Int]);
    }
}
