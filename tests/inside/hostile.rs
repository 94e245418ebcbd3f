//! Servers that answer as no server should: each answer is bounded in time and in what is read of it, and classified.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Ended, binary};
use crate::world::assert_says;

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
            loop {
                stream.write_all(&[b'x'; 8192])?;
            }
        }
        "/trickle" => {
            stream.write_all(&[&head[..], b"content-length: 100000\r\n\r\n"].concat())?;
            loop {
                stream.write_all(b"1")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        "/headers" => {
            stream.write_all(head)?;
            loop {
                stream.write_all(b"x-more: and more\r\n")?;
            }
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
        let Ended { code, out, err } = Ended::of(&mut check);
        assert_eq!(code, 10, "{path}\n{out}{err}");
        assert_says(&out, &[&format!("GET {path}: 3 of 3 answers are wrong, first: "), words]);
        assert!(!out.contains('\u{1b}') && !out.contains("::error"), "{out}");
    }
}
