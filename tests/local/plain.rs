//! Servers written by hand that misbehave as no library lets them: at a process of our own, and at an address.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};

use crate::{backends, eventually, revgate, run};

/// What a user would write for a server that says nothing unasked.
const PLAIN: &str = "path: /{{user}}\nsend: ping\nusers: [u1, u2, u3, u4, u5, u6, u7, u8, u9, u10]\n";

/// The local stage on a plain server; the address is nobody's.
fn local(config: &str, exec: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = revgate(folder.path(), config, "check");
    command.args([
        "--exec",
        exec,
        "--url",
        "ws://127.0.0.1:9",
        "--skip",
        "ready,identity",
        "--no-calibration",
    ]);
    run(command.args(arguments))
}

/// A plain server at an address of its own, until it is dropped.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(mode: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let [python, server] = backends::plain();
        let mut command = Command::new(python);
        command.arg(server).env("BACKEND_MODE", mode).env("PORT", port.to_string());
        let child = command.spawn().unwrap();
        eventually("the port", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, url: format!("ws://127.0.0.1:{port}") }
    }

    fn check(&self, config: &str, arguments: &[&str]) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = revgate(folder.path(), config, "check");
        command.args(["--url", &self.url, "--skip", "ready,identity", "--no-calibration"]);
        run(command.args(arguments))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_loser_that_is_answered_and_closed_later_is_seen_in_the_first_frozen_rounds() {
    // One user or none: every frozen round has nothing else open.
    let arguments = ["--pattern", "control,frozen-users,frozen-same-user", "--rounds", "4"];
    let (code, text) = local("send: ping\n", &backends::plain_command("late"), &arguments);
    assert_eq!(code, 10, "{text}");
    assert!(text.contains("close 1011 \"init failed\" after it was served, while held"), "{text}");
}

#[test]
fn what_was_seen_of_a_process_of_our_own_outlasts_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let [record, told] = ["run.json", "told"].map(|name| folder.path().join(name));
    let config = format!("{PLAIN}timeouts: {{ hold: 10ms }}\n");
    let mut command = revgate(folder.path(), &config, "check");
    command.args(["--exec", &backends::plain_command("fixed"), "--url", "ws://127.0.0.1:9"]);
    command.args(["--skip", "ready,identity", "--pattern", "control,frozen-users", "--rounds", "5000"]);
    command.args(["--progress", "plain", "--record", "run.json"]);
    let mut child = command.stderr(std::fs::File::create(&told).unwrap()).spawn().unwrap();
    let told = || std::fs::read_to_string(&told).unwrap();
    eventually("frozen rounds", || told().contains("frozen-users round").then_some(()));
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143), "{}", told());
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    assert_eq!(record["local"]["probing"]["stopped"], "interrupted", "{}", told());
    assert!(record["local"]["probing"]["rounds"].as_array().unwrap().len() > 10, "{record}");
    assert_eq!(record["interrupted"]["during"], "local");
}

#[test]
fn a_small_backlog_hides_no_start_up_race() {
    let server = backends::plain_command("startup");
    let exec = format!("env BACKEND_BACKLOG=3 BACKEND_ACCEPTS_MS=200 {server}");
    let (code, text) = local(PLAIN, &exec, &["--pattern", "control,cold", "--rounds", "3"]);
    assert_eq!(code, 10, "{text}");
    assert!(text.contains("local: cold: close 1011 \"supervisor\""), "{text}");
}

#[test]
fn sockets_that_a_backlog_keeps_away_are_told_and_one_alone_is_no_burst() {
    let exec = |backlog: u32| {
        let server = backends::plain_command("fixed");
        format!("env BACKEND_BACKLOG={backlog} BACKEND_ACCEPTS_MS=200 {server}")
    };
    let arguments = ["--pattern", "control,cold", "--rounds", "3"];
    let (code, text) = local(PLAIN, &exec(3), &arguments);
    assert_eq!(code, 10, "nobody is at the address\n{text}");
    assert!(text.contains("local: cold: 3 clean, 0 failing, 0 void"), "{text}");
    assert!(text.contains("in 3 cold starts") && text.contains("sockets were left out"), "{text}");
    let text = local(PLAIN, &exec(0), &arguments).1;
    assert!(text.contains("local: cold: 0 clean, 0 failing, 3 void"), "{text}");
    assert!(text.contains("let the server listen with a larger backlog"), "{text}");
}

#[test]
fn a_limit_that_single_sockets_reach_is_no_failure_and_no_bad_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = backends::plain_command("rate");
    let mut command = revgate(folder.path(), PLAIN, "rehearse");
    command.args(["--exec", &format!("env BACKEND_LIMIT=40 {server}"), "--skip", "race"]);
    let (code, text) = run(&mut command);
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("limit reached: close 1008 \"rate limit exceeded\""), "{text}");
    assert!(text.contains("messages-per-minute") && !text.contains("token-secret-env"), "{text}");
}

#[test]
fn a_limit_of_the_servers_own_is_inconclusive_locally_and_its_help_can_be_followed() {
    let exec = backends::plain_command("limit");
    let arguments = ["--pattern", "control,frozen-users,frozen-same-user", "--rounds", "6"];
    let (code, text) = local(PLAIN, &exec, &arguments);
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("local: frozen-users: limit reached") && !text.contains("FLAKY"), "{text}");
    assert!(text.contains("`limits:` has sockets-at-once"), "{text}");
    let config = format!("{PLAIN}limits: {{sockets-at-once: 3}}\nrace: {{sockets: 3}}\n");
    let text = local(&config, &exec, &arguments).1;
    assert!(text.contains("local: frozen-users: 6 clean, 0 failing"), "{text}");
}

#[test]
fn a_server_that_keeps_one_session_a_user_is_told_how_to_say_so() {
    let exec = backends::plain_command("replace");
    let arguments = ["--pattern", "control,frozen-users,frozen-same-user", "--rounds", "5"];
    let (code, text) = local(PLAIN, &exec, &arguments);
    assert_eq!(code, 10, "{text}");
    assert!(
        text.contains("`limits: {sockets-per-user: 1}`") && !text.contains("look at the token"),
        "{text}"
    );
    // Then nobody is asked for a second one while his first is held, also not for a label.
    let config = format!("{PLAIN}limits: {{sockets-per-user: 1}}\n");
    let text = local(&config, &exec, &["--pattern", "control,frozen-users", "--rounds", "20"]).1;
    assert!(text.contains("local: frozen-users: 20 clean, 0 failing"), "{text}");
}

#[test]
fn a_reconnected_user_comes_when_the_first_socket_is_gone() {
    let server = Running::start("takeover");
    // Nobody else of this user is there: pairs take all that he may have.
    let config = format!("{PLAIN}limits: {{sockets-per-user: 2}}\n");
    let arguments = ["--skip", "serves", "--pattern", "reconnect", "--rounds", "60"];
    let (code, text) = server.check(&config, &arguments);
    assert_eq!(code, 11, "so few rounds decide nothing\n{text}");
    assert!(text.contains("60 clean, 0 failing, 0 void"), "{text}");
}

#[test]
fn the_time_budget_is_a_bound_whatever_a_server_does() {
    // Without a bound, the first of these never ends.
    for mode in ["flood", "deaf"] {
        let (code, text) = Running::start(mode).check(PLAIN, &["--time-budget", "4s"]);
        assert_eq!(code, 11, "{mode}\n{text}");
        assert!(text.contains("the time budget was spent"), "{mode}\n{text}");
    }
}

#[test]
fn what_is_cut_at_the_end_is_no_failure_and_no_success() {
    // Every socket would take ten seconds to be found silent: the burst is cut before.
    let (code, text) = Running::start("pings").check(PLAIN, &["--time-budget", "2s"]);
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("0 served + 0 failed by the application + 10 that never reached it"), "{text}");
}

#[test]
fn a_server_that_only_pings_is_not_called_silent_alone() {
    let config = format!("{PLAIN}timeouts: {{answer: 1s}}\n");
    let (code, text) = Running::start("pings").check(&config, &["--time-budget", "20s"]);
    assert_eq!(code, 10, "{text}");
    assert!(text.contains("silent but for pings"), "{text}");
}

#[test]
fn a_server_that_writes_without_end_is_served_with_a_burst_all_the_same() {
    let exec = format!("env BACKEND_NOISE=8 {}", backends::plain_command("fixed"));
    let text = local(PLAIN, &exec, &["--pattern", "control,frozen-users", "--rounds", "2"]).1;
    assert!(text.contains("local: frozen-users: 2 clean, 0 failing"), "{text}");
}
