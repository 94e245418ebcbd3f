//! What runs in the place of an image, and how its start is seen.

use revgate::emulator::{Deployment, Emulator, EmulatorOptions, Images, Workload};
use serde_json::{Value, json};

use crate::support::{call, get, named, options, sample, settled, with};

/// Says its variables, and whether it is well: `/ready` is, from the third time on.
const SERVER: &str = r#"python3 -u -c '
import http.server, json, os
asked = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += self.path == "/ready"
        self.send_response(503 if self.path == "/never" or self.path == "/ready" and asked < 3 else 200)
        self.end_headers()
        self.wfile.write(json.dumps({**os.environ, **self.headers}).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'"#;

async fn world(images: &Value) -> Emulator {
    let images = Images::parse(&images.to_string()).unwrap();
    let good = named("demo-a", sample(revgate::emulator::Behaviour::Fixed));
    with(EmulatorOptions { images, ..options() }, vec![good]).await
}

/// Deploys over the API with all traffic; gives the status and the answer.
async fn deploy(emulator: &Emulator, name: &str, container: Value) -> (u16, Value) {
    let body = json!({
        "template": {"revision": name, "containers": [container]},
        "traffic": [{"type": 2, "revision": name, "percent": 100}],
    });
    let answer = call(emulator, "PATCH", "services/demo", Some(body)).await;
    settled(emulator).await;
    answer
}

#[tokio::test]
async fn the_map_names_the_command_and_the_template_its_variables() {
    let emulator = world(&json!({"r/p/web": SERVER})).await;
    let env = json!([{"name": "GREETING", "value": "good day"},
        {"name": "KEY", "valueSource": {"secretKeyRef": {"secret": "key"}}}]);
    assert_eq!(deploy(&emulator, "demo-b", json!({"image": "r/p/web:v1", "env": env})).await.0, 200);
    let url = emulator.service_url().unwrap();
    let seen: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(seen["GREETING"], "good day");
    assert_eq!((&seen["K_SERVICE"], &seen["K_REVISION"]), (&json!("demo"), &json!("demo-b")));
    assert_eq!(seen["K_CONFIGURATION"], "demo");
    assert!(seen.get("KEY").is_none());
    let trace = seen["x-cloud-trace-context"].as_str().unwrap();
    assert!(seen["traceparent"].as_str().unwrap().contains(trace.split('/').next().unwrap()), "{seen}");
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert!(emulator.logs("demo-b")[0].contains("KEY is not set"), "{:?}", emulator.logs("demo-b"));
}

#[tokio::test]
async fn an_image_that_nothing_names_is_the_sample_and_says_so() {
    let emulator = world(&json!({})).await;
    assert_eq!(deploy(&emulator, "demo-b", json!({"image": "us-docker.pkg.dev/p/r/web:v1"})).await.0, 200);
    let said = emulator.logs("demo-b");
    assert!(said[0].contains("in the place of us-docker.pkg.dev/p/r/web:v1"), "{said:?}");
    let health = format!("{}/health", emulator.service_url().unwrap());
    assert_eq!(reqwest::get(health).await.unwrap().status(), 200);
    let (status, refused) = deploy(&emulator, "demo-c", json!({"image": "exec:touch /tmp/never"})).await;
    assert_eq!(status, 400);
    assert!(refused["error"]["message"].as_str().unwrap().contains("--allow-commands"), "{refused}");
}

#[tokio::test]
async fn an_http_probe_decides_when_a_revision_is_ready() {
    let emulator = world(&json!({"r/p/web": SERVER})).await;
    let probe = json!({"httpGet": {"path": "/ready"}, "periodSeconds": 1, "failureThreshold": 60});
    deploy(&emulator, "demo-b", json!({"image": "r/p/web", "startupProbe": probe})).await;
    let revision = get(&emulator, "services/demo/revisions/demo-b").await;
    assert_eq!(revision["conditions"][0]["state"], "CONDITION_SUCCEEDED", "{revision}");
    // More than three where the server itself was slow to start.
    let filter = r#"textPayload=~"STARTUP HTTP probe succeeded after ([3-9]|[1-5][0-9]) attempts""#;
    let body = json!({"resourceNames": ["projects/demo-project"], "filter": filter});
    let url = format!("{}/v2/entries:list", emulator.api_endpoint());
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let entries: Value = answer.json().await.unwrap();
    assert_eq!(entries["entries"].as_array().map(Vec::len), Some(1), "{entries}");
}

#[tokio::test]
async fn a_probe_that_fails_fails_the_revision_and_the_old_one_stays() {
    let emulator = world(&json!({"r/p/web": SERVER})).await;
    let probe = json!({"httpGet": {"path": "/never"}, "periodSeconds": 1, "failureThreshold": 2});
    deploy(&emulator, "demo-b", json!({"image": "r/p/web", "startupProbe": probe})).await;
    let ready = get(&emulator, "services/demo/revisions/demo-b").await["conditions"][0].clone();
    assert_eq!(ready["revisionReason"], "HEALTH_CHECK_CONTAINER_ERROR");
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("failed the configured startup probe checks."), "{message}");
    let service = get(&emulator, "services/demo").await;
    assert!(service["latestReadyRevision"].as_str().unwrap().ends_with("/demo-a"), "{service}");
    let said = emulator.logs("demo-b");
    let failed = "STARTUP HTTP probe failed 2 times consecutively for container \"app-1\" on port 8080 path \"/never\".";
    assert!(said.iter().any(|line| line.starts_with(failed)), "{said:?}");
}

#[tokio::test]
async fn a_revision_of_the_own_deployment_has_variables_and_a_probe_too() {
    let own = Deployment {
        env: [("GREETING".to_owned(), "hi".to_owned())].into(),
        startup_probe: Some(json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 20})),
        ..Deployment::new(Workload::Command(SERVER.to_owned()))
    };
    let emulator = with(options(), vec![named("demo-a", own)]).await;
    let seen: Value = reqwest::get(emulator.service_url().unwrap()).await.unwrap().json().await.unwrap();
    assert_eq!(seen["GREETING"], "hi");
    let revision = get(&emulator, "services/demo/revisions/demo-a").await;
    assert_eq!(revision["containers"][0]["env"][0]["value"], "hi", "{revision}");
}
