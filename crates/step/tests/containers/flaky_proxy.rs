//! A registry behind a proxy that breaks.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the proxy answers in place of the registry: to this method, with this status and content.
pub type Answer = (&'static str, &'static str, &'static str);

/// Starts a proxy in front of an address. Uploads of blobs get these answers, each once, in place of the registry's:
/// the last one first. Returns its address.
pub fn start(target: &str, answers: &[Answer]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (target, answers) = (target.to_owned(), Arc::new(Mutex::new(answers.to_vec())));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (target, answers) = (target.clone(), answers.clone());
            thread::spawn(move || serve(client.unwrap(), &target, &answers));
        }
    });
    address
}

/// Serves one request: both sides are asked to close the connection behind it.
fn serve(mut client: TcpStream, target: &str, answers: &Mutex<Vec<Answer>>) {
    let Some((head, body)) = head(&mut client) else { return };
    let is_meant = |(method, ..): &mut Answer| {
        head.split(' ').next() == Some(*method) && head.contains("/blobs/uploads/")
    };
    let answer = answers.lock().unwrap().pop_if(is_meant);
    if let Some((_, status, content)) = answer {
        let length = content.len();
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{content}"
        );
        let _ = client.write_all(text.as_bytes()).and_then(|()| client.shutdown(Shutdown::Write));
        let _ = std::io::copy(&mut client, &mut std::io::sink());
        return;
    }
    let mut server = TcpStream::connect(target).unwrap();
    let (line, rest) = head.split_once("\r\n").unwrap();
    server.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).unwrap();
    server.write_all(&body).unwrap();
    let (mut upward, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut upward, &mut to));
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

/// Reads until the head is whole. Returns it, and what came of the body with it.
fn head(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = client.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).unwrap(), body));
        }
    }
}
