//! The revision's log: errors that nothing else shows are blocked; a log that shows nothing is no clean log.

use crate::support::{Ended, World};
use crate::world::{NAMED, assert_says, backend, first_failure, sample};

const LOGS: &str = "logs: { patience: 20s }\n";

fn check(world: &World) -> Ended {
    world.check(&["--tag", "gate"])
}

#[test]
fn errors_that_only_the_log_shows_are_blocked_and_quoted() {
    for (mode, words) in [
        (
            "errors-in-log",
            ["errors of the application; first at", "ERROR: \"Redis manager lost its connection\""],
        ),
        (
            "traceback-in-log",
            ["tracebacks; first at", "TypeError: Object of type object is not JSON serializable"],
        ),
    ] {
        let Ended { code, out, err } = check(&backend(mode, &format!("{NAMED}{LOGS}"), "{log_lag: 1s}"));
        assert_eq!(code, 10, "{mode}\n{out}{err}");
        assert_eq!(first_failure(&out), "logs", "{mode}\n{out}");
        assert_says(&out, &words);
        assert_says(&out, &["pass  serves", "pass  race", "gcloud logging read"]);
    }
}

#[test]
fn a_backend_that_writes_much_and_nothing_bad_is_approved() {
    let Ended { code, out, err } = check(&backend("fixed", &format!("{NAMED}{LOGS}"), "{log_lag: 1s}"));
    assert_eq!(code, 0, "{out}{err}");
    assert_says(&out, &["pass  logs", "no crash and no 5xx in", "the log showed our own request after"]);
}

#[test]
fn a_handler_that_dies_of_its_clients_leaving_works_as_it_should() {
    let world = backend("naive", &format!("{NAMED}{LOGS}"), "{}");
    let patterns = "first-contact,control,users,same-user,first-message,reconnect";
    let Ended { code, out, err } = world.check(&["--tag", "gate", "--pattern", patterns]);
    assert_eq!(code, 0, "{out}{err}");
    assert_says(&out, &["pass  logs", "tracebacks of clients' leaving"]);
}

#[test]
fn what_is_known_is_excused_and_the_report_says_so_first() {
    let allow = "logs: { patience: 20s, allow: ['^metrics exporter'] }\n";
    let Ended { code, out, err } = check(&backend("known-error", &format!("{NAMED}{allow}"), "{}"));
    assert_eq!(code, 0, "{out}{err}");
    assert_says(&out, &["log entries excused by logs.allow"]);
    let other = "logs: { patience: 20s, allow: ['another one'] }\n";
    let Ended { code, out, err } = check(&backend("known-error", &format!("{NAMED}{other}"), "{}"));
    assert_eq!(code, 10, "{out}{err}");
    let exception = "logs: { patience: 20s, allow: ['TypeError: Object of type object'] }\n";
    let Ended { code, out, err } = check(&backend("traceback-in-log", &format!("{NAMED}{exception}"), "{}"));
    assert_eq!(code, 0, "one exception can be excused by its own line\n{out}{err}");
}

#[test]
fn a_crash_is_blocked_by_the_log_whatever_the_endpoint_may_answer() {
    let more = format!(
        "{NAMED}{LOGS}api: {{ endpoints: [{{ method: POST, path: /agent, body: {{}}, status: [503], times: 1, at-once: 0 }}] }}\n"
    );
    let Ended { code, out, err } = check(&backend("crash", &more, "{}"));
    assert_eq!(code, 10, "{out}{err}");
    assert_eq!(first_failure(&out), "logs", "{out}");
    assert_says(&out, &["crash", "Container called exit(3)"]);
}

#[test]
fn a_log_that_does_not_show_our_own_request_shows_nothing() {
    let impatient = format!("{NAMED}logs: {{ patience: 3s }}\n");
    for (faults, words) in [
        ("{log_lag: never}", "the log did not show our own request in 3 s"),
        ("{log_lag: 1m}", "the log did not show our own request in 3 s"),
        ("{denied_permissions: [logging.logEntries.list]}", "roles/logging.viewer"),
        ("{api_status: [{method: entries.list, status: 400}]}", "the log could not be read"),
    ] {
        let world = sample("{echo_revision: true}", &impatient, faults);
        let Ended { code, out, err } = check(&world);
        assert_eq!(code, 11, "{faults}\n{out}{err}");
        assert_says(&out, &[words, "pass  serves", "pass  race"]);
        assert!(!out.contains("pass  logs"), "{out}");
    }
}

#[test]
fn an_address_alone_has_no_log() {
    let world = sample("{echo_revision: true, tag: candidate}", &format!("{NAMED}{LOGS}"), "{}");
    let url = world.emulator().tag_url("candidate").unwrap();
    let mut command = crate::support::binary("check");
    command.current_dir(world.folder.path()).args(["--url", &url, "--skip", "ready,identity"]);
    let Ended { code, out, err } = Ended::of(command.args(["--progress", "none", "--color", "never"]));
    assert_eq!(code, 11, "{out}{err}");
    assert_says(&out, &["there is no control plane, and so no log to read"]);
}
