//! The graph of a crate's files: which file uses an item of which other file, directly or through re-exports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Reference, Source};

/// The name under which the crate can call itself (`extern crate self as cidery`).
const OWN_NAME: &str = "cidery";

/// The files of a crate by module path: `["model", "id"]` is `src/model/id.rs`.
#[derive(Debug, Default)]
pub(super) struct Crate {
    files: BTreeMap<Vec<String>, String>,
    sources: BTreeMap<Vec<String>, Source>,
}

/// A use of one file's item by another file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) from: String,
    pub(super) line: usize,
    pub(super) to: String,
}

impl Crate {
    /// Reads files, named from the folder of the package: `src/model/id.rs`.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all = Self::default();
        for (file, text) in files {
            let Some(module) = module_of(file) else {
                continue;
            };
            all.files.insert(module.clone(), file.to_owned());
            all.sources.insert(module, Source::parse(text));
        }
        all
    }

    /// All uses of one file by another, each pair with its first line.
    pub(super) fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (module, source) in &self.sources {
            let mut seen = BTreeSet::new();
            for reference in self.references(module, source) {
                let Some(target) = self.file_of(module, &reference.segments, 0) else {
                    continue;
                };
                if target != *module && seen.insert(target.clone()) {
                    edges.push(Edge {
                        from: self.files[module].clone(),
                        line: reference.line,
                        to: self.files[&target].clone(),
                    });
                }
            }
        }
        edges
    }

    /// What a file uses: its private imports, the re-exports that it uses itself, and the paths in its code.
    fn references(&self, module: &[String], source: &Source) -> Vec<Reference> {
        let mut references = Vec::new();
        for import in &source.imports {
            let line = source.words.get(&import.name);
            let is_module = self.module_at(module, &import.path.segments).is_some();
            match (import.is_public, line) {
                // What is used of an imported module is in the paths.
                _ if is_module => {}
                (true, Some(line)) => references.push(Reference {
                    line: *line,
                    ..import.path.clone()
                }),
                (true, None) => {}
                (false, _) => references.push(import.path.clone()),
            }
        }
        for path in &source.paths {
            let imported = source
                .imports
                .iter()
                .find(|import| import.name == path.segments[0]);
            let mut segments = path.segments.clone();
            if let Some(import) = imported {
                segments.splice(..1, import.path.segments.clone());
            }
            let line = path.line;
            references.push(Reference { segments, line });
        }
        references
    }

    /// The absolute form of a path, if it leads into this crate.
    fn absolute(&self, module: &[String], segments: &[String]) -> Option<Vec<String>> {
        let (first, rest) = segments.split_first()?;
        let (mut base, mut rest) = match first.as_str() {
            "crate" | OWN_NAME => (Vec::new(), rest),
            "self" => (module.to_vec(), rest),
            "super" => (parent(module)?, rest),
            child if self.sources.get(module)?.modules.contains(child) => {
                (module.to_vec(), segments)
            }
            _ => return None,
        };
        while let Some((first, after)) = rest.split_first()
            && first == "super"
        {
            base = parent(&base)?;
            rest = after;
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn module_at(&self, module: &[String], segments: &[String]) -> Option<Vec<String>> {
        let path = self.absolute(module, segments)?;
        self.files.contains_key(&path).then_some(path)
    }

    /// The file that defines what a path names; the deepest module on the way where that is not to be found.
    fn file_of(&self, module: &[String], segments: &[String], depth: usize) -> Option<Vec<String>> {
        const MAX_REEXPORTS: usize = 16;
        let path = self.absolute(module, segments)?;
        let known = (0..=path.len())
            .rev()
            .find(|n| self.files.contains_key(&path[..*n]))?;
        let (found, rest) = path.split_at(known);
        let Some((name, after)) = rest.split_first() else {
            return Some(found.to_vec());
        };
        let source = &self.sources[found];
        if source.items.contains(name) || depth > MAX_REEXPORTS {
            return Some(found.to_vec());
        }
        if found.is_empty()
            && let Some((module, _)) = self
                .sources
                .iter()
                .find(|(_, source)| source.exported_macros.contains(name))
        {
            return Some(module.clone());
        }
        let import = source.imports.iter().find(|import| import.name == *name);
        let through = |segments: &[String]| {
            let mut segments = segments.to_vec();
            segments.extend(after.iter().cloned());
            self.file_of(found, &segments, depth + 1)
        };
        match import {
            Some(import) => through(&import.path.segments).or_else(|| Some(found.to_vec())),
            None => Some(found.to_vec()),
        }
    }
}

fn parent(module: &[String]) -> Option<Vec<String>> {
    module.split_last().map(|(_, parent)| parent.to_vec())
}

/// The module that a file is; `None` for files of tests and for the program.
fn module_of(file: &str) -> Option<Vec<String>> {
    let path = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    match module.last().map(String::as_str) {
        Some("tests") | None => return None,
        Some("main") if module.len() == 1 => return None,
        Some("mod") => drop(module.pop()),
        Some("lib") if module.len() == 1 => module.clear(),
        Some(_) => {}
    }
    Some(module)
}

/// One circle of each group of files that use one another: `circle: a.rs -> b.rs -> a.rs`.
pub(super) fn circles(edges: &[Edge]) -> Vec<String> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in edges {
        uses.entry(&edge.from).or_default().insert(&edge.to);
    }
    let mut found = Vec::new();
    let mut in_circles = BTreeSet::new();
    for file in uses.keys() {
        if in_circles.contains(file) {
            continue;
        }
        let Some(circle) = shortest_circle(&uses, file) else {
            continue;
        };
        let reached = reachable(&uses, file);
        let group = reached
            .iter()
            .filter(|other| reachable(&uses, other).contains(file));
        in_circles.extend(group.copied());
        found.push(format!("circle: {}", circle.join(" -> ")));
    }
    found
}

fn reachable<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = uses.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if let Some((file, _)) = uses
            .get_key_value(file)
            .filter(|(file, _)| !reached.contains(**file))
        {
            reached.insert(*file);
            open.extend(uses[file].iter().copied());
        }
    }
    reached
}

fn shortest_circle<'a>(
    uses: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    start: &'a str,
) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for next in uses.get(file).into_iter().flatten() {
            if *next == start {
                let mut circle = vec![start, file];
                while circle.last() != Some(&start) {
                    circle.push(before[circle[circle.len() - 1]]);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(next) {
                before.insert(next, file);
                open.push_back(next);
            }
        }
    }
    None
}
