//! What is kept in a file, and which files are refused: emulators in this process, one after the other.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::SinkExt as _;
use revgate::emulator::{
    Behaviour, Deployment, Emulator, EmulatorError, EmulatorOptions, StateError, Workload,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::support::{
    DEADLINE, call, eventually, faults, frame, get, named, open, options, sample, settled, tagged,
};

/// A state of version 1: whatever is written later, it must be understood.
pub(crate) const VERSION_1: &str = include_str!("state_1.json");

pub(crate) fn kept_in(folder: &tempfile::TempDir) -> (PathBuf, EmulatorOptions) {
    let file = folder.path().join("cloud.json");
    (file.clone(), EmulatorOptions { state: Some(file), ..options() })
}

/// Starts once the ports of before are free: another test may have one of them for a while.
pub(crate) async fn start(options: &EmulatorOptions) -> Emulator {
    let trying = async {
        loop {
            match Emulator::start(options.clone()).await {
                Err(EmulatorError::State { reason: StateError::Port { .. }, .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                started => return started.unwrap(),
            }
        }
    };
    tokio::time::timeout(DEADLINE, trying).await.expect("a start")
}

pub(crate) async fn end(emulator: Emulator) {
    let problem = emulator.shutdown().await;
    assert!(problem.is_none(), "{problem:?}");
}

pub(crate) fn json_of(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test]
async fn a_revision_answers_again_under_the_same_urls() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let first = start(&options).await;
    assert_eq!(first.restored(), None);
    first.deploy(named("demo-a", sample(Behaviour::Fixed))).await.unwrap();
    settled(&first).await;
    let echoing = Deployment { concurrency: Some(2), ..named("demo-b", sample(Behaviour::Fixed)) };
    first.deploy(tagged("gate", echoing)).await.unwrap();
    settled(&first).await;
    let urls = (first.service_url().unwrap(), first.tag_url("gate").unwrap());
    end(first).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "variables may hold secrets");
    }

    let second = start(&options).await;
    assert_eq!(second.restored(), Some(1));
    assert_eq!((second.service_url().unwrap(), second.tag_url("gate").unwrap()), urls);
    assert_eq!(frame(&mut open(&urls.1).await).await["type"], "handshake_validation");
    assert_eq!(second.logs("demo-a"), Vec::<String>::new(), "logs begin anew");
    end(second).await;
    assert_eq!(json_of(&file)["starts"], 2);
}

#[tokio::test]
async fn no_id_and_no_time_comes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options) = kept_in(&folder);
    let mut made = Vec::new();
    // Both begin at the same time, with the same seed, and do the same.
    for service in ["one", "two"] {
        let emulator = start(&options).await;
        let body = json!({"template": {"containers": [{"image": "r/p/a"}]}});
        let (status, begun) =
            call(&emulator, "POST", &format!("services?serviceId={service}"), Some(body)).await;
        assert_eq!(status, 200, "{begun}");
        settled(&emulator).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let service = get(&emulator, &format!("services/{service}")).await;
        let suffix = text(&service["latestReadyRevision"]).rsplit('-').next().unwrap().to_owned();
        made.push((text(&begun["name"]), text(&service["uid"]), suffix, text(&service["createTime"])));
        end(emulator).await;
    }
    let (one, two) = (&made[0], &made[1]);
    assert!(one.0 != two.0 && one.1 != two.1 && one.2 != two.2, "{made:?}");
    assert!(one.3 < two.3, "{made:?}");
}

#[tokio::test]
async fn what_was_under_way_is_carried_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_, quick) = kept_in(&folder);
    let first = start(&quick).await;
    for service in ["gone", "stays"] {
        let body = json!({"template": {"containers": [{"image": "r/p/a"}]}});
        let (status, begun) =
            call(&first, "POST", &format!("services?serviceId={service}"), Some(body)).await;
        assert_eq!(status, 200, "{begun}");
    }
    settled(&first).await;
    end(first).await;

    let slow = EmulatorOptions { pace: Duration::from_hours(1), ..quick.clone() };
    let second = start(&slow).await;
    faults(&second, |faults| faults.fail_revision = Some("It has no heart.".to_owned()));
    let (status, deleting) = call(&second, "DELETE", "services/gone", None).await;
    assert_eq!(status, 200, "{deleting}");
    let body = json!({"template": {"revision": "stays-b", "containers": [{"image": "r/p/b"}]}});
    let (status, writing) = call(&second, "PATCH", "services/stays?updateMask=template", Some(body)).await;
    assert_eq!(status, 200, "{writing}");
    let (status, overtaking) =
        call(&second, "PATCH", "services/stays?updateMask=labels", Some(json!({"labels": {"a": "b"}}))).await;
    assert_eq!(status, 200, "{overtaking}");
    let tail = |operation: &Value| {
        let name = operation["name"].as_str().unwrap();
        format!("operations/{}", name.rsplit('/').next().unwrap())
    };
    for operation in [&deleting, &writing, &overtaking] {
        assert_eq!(get(&second, &tail(operation)).await.get("done"), None);
    }
    end(second).await;

    let third = start(&quick).await;
    for operation in [&deleting, &writing, &overtaking] {
        let path = format!("{}:wait", tail(operation));
        let (status, ended) = call(&third, "POST", &path, Some(json!({}))).await;
        assert_eq!((status, &ended["done"]), (200, &json!(true)), "{ended}");
    }
    assert_eq!(call(&third, "GET", "services/gone", None).await.0, 404);
    let service = get(&third, "services/stays").await;
    assert_eq!(service["labels"]["a"], "b");
    let revision = get(&third, "services/stays/revisions/stays-b").await;
    assert_eq!(revision["conditions"][0]["message"], "It has no heart.", "as was decided when it was made");
    end(third).await;
}

/// Starts on a file of this text, which must be refused and left as it is; gives the words and the help.
async fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    std::fs::write(&file, text).unwrap();
    let error = Emulator::start(options).await.expect_err("no start");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "it is left as it is");
    let said = format!("{error}\n{}", error.help());
    assert!(said.contains(file.to_str().unwrap()), "the file is named: {said}");
    said
}

#[tokio::test]
async fn a_file_that_is_not_understood_is_refused_and_kept() {
    let cut = &VERSION_1[..VERSION_1.len() / 2];
    let newer = VERSION_1.replacen("\"version\": 1", "\"version\": 2", 1);
    let unknown = VERSION_1.replacen("\"generation\"", "\"generatoin\"", 1);
    let line = VERSION_1.lines().position(|line| line.contains("\"generation\"")).unwrap() + 1;
    let elsewhere = VERSION_1.replacen("\"demo-project\"", "\"other-project\"", 1);
    let cases = [
        ("", "it is damaged: EOF while parsing a value at line 1", ".old"),
        (cut, "it is damaged: EOF", ".old"),
        ("{\"format\": \"revgate emulator state\",}", "line 1 column 37", ".old"),
        (&unknown, "unknown field `generatoin`, expected one of", &format!("at line {line} column")),
        ("[]", "it is no emulator's state", "--state FILE"),
        ("{\"version\": 1}", "it is no emulator's state", "--state FILE"),
        (&newer, "it has version 2, and this revgate knows 1", "start the revgate that wrote it"),
        (
            &elsewhere,
            "of region us-central1 of project other-project",
            "--project other-project --region us-central1",
        ),
    ];
    for (text, words, help) in cases {
        let said = refused(text).await;
        assert!(said.contains(words) && said.contains(help), "{words}\n{help}\n{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let options = EmulatorOptions { state: Some(inner), ..options() };
    let error = Emulator::start(options).await.expect_err("a folder");
    let beside = std::fs::read_dir(folder.path()).unwrap().count() - 1;
    assert_eq!(beside, 0, "nothing is left beside what is none of ours");
    assert!(error.to_string().contains("it is no regular file"), "{error}");
}

#[tokio::test]
async fn a_state_that_no_emulator_can_have_is_refused() {
    let twice = |list: &Value| {
        let mut list = list.as_array().unwrap().clone();
        list.push(list[0].clone());
        Value::Array(list)
    };
    let right: Value = serde_json::from_str(VERSION_1).unwrap();
    let revision = "/services/0/revisions/0";
    let cases = [
        ("/services", twice(&right["services"]), "two services have one name"),
        ("/services/0/revisions", twice(&right["services"][0]["revisions"]), "two revisions have one name"),
        ("/services/0/generation", json!(u64::MAX), "18446744073709551615 is no count"),
        ("/services/0/generation", json!(0), "before its first write"),
        ("/services/0/policy/writes", json!(u64::MAX), "is no count"),
        ("/starts", json!(u64::MAX), "is no count"),
        ("/services/0/traffic/0/percent", json!(u32::MAX), "must be 100, but is 4294967"),
        ("/services/0/routed/0/percent", json!(1), "must be 100, but is"),
        (&format!("{revision}/template"), json!([]), "service demo: a template is none"),
        (&format!("{revision}/template/metadata"), json!("x"), "a template is none"),
        (&format!("{revision}/template/metadata/annotations"), json!(7), "a template is none"),
        (&format!("{revision}/template/spec/containers"), json!(["x"]), "a template is none"),
        ("/services/0/template/spec/containers/0", json!([]), "a template is none"),
    ];
    for (place, value, words) in cases {
        let mut state = right.clone();
        *state.pointer_mut(place).unwrap() = value;
        let said = refused(&state.to_string()).await;
        assert!(said.contains("it is damaged") && said.contains(words), "{place}: {words}\n{said}");
    }
}

#[tokio::test]
async fn a_file_of_version_1_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    std::fs::write(&file, VERSION_1).unwrap();
    let emulator = start(&options).await;
    let service = get(&emulator, "services/demo").await;
    assert_eq!(service["trafficStatuses"][2]["tag"], "gate");
    let health = reqwest::get(format!("{}/health", emulator.tag_url("gate").unwrap())).await.unwrap();
    assert_eq!(health.headers()["x-revision"], "demo-b");
    settled(&emulator).await;
    end(emulator).await;
    let (mut before, mut after): (Value, Value) = (serde_json::from_str(VERSION_1).unwrap(), json_of(&file));
    for state in [&mut before, &mut after] {
        // A start is counted, and the ports were left open.
        state["starts"] = Value::Null;
        state["ports"] = Value::Null;
    }
    assert_eq!(before, after, "it is written as it was read");
}

#[tokio::test]
async fn a_heartbeat_beyond_the_end_of_time_ends_no_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let mut state: Value = serde_json::from_str(VERSION_1).unwrap();
    let sample = state.pointer_mut("/services/0/revisions/1/deployment/workload/sample").unwrap();
    (sample["heartbeat"], sample["behaviour"]) = (json!("never"), json!("fixed"));
    std::fs::write(&file, state.to_string()).unwrap();
    let emulator = start(&options).await;
    let mut socket = open(&emulator.tag_url("gate").unwrap()).await;
    socket.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    while frame(&mut socket).await["type"] != "pong" {}
    end(emulator).await;
}

#[tokio::test]
async fn one_file_has_one_emulator() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let first = start(&options).await;
    let error = Emulator::start(options.clone()).await.expect_err("it is locked");
    let pid = std::process::id();
    assert_eq!(
        error.to_string(),
        format!("the state file {}: another emulator has it, process {pid}", file.display())
    );
    assert!(error.help().contains(&format!("kill {pid}")), "{}", error.help());
    get(&first, "services").await;
    end(first).await;
    end(start(&options).await).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_followed_also_to_a_file_that_is_yet_to_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let target = folder.path().join("target.json");
    std::os::unix::fs::symlink("target.json", &file).unwrap();
    for restored in [None, Some(0)] {
        let emulator = start(&options).await;
        assert_eq!(emulator.restored(), restored);
        let direct = EmulatorOptions { state: Some(target.clone()), ..options.clone() };
        let error = Emulator::start(direct).await.expect_err("it is locked by either name");
        assert!(error.to_string().contains("another emulator has it"), "{error}");
        end(emulator).await;
        assert!(file.is_symlink() && target.is_file() && !target.is_symlink());
    }
}

/// A child has every descriptor of its parent until it runs its program, the lock's among them.
#[cfg(unix)]
#[tokio::test]
async fn the_end_of_an_emulator_frees_its_file_whatever_children_are_being_started() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options) = kept_in(&folder);
    let stop = Arc::new(AtomicBool::new(false));
    let starting = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        }
    });
    for _ in 0..200 {
        end(start(&options).await).await;
    }
    stop.store(true, Ordering::Relaxed);
    starting.join().unwrap();
}

#[tokio::test]
async fn what_was_taken_however_deep_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options) = kept_in(&folder);
    let first = start(&options).await;
    first.deploy(sample(Behaviour::Fixed)).await.unwrap();
    settled(&first).await;
    let mut statuses = Vec::new();
    for levels in [94, 123] {
        let condition = (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
        let binding = json!({"role": "r", "members": ["allUsers"], "condition": condition});
        let body = json!({"policy": {"bindings": [binding]}});
        statuses.push(call(&first, "POST", "services/demo:setIamPolicy", Some(body)).await.0);
    }
    assert_eq!(statuses, [200, 400], "as deep as Google's parser goes, and no deeper");
    call(&first, "DELETE", "services/demo", None).await;
    settled(&first).await;
    end(first).await;
    end(start(&options).await).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_may_be_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let first = start(&options).await;
    first.deploy(tagged("gate", sample(Behaviour::Fixed))).await.unwrap();
    settled(&first).await;
    let url = first.tag_url("gate").unwrap();
    end(first).await;
    let port = url.rsplit(':').next().unwrap().to_owned();
    let before = std::fs::read_to_string(&file).unwrap();
    let taken = TcpListener::bind(format!("127.0.0.1:{port}"));
    let error = Emulator::start(options.clone()).await.expect_err("it is taken");
    let words = format!("port {port}, which stands for tag gate of service demo, cannot be opened");
    assert!(error.to_string().contains(&words), "{error}");
    assert!(error.help().contains(&format!("ss -ltnp 'sport = :{port}'")), "{}", error.help());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "nothing is given up by itself");
    let given_up = before.replace(&format!("\"port\": {port}\n"), "\"port\": 0\n");
    assert_ne!(given_up, before);
    std::fs::write(&file, given_up).unwrap();
    let second = start(&options).await;
    assert_ne!(second.tag_url("gate").unwrap(), url);
    assert_eq!(
        frame(&mut open(&second.tag_url("gate").unwrap()).await).await["type"],
        "handshake_validation"
    );
    drop(taken);
    end(second).await;
}

#[tokio::test]
async fn a_command_in_a_file_needs_leave() {
    let folder = tempfile::tempdir().unwrap();
    let (_, options) = kept_in(&folder);
    let first = start(&options).await;
    // It ends at once: the revision fails, and was a command all the same.
    first.deploy(Deployment::new(Workload::Command("false --now".to_owned()))).await.unwrap();
    settled(&first).await;
    end(first).await;
    let error = Emulator::start(options.clone()).await.expect_err("nobody named it");
    assert!(error.to_string().contains("the command `false --now`"), "{error}");
    assert!(error.help().contains("--allow-commands"), "{}", error.help());
    let allowed = EmulatorOptions { allow_commands: true, ..options };
    end(start(&allowed).await).await;
}

#[tokio::test]
async fn what_cannot_be_written_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let options = EmulatorOptions { state: Some(inner.join("cloud.json")), ..options() };
    let emulator = start(&options).await;
    std::fs::remove_dir_all(&inner).unwrap();
    let policy = json!({"policy": {"bindings": []}});
    let body = json!({"template": {"containers": [{"image": "r/p/a"}]}});
    let (status, answer) = call(&emulator, "POST", "services?serviceId=shop", Some(body)).await;
    assert_eq!(status, 503, "{answer}");
    let words = answer["error"]["message"].as_str().unwrap();
    assert!(words.contains("could not write its state file: No such file"), "{words}");
    std::fs::create_dir(&inner).unwrap();
    eventually("it is tried again", || async {
        call(&emulator, "GET", "services/shop", None).await.0 == 200
    })
    .await;
    settled(&emulator).await;
    let (status, answer) = call(&emulator, "POST", "services/shop:setIamPolicy", Some(policy)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(json_of(&inner.join("cloud.json"))["services"][0]["policy"]["writes"], 1);
    std::fs::remove_dir_all(&inner).unwrap();
    assert_eq!(call(&emulator, "DELETE", "services/shop", None).await.0, 503);
    let problem = emulator.shutdown().await.expect("what is lost is told");
    assert!(problem.to_string().contains("it cannot be written"), "{problem}");
}
