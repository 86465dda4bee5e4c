//! Addresses to listen on: with a host name, without a host, or without a port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use crate::remote::protocol::endpoint::DEFAULT_PORT;

/// Parses an address to listen on: `127.0.0.1:24337`, `localhost:24337`, `[::1]:24337`, `:24337`, `192.0.2.7`.
///
/// The default host is 127.0.0.1: without authentication, other machines must not reach a node by accident. The default
/// port is [`DEFAULT_PORT`]. A host name stands for its first address.
pub(in crate::app) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        None => (text, DEFAULT_PORT),
        Some((host, port)) => {
            let port = port.parse();
            (host, port.map_err(|_| "use `HOST:PORT`".to_owned())?)
        }
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match host {
        "" | "localhost" if !text.is_empty() => Ok(SocketAddr::new(LOOPBACK, port)),
        _ if host.is_empty() || !host.chars().all(is_name) => Err("use `HOST:PORT`".to_owned()),
        _ => {
            let addresses = (host, port).to_socket_addrs();
            let first = addresses.map(|mut addresses| addresses.next());
            match first {
                Ok(Some(address)) => Ok(address),
                Ok(None) => Err(format!("`{host}` has no address")),
                Err(error) => Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_and_the_port_have_defaults() {
        for (text, expected) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("localhost:9000", "127.0.0.1:9000"),
            ("localhost", "127.0.0.1:24337"),
            (":9000", "127.0.0.1:9000"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("192.0.2.7", "192.0.2.7:24337"),
            ("[::1]:9000", "[::1]:9000"),
            ("[::1]", "[::1]:24337"),
            ("::1", "[::1]:24337"),
        ] {
            let address = listen_address(text).unwrap();
            assert_eq!(address.to_string(), expected, "{text}");
        }
        for wrong in [
            "",
            ":",
            "localhost:",
            "localhost:x",
            "localhost:70000",
            "a b:1",
            "http://a:1",
        ] {
            assert_eq!(
                listen_address(wrong),
                Err("use `HOST:PORT`".to_owned()),
                "{wrong}"
            );
        }
    }
}
