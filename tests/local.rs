//! The local stage on real servers: frozen rounds and cold starts, by which stratum what is found, and what is left behind.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

#[path = "local/plain.rs"]
mod plain;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A pass within seconds: it shows less than the defaults do, and every report says so.
const QUICK: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong","nonce":"{{nonce}}"}'
users: [u1, u2, u3, u4, u5, u6, u7, u8, u9, u10]
timeouts: { answer: 2s }
limits: { openings-per-second: 2000 }
race: { tolerated: 5%, cold-tolerated: 30% }
"#;

/// As a user would run it.
const STANDARD: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong","nonce":"{{nonce}}"}'
users: [u1, u2, u3, u4, u5, u6, u7, u8, u9, u10]
timeouts: { answer: 2s }
limits: { openings-per-second: 2000 }
"#;

/// The binary with a configuration in a folder of its own, without any variable that could change what it does.
fn revgate(folder: &Path, config: &str, command: &str) -> Command {
    fs::write(folder.join("revgate.yaml"), config).unwrap();
    let mut revgate = Command::new(env!("CARGO_BIN_EXE_revgate"));
    #[expect(clippy::disallowed_methods, reason = "the binary must not inherit settings")]
    for (name, _) in std::env::vars() {
        if name.starts_with("REVGATE_") || name.starts_with("GITHUB_") || name.starts_with("GOOGLE_") {
            revgate.env_remove(name);
        }
    }
    // A variable, so that a test can choose otherwise by a flag.
    revgate.current_dir(folder).args([command, "--color", "never"]).env("REVGATE_PROGRESS", "none");
    revgate
}

/// Exit code and all output.
fn run(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().unwrap_or(-1), text)
}

fn rehearse(config: &str, exec: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    run(revgate(folder.path(), config, "rehearse").args(["--exec", exec]))
}

/// A backend's command with a window in milliseconds and a way to fail.
fn defect(command: &str, window: &str, failure: &str) -> String {
    format!("env BACKEND_WINDOW_MS={window} BACKEND_FAILURE={failure} {command}")
}

/// For servers that do not answer.
fn impatient() -> String {
    QUICK.replace("answer: 2s", "answer: 500ms")
}

/// True when the failed race names the stratum. One of distinct users may come second, since pairs of one user show
/// the race of any two as well; but one of a single user comes alone.
fn is_named(text: &str, stratum: &str) -> bool {
    let line = text.lines().find_map(|line| line.strip_prefix("  FAIL  race       local: ")).unwrap_or("");
    let first = line.starts_with(&format!("{stratum}: "));
    let second = line.contains(&format!("; {stratum} too: "));
    if stratum == "frozen-users" { first || second } else { first && !line.contains(" too: ") }
}

fn assert_blocked(exec: &str, stratum: &str) {
    let (code, text) = rehearse(&impatient(), exec);
    assert_eq!(code, 10, "{exec}\n{text}");
    assert!(is_named(&text, stratum), "{stratum}\n{exec}\n{text}");
}

fn assert_approved(config: &str, exec: &str) {
    let (code, text) = rehearse(config, exec);
    assert_eq!(code, 0, "{exec}\n{text}");
    for words in
        ["local: clean rounds: frozen-users", "frozen-same-user", "cold", "at the address: clean rounds"]
    {
        assert!(text.contains(words), "{exec}\n{text}");
    }
}

#[test]
fn fastapi_is_blocked_by_the_right_stratum_and_its_twin_approved() {
    use backends::fastapi_command as command;
    assert_blocked(&defect(&command("check-then-act"), "0.005", "1006"), "frozen-same-user");
    assert_blocked(&defect(&command("singleton"), "0.005", "500"), "frozen-users");
    assert_blocked(&defect(&command("startup-race"), "10", "1011"), "cold");
    assert_approved(QUICK, &command("fixed-singleton"));
}

#[test]
fn node_is_blocked_by_the_right_stratum_and_its_twin_approved() {
    use backends::node_command as command;
    assert_blocked(&defect(&command("check-then-act"), "0.005", "1011"), "frozen-same-user");
    assert_blocked(&defect(&command("singleton"), "0.005", "silence"), "frozen-users");
    assert_blocked(&defect(&command("startup-race"), "50", "1006"), "cold");
    assert_approved(QUICK, &command("fixed"));
}

#[test]
fn threads_are_blocked_by_the_right_stratum_and_their_twin_approved() {
    use backends::threads_command as command;
    assert_blocked(&defect(&command("check-then-act"), "1", "500"), "frozen-same-user");
    assert_blocked(&defect(&command("singleton"), "1", "1006"), "frozen-users");
    assert_blocked(&defect(&command("startup-race"), "10", "1011"), "cold");
    assert_approved(QUICK, &command("fixed"));
}

/// Lanes are for the address: with two rounds under way, the end of one would wake the server of the other, which would
/// look like a server that is not the process that was stopped.
#[test]
fn frozen_rounds_follow_each_other_whatever_the_lanes() {
    let lanes = QUICK.replace("race: {", "race: { lanes: 8,");
    assert_approved(&lanes, &backends::threads_command("fixed"));
}

#[test]
fn a_record_gives_the_same_verdict_and_says_what_is_local() {
    let folder = tempfile::tempdir().unwrap();
    let exec = defect(&backends::node_command("check-then-act"), "0.005", "1011");
    // Nobody listens at the address: it is never asked.
    let mut command = revgate(folder.path(), QUICK, "check");
    command.args(["--exec", &exec, "--url", "ws://127.0.0.1:9", "--record", "run.json"]);
    let (code, text) = run(&mut command);
    assert_eq!(code, 10, "{text}");
    for words in
        ["not looked at: the local stage failed", "error[local frozen-same-user]", "at best, locally"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let judged = run(revgate(folder.path(), QUICK, "judge").arg("run.json"));
    assert_eq!(judged, (code, text));
    let json = run(revgate(folder.path(), QUICK, "judge").args(["run.json", "--format", "json"])).1;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["local"]["command"], exec.as_str());
    let race = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "race").unwrap();
    assert_eq!(race["evidence"]["local"]["strata"]["frozen-same-user"]["decision"], "fail");
}

#[test]
fn what_needs_the_process_is_refused_without_one() {
    let folder = tempfile::tempdir().unwrap();
    for pattern in ["frozen-users", "frozen-same-user", "cold"] {
        let mut command = revgate(folder.path(), QUICK, "check");
        let (code, text) = run(command.args(["--url", "ws://127.0.0.1:9", "--pattern", pattern]));
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(&format!("the pattern {pattern} needs the server's own process")), "{text}");
        assert!(text.contains("--exec"), "{text}");
    }
    // The file never names a command.
    let (code, text) = run(&mut revgate(folder.path(), "url: ws://h\nexec: server\n", "check"));
    assert_eq!(code, 2, "{text}");
}

#[test]
fn a_server_that_never_listens_is_said_so_and_the_address_is_probed() {
    let folder = tempfile::tempdir().unwrap();
    for (exec, words) in
        [("no-such-program", "could not be started"), ("echo oops", "did not listen on $PORT")]
    {
        let mut command = revgate(folder.path(), QUICK, "check");
        command.args(["--exec", exec, "--url", "ws://127.0.0.1:9", "--skip", "ready,identity"]);
        let (code, text) = run(&mut command);
        assert_eq!(code, 10, "{text}");
        assert!(text.contains("race       local: ") && text.contains(words), "{text}");
        assert!(text.contains("; at the address: first-contact: no TCP connection"), "{text}");
    }
}

/// True while a process of this number is there and no zombie.
fn is_alive(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_revgate_leaves_no_server_behind() {
    for signal in ["KILL", "INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let server = backends::threads_command("fixed");
        // The shell is the leader; the server is a member of its group and hears of nothing.
        let exec = format!("sh -c 'trap \"\" TERM; {server} & echo $! > server.pid; wait'");
        let mut command = revgate(folder.path(), QUICK, "rehearse");
        command.args(["--exec", &exec]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let server = eventually("the server's number", || {
            fs::read_to_string(folder.path().join("server.pid")).ok().filter(|text| text.ends_with('\n'))
        });
        std::thread::sleep(Duration::from_secs(6));
        assert!(is_alive(server.trim()), "{signal}: it did not run");
        assert!(
            Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success()
        );
        let _ = child.wait();
        eventually("the server is gone", || (!is_alive(server.trim())).then_some(()));
    }
}

/// Waits for what must come.
fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not come");
}

/// Every seeded defect of both event-loop servers at W = 5 µs, every way to fail, and start-up at T = 10 ms; ten times.
///
/// `cargo test --test local ten_of_ten -- --ignored --nocapture`
#[test]
#[ignore = "a series of many minutes"]
fn ten_of_ten_are_blocked() {
    let servers: [fn(&str) -> String; 2] = [backends::fastapi_command, backends::node_command];
    let mut missed = Vec::new();
    for command in servers {
        for (mode, stratum) in
            [("check-then-act", "frozen-same-user"), ("singleton", "frozen-users"), ("startup-race", "cold")]
        {
            for failure in ["1011", "1006", "500", "silence"] {
                let window = if mode == "startup-race" { "10" } else { "0.005" };
                let exec = defect(&command(mode), window, failure);
                let found = (0..10).filter(|_| {
                    let (code, text) = rehearse(&impatient(), &exec);
                    let right = code == 10 && is_named(&text, stratum);
                    if !right {
                        missed.push(format!("{exec}\n{text}"));
                    }
                    right
                });
                println!("{} of 10: {exec}", found.count());
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// The same of the server with threads, at W = 1 ms and at W = 5 µs. There only some of the rounds find it, so that pairs
/// of one user may be the first to show the race of any two.
///
/// `cargo test --test local threads_ten -- --ignored --nocapture`
#[test]
#[ignore = "a series of many minutes"]
fn threads_ten_of_ten_are_blocked() {
    let mut missed = Vec::new();
    for (mode, stratum) in [("check-then-act", "frozen-same-user"), ("singleton", "frozen-users")] {
        for window in ["1", "0.005"] {
            let exec = defect(&backends::threads_command(mode), window, "1011");
            let found = (0..10).filter(|_| {
                let (code, text) = rehearse(QUICK, &exec);
                let by_pairs = mode == "singleton" && is_named(&text, "frozen-same-user");
                let right = code == 10 && (is_named(&text, stratum) || by_pairs);
                if !right {
                    missed.push(format!("{exec}\n{text}"));
                }
                right
            });
            println!("{} of 10: {exec}", found.count());
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// The corrected servers with the default test, twenty times each: ten of either twin. One test a server, so that they can
/// run side by side.
///
/// `cargo test --test local twenty_of_twenty -- --ignored --nocapture`
#[test]
#[ignore = "a series of most of an hour"]
fn twenty_of_twenty_are_approved_of_fastapi() {
    approves_ten_of_either_twin(backends::fastapi_command);
}

#[test]
#[ignore = "a series of most of an hour"]
fn twenty_of_twenty_are_approved_of_node() {
    approves_ten_of_either_twin(backends::node_command);
}

#[test]
#[ignore = "a series of most of an hour"]
fn twenty_of_twenty_are_approved_of_threads() {
    approves_ten_of_either_twin(backends::threads_command);
}

#[expect(clippy::print_stdout, reason = "a series of an hour says how far it is")]
fn approves_ten_of_either_twin(command: fn(&str) -> String) {
    for mode in ["fixed", "fixed-singleton"] {
        let exec = command(mode);
        let mut refused = Vec::new();
        for _ in 0..10 {
            let (code, text) = rehearse(STANDARD, &exec);
            if code != 0 {
                refused.push(text);
            }
        }
        println!("{} of 10: {exec}", 10 - refused.len());
        assert!(refused.is_empty(), "{exec}\n{}", refused.join("\n"));
    }
}
