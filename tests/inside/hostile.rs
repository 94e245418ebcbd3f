//! Servers that answer as no server should: each answer is bounded in time, in memory and in what is read of it, and
//! classified.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::memory::{Measured, measured};
use crate::support::binary;
use crate::world::assert_says;

/// The most memory that a run may take, in KiB: three answers at once, of which 1 MiB is read.
const MOST: u64 = 100 * 1024;

/// What unpacks to ten million bytes, as it goes over the wire.
fn packed() -> Vec<u8> {
    // A block of fixed codes: one literal, and then the byte before, 258 times, again and again.
    let block = "010".to_owned() + "01100000" + &"1100010100000".repeat(40_000);
    let bytes = block.as_bytes().chunks(8);
    let bytes = bytes.map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit == b'1')));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain(bytes).collect()
}

/// Serves every connection by the path of its request, until the test's process ends; gives its port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that leaves is what is waited for.
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    port
}

/// Between two bytes.
const SLOWLY: Duration = Duration::from_millis(50);

/// Sends the same until the client leaves.
fn for_ever(mut stream: TcpStream, what: &[u8], pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(what)?;
        std::thread::sleep(pause);
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    reader.read_line(&mut line)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let whole = |body: &[u8]| {
        [&head[..], format!("content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    };
    match line.split(' ').nth(1).unwrap_or_default() {
        "/endless" => {
            stream.write_all(&[&head[..], b"\r\n"].concat())?;
            for_ever(stream, &[b'x'; 8192], Duration::ZERO)
        }
        "/trickle" => {
            stream.write_all(&[&head[..], b"content-length: 100000\r\n\r\n"].concat())?;
            for_ever(stream, b"1", SLOWLY)
        }
        "/gigabyte" => {
            stream.write_all(&[&head[..], b"content-length: 1000000000\r\n\r\n"].concat())?;
            (0..1_000_000_000 / 8000).try_for_each(|_| stream.write_all(&[b' '; 8000]))
        }
        "/chunks" => {
            stream.write_all(&[&head[..], b"transfer-encoding: chunked\r\n\r\n"].concat())?;
            for_ever(stream, b"1\r\n1\r\n", Duration::ZERO)
        }
        "/packed" => {
            let body = packed();
            let length = format!("content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[&head[..], length.as_bytes(), &body].concat())
        }
        "/slow-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
            for_ever(stream, b"x", SLOWLY)
        }
        "/interim" => for_ever(stream, b"HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO),
        "/headers" => {
            stream.write_all(head)?;
            for_ever(stream, b"x-more: and more\r\n", Duration::ZERO)
        }
        "/cut" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
        "/garbage" => stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        "/nothing" => Ok(()),
        "/binary" => stream.write_all(&whole(b"\xff\xfe\x00\x1b[31m::error::x")),
        "/deep" => stream.write_all(&whole("[".repeat(100_000).as_bytes())),
        _ => stream.write_all(&whole(b"{}")),
    }
}

#[test]
fn every_answer_is_bounded_and_classified() {
    let port = server();
    for (path, words) in [
        ("/gigabyte", "its body is longer than 1 MiB"),
        ("/chunks", "answers are wrong"),
        ("/packed", "its body is no JSON"),
        ("/slow-head", "no whole answer within 1000 ms"),
        ("/interim", "no whole answer within 1000 ms"),
        ("/endless", "its body is longer than 1 MiB"),
        ("/trickle", "no whole answer within 1000 ms"),
        ("/headers", "no whole answer"),
        ("/cut", "no whole answer: "),
        ("/garbage", "no whole answer: "),
        ("/nothing", "no whole answer: "),
        ("/binary", "its body is no JSON"),
        ("/deep", "its body is no JSON: recursion limit exceeded"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "url: ws://127.0.0.1:{port}/ws\napi: {{ endpoints: [{{ path: {path}, json: {{ /a: 1 }}, within: 1s, times: 1, at-once: 2 }}] }}\n"
        );
        std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
        let mut check = binary("check");
        check.current_dir(folder.path()).args(["--only", "api", "--progress", "none", "--color", "never"]);
        let Measured { code, out, err, peak } = measured(&mut check, folder.path());
        assert_eq!(code, 10, "{path}\n{out}{err}");
        assert_says(&out, &[&format!("GET {path}: 3 of 3 answers are wrong, first: "), words]);
        assert!(peak < MOST, "{path} took {peak} KiB");
        assert!(!out.contains('\u{1b}') && !out.contains("::error"), "{out}");
    }
}
