//! What a supervisor such as systemd hears of a node, over the socket of `sd_notify`.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::support::binary::Server;
use crate::support::{Folder, PATIENCE};

/// A supervisor with its socket.
struct Supervisor {
    folder: Folder,
    socket: UnixDatagram,
}

impl Supervisor {
    fn new() -> Self {
        let folder = Folder::new("supervisor");
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { folder, socket }
    }

    fn start(&self, options: &[&str], environment: &[(&str, &Path)]) -> Server {
        let path = self.folder.path().join("notify");
        let notify = [("NOTIFY_SOCKET", path.as_path())];
        Server::start_in(options, &[&notify, environment].concat())
    }

    /// The next message.
    fn hear(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}

#[test]
fn it_hears_when_the_node_serves_reloads_and_stops() {
    let supervisor = Supervisor::new();
    let mut server = supervisor.start(&[], &[]);
    let ready = format!("READY=1\nSTATUS=serving on {}", server.address);
    assert_eq!(supervisor.hear(), ready);
    server.signal("HUP");
    let reloading = supervisor.hear();
    let rest = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    let (micros, _) = rest.split_once('\n').unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0, "{reloading}");
    assert_eq!(supervisor.hear(), ready);
    server.signal("TERM");
    assert!(supervisor.hear().starts_with("STOPPING=1\n"));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// `systemctl reload` waits for the second of both messages, whose time must be after its signal.
#[test]
fn it_hears_that_a_reload_failed_and_is_over() {
    let supervisor = Supervisor::new();
    let file = supervisor.folder.path().join("cidery.toml");
    std::fs::write(&file, "").unwrap();
    let server = supervisor.start(&["--config", file.to_str().unwrap()], &[]);
    let ready = supervisor.hear();
    std::fs::write(&file, "drian = 1").unwrap();
    let mut last = 0;
    for _ in 0..2 {
        server.signal("HUP");
        let reloading = supervisor.hear();
        let rest = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let (micros, _) = rest.unwrap().split_once('\n').unwrap();
        let micros: u64 = micros.parse().unwrap();
        assert!(std::mem::replace(&mut last, micros) < micros);
        let over = supervisor.hear();
        assert_eq!(
            over,
            format!("{ready}; the reload failed: see `cidery status`")
        );
    }
    std::fs::write(&file, "").unwrap();
    server.signal("HUP");
    assert!(supervisor.hear().starts_with("RELOADING=1\n"));
    assert_eq!(supervisor.hear(), ready);
}

#[test]
fn the_watchdog_is_fed_while_the_store_takes_writes() {
    let supervisor = Supervisor::new();
    let data = supervisor.folder.path().join("data");
    let watchdog = [("WATCHDOG_USEC", Path::new("100000"))];
    let options = ["--data-dir", data.to_str().unwrap()];
    let mut server = supervisor.start(&options, &watchdog);
    assert!(supervisor.hear().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(supervisor.hear(), "WATCHDOG=1");
    }
    // The store notices that its files are gone once it writes.
    std::fs::remove_dir_all(&data).unwrap();
    let mut log = String::new();
    let stderr = server.child.stderr.take().unwrap();
    let mut stderr = std::io::BufReader::new(stderr);
    while !log.contains("the watchdog waits") {
        if !log.contains("accepts no more writes") {
            server.run(&["invoke", "demo.count", "to=1", "--async"]);
        }
        assert!(
            std::io::BufRead::read_line(&mut stderr, &mut log).unwrap() > 0,
            "{log}"
        );
    }
    // What was sent before; then nothing more.
    supervisor.socket.set_nonblocking(true).unwrap();
    let mut message = [0; 64];
    while supervisor.socket.recv(&mut message).is_ok() {}
    while log.matches("the watchdog waits").count() < 4 {
        assert!(
            std::io::BufRead::read_line(&mut stderr, &mut log).unwrap() > 0,
            "{log}"
        );
    }
    assert!(supervisor.socket.recv(&mut message).is_err());
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let supervisor = Supervisor::new();
    let watchdog = [
        ("WATCHDOG_USEC", Path::new("1000")),
        ("WATCHDOG_PID", Path::new("1")),
    ];
    let mut server = supervisor.start(&[], &watchdog);
    assert!(supervisor.hear().starts_with("READY=1\n"));
    server.signal("TERM");
    assert!(supervisor.hear().starts_with("STOPPING=1\n"));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
