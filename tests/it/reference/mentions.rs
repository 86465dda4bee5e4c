//! Every command that a document names exists, with the options that it is shown with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::help_text::{Help, Section};

/// The commands with their own options and those of all commands.
type Commands = BTreeMap<String, BTreeSet<String>>;

/// The long names of options, as help writes them: `-o, --output <FORMAT>`.
fn options(sections: &[Section]) -> BTreeSet<String> {
    let entries = sections.iter().flat_map(|section| &section.entries);
    let words = entries.flat_map(|entry| entry.name.split([' ', ',', '=', '[', '.']));
    let long = words.filter(|word| word.starts_with("--"));
    long.map(str::to_owned).collect()
}

fn collect(path: &[String], common: &BTreeSet<String>, commands: &mut Commands) {
    let help = Help::of(path);
    let own = options(&help.sections);
    for nested in help.commands() {
        collect(&[path, &[nested]].concat(), common, commands);
    }
    commands.insert(path.join(" "), &own | common);
}

/// The code of a document: its inline code and the lines of its blocks, each in one line.
fn code(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 1 {
            let block = part.replace("\\\n", " ");
            code.extend(block.lines().map(|line| line.trim().to_owned()));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            code.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    code
}

/// What is wrong with a line of code; `None` if it is no command of the program, or a right one.
fn fault(line: &str, commands: &Commands) -> Option<String> {
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let line = line.strip_prefix("cidery ")?;
    let line = line.split(['|', ';', '&', '>', ')']).next()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_name = |word: &&&str| {
        word.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    words.first().filter(is_name)?;
    let known = (1..=words.len()).filter(|count| commands.contains_key(&words[..*count].join(" ")));
    let Some(count) = known.max() else {
        let is_global = ["help", "--version", "--help"].contains(&words[0]);
        return (!is_global).then(|| format!("there is no command `cidery {}`", words[0]));
    };
    let name = words[..count].join(" ");
    let mut options = words[count..].iter().filter_map(|word| {
        let option = word.split(['=', ',', '.']).next()?;
        option.strip_prefix("--").filter(|name| !name.is_empty())?;
        Some(option)
    });
    let unknown =
        options.find(|option| *option != "--help" && !commands[&name].contains(*option))?;
    Some(format!("`cidery {name}` has no option `{unknown}`"))
}

fn commands() -> Commands {
    let root = Help::of(&[]);
    let common = options(&root.sections);
    let mut commands = Commands::new();
    for command in root.commands() {
        collect(&[command], &common, &mut commands);
    }
    commands
}

#[test]
fn commands_in_documents_exist_with_their_options() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let commands = commands();
    let folders = ["", "docs", "python", "examples"].map(|folder| root.join(folder));
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let pages = entries.map(|entry| entry.unwrap().path());
    let is_page = |path: &Path| {
        let is_document = path.extension().is_some_and(|it| it == "md");
        // It names what earlier versions had.
        is_document && !path.ends_with("CHANGELOG.md")
    };
    let (mut mentions, mut faults) = (0, Vec::new());
    for page in pages.filter(|page| is_page(page)) {
        for line in code(&std::fs::read_to_string(&page).unwrap()) {
            mentions += usize::from(line.trim_start_matches("$ ").starts_with("cidery "));
            let fault = fault(&line, &commands);
            faults.extend(fault.map(|fault| format!("{}: {fault}: {line}", page.display())));
        }
    }
    assert!(mentions >= 200, "{mentions} mentions");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn wrong_commands_and_options_are_found() {
    let options = BTreeSet::from(["--wait".to_owned()]);
    let commands = Commands::from([
        ("result".to_owned(), options.clone()),
        ("key new".to_owned(), options),
    ]);
    let fault = |line| fault(line, &commands);
    for right in [
        "cidery result CID --wait 1s",
        "$ cidery key new a | cat --none",
        "cidery VERB",
        "cd --none",
    ] {
        assert_eq!(fault(right), None, "{right}");
    }
    assert!(fault("$ cidery result --wat").unwrap().contains("`--wat`"));
    assert!(
        fault("cidery key new --wait --none=1")
            .unwrap()
            .contains("`--none`")
    );
    assert!(fault("cidery reslt").unwrap().contains("`cidery reslt`"));
    assert_eq!(
        code("a `b\nc` d\n```sh\ne \\\n  f\n```"),
        ["b c", "sh", "e    f"]
    );
}
