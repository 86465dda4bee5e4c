//! The snapshot of the public API of the library, `tests/api/public-api.txt`: a change of the API shows in its diff.
//!
//! `eval "$(scripts/rustdoc-json)" && CIDERY_BLESS=1 cargo test --test it public_api` writes the snapshot.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use crate::support::Folder;
use crate::support::binary::tool;
use crate::support::programs::root;

const SNAPSHOT: &str = "tests/api/public-api.txt";

/// The documentation of a crate as JSON.
struct Documentation(Value);

impl Documentation {
    fn item(&self, id: &Value) -> &Value {
        &self.0["index"][id.to_string()]
    }

    /// Whether an item is `#[doc(hidden)]`.
    fn is_hidden(item: &Value) -> bool {
        let attributes = item["attrs"].as_array().into_iter().flatten();
        let mut attributes = attributes.filter_map(|attribute| attribute["other"].as_str());
        attributes.any(|attribute| attribute == "#[doc(hidden)]")
    }

    /// Adds the items that a module contains or re-exports.
    fn add_public(&self, module: &Value, public: &mut HashSet<String>) {
        for id in module["inner"]["module"]["items"].as_array().unwrap() {
            let exported = &self.item(id)["inner"]["use"]["id"];
            let id = if exported.is_null() { id } else { exported };
            let item = self.item(id);
            if !Self::is_hidden(item) && public.insert(id.to_string()) {
                let is_module = !item["inner"]["module"].is_null();
                if is_module {
                    self.add_public(item, public);
                }
            }
        }
    }

    /// Whether an implementation is of a trait, or for a type, that the crate does not export.
    fn is_internal(&self, item: &Value, public: &HashSet<String>) -> bool {
        let implementation = &item["inner"]["impl"];
        let types = [
            &implementation["trait"]["id"],
            &implementation["for"]["resolved_path"]["id"],
        ];
        let is_own = |id: &&Value| self.item(id)["crate_id"] == 0;
        let mut own = types.into_iter().filter(is_own);
        own.any(|id| !public.contains(&id.to_string()))
    }

    /// Removes what is hidden. The modules of the crate are hidden, and stay: what the crate re-exports is in them.
    fn remove_hidden(&mut self) {
        let mut public = HashSet::new();
        self.add_public(self.item(&self.0["root"]), &mut public);
        let index = self.0["index"].as_object().unwrap();
        let hidden = index
            .iter()
            .filter(|(_, item)| Self::is_hidden(item) || self.is_internal(item, &public));
        let hidden: HashSet<String> = hidden.map(|(id, _)| id.clone()).collect();
        let index = self.0["index"].as_object_mut().unwrap();
        index.retain(|id, item| !hidden.contains(id) || !item["inner"]["module"].is_null());
        for item in index.values_mut() {
            let kinds = item["inner"].as_object_mut().unwrap().values_mut();
            let fields = kinds.filter_map(Value::as_object_mut).flatten();
            let lists = fields.filter(|(name, _)| ["items", "impls"].contains(&name.as_str()));
            for ids in lists.filter_map(|(_, list)| list.as_array_mut()) {
                ids.retain(|id| !hidden.contains(&id.to_string()));
            }
        }
    }
}

/// The public API, an item a line.
fn public_api(documentation: &Path) -> String {
    let text = std::fs::read(documentation).unwrap();
    let mut documentation = Documentation(serde_json::from_slice(&text).unwrap());
    documentation.remove_hidden();
    let folder = Folder::new("public-api");
    let file = folder.path().join("cidery.json");
    std::fs::write(&file, documentation.0.to_string()).unwrap();
    let api = public_api::Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    api.unwrap().to_string()
}

#[test]
fn the_snapshot_is_the_public_api() {
    let Some(documentation) = tool("CIDERY_RUSTDOC_JSON", "the snapshot of the public API") else {
        return;
    };
    let api = public_api(Path::new(&documentation));
    let snapshot = root().join(SNAPSHOT);
    if std::env::var_os("CIDERY_BLESS").is_some() {
        std::fs::write(snapshot, api).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(snapshot).unwrap();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<HashSet<_>>();
    let (old, new) = (lines(&expected), lines(&api));
    let removed = expected.lines().filter(|line| !new.contains(*line));
    let added = api.lines().filter(|line| !old.contains(*line));
    let removed = removed.map(|line| format!("-{line}\n"));
    let changes: String = removed
        .chain(added.map(|line| format!("+{line}\n")))
        .collect();
    assert!(
        changes.is_empty(),
        "the public API has changed; CONTRIBUTING.md says how to refresh {SNAPSHOT}:\n{changes}"
    );
}
