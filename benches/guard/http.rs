//! `POST /invoke/echo` from one connection over HTTP/1.1, as `benches/invoke/http.rs` makes them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The input as JSON.
const BODY: &str = concat!(
    r#"{"cust_id":123456,"cust_name":"Alexis Smith","phone_no":"123-456-789","#,
    r#""is_active":true,"balance":10.5,"city":"Springfield"}"#
);

/// Makes calls, one after the other.
pub(crate) fn call(address: &str, calls: u32) {
    let request = format!(
        "POST /invoke/echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut answer, mut part) = (Vec::new(), [0; 1_024]);
    for _ in 0..calls {
        stream.write_all(request.as_bytes()).unwrap();
        answer.clear();
        // The body is the last thing that arrives, and what it is is known.
        while !answer.ends_with(BODY.as_bytes()) {
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0, "closed");
            answer.extend_from_slice(part.get(..length).unwrap());
        }
    }
}
