//! A real terminal, whose screen is read.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::binary::{stderr, stdout, tool};
use crate::support::{Folder, PATIENCE};

/// A terminal of tmux with one command; its server ends when it is dropped.
pub(super) struct Tmux {
    program: String,
    socket: String,
    /// The first line that is read: 0 is that at the top, those before it have scrolled away.
    pub(super) first_line: i32,
}

impl Tmux {
    /// Runs a command of a shell; `None` where tmux is not installed.
    pub(super) fn run(folder: &Folder, (width, height): (u16, u16), command: &str) -> Option<Self> {
        let program = tool("CIDERY_TMUX", "commands in tmux")?;
        let socket = folder.path().join("tmux").display().to_string();
        let tmux = Self {
            program,
            socket,
            first_line: 0,
        };
        let (width, height) = (width.to_string(), height.to_string());
        let size = ["-x", width.as_str(), "-y", height.as_str()];
        let start = [&["new-session", "-d"], &size[..], &[command]].concat();
        tmux.tell(&start);
        Some(tmux)
    }

    pub(super) fn tell(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.program)
            .args(["-f", "/dev/null", "-S", &self.socket])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output)
    }

    pub(super) fn keys(&self, keys: &[&str]) {
        self.tell(&[&["send-keys"], keys].concat());
    }

    /// The screen, once it has all of these texts.
    pub(super) async fn shows(&self, texts: &[&str]) -> String {
        let what = format!("{texts:?}");
        self.waits(&what, |screen| {
            texts.iter().all(|text| screen.contains(text))
        })
        .await
    }

    /// Waits until the row of a service is as it should be.
    pub(super) async fn shows_row(&self, service: &str, is_so: impl Fn(&str) -> bool) {
        self.waits(service, |screen| {
            let mut rows = screen.lines().filter(|line| line.starts_with(service));
            rows.any(&is_so)
        })
        .await;
    }

    pub(super) async fn waits(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let wait = async {
            loop {
                let first = self.first_line.to_string();
                screen = self.tell(&["capture-pane", "-p", "-S", &first]);
                if holds(&screen) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let shown = tokio::time::timeout(PATIENCE, wait).await;
        assert!(shown.is_ok(), "{what} is not on\n{screen}");
        screen
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new(&self.program)
            .args(["-S", &self.socket, "kill-server"])
            .status();
    }
}
