//! The recorded session of `docs/cast`: it has the commands of its script, and their output is that of the program.

use crate::support::binary::Server;
use crate::support::console::Shell;

const SCRIPT: &str = include_str!("../../docs/cast/tour.txt");
const CAST: &str = include_str!("../../docs/cast/tour.cast");
const PICTURE: &str = include_str!("../../docs/cast/tour.svg");
/// What a page of the README may load for it.
const MAX_BYTES: usize = 200_000;

/// What the terminal showed, without the sequences for colors.
fn shown() -> String {
    let events = CAST.lines().skip(1).map(|line| {
        let event: (f64, String, String) = serde_json::from_str(line).unwrap();
        event.2
    });
    let text: String = events.collect();
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        text + end.map_or("", |end| &part[end + 1..])
    })
}

/// The command is in the recording, and so are the lines that its output has in each run.
#[test]
fn the_recording_shows_what_the_commands_print() {
    let shown = shown();
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let server = Server::start(&[]);
    let mut shell = Shell::start(&server.address);
    let mut compared = 0;
    for command in SCRIPT.lines() {
        assert!(
            lines.contains(&&*format!("$ {command}")),
            "{command}: not in the recording"
        );
        let printed = shell.run(command);
        if command.starts_with("cidery services")
            || command.starts_with("cidery invoke customer.get cust")
        {
            for line in printed {
                assert!(
                    lines.contains(&&*line),
                    "`{command}` prints `{line}`: run scripts/cast"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 8, "{compared} lines");
}

#[test]
fn the_picture_is_small_and_loads_nothing() {
    assert!(PICTURE.len() <= MAX_BYTES, "{} bytes", PICTURE.len());
    assert!(PICTURE.starts_with("<svg ") && PICTURE.contains("@keyframes"));
    for loads in ["<script", "<image", "url(", "@import", "href=\"http"] {
        assert!(!PICTURE.contains(loads), "{loads}");
    }
}
