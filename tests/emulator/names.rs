//! The names of run.app, on every port, and the certificate that goes with them.

use std::net::SocketAddr;

use revgate::emulator::{Deployment, Emulator, EmulatorOptions, SampleBackend, Tls, Workload};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::support::{call, named, options, tagged, with};

const CANDIDATE: &str = "candidate---demo-123456789012.us-central1.run.app";
const SERVICE: &str = "demo-123456789012.us-central1.run.app";

fn echoing(name: &str) -> Deployment {
    let backend = SampleBackend { echo_revision: true, ..SampleBackend::default() };
    named(name, Deployment::new(Workload::Sample(backend)))
}

async fn world(options: EmulatorOptions) -> Emulator {
    with(options, vec![echoing("demo-a"), tagged("candidate", echoing("demo-b"))]).await
}

/// Says these lines on a connection to a URL of the emulator; gives the whole answer.
async fn say(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(target: &str, host: &str) -> String {
    format!("GET {target} HTTP/1.1\nHost: {host}\nConnection: close\n\n")
}

#[tokio::test]
async fn a_host_name_decides_on_every_port() {
    let emulator = world(options()).await;
    let (api, service) = (emulator.api_endpoint(), emulator.service_url().unwrap());
    let tag = emulator.tag_url("candidate").unwrap();
    for url in [&api, &service, &tag] {
        let answer = say(url, &get("/health", CANDIDATE)).await;
        assert!(answer.contains("x-revision: demo-b"), "{url}: {answer}");
        let answer = say(url, &get("/health", &format!("{}:443", SERVICE.to_uppercase()))).await;
        assert!(answer.contains("x-revision: demo-a"), "{url}: {answer}");
        let unknown = say(url, &get("/health", &CANDIDATE.replace("candidate", "other"))).await;
        assert!(unknown.contains("<title>404 Page not found</title>"), "{url}: {unknown}");
        let foreign = say(url, &get("/health", "demo-1.us-central1.run.app")).await;
        assert!(foreign.contains("<title>404 Page not found</title>"), "{url}: {foreign}");
    }
    // As a proxy is asked.
    let proxied = say(&api, &get(&format!("http://{CANDIDATE}/health?a=b"), "elsewhere")).await;
    assert!(proxied.contains("x-revision: demo-b"), "{proxied}");
    let tunnel = format!("CONNECT {CANDIDATE}:80 HTTP/1.1\nHost: {CANDIDATE}:80\n\n");
    let mut stream = TcpStream::connect(api.trim_start_matches("http://")).await.unwrap();
    stream.write_all(tunnel.replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut established = [0; 39];
    stream.read_exact(&mut established).await.unwrap();
    stream.write_all(get("/health", CANDIDATE).replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut inside = String::new();
    stream.read_to_string(&mut inside).await.unwrap();
    assert!(established.starts_with(b"HTTP/1.1 200 ") && inside.contains("x-revision: demo-b"), "{inside}");
    // A page of another host could deploy otherwise.
    let page = get("/v2/projects/demo-project/locations/us-central1/services", "127.0.0.1")
        .replace("Connection", "Origin: https://example.com\nConnection");
    assert!(say(&api, &page).await.starts_with("HTTP/1.1 403"));
    // The API itself is as reachable as ever.
    let read = say(&api, &get("http://us-central1-run.googleapis.com/v2/projects/demo-project/locations/us-central1/services/demo", "x")).await;
    assert!(read.starts_with("HTTP/1.1 200"), "{read}");
}

#[tokio::test]
async fn services_say_real_names_where_that_is_asked_for() {
    let emulator = world(EmulatorOptions { real_names: true, ..options() }).await;
    let service = call(&emulator, "GET", "services/demo", None).await.1;
    let hashed = service["uri"].as_str().unwrap();
    assert!(hashed.starts_with("https://demo-") && hashed.ends_with("-uc.a.run.app"), "{hashed}");
    assert_eq!(service["urls"], serde_json::json!([format!("https://{SERVICE}"), hashed]));
    let tag = service["trafficStatuses"][1]["uri"].as_str().unwrap();
    assert_eq!(tag, hashed.replace("//demo", "//candidate---demo"));
    let host = tag.trim_start_matches("https://");
    assert!(say(&emulator.api_endpoint(), &get("/health", host)).await.contains("x-revision: demo-b"));
}

#[tokio::test]
async fn healthz_is_swallowed_and_nothing_else() {
    let emulator = world(options()).await;
    let url = emulator.service_url().unwrap();
    let swallowed = say(&url, &get("/healthz?x=1", "x")).await;
    assert!(swallowed.starts_with("HTTP/1.1 404") && !swallowed.contains("Google Frontend"), "{swallowed}");
    assert!(say(&url, &get("/health", "x")).await.starts_with("HTTP/1.1 200"));
    assert!(emulator.logs("demo-a").iter().all(|line| !line.contains("healthz")));
}

#[tokio::test]
async fn every_port_speaks_tls_too_where_there_is_a_certificate() {
    let tls = Tls::new("us-central1", "2026-11-23T20:28:12Z".parse().unwrap()).unwrap();
    let authority = reqwest::Certificate::from_pem(tls.authority().as_bytes()).unwrap();
    let emulator = world(EmulatorOptions { tls: Some(tls), ..options() }).await;
    let port = |url: &str| url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let service = port(&emulator.service_url().unwrap());
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve(CANDIDATE, SocketAddr::from(([127, 0, 0, 1], service)))
        .build()
        .unwrap();
    let response = client.get(format!("https://{CANDIDATE}:{service}/health")).send().await.unwrap();
    assert_eq!(response.headers()["x-revision"], "demo-b");
    let api = port(&emulator.api_endpoint());
    let path = super::support::path("services/demo");
    let read = client.get(format!("https://127.0.0.1:{api}{path}")).send().await.unwrap();
    assert_eq!((read.status().as_u16(), &read.headers()["server"]), (200, &"ESF".parse().unwrap()));
    assert_eq!(call(&emulator, "GET", "services/demo", None).await.0, 200, "plain as well");
}
