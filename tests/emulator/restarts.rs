//! `revgate emulator --state`, ended by a signal or killed, and started again.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt as _, path::Path, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

use super::support::{DEADLINE, eventually, path};

/// Where v1 has its services and revisions.
const KNATIVE: &str = "/apis/serving.knative.dev/v1/namespaces/demo-project";

/// A running `revgate emulator`, which is killed with the test.
struct Cloud {
    child: Child,
    api: String,
}

impl Cloud {
    /// Starts it on a state file, once the ports of before are free: another test may have one of them for a while.
    async fn start(folder: &Path) -> Self {
        let trying = async {
            loop {
                match Self::once(folder).await {
                    Ok(cloud) => return cloud,
                    Err(said) => assert!(said.contains("cannot be opened"), "{said}"),
                }
            }
        };
        tokio::time::timeout(DEADLINE, trying).await.expect("a start")
    }

    async fn once(folder: &Path) -> Result<Self, String> {
        let mut child = launched(folder, &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut api = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(found) = line.strip_prefix("Admin API  ") {
                found.clone_into(&mut api);
            }
            if line == "until Ctrl-C" {
                return Ok(Self { child, api });
            }
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        Err(said)
    }

    fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        asked(&reqwest::Client::new(), (method, &format!("{}{path}", self.api)), body).await.unwrap()
    }

    async fn json(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, text) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A write of v2, waited for; gives how its operation ended.
    async fn done(&self, method: &str, tail: &str, body: Option<Value>) -> Value {
        let begun = self.json(method, &path(tail), body).await;
        let name = begun["name"].as_str().unwrap();
        let ended = self.json("POST", &format!("/v2/{name}:wait"), Some(json!({}))).await;
        assert_eq!(ended["done"], true, "{ended}");
        ended
    }

    /// Every answer that there is to a question which changes nothing, as text.
    async fn everything(&self) -> BTreeMap<String, String> {
        let mut paths = vec![path("services"), path("operations"), path("services/-/revisions")];
        paths.extend(["services", "revisions"].map(|kind| format!("{KNATIVE}/{kind}")));
        let services = self.json("GET", &path("services"), None).await;
        let operations = self.json("GET", &path("operations"), None).await;
        let revisions = self.json("GET", &path("services/-/revisions"), None).await;
        let lists = [&services["services"], &operations["operations"], &revisions["revisions"]];
        for name in lists.into_iter().flat_map(|list| list.as_array().unwrap()) {
            let name = name["name"].as_str().unwrap();
            let short = name.rsplit('/').next().unwrap();
            paths.push(format!("/v2/{name}"));
            if name.contains("/revisions/") {
                paths.push(format!("{KNATIVE}/revisions/{short}"));
            } else if name.contains("/services/") {
                paths.push(format!("{KNATIVE}/services/{short}"));
                paths.push(format!("/v2/{name}:getIamPolicy"));
            } else {
                paths.push(format!("/v1/{name}"));
            }
        }
        let mut answers = BTreeMap::new();
        for path in paths {
            let (status, text) = self.ask("GET", &path, None).await;
            assert_eq!(status, 200, "{path}: {text}");
            answers.insert(path, text);
        }
        answers
    }
}

fn launched(folder: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revgate"));
    command.args(["emulator", "--port", "0", "--state", "cloud.json"]).args(more).current_dir(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env_clear().env("PATH", "/usr/bin:/bin").spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

async fn asked(
    client: &reqwest::Client,
    (method, url): (&str, &str),
    body: Option<Value>,
) -> reqwest::Result<(u16, String)> {
    let mut request = client.request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// A template with a variable, which may be a secret.
fn template(revision: &str, image: &str) -> Value {
    let env = json!([{"name": "KEY", "value": "s3cret"}]);
    json!({"revision": revision, "containers": [{"image": image, "env": env}], "labels": {"team": "shop"}})
}

/// A service with everything that there is to be kept.
async fn fill(cloud: &Cloud) {
    let body =
        json!({"template": template("shop-a", "shop:1"), "labels": {"a": "b"}, "description": "A shop."});
    cloud.done("POST", "services?serviceId=shop", Some(body)).await;
    let target = |revision: &str, percent: u32, tag: &str| json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": percent, "tag": tag});
    for (revision, image) in [("shop-b", "shop:2"), ("shop-c", "shop:3")] {
        let traffic = json!([target("shop-a", 90, "old"), target(revision, 10, "gate")]);
        let body = json!({"template": template(revision, image), "traffic": traffic});
        cloud.done("PATCH", "services/shop?updateMask=template,traffic", Some(body)).await;
    }
    let faults = |faults: Value| cloud.json("POST", "/__emulator/faults", Some(faults));
    faults(json!({"fail_revision": "It has no heart."})).await;
    let body = json!({"template": template("shop-d", "shop:4")});
    let failed = cloud.done("PATCH", "services/shop?updateMask=template", Some(body)).await;
    assert_eq!(failed["error"]["code"], 9, "{failed}");
    faults(json!({})).await;
    cloud.done("DELETE", "services/shop/revisions/shop-b", None).await;
    let binding = json!({"role": "roles/run.invoker", "members": ["user:a@example.com"]});
    let policy = json!({"policy": {"bindings": [binding]}});
    cloud.json("POST", &path("services/shop:setIamPolicy"), Some(policy)).await;
    let body = json!({"template": template("short-a", "shop:1")});
    cloud.done("POST", "services?serviceId=short", Some(body)).await;
    cloud.done("DELETE", "services/short", None).await;
}

#[tokio::test]
async fn every_answer_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut cloud = Cloud::start(folder.path()).await;
    fill(&cloud).await;
    let before = cloud.everything().await;
    assert!(before.len() > 25, "{:?}", before.keys());
    cloud.signal(Signal::TERM);
    assert_eq!(cloud.child.wait().await.unwrap().code(), Some(143));

    let mut cloud = Cloud::start(folder.path()).await;
    assert_eq!(cloud.everything().await, before, "after SIGTERM");
    let demo = cloud.json("GET", &path("services/demo"), None).await;
    let url = demo["uri"].as_str().unwrap();
    assert_eq!(asked(&reqwest::Client::new(), ("GET", &format!("{url}/health")), None).await.unwrap().0, 200);
    cloud.signal(Signal::KILL);
    assert_eq!(cloud.child.wait().await.unwrap().signal(), Some(9));

    let cloud = Cloud::start(folder.path()).await;
    assert_eq!(cloud.everything().await, before, "after kill -9");
}

/// Counts on from `last` in a label of a service of its own, write by write, until the emulator is killed; gives the last
/// number that was acknowledged, with the answer.
async fn count_on(api: String, service: String, mut last: u32) -> (u32, Option<Value>) {
    let client = reqwest::Client::new();
    let url = format!("{api}{}", path(&format!("services/{service}?updateMask=labels")));
    let mut answer = None;
    loop {
        let body = json!({"labels": {"n": (last + 1).to_string()}});
        let Ok((status, text)) = asked(&client, ("PATCH", &url), Some(body)).await else {
            return (last, answer);
        };
        assert_eq!(status, 200, "{text}");
        last += 1;
        answer = serde_json::from_str(&text).ok();
    }
}

/// The number in the label of a service.
async fn number(cloud: &Cloud, service: &str) -> u32 {
    let found = cloud.json("GET", &path(&format!("services/{service}")), None).await;
    found["labels"]["n"].as_str().map_or(0, |n| n.parse().unwrap())
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_in_the_midst_of_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut cloud = Cloud::start(folder.path()).await;
    let services: Vec<String> = (0..6).map(|n| format!("writer-{n}")).collect();
    for service in &services {
        let body = json!({"template": {"containers": [{"image": "r/p/a"}]}});
        cloud.done("POST", &format!("services?serviceId={service}"), Some(body)).await;
    }
    for _ in 0..3 {
        let mut writers = Vec::new();
        for service in &services {
            let last = number(&cloud, service).await;
            writers.push(tokio::spawn(count_on(cloud.api.clone(), service.clone(), last)));
        }
        let first = number(&cloud, &services[0]).await;
        eventually("some writes", || async { number(&cloud, &services[0]).await > first + 20 }).await;
        cloud.signal(Signal::KILL);
        assert_eq!(cloud.child.wait().await.unwrap().signal(), Some(9));
        cloud = Cloud::start(folder.path()).await;
        for (service, writer) in services.iter().zip(writers) {
            let (last, answer) = writer.await.unwrap();
            let found = number(&cloud, service).await;
            // The one that was not answered may be there.
            assert!(
                found == last || found == last + 1,
                "{service}: {last} was acknowledged, {found} is there"
            );
            let Some(answer) = answer else { continue };
            let name = answer["name"].as_str().unwrap();
            let ended = cloud.json("POST", &format!("/v2/{name}:wait"), Some(json!({}))).await;
            assert_eq!(ended["done"], true, "it is carried on: {ended}");
        }
    }
}

#[tokio::test]
async fn a_signal_ends_it_while_a_command_is_still_starting() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mut child = launched(folder.path(), &["--exec", "sh -c 'echo $$ > mark; exec sleep 600'"]);
    eventually("the command runs", || async { mark.metadata().is_ok_and(|mark| mark.len() > 1) }).await;
    send(&child, Signal::TERM);
    let ended = tokio::time::timeout(DEADLINE, child.wait()).await.expect("it does not wait for the command");
    assert_eq!(ended.unwrap().code(), Some(143));
    let process = std::fs::read_to_string(mark).unwrap();
    let process = Path::new("/proc").join(process.trim());
    eventually("nothing of it is left", || async { !process.exists() }).await;
    assert!(!folder.path().join("cloud.json").exists(), "no half of a scenario is kept");
}
