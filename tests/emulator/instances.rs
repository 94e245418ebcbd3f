//! Revisions that are commands of the user's own.

use std::time::Duration;

use revgate::emulator::{Deployment, EmulatorOptions, Workload};
use tokio::net::TcpStream;

use super::support::{call, eventually, get, options, settled, with};

/// A server in three lines, which says who it is, and a child of its own.
const SERVER: &str = r#"python3 -u -c '
import http.server, os, subprocess, sys
subprocess.Popen(["sleep", "600"])
print("starting", os.environ["K_SERVICE"], os.environ["K_REVISION"], os.environ["K_CONFIGURATION"], sys.argv[1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash": os._exit(3)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpgid(0)).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
' $K_REVISION"#;

fn command(text: &str) -> Deployment {
    Deployment {
        revision: Some("demo-a".to_owned()),
        tag: Some("own".to_owned()),
        ..Deployment::new(Workload::Command(text.to_owned()))
    }
}

#[tokio::test]
async fn a_command_serves_logs_crashes_and_leaves_no_orphan() {
    let emulator = with(options(), vec![command(SERVER)]).await;
    let url = emulator.service_url().unwrap();
    let group: i32 = reqwest::get(&url).await.unwrap().text().await.unwrap().parse().unwrap();
    assert_eq!(emulator.logs("demo-a")[0], "starting demo demo-a demo demo-a");
    assert!(is_alive(group));
    let crash = reqwest::get(format!("{url}/crash")).await.unwrap();
    assert_eq!(
        (crash.status().as_u16(), &crash.headers()["server"]),
        (503, &"Google Frontend".parse().unwrap())
    );
    eventually("an instance in place of the dead one", || async {
        let response = reqwest::get(&url).await.unwrap();
        response.text().await.unwrap().parse::<i32>().is_ok_and(|other| other != group)
    })
    .await;
    eventually("the end in the log", || async {
        emulator.logs("demo-a").iter().any(|line| line.contains("Container called exit"))
    })
    .await;
    // Its `sleep` was a member of the group.
    eventually("no member of the group is left", || async { !is_alive(group) }).await;
}

#[tokio::test]
async fn shutdown_and_drop_end_the_whole_group() {
    for by_drop in [false, true] {
        let emulator = with(options(), vec![command(SERVER)]).await;
        let url = emulator.service_url().unwrap();
        let group: i32 = reqwest::get(&url).await.unwrap().text().await.unwrap().parse().unwrap();
        if by_drop {
            drop(emulator);
        } else {
            emulator.shutdown().await;
            assert!(TcpStream::connect(url.replace("http://", "")).await.is_err());
        }
        eventually("no member of the group is left", || async { !is_alive(group) }).await;
    }
}

#[test]
fn the_end_of_the_runtime_ends_the_group() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (emulator, group) = runtime.block_on(async {
        let emulator = with(options(), vec![command(SERVER)]).await;
        let url = emulator.service_url().unwrap();
        let group: i32 = reqwest::get(&url).await.unwrap().text().await.unwrap().parse().unwrap();
        (emulator, group)
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(eventually("no member of the group is left", || async { !is_alive(group) }));
    drop(emulator);
}

#[tokio::test]
async fn what_never_listens_or_does_not_exist_fails_in_cloud_runs_words() {
    let deadline = Duration::from_millis(300);
    for text in ["sleep 600", "false", "/no/such/program --port $PORT"] {
        let quick = EmulatorOptions { startup_deadline: deadline, ..options() };
        let emulator = with(quick, vec![command(text)]).await;
        let ready = &get(&emulator, "services/demo/revisions/demo-a").await["conditions"][0];
        assert_eq!(ready["state"], "CONDITION_FAILED", "{text}");
        assert_eq!(ready["revisionReason"], "HEALTH_CHECK_CONTAINER_ERROR");
        let message = ready["message"].as_str().unwrap();
        assert!(message.starts_with("The user-provided container failed to start and listen on the port"));
        let service = call(&emulator, "GET", "services/demo", None).await.1;
        let said = service["terminalCondition"]["message"].as_str().unwrap();
        assert!(said.starts_with("Revision 'demo-a' is not ready and cannot serve traffic. "));
    }
}

#[tokio::test]
async fn an_open_quote_is_refused() {
    let emulator = with(options(), vec![]).await;
    let error = emulator.deploy(command("run 'x")).await.unwrap_err();
    assert!(error.help().contains("--exec"), "{error}");
    settled(&emulator).await;
}

/// Whether a process group has a member that is not a zombie.
fn is_alive(group: i32) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { return false };
        let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
        let fields: Vec<&str> = fields.split(' ').collect();
        fields[0] != "Z" && fields[2] == group.to_string()
    })
}
