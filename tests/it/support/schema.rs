//! A validator for the part of JSON Schema that `docs/cli.schema.json` uses. A keyword that it does not know fails.

use serde_json::Value;

/// The path to the first value that does not match, and why.
pub(crate) fn validate(root: &Value, definition: &str, value: &Value) -> Result<(), String> {
    let schema = &root["$defs"][definition];
    assert!(schema.is_object(), "no schema `{definition}`");
    check(root, schema, value, definition)
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let fails = |what: &str| Err(format!("{path}: {what}: {value}"));
    for (keyword, argument) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "description" => {}
            "$ref" => {
                let name = argument.as_str().unwrap().strip_prefix("#/$defs/");
                check(root, &root["$defs"][name.unwrap()], value, path)?;
            }
            "type" => {
                let types = match argument {
                    Value::String(one) => vec![one.clone()],
                    several => texts(several),
                };
                if !types.iter().any(|expected| has_type(value, expected)) {
                    return fails(&format!("is not {argument}"));
                }
            }
            "const" if value != argument => return fails(&format!("is not {argument}")),
            "enum" if !argument.as_array().unwrap().contains(value) => {
                return fails(&format!("is none of {argument}"));
            }
            "minimum" if value.as_f64() < argument.as_f64() && value.is_number() => {
                return fails("is too small");
            }
            "const" | "enum" | "minimum" => {}
            "format" => {
                let is_time =
                    |text: &str| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok();
                if !value.as_str().is_none_or(is_time) {
                    return fails("is not a time");
                }
            }
            "anyOf" => {
                let mut options = argument.as_array().unwrap().iter();
                if !options.any(|option| check(root, option, value, path).is_ok()) {
                    return fails("matches no option");
                }
            }
            "required" | "properties" | "additionalProperties" | "items" => {
                check_members(root, schema, keyword, value, path)?;
            }
            other => panic!("{path}: the keyword `{other}` is not checked"),
        }
    }
    Ok(())
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Checks a keyword about the members of objects and arrays; other values have none.
fn check_members(
    root: &Value,
    schema: &Value,
    keyword: &str,
    value: &Value,
    path: &str,
) -> Result<(), String> {
    let argument = &schema[keyword];
    if let ("items", Some(items)) = (keyword, value.as_array()) {
        for (index, value) in items.iter().enumerate() {
            check(root, argument, value, &format!("{path}/{index}"))?;
        }
    }
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    match keyword {
        "required" => match texts(argument)
            .iter()
            .find(|key| !object.contains_key(*key))
        {
            Some(key) => Err(format!("{path}: lacks `{key}`")),
            None => Ok(()),
        },
        "properties" => {
            let known = |(key, value)| Some((key, argument.get(key)?, value));
            for (key, schema, value) in object.iter().filter_map(known) {
                check(root, schema, value, &format!("{path}/{key}"))?;
            }
            Ok(())
        }
        _ => match object
            .keys()
            .find(|key| schema["properties"].get(key.as_str()).is_none())
        {
            Some(key) => Err(format!("{path}: has `{key}`, which is not in the schema")),
            None => Ok(()),
        },
    }
}

fn has_type(value: &Value, expected: &str) -> bool {
    match expected {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type `{other}`"),
    }
}
