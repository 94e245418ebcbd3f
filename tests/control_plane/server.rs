//! A server that keeps one service and answers with JSON of the public API.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use revgate::cloudrun::Client;
use revgate::config::{ApiAccess, ServiceName};
use revgate::trust::{Redactor, Secret};
use serde_json::{Value, json};

pub(crate) const FULL: &str = "projects/demo-project/locations/us-central1/services/demo";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
pub(crate) const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// Status, headers and body of an answer.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, String);
/// Method, path with query, body, and what was in `Authorization`.
pub(crate) type Seen = (Method, String, Value, String);

/// What the server does with the next write.
pub(crate) enum Twist {
    /// Somebody else's write comes first.
    OtherFirst(fn(&mut Value)),
    /// The answer is lost after the write.
    DropReply,
    /// The operation fails after the write.
    FailOperation,
    /// The write is refused.
    Refuse(u16, Value),
}

/// A server that keeps one service.
pub(crate) struct Server {
    pub(crate) service: Mutex<Value>,
    /// Answers that come before all others.
    pub(crate) script: Mutex<VecDeque<Answer>>,
    pub(crate) twists: Mutex<VecDeque<Twist>>,
    pub(crate) honours_etag: bool,
    /// How long a write takes to arrive.
    pub(crate) delay: Duration,
    pub(crate) seen: Mutex<Vec<Seen>>,
}

impl Server {
    pub(crate) fn new(traffic: &Value) -> Self {
        let mut service = json!({
            "name": FULL, "uid": "u-1", "generation": "4", "observedGeneration": "4", "etag": "\"e4\"",
            "ingress": "INGRESS_TRAFFIC_ALL", "template": {"revision": "demo-00002-new"},
            "latestReadyRevision": format!("{FULL}/revisions/demo-00001-duz"), "traffic": traffic,
            "uri": "https://demo-abcdefghij-uc.a.run.app",
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"}});
        act_upon(&mut service);
        Self {
            service: Mutex::new(service),
            script: Mutex::default(),
            twists: Mutex::default(),
            honours_etag: true,
            delay: Duration::ZERO,
            seen: Mutex::default(),
        }
    }

    pub(crate) fn scripted(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let server = Self::new(&json!([]));
        let answers = answers.into_iter().map(|(status, body)| (status, vec![], body.to_string()));
        server.script.lock().unwrap().extend(answers);
        server
    }

    pub(crate) fn twisted(self, twist: Twist) -> Self {
        self.twists.lock().unwrap().push_back(twist);
        self
    }

    pub(crate) fn traffic(&self) -> Value {
        self.service.lock().unwrap()["traffic"].clone()
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        let traffic = self.traffic();
        let entries = traffic.as_array().unwrap().iter();
        entries.filter_map(|entry| entry["tag"].as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn writes(&self) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|(method, ..)| method == Method::PATCH)
            .map(|(_, _, body, _)| body.clone())
            .collect()
    }
}

/// What the platform does with the traffic that was asked for.
fn act_upon(service: &mut Value) {
    let mut statuses = service["traffic"].clone();
    for status in statuses.as_array_mut().unwrap() {
        if let Some(tag) = status["tag"].as_str() {
            status["uri"] = json!(format!("https://{tag}---demo-abcdefghij-uc.a.run.app"));
        }
    }
    service["trafficStatuses"] = statuses;
}

pub(crate) fn write(service: &mut Value, traffic: Value) {
    let generation: i64 = service["generation"].as_str().unwrap().parse().unwrap();
    let next = (generation + 1).to_string();
    service["etag"] = json!(format!("\"e{next}\""));
    service["generation"] = json!(next);
    service["observedGeneration"] = json!(next);
    service["traffic"] = traffic;
    act_upon(service);
}

fn respond(status: u16, body: &(impl ToString + ?Sized)) -> Response {
    let kind = "application/json; charset=UTF-8";
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    response.header("content-type", kind).body(Body::from(body.to_string())).unwrap()
}

pub(crate) fn error(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "status": status, "message": message}})
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let path = parts.uri.path_and_query().unwrap().to_string();
    server.seen.lock().unwrap().push((parts.method.clone(), path, body.clone(), token.unwrap_or_default()));
    if let Some((status, headers, body)) = server.script.lock().unwrap().pop_front() {
        let mut response = respond(status, &body);
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    if parts.method == Method::PATCH {
        tokio::time::sleep(server.delay).await;
        return patch(&server, &body);
    }
    respond(200, &*server.service.lock().unwrap())
}

fn patch(server: &Server, body: &Value) -> Response {
    let mut service = server.service.lock().unwrap();
    let twist = server.twists.lock().unwrap().pop_front();
    match &twist {
        Some(Twist::OtherFirst(change)) => {
            let mut traffic = service["traffic"].clone();
            change(&mut traffic);
            write(&mut service, traffic);
        }
        Some(Twist::Refuse(status, body)) => return respond(*status, body),
        _ => {}
    }
    if server.honours_etag && body["etag"] != service["etag"] {
        let message = "Conflict for resource 'demo': version '1' was specified but current version is '2'.";
        return respond(409, &error(409, "ABORTED", message));
    }
    let effect = service["trafficStatuses"].clone();
    write(&mut service, body["traffic"].clone());
    let name = "projects/demo-project/locations/us-central1/operations/o-1";
    match twist {
        Some(Twist::DropReply) => {
            let broken = futures_util::stream::iter([Err::<String, _>(std::io::Error::other("gone"))]);
            Response::new(Body::from_stream(broken))
        }
        Some(Twist::FailOperation) => {
            service["trafficStatuses"] = effect;
            let words = "Revision 'x' does not exist or is deleted.";
            respond(200, &json!({"name": name, "done": true, "error": {"code": 13, "message": words}}))
        }
        _ => respond(200, &json!({"name": name, "done": true, "response": service.clone()})),
    }
}

pub(crate) async fn start(server: Server) -> (Arc<Server>, Client) {
    let server = Arc::new(server);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().fallback(handle).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let token = Some(Secret::new("sesame-of-the-test"));
    let client = Client::new(&ApiAccess::Other { endpoint, token }, &Redactor::default()).unwrap();
    (server, client)
}

pub(crate) fn name() -> ServiceName {
    ServiceName { project: "demo-project".into(), region: "us-central1".into(), service: "demo".into() }
}

pub(crate) fn usual_traffic() -> Value {
    json!([
        {"type": LATEST, "percent": 90},
        {"type": REVISION, "revision": "demo-00001-duz", "percent": 10, "tag": "blue", "futureField": {"a": 1}},
        {"type": 2, "revision": "demo-00002-new", "tag": "candidate"}])
}
