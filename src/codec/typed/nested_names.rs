//! The names of nested messages: distinct among each other, and names that every generator accepts.

use std::collections::HashSet;

use super::message::{FieldType, MessageType};

/// Names of classes that generators put beside nested messages: `Builder` in Java, `Types` in C#.
const RESERVED: [&str; 2] = ["Builder", "Types"];
/// The end of the names of the interfaces that Java has for messages.
const JAVA_INTERFACE: &str = "OrBuilder";

/// Renames the nested messages of a message where their names cannot stay.
///
/// A nested message must not have the name of another one beside it, nor, in Java and C#, of one that encloses it. Such
/// a message gets the suffix `Message`, and a number if that is not enough. Messages of dicts take precedence over
/// those of list items, so that a new list does not rename them.
pub(super) fn resolve_names(message: &mut MessageType) {
    resolve(message, &mut Vec::new());
}

fn resolve(message: &mut MessageType, enclosing: &mut Vec<String>) {
    enclosing.push(message.name.clone());
    let mut used: HashSet<String> = enclosing.iter().cloned().collect();
    for is_list in [false, true] {
        for field in &mut message.fields {
            let FieldType::Message(nested) = &mut field.kind else {
                continue;
            };
            if field.repeated == is_list {
                nested.name = free_name(&nested.name, &used);
                used.insert(nested.name.clone());
                resolve(nested, enclosing);
            }
        }
    }
    enclosing.pop();
}

fn free_name(name: &str, used: &HashSet<String>) -> String {
    let is_free = |name: &String| {
        let is_reserved = RESERVED.contains(&name.as_str()) || name.ends_with(JAVA_INTERFACE);
        !is_reserved && !used.contains(name)
    };
    let renamed = format!("{name}Message");
    let numbered = (2_usize..).map(|number| format!("{renamed}{number}"));
    let names = [name.to_owned(), renamed.clone()].into_iter();
    names.chain(numbered).find(is_free).unwrap_or(renamed)
}
