//! JSON Merge Patch (RFC 7396), of values.

use crate::model::value::{Dict, Value};

impl Dict {
    /// Applies a merge patch: a key of the patch replaces that of the dict, a null removes it, and dicts are merged.
    pub fn merge_patch(&mut self, patch: &Self) {
        for (key, change) in patch.iter() {
            match change {
                Value::Null => drop(self.remove(key)),
                Value::Dict(change) => {
                    if let Some(Value::Dict(inner)) = self.get_mut(key) {
                        inner.merge_patch(change);
                    } else {
                        // Nulls in it remove nothing, and are dropped as well.
                        let mut inner = Self::new();
                        inner.merge_patch(change);
                        self.insert(key, Value::Dict(inner));
                    }
                }
                value => drop(self.insert(key, value.clone())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, to_value};

    fn value(text: &str) -> Value {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        to_value(&json).unwrap()
    }

    /// The examples of RFC 7396, appendix A, whose target and whose patch are dicts.
    #[test]
    fn patches_are_applied_as_the_rfc_shows() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":"foo"}"#, "{}", r#"{"a":"foo"}"#),
        ] {
            let [mut target, patch, expected] = [target, patch, expected].map(value);
            let (Value::Dict(patched), Value::Dict(patch)) = (&mut target, &patch) else {
                panic!("no dicts");
            };
            patched.merge_patch(patch);
            assert_eq!(target, expected);
        }
    }
}
