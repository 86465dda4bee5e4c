//! A command in a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A running command whose three streams are a terminal. Dropping it kills the command.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    screen: File,
    /// All that was written to the terminal.
    shown: String,
}

impl Terminal {
    /// Runs a command in a terminal of this width.
    pub(crate) fn run(command: &Command, columns: u16) -> Self {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let open = || -> Stdio {
            let path = name.to_str().unwrap();
            let file = OpenOptions::new().read(true).write(true).open(path);
            OwnedFd::from(file.unwrap()).into()
        };
        let child = in_session(command)
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .env("TERM", "xterm")
            .spawn()
            .unwrap();
        Self {
            child,
            screen: File::from(screen),
            shown: String::new(),
        }
    }

    /// Reads until `text` is shown; returns all that was shown.
    #[track_caller]
    pub(crate) fn read_until(&mut self, text: &str) -> &str {
        while !self.shown.contains(text) {
            assert!(self.read(), "`{text}` is not in {:?}", self.shown);
        }
        &self.shown
    }

    /// Reads to the end; returns all that was shown.
    pub(crate) fn read_to_end(&mut self) -> &str {
        while self.read() {}
        &self.shown
    }

    /// Closes the terminal: the command gets SIGHUP.
    pub(crate) fn close(&mut self) {
        self.screen = File::open("/dev/null").unwrap();
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads some of what is written. The end of a terminal is an error.
    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        let count = self.screen.read(&mut part).unwrap_or(0);
        self.shown
            .push_str(&String::from_utf8_lossy(&part[..count]));
        count > 0
    }
}

/// The same command in a session of its own, whose controlling terminal is its standard input: Ctrl-C is a signal to
/// it.
fn in_session(command: &Command) -> Command {
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg(command.get_program());
    session.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
