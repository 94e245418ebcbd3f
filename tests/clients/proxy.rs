//! Between a check and the emulator: breaks one behaviour of the API on the wire.
//!
//! Takes a mutant, which changes requests on their way in, answers on their way out, or both, and gives an address to
//! call instead of the emulator's. Nothing of the product is broken for it: what a client sees is all that counts.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, Response, Uri, header},
};
use revgate::emulator::Emulator;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

/// A request on its way in.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The HTTP method.
    pub(crate) method: String,
    /// The path alone.
    pub(crate) path: String,
    /// The parameters.
    pub(crate) query: Vec<(String, String)>,
    /// The JSON body; null without one.
    pub(crate) body: Value,
}

/// An answer on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The JSON body.
    pub(crate) body: Value,
}

/// One broken behaviour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Break {
    /// Of what comes in.
    Request(fn(&mut Sent)),
    /// Of what goes out.
    Answer(fn(&Sent, &mut Answer)),
}

/// The API, through the proxy or straight.
pub(crate) struct Api {
    pub(crate) emulator: Emulator,
    address: String,
    proxy: Option<JoinHandle<()>>,
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.abort();
        }
    }
}

/// What the proxy knows.
struct Middle {
    emulator: String,
    broken: Option<Break>,
    client: reqwest::Client,
}

impl Api {
    /// The emulator as it is.
    pub(crate) fn plain(emulator: Emulator) -> Self {
        Self { address: emulator.api_endpoint(), emulator, proxy: None }
    }

    /// The emulator with one behaviour broken, or with none but through the proxy all the same.
    pub(crate) async fn through(emulator: Emulator, broken: Option<Break>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let middle = Middle { emulator: emulator.api_endpoint(), broken, client: reqwest::Client::new() };
        let application = Router::new().fallback(pass).with_state(Arc::new(middle));
        let proxy = tokio::spawn(async move { axum::serve(listener, application).await.unwrap() });
        Self { emulator, address, proxy: Some(proxy) }
    }

    /// Calls any path; gives status and body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = send(&reqwest::Client::new(), method, &format!("{}{path}", self.address), body).await;
        (answer.status, answer.body)
    }

    /// Calls a path below the location of v2.
    pub(crate) async fn v2(&self, method: &str, tail: &str, body: Option<&Value>) -> (u16, Value) {
        self.call(method, &format!("/v2/projects/demo-project/locations/us-central1/{tail}"), body).await
    }

    /// Calls a path below the namespace of v1.
    pub(crate) async fn v1(&self, method: &str, tail: &str, body: Option<&Value>) -> (u16, Value) {
        self.call(method, &format!("/apis/serving.knative.dev/v1/namespaces/demo-project/{tail}"), body).await
    }

    /// A call of v2 that must succeed.
    pub(crate) async fn good(&self, method: &str, tail: &str, body: Option<&Value>) -> Value {
        let (status, body) = self.v2(method, tail, body).await;
        assert_eq!(status, 200, "{method} {tail}: {body}");
        body
    }

    /// A call of v1 that must succeed.
    pub(crate) async fn good_v1(&self, method: &str, tail: &str, body: Option<&Value>) -> Value {
        let (status, body) = self.v1(method, tail, body).await;
        assert_eq!(status, 200, "{method} {tail}: {body}");
        body
    }
}

async fn send(client: &reqwest::Client, method: &str, url: &str, body: Option<&Value>) -> Answer {
    let mut request = client.request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    Answer { status: response.status().as_u16(), body: response.json().await.unwrap() }
}

async fn pass(State(middle): State<Arc<Middle>>, method: Method, uri: Uri, body: Bytes) -> Response<Body> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let mut sent = Sent {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    if let Some(Break::Request(change)) = middle.broken {
        change(&mut sent);
    }
    let url = format!("{}{}?{}", middle.emulator, sent.path, encoded(&sent.query));
    let body = (!sent.body.is_null()).then_some(&sent.body);
    let mut answer = send(&middle.client, &sent.method, &url, body).await;
    if let Some(Break::Answer(change)) = middle.broken {
        change(&sent, &mut answer);
    }
    Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, "application/json; charset=UTF-8")
        .body(Body::from(answer.body.to_string()))
        .unwrap()
}

fn encoded(query: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
}
