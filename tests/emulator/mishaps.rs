//! What a front end does to requests: time-outs, affinity, and faults.

use std::time::Duration;

use revgate::emulator::{Behaviour, Cut, Deployment, Emulator, Faults, SampleBackend, Workload};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use super::support::{
    call, eventually, faults, frame, get, named, open, open_with, options, read_out, sample, settled, tagged,
    with,
};

fn echoing(name: &str) -> Deployment {
    let backend = SampleBackend { echo_revision: true, echo_instance: true, ..SampleBackend::default() };
    named(name, Deployment::new(Workload::Sample(backend)))
}

/// The request entries whose text holds these words.
async fn told(emulator: &Emulator, words: &str) -> Vec<Value> {
    let filter = format!("logName:requests AND textPayload:\"{words}\"");
    let body = json!({"resourceNames": ["projects/demo-project"], "filter": filter});
    let url = format!("{}/v2/entries:list", emulator.api_endpoint());
    let answer: Value =
        reqwest::Client::new().post(url).json(&body).send().await.unwrap().json().await.unwrap();
    answer["entries"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn what_lasts_too_long_is_cut_without_a_close_frame() {
    let short = Deployment { timeout: Duration::from_secs(1), ..named("demo-a", sample(Behaviour::Fixed)) };
    let emulator = with(options(), vec![short]).await;
    let url = emulator.service_url().unwrap();
    let mut socket = open(&url).await;
    let (types, close) = read_out(&mut socket).await;
    assert!(!types.is_empty() && close.is_none(), "{types:?} {close:?}");
    eventually("the entry", || async { told(&emulator, "maximum request timeout").await.len() == 1 }).await;
    let entry = told(&emulator, "maximum request timeout").await.remove(0);
    assert_eq!(entry["httpRequest"]["status"], 101);
    assert!(entry["httpRequest"]["responseSize"].as_str().unwrap().parse::<u64>().unwrap() > 100, "{entry}");
    faults(&emulator, |faults| faults.timeout_cut = Cut::Reset);
    let mut socket = open(&url).await;
    let ended = loop {
        match futures_util::StreamExt::next(&mut socket).await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    let Some(Err(tungstenite::Error::Io(error))) = ended else { panic!("no reset: {ended:?}") };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_the_platforms_504() {
    let silent = named("demo-a", sample(Behaviour::NeverAnswers));
    let emulator = with(options(), vec![Deployment { timeout: Duration::from_secs(1), ..silent }]).await;
    let refused = open_with(&emulator.service_url().unwrap(), "/ws", &[]).await;
    let Err(tungstenite::Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 504);
    assert_eq!(response.headers()["server"], "Google Frontend");
    assert_eq!(response.body().as_deref(), Some(&b"upstream request timeout"[..]));
    eventually("the entry", || async {
        let entries = told(&emulator, "maximum request timeout").await;
        entries
            .first()
            .is_some_and(|entry| entry["severity"] == "ERROR" && entry["httpRequest"]["status"] == 504)
    })
    .await;
}

#[tokio::test]
async fn a_cookie_leads_back_to_the_same_instance() {
    let sticky = |name| Deployment {
        session_affinity: true,
        concurrency: Some(12),
        traffic_percent: 50,
        ..echoing(name)
    };
    let emulator = with(options(), vec![sticky("demo-a"), sticky("demo-b")]).await;
    let url = emulator.service_url().unwrap();
    let (_first, response) = open_with(&url, "/ws", &[]).await.unwrap();
    let (instance, cookie) = (&response.headers()["x-instance"], &response.headers()["set-cookie"]);
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
    assert!(cookie.starts_with("GAESA="), "{cookie}");
    let mut held = Vec::new();
    for _ in 0..11 {
        let (again, response) = open_with(&url, "/ws", &[("cookie", cookie)]).await.unwrap();
        assert_eq!(&response.headers()["x-instance"], instance, "the split is overruled too");
        assert!(response.headers().get("set-cookie").is_none());
        held.push(again);
    }
    let (_last, elsewhere) = open_with(&url, "/ws", &[("cookie", cookie)]).await.unwrap();
    assert_ne!(&elsewhere.headers()["x-instance"], instance, "it is full: best effort");
}

#[tokio::test]
async fn requests_are_dropped_reset_held_up_and_misrouted() {
    let emulator = with(options(), vec![echoing("demo-a"), tagged("candidate", echoing("demo-b"))]).await;
    let url = emulator.tag_url("candidate").unwrap();
    emulator.set_faults(Faults { front_drop: 1.0, ..Faults::default() });
    let dropped = open_with(&url, "/ws", &[]).await.unwrap_err();
    assert!(!matches!(&dropped, tungstenite::Error::Http(_)), "{dropped:?}");
    emulator.set_faults(Faults { front_reset: 1.0, ..Faults::default() });
    let reset = open_with(&url, "/ws", &[]).await.unwrap_err();
    assert!(
        matches!(&reset, tungstenite::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset),
        "{reset:?}"
    );
    emulator.set_faults(Faults { front_delay: Duration::MAX, ..Faults::default() });
    let address = url.clone();
    let opened = tokio::spawn(async move { drop(open(&address).await) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!opened.is_finished());
    opened.abort();
    emulator.set_faults(Faults { wrong_revision: 1.0, ..Faults::default() });
    let (mut socket, response) = open_with(&url, "/ws", &[]).await.unwrap();
    assert_eq!(response.headers()["x-revision"], "demo-a");
    frame(&mut socket).await;
}

#[tokio::test]
async fn some_entries_are_never_seen() {
    let emulator = with(options(), vec![echoing("demo-a")]).await;
    let url = emulator.service_url().unwrap();
    faults(&emulator, |faults| faults.front_status = Some(503));
    for _ in 0..20 {
        reqwest::get(&url).await.unwrap();
    }
    let words = "could not start";
    eventually("all entries", || async { told(&emulator, words).await.len() == 20 }).await;
    faults(&emulator, |faults| faults.log_missing = 0.5);
    let some = told(&emulator, words).await;
    assert!((5..=15).contains(&some.len()), "{}", some.len());
    assert_eq!(told(&emulator, words).await, some, "the same ones");
    faults(&emulator, |faults| faults.log_missing = 1.0);
    assert!(told(&emulator, words).await.is_empty());
}

/// A token as Google's are, but for its signature.
fn token(audience: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = json!({"aud": audience, "exp": 4_000_000_000_u32});
    format!("{}.{}.x", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[tokio::test]
async fn who_may_call_a_service_is_what_its_policy_and_its_ingress_say() {
    let emulator = with(options(), vec![]).await;
    let body = json!({"template": {"containers": [{"image": "r/p/web"}]}, "customAudiences": ["mine"]});
    assert_eq!(call(&emulator, "POST", "services?serviceId=web", Some(body)).await.0, 200);
    settled(&emulator).await;
    let url = get(&emulator, "services/web").await["uri"].as_str().unwrap().to_owned();
    let health = async |token: Option<&str>| {
        let mut request = reqwest::Client::new().get(format!("{url}/health"));
        if let Some(token) = token {
            request = request.header("x-serverless-authorization", format!("Bearer {token}"));
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(health(None).await, 403, "nobody was let in");
    for (audience, due) in [(url.as_str(), 200), ("mine", 200), ("another's", 401)] {
        assert_eq!(health(Some(&token(audience))).await, due, "{audience}");
    }
    eventually("the entries", || async { told(&emulator, "was not authenticated").await.len() == 1 }).await;
    let entry = told(&emulator, "was not authenticated").await.remove(0);
    assert_eq!((&entry["severity"], &entry["httpRequest"]["status"]), (&json!("WARNING"), &json!(403)));
    let policy = json!({"policy": {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}});
    assert_eq!(call(&emulator, "POST", "services/web:setIamPolicy", Some(policy)).await.0, 200);
    assert_eq!(health(None).await, 200);
    let internal = json!({"ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY"});
    let closed = call(&emulator, "PATCH", "services/web?updateMask=ingress", Some(internal)).await;
    assert_eq!(closed.0, 200, "{}", closed.1);
    settled(&emulator).await;
    assert_eq!(health(None).await, 404);
}

#[tokio::test]
async fn a_revision_fails_after_it_was_ready_and_another_writer_deploys_a_newer_one() {
    let emulator = with(options(), vec![echoing("demo-a")]).await;
    faults(&emulator, |faults| faults.ready_then_failed_after = Duration::from_millis(300));
    emulator.deploy(tagged("candidate", echoing("demo-b"))).await.unwrap();
    settled(&emulator).await;
    let ready = async || get(&emulator, "services/demo/revisions/demo-b").await["conditions"][0].clone();
    let url = emulator.tag_url("candidate").unwrap();
    eventually("it has failed", || async { ready().await["state"] == "CONDITION_FAILED" }).await;
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 503);
    let service = get(&emulator, "services/demo").await;
    assert!(service["latestReadyRevision"].as_str().unwrap().ends_with("/demo-a"), "{service}");
    emulator.set_faults(Faults { newer_revision_after: Duration::from_millis(100), ..Faults::default() });
    emulator.deploy(echoing("demo-c")).await.unwrap();
    let latest = async || get(&emulator, "services/demo").await;
    eventually("a newer one", || async {
        let service = latest().await;
        !service["latestCreatedRevision"].as_str().unwrap().ends_with("/demo-c")
            && service["latestReadyRevision"] == service["latestCreatedRevision"]
    })
    .await;
    assert_eq!(latest().await["lastModifier"], "someone-else@example.com");
    assert!(emulator.faults().newer_revision_after.is_zero(), "once");
}
