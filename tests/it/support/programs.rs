//! Builds and runs the programs of `examples/` in each language.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tokio::time::Instant;

use super::binary::{stderr, stdout, tool};
use super::{Folder, PATIENCE};

/// The `.proto` files that the programs need, without extension.
const FILES: [&str; 4] = ["invocation", "outcome", "service", "worker"];

/// A JVM that starts with little CPU time: tests replace many, and none runs for long.
const START_UP: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

#[derive(Clone, Copy)]
pub(crate) enum Role {
    Worker,
    Client,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }

    fn folder(self, language: &str) -> PathBuf {
        let folder = format!("examples/{}s/{language}", self.name());
        root().join(folder)
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder with one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(folder).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let of_program = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    files.filter(of_program).collect()
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        stdout(&output),
        stderr(&output)
    );
}

/// A built program of `examples/`.
pub(crate) struct Program {
    pub(crate) language: &'static str,
    words: Vec<String>,
    environment: Option<(&'static str, String)>,
    /// The folder of its generated files.
    _folder: Folder,
}

impl Program {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    pub(crate) fn start(&self, address: &str) -> Running {
        let mut command = self.command();
        Running(command.arg(address).spawn().unwrap())
    }
}

/// A process, killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Sends a signal by its name. After `STOP`, returns once the process has stopped.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
        // One thread stops the others. On a busy machine they may go on for a while until it runs.
        let start = Instant::now();
        while name == "STOP" && !self.is_stopped() {
            assert!(start.elapsed() < PATIENCE, "process {pid} does not stop");
            std::thread::yield_now();
        }
    }

    /// Whether all threads of the process are stopped, or have ended.
    fn is_stopped(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let states = tasks.into_iter().flatten().flatten().map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses (proc_pid_stat(5)).
            stat.rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next())
        });
        let mut states = states.flatten();
        states.all(|state| matches!(state, 'T' | 'Z' | 'X'))
    }

    /// Whether the process has exited.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn python(role: Role) -> Option<Program> {
    python_program(role, role.name())
}

/// The complete worker.
pub(crate) fn python_complete() -> Option<Program> {
    python_program(Role::Worker, "complete")
}

fn python_program(role: Role, name: &str) -> Option<Program> {
    let python = tool("CIDERY_PYTHON", "the examples in Python")?;
    let folder = Folder::new("python");
    let stubs = folder.path().display().to_string();
    protoc(&python, &["python", "grpc_python"], folder.path(), "");
    let program = role.folder("python").join(format!("{name}.py"));
    Some(Program {
        language: "python",
        words: vec![python, program.display().to_string()],
        environment: Some(("PYTHONPATH", stubs)),
        _folder: folder,
    })
}

/// Runs the `protoc` of grpcio-tools with the plugins of other languages.
pub(crate) fn protoc(python: &str, plugins: &[&str], out: &Path, options: &str) {
    let mut command = Command::new(python);
    command.args(["-m", "grpc_tools.protoc", "-I"]);
    command.arg(root().join("proto"));
    for plugin in plugins {
        command.arg(format!("--{plugin}_out={options}:{}", out.display()));
    }
    command.args(FILES.map(|file| format!("cidery/v1/{file}.proto")));
    if let Ok(go) = std::env::var("CIDERY_GO") {
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{go}:{path}"));
    }
    succeed(&mut command);
}

pub(crate) fn go(role: Role) -> Option<Program> {
    go_program(role, ".")
}

/// The complete worker.
pub(crate) fn go_complete() -> Option<Program> {
    go_program(Role::Worker, "./complete")
}

/// A package of a role.
fn go_program(role: Role, package: &str) -> Option<Program> {
    tool("CIDERY_GO", "the examples in Go")?;
    let python = tool("CIDERY_PYTHON", "the examples in Go")?;
    let folder = Folder::new("go");
    let source = role.folder("go");
    std::fs::create_dir_all(folder.path().join(package)).unwrap();
    let sources = [
        files(&source, &["mod", "sum"]),
        files(&source.join(package), &["go"]),
    ];
    for file in sources.concat() {
        let copy = folder.path().join(file.strip_prefix(&source).unwrap());
        std::fs::copy(file, copy).unwrap();
    }
    let module = format!("example.com/{}", role.name());
    let packages = FILES.map(|file| format!(",Mcidery/v1/{file}.proto={module}/stubs/cidery/v1"));
    let options = format!("module={module}{}", packages.concat());
    protoc(&python, &["go", "go-grpc"], folder.path(), &options);
    let program = folder.path().join("program");
    let mut command = Command::new("go");
    command
        .args(["build", "-o"])
        .arg(&program)
        .arg(package)
        .current_dir(folder.path());
    command
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local");
    succeed(&mut command);
    Some(Program {
        language: "go",
        words: vec![program.display().to_string()],
        environment: None,
        _folder: folder,
    })
}

pub(crate) fn node(role: Role) -> Option<Program> {
    let modules = tool("CIDERY_NODE_MODULES", "the examples in JavaScript")?;
    let program = role.folder("node").join(format!("{}.js", role.name()));
    Some(Program {
        language: "node",
        words: vec!["node".into(), program.display().to_string()],
        environment: Some(("NODE_PATH", modules)),
        _folder: Folder::new("node"),
    })
}

pub(crate) fn java(role: Role) -> Option<Program> {
    let libraries = tool("CIDERY_JAVA", "the examples in Java")?;
    let protoc = tool("CIDERY_JAVA_PROTOC", "the examples in Java")?;
    let folder = Folder::new("java");
    let stubs = folder.path().display();
    let mut command = Command::new(&protoc);
    command.arg(format!("--plugin={protoc}-gen-grpc-java"));
    command.arg("-I").arg(root().join("proto"));
    command.args(["java", "grpc-java"].map(|plugin| format!("--{plugin}_out={stubs}")));
    command.args(FILES.map(|file| format!("cidery/v1/{file}.proto")));
    succeed(&mut command);
    let class = match role {
        Role::Worker => "ExampleWorker",
        Role::Client => "ExampleClient",
    };
    let class_path = format!("{stubs}:{libraries}/*");
    let mut command = Command::new("javac");
    command
        .args(["-proc:none", "-sourcepath"])
        .arg(folder.path());
    command.arg("-d").arg(folder.path());
    command.args(["-cp", &class_path]);
    command.args(files(&role.folder("java"), &["java"]));
    succeed(&mut command);
    Some(Program {
        language: "java",
        words: ["java", START_UP[0], START_UP[1], "-cp", &class_path, class]
            .map(String::from)
            .into(),
        environment: None,
        _folder: folder,
    })
}

/// `examples/worker.rs` in a process of its own.
pub(crate) fn rust() -> Program {
    rust_example("worker")
}

/// An example in Rust in a process of its own.
pub(crate) fn rust_example(name: &str) -> Program {
    let cidery = PathBuf::from(env!("CARGO_BIN_EXE_cidery"));
    let program = cidery.with_file_name("examples").join(name);
    // `cargo test` builds the examples; `cargo test --test it` does not.
    assert!(
        program.exists(),
        "`cargo build --example {name}` builds the program"
    );
    Program {
        language: "rust",
        words: vec![program.display().to_string()],
        environment: None,
        _folder: Folder::new("rust"),
    }
}
