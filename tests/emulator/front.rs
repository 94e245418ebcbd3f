//! The front end's routing and the platform's own pages.

use std::{collections::HashMap, time::Duration};

use revgate::emulator::{Behaviour, Deployment, Emulator, Faults, Ingress, SampleBackend, Workload};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::support::{
    call, eventually, faults, frame, named, open, open_with, options, sample, settled, tagged, two, with,
};

fn echoing(name: &str) -> Deployment {
    let backend = SampleBackend { echo_revision: true, ..SampleBackend::default() };
    named(name, Deployment::new(Workload::Sample(backend)))
}

async fn revision_at(url: &str) -> String {
    let response = reqwest::get(format!("{url}/health")).await.unwrap();
    let revision = response.headers().get("x-revision");
    revision.map_or_else(|| response.status().to_string(), |name| name.to_str().unwrap().to_owned())
}

async fn page(emulator: &Emulator, token: Option<&str>) -> (u16, String) {
    let url = format!("{}/ws", emulator.service_url().unwrap());
    let mut request = reqwest::Client::new().get(url);
    if let Some(token) = token {
        request = request.header("X-Serverless-Authorization", format!("Bearer {token}"));
    }
    let response = request.send().await.unwrap();
    if response.status() != 200 && response.status() != 404 {
        assert_eq!(response.headers()["server"], "Google Frontend");
        assert_eq!(response.headers()["x-cloud-trace-context"].len(), 32);
    }
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn each_url_reaches_its_revision() {
    let emulator = with(options(), vec![echoing("demo-a"), tagged("candidate", echoing("demo-b"))]).await;
    assert_eq!(revision_at(&emulator.service_url().unwrap()).await, "demo-a");
    let candidate = emulator.tag_url("candidate").unwrap();
    assert_eq!(revision_at(&candidate).await, "demo-b");
    let (mut socket, response) = open_with(&candidate, "/ws", &[]).await.unwrap();
    assert_eq!(response.headers()["x-revision"], "demo-b");
    assert!(response.headers().get("server").is_none(), "the application's bytes are left as they are");
    frame(&mut socket).await;
    frame(&mut socket).await;
    assert_eq!(frame(&mut socket).await["revision"], "demo-b");
}

#[tokio::test]
async fn the_split_is_by_percent() {
    let half = Deployment { traffic_percent: 50, ..echoing("demo-b") };
    let emulator = with(options(), vec![echoing("demo-a"), half]).await;
    let url = emulator.service_url().unwrap();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for _ in 0..60 {
        *seen.entry(revision_at(&url).await).or_default() += 1;
    }
    assert_eq!(seen.values().sum::<u32>(), 60);
    assert!(seen["demo-a"] > 10 && seen["demo-b"] > 10, "{seen:?}");
}

#[tokio::test]
async fn a_last_byte_held_back_holds_back_many_requests_and_no_other() {
    let emulator = two().await;
    let url = emulator.service_url().unwrap();
    let authority = url.replace("http://", "");
    let head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (early, last) = head.as_bytes().split_at(head.len() - 1);
    let mut armed = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&authority).await.unwrap();
        stream.write_all(early).await.unwrap();
        armed.push(stream);
    }
    let mut other = open(&url).await;
    frame(&mut other).await;
    for stream in &mut armed {
        stream.write_all(last).await.unwrap();
    }
    for stream in &mut armed {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101");
    }
}

#[tokio::test]
async fn pages_of_a_private_service() {
    let emulator = two().await;
    emulator.set_faults(Faults { private: true, id_token: Some("good".into()), ..Faults::default() });
    let (status, body) = page(&emulator, None).await;
    assert_eq!(status, 403);
    assert!(body.contains("Your client does not have permission to get URL <code>/ws</code>"), "{body}");
    assert_eq!(page(&emulator, Some("bad")).await.0, 401);
    assert_eq!(page(&emulator, Some("good")).await.0, 404, "the application's own: no upgrade at /ws");
    let url = emulator.service_url().unwrap();
    let fields = [("X-Serverless-Authorization", "Bearer good"), ("Authorization", "Bearer application")];
    assert!(open_with(&url, "/ws", &fields).await.is_ok());
}

#[tokio::test]
async fn pages_of_the_platform() {
    let emulator = two().await;
    let with_fault = |fault: Faults| {
        emulator.set_faults(fault);
        page(&emulator, None)
    };
    let (status, body) = with_fault(Faults { ingress: Ingress::Internal, ..Faults::default() }).await;
    assert!(status == 404 && body.contains("404 Not Found"), "{body}");
    let (status, _) = with_fault(Faults { default_uri_disabled: true, ..Faults::default() }).await;
    assert_eq!(status, 404);
    let (status, body) = with_fault(Faults { iap: true, ..Faults::default() }).await;
    assert!(status == 401 && body.contains("IAP"), "{body}");
    let (status, body) = with_fault(Faults { front_status: Some(429), ..Faults::default() }).await;
    assert_eq!((status, body.as_str()), (429, "Rate exceeded."));
    let (status, body) = with_fault(Faults { front_status: Some(503), ..Faults::default() }).await;
    assert!(status == 503 && body.contains("The service you requested is not available yet."), "{body}");
    let service = call(&emulator, "GET", "services/demo", None).await.1;
    assert_eq!(service["ingress"], "INGRESS_TRAFFIC_ALL");
    emulator.set_faults(Faults { iap: true, default_uri_disabled: true, ..Faults::default() });
    let service = call(&emulator, "GET", "services/demo", None).await.1;
    assert_eq!(service["iapEnabled"], true);
    assert_eq!(service["defaultUriDisabled"], true);
    assert!(service.get("uri").is_none());
}

#[tokio::test]
async fn a_new_tag_is_unknown_for_a_while() {
    let emulator = with(options(), vec![echoing("demo-a")]).await;
    faults(&emulator, |faults| faults.new_tag_404_for = Duration::MAX);
    emulator.deploy(tagged("fresh", echoing("demo-b"))).await.unwrap();
    settled(&emulator).await;
    let url = emulator.tag_url("fresh").unwrap();
    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["server"], "Google Frontend");
    assert!(response.text().await.unwrap().contains("<title>404 Page not found</title>"));
    emulator.set_faults(Faults::default());
    assert_eq!(revision_at(&url).await, "demo-b");
}

#[tokio::test]
async fn the_old_revision_stays_behind_a_moved_tag() {
    let emulator = with(options(), vec![tagged("candidate", echoing("demo-a"))]).await;
    faults(&emulator, |faults| faults.old_revision_behind_tag_for = Duration::MAX);
    emulator.deploy(tagged("candidate", echoing("demo-b"))).await.unwrap();
    settled(&emulator).await;
    let service = call(&emulator, "GET", "services/demo", None).await.1;
    let status = service["trafficStatuses"].as_array().unwrap().last().unwrap();
    assert_eq!(status["revision"], "demo-b", "the status names the new one already");
    let url = emulator.tag_url("candidate").unwrap();
    assert_eq!(revision_at(&url).await, "demo-a");
    emulator.set_faults(Faults::default());
    assert_eq!(revision_at(&url).await, "demo-b");
}

#[tokio::test]
async fn nothing_ready_is_the_platforms_503() {
    let never = Deployment { pending_for: Duration::MAX, ..sample(Behaviour::Fixed) };
    let emulator = Emulator::start(options()).await.unwrap();
    emulator.deploy(never).await.unwrap();
    eventually("a 503 page", || async { page(&emulator, None).await.0 == 503 }).await;
    emulator.shutdown().await;
}
