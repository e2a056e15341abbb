//! A server of files that an ADD fetches.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::thread;

/// Starts a server that answers each request with this status and content. Returns its address.
pub fn start(status: &'static str, content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut head) = (client.unwrap(), Vec::new());
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if client.read(&mut byte).unwrap_or_default() == 0 {
                    break;
                }
                head.extend(byte);
            }
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                content.len()
            );
            let _ = client.write_all(&[answer.as_bytes(), &content].concat());
            let _ = client.shutdown(Shutdown::Write);
        }
    });
    address
}
