//! The documentation as a site: what `scripts/docs` builds has no dead link, and needs no other host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Folder;
use crate::support::binary::{stderr, tool};
use crate::support::programs::root;

/// The site, in a temporary folder; `None` without mdBook.
fn build() -> Option<Folder> {
    let mdbook = tool("CIDERY_MDBOOK", "the documentation as a site")?;
    let folder = Folder::new("site");
    let site = folder.path().join("site");
    let output = Command::new(root().join("scripts/docs"))
        .arg("--to")
        .arg(&site)
        .env("CIDERY_MDBOOK", mdbook)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    Some(folder)
}

/// All files of a folder, by their path in it.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = BTreeSet::new();
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path.strip_prefix(folder).unwrap().to_owned())),
            }
        }
    }
    files
}

/// The values of an attribute in a page. In code and text, quotes are written as `&quot;`.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    let values = html.split(begin.as_str()).skip(1);
    values.filter_map(|rest| rest.split('"').next()).collect()
}

/// The path that a link leads to, from the root of the site; `None` if it leaves the site.
fn resolve(page: &Path, target: &str) -> Option<PathBuf> {
    let mut path = match target {
        "" => page.to_owned(),
        _ => page.parent()?.to_owned(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop().then_some(())?),
            part => path.push(part),
        }
    }
    Some(path)
}

/// The links of a page that lead nowhere.
fn dead_links(
    page: &Path,
    pages: &BTreeMap<PathBuf, String>,
    files: &BTreeSet<PathBuf>,
) -> Vec<String> {
    let html = &pages[page];
    let targets = [attributes(html, "href"), attributes(html, "src")].concat();
    let own = targets.iter().filter(|target| !target.contains(':'));
    let dead = own.filter(|target| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let Some(path) = resolve(page, path).filter(|path| files.contains(path)) else {
            return true;
        };
        let has_anchor = |html: &String| attributes(html, "id").contains(&anchor);
        !anchor.is_empty() && !pages.get(&path).is_some_and(has_anchor)
    });
    dead.map(|target| format!("{}: {target}", page.display()))
        .collect()
}

/// What a page loads from other hosts: everything but links that a reader follows.
fn foreign(page: &Path, html: &str) -> Vec<String> {
    let tags = html.split('<').filter(|tag| !tag.starts_with("a "));
    let loads = tags.filter(|tag| {
        let targets = [attributes(tag, "href"), attributes(tag, "src")].concat();
        targets.iter().any(|target| target.contains("//"))
    });
    loads
        .map(|tag| format!("{}: <{tag}", page.display()))
        .collect()
}

#[test]
fn the_site_has_all_pages_no_dead_link_and_needs_no_other_host() {
    let Some(folder) = build() else { return };
    let site = folder.path().join("site");
    let files = files(&site);
    let is_html = |path: &&PathBuf| path.extension().is_some_and(|it| it == "html");
    let pages: BTreeMap<PathBuf, String> = files
        .iter()
        .filter(is_html)
        .map(|path| {
            (
                path.clone(),
                std::fs::read_to_string(site.join(path)).unwrap(),
            )
        })
        .collect();
    for page in self::files(&root().join("docs")) {
        let is_page =
            page.extension().is_some_and(|it| it == "md") && page != Path::new("SUMMARY.md");
        let built = Path::new("docs").join(page.with_extension("html"));
        assert!(
            !is_page || pages.contains_key(&built),
            "{}",
            built.display()
        );
    }
    let mut faults = Vec::new();
    for (page, html) in &pages {
        faults.extend(dead_links(page, &pages, &files));
        faults.extend(foreign(page, html));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    let has_search = |path: &PathBuf| path.to_string_lossy().starts_with("searchindex");
    assert!(files.iter().any(has_search), "{files:?}");
    assert!(pages[Path::new("index.html")].contains("docs/index.html"));
}

#[test]
fn dead_links_and_foreign_hosts_are_found() {
    let page = |path: &str, html: &str| (PathBuf::from(path), html.to_owned());
    let pages = BTreeMap::from([
        page(
            "docs/a.html",
            "<a href=\"b.html#one\"></a><a href=\"b.html#two\"></a><a href=\"../x.html\"></a><a href=\"../../y\"></a>\
             <a href=\"https://example.com/\"></a><img src=\"https://example.com/i.png\">",
        ),
        page("docs/b.html", "<h2 id=\"one\"></h2>"),
    ]);
    let files: BTreeSet<PathBuf> = pages.keys().cloned().collect();
    let a = Path::new("docs/a.html");
    assert_eq!(
        dead_links(a, &pages, &files),
        [
            "docs/a.html: b.html#two",
            "docs/a.html: ../x.html",
            "docs/a.html: ../../y"
        ]
    );
    let loaded = "docs/a.html: <img src=\"https://example.com/i.png\">";
    assert_eq!(foreign(a, &pages[a]), [loaded]);
}
