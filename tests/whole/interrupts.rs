//! A signal in the middle of each part while the server is a child of ours: neither stays.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{CONFIG, SECRET, Server};

/// The parts, and how the configuration makes each last.
const PARTS: [(&str, &str, &str); 5] = [
    ("agent", "within: 20s", "within: 10m"),
    ("hold", "for: 5s", "for: 10m"),
    ("api", "times: 3", "times: 600"),
    ("auth", "", ""),
    ("frames", "", ""),
];

/// Waits for something, a minute at the most.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a generous bound on a test that polls")]
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn assert_ends(server: Server, (part, short, long): (&str, &str, &str), signal: Signal, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("openings-per-second: 1000", "openings-per-second: 1");
    let config = if short.is_empty() { config } else { config.replace(short, long) };
    std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
    let [pid, told] = ["pid", "told"].map(|name| folder.path().join(name));
    // The shell becomes the server: it is the server's process that this tells.
    let line = format!("echo $$ > {}; exec {}", pid.display(), server.command("missing-completion"));
    let exec = shlex::try_join(["sh", "-c", &line]).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_revgate"))
        .args(["rehearse", "--exec", &exec, "--only", part, "--progress", "plain", "--color", "never"])
        .envs([("WHOLE_SECRET", SECRET), ("BACKEND_JWT_SECRET", SECRET)])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(File::create(&told).unwrap())
        .spawn()
        .unwrap();
    let told = || std::fs::read_to_string(&told).unwrap();
    wait_until(&format!("{part} begins"), || told().contains(&format!("note: {part}: begins")));
    let of = |id: u32| Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    let child = of(std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap());
    assert!(test_kill_process(child).is_ok(), "{part}: the server runs");
    kill_process(of(run.id()), signal).unwrap();
    wait_until(&format!("{part} ends"), || run.try_wait().unwrap().is_some());
    assert_eq!(run.wait().unwrap().code(), Some(code), "{part}\n{}", told());
    assert!(told().contains("error: interrupted"), "{part}\n{}", told());
    assert!(test_kill_process(child).is_err(), "{part}: the server is left behind\n{}", told());
}

#[test]
fn a_signal_in_any_part_leaves_no_server_behind() {
    std::thread::scope(|scope| {
        for (server, signal, code) in [(Server::FastApi, Signal::INT, 130), (Server::Node, Signal::TERM, 143)]
        {
            scope.spawn(move || PARTS.map(|part| assert_ends(server, part, signal, code)));
        }
    });
}
