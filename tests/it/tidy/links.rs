//! Checks of the documents: links lead to files and headings that exist, and every page can be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{assert_none, shown};

/// The folders with documents, besides the root. Others may be there that are not of the project, such as `target`.
const FOLDERS: [&str; 6] = [
    "benches",
    "docs",
    "examples",
    "proto",
    "python",
    "third_party",
];

/// The documents: each with its path from the root of the repository, and its text.
type Pages = BTreeMap<String, String>;

fn pages() -> Pages {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = FOLDERS.map(|name| root.join(name)).into();
    folders.push(root.to_owned());
    let mut pages = Pages::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && folder != root && !name.starts_with('.') && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".md") {
                pages.insert(shown(&path), fs::read_to_string(&path).unwrap());
            }
        }
    }
    pages
}

/// The lines outside of code blocks, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push((number, line));
        }
    }
    lines
}

/// A line without its code.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of links to this repository, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        let inline = line.split("](").skip(1);
        let inline = inline.filter_map(|rest| rest.split(')').next());
        let definition = line
            .strip_prefix('[')
            .and_then(|line| Some(line.split_once("]: ")?.1));
        let targets = inline.chain(definition);
        let own = targets.filter(|target| !target.contains("://") && !target.is_empty());
        links.extend(own.map(|target| (number, target.to_owned())));
    }
    links
}

/// The anchors of the headings, as hosts of repositories make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let anchor: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let used = uses.entry(anchor.clone()).or_default();
        anchors.insert(match *used {
            0 => anchor,
            n => format!("{anchor}-{n}"),
        });
        *used += 1;
    }
    anchors
}

/// The path that a link of a page names, from the root; `None` if it leaves the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = page.split('/').collect();
    if !target.is_empty() {
        path.pop();
    }
    for part in target.split('/').filter(|part| !part.is_empty()) {
        match part {
            "." => {}
            ".." => drop(path.pop()?),
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

/// The links of all pages that lead nowhere.
fn link_faults(pages: &Pages, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (page, text) in pages {
        for (line, link) in links(text) {
            let (target, anchor) = match link.split_once('#') {
                Some((target, anchor)) => (target, Some(anchor)),
                None => (link.as_str(), None),
            };
            let fault = match resolve(page, target) {
                Some(path) if pages.contains_key(&path) => anchor
                    .filter(|anchor| !anchors(&pages[&path]).contains(*anchor))
                    .map(|_| "no such heading"),
                Some(path) if exists(&path) => None,
                _ => Some("no such file"),
            };
            faults.extend(fault.map(|fault| format!("{page}:{line}: `{link}`: {fault}")));
        }
    }
    faults
}

/// The pages that a page links to.
fn linked<'a>(pages: &'a Pages, page: &'a str) -> impl Iterator<Item = String> + 'a {
    links(&pages[page])
        .into_iter()
        .filter_map(move |(_, link)| {
            let target = link.split('#').next().unwrap_or_default();
            resolve(page, target).filter(|path| pages.contains_key(path))
        })
}

/// The contents of the site: not a page of it.
const SUMMARY: &str = "docs/SUMMARY.md";

/// The pages that no chain of links from a page leads to.
fn unreachable(pages: &Pages, start: &str) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(page) = open.pop() {
        if reached.insert(page.clone()) {
            open.extend(linked(pages, &page));
        }
    }
    let missed = pages.keys().filter(|page| !reached.contains(*page));
    let missed = missed.filter(|page| *page != SUMMARY);
    missed
        .map(|page| format!("{page}: no links from {start} lead to it"))
        .collect()
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_none(&link_faults(&pages(), |path| root.join(path).exists()));
}

#[test]
fn every_page_is_reachable_from_the_readme() {
    assert_none(&unreachable(&pages(), "README.md"));
}

/// The pages that a site of these pages would not have, or would have twice.
fn summary_faults(pages: &Pages) -> Vec<String> {
    let listed: Vec<String> = linked(pages, SUMMARY).collect();
    let wanted = pages.keys().filter(|page| *page != SUMMARY);
    let faults = wanted.filter_map(
        |page| match listed.iter().filter(|it| *it == page).count() {
            1 => None,
            count => Some(format!("{SUMMARY}: has {page} {count} times")),
        },
    );
    faults.collect()
}

#[test]
fn the_site_has_every_page_once() {
    assert_none(&summary_faults(&pages()));
}

#[test]
fn the_index_lists_every_page_of_the_documentation() {
    let pages = pages();
    let index = "docs/index.md";
    let mut listed: BTreeSet<String> = linked(&pages, index).collect();
    // It has a list of its own, of pages that are made.
    listed.extend(linked(&pages, "docs/reference/index.md"));
    let missing = pages.keys().filter(|page| {
        let is_page = page.starts_with("docs/") && ![index, SUMMARY].contains(&page.as_str());
        is_page && !listed.contains(*page)
    });
    let faults: Vec<String> = missing
        .map(|page| format!("{index}: no link to {page}"))
        .collect();
    assert_none(&faults);
}

#[test]
fn wrong_links_and_lost_pages_are_found() {
    let mut pages: Pages = [
        ("README.md", "[a](docs/a.md) [b](docs/b.md#two) `[c](c.md)`"),
        (
            "docs/a.md",
            "# One\n[up](../README.md)\n```\n[x](x.md)\n```",
        ),
        (
            "docs/b.md",
            "## `Two`\n## Two\n[me](#two-1) [no](#three)\n[f]: ../src/f.rs",
        ),
        (
            "docs/lost.md",
            "[out](../../x.md) [w](https://example.com/)",
        ),
    ]
    .map(|(page, text)| (page.to_owned(), text.to_owned()))
    .into();
    let faults = link_faults(&pages, |path| path == "src/f.rs");
    let expected = [
        "docs/b.md:3: `#three`: no such heading",
        "docs/lost.md:1: `../../x.md`: no such file",
    ];
    assert_eq!(faults, expected);
    let lost = unreachable(&pages, "README.md");
    assert_eq!(lost, ["docs/lost.md: no links from README.md lead to it"]);
    let summary = "[a](a.md)\n[a](a.md)\n[b](b.md)\n[r](../README.md)";
    pages.insert(SUMMARY.to_owned(), summary.to_owned());
    let expected = [
        "docs/SUMMARY.md: has docs/a.md 2 times",
        "docs/SUMMARY.md: has docs/lost.md 0 times",
    ];
    assert_eq!(summary_faults(&pages), expected);
}
