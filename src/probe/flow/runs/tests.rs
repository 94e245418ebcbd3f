use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::super::seen::{Ending, FlowRun, IsolationSeen};
use super::*;
use crate::config::{FileConfig, Lookup, Merged, Purpose, Typed, merge};
use crate::probe::Address;
use crate::trust::Redactor;

/// What a server has been told, in its order.
type Told = Arc<Mutex<Vec<String>>>;

/// A server on loopback that answers "start USER" with "done": "slow" a second later, "stuck" never, "list" behind a list.
async fn server() -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let told = Told::default();
    let hears = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hears = Arc::clone(&hears);
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(Message::Text(text))) = socket.next().await {
                    hears.lock().unwrap().push(text.to_string());
                    let pause = Duration::from_millis(if text.contains("slow") { 1000 } else { 0 });
                    if text.starts_with("start") && !text.contains("stuck") {
                        sleep(pause).await;
                        if text.contains("list") {
                            let _ = socket.send(Message::text(r#"[{"type":"x"},{"type":"y"}]"#)).await;
                        }
                        let _ = socket.send(Message::text("done")).await;
                    }
                }
            });
        }
    });
    (url, told)
}

const FLOW: &str = "flows:\n  f:\n    steps: [ { send: 'start {{user}}' }, { expect: { regex: done, within: 60s } } ]\n    \
                    cleanup: [ { send: 'stop {{user}}' } ]\n";

/// The settings of a run at this address, of these users.
fn settings(url: &str, users: &str, limits: &str) -> Merged {
    with_flow(url, users, limits, FLOW)
}

fn with_flow(url: &str, users: &str, limits: &str, flow: &str) -> Merged {
    let text = format!(
        "url: {url}\nusers: [{users}]\n{limits}isolation: {{ flow: f, at-once: 2 }}\ntimeouts: {{ hold: 50ms }}\n{flow}"
    );
    let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
    merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate).unwrap()
}

/// Two runs at once, until `cut`.
async fn runs(
    url: &str,
    merged: &Merged,
    request_timeout: Option<Duration>,
    cut: &CancellationToken,
) -> Vec<FlowRun> {
    let address = Address::new(&url::Url::parse(url).unwrap()).unwrap();
    let prober = Prober::new(address, &merged.settings, None, Redactor::default(), Instant::now(), 0);
    let isolation = merged.settings.configured.isolation.as_ref();
    let asked = FlowsAsked { agent: None, agent_counts: false, isolation, request_timeout };
    run_flows(&prober, asked, &mut Series::after("run".to_owned(), 0), cut).await.runs
}

#[tokio::test]
async fn what_a_halt_cuts_is_cleaned_up_and_within_the_limit_of_messages() {
    for (limits, cleanup) in
        [("", None), ("limits: { messages-per-minute: 1 }\n", Some("its next message had no turn"))]
    {
        let (url, told) = server().await;
        let merged = settings(&url, "stuck-1, stuck-2", limits);
        let cut = CancellationToken::new();
        let halt = async {
            while told.lock().unwrap().len() < 2 {
                sleep(Duration::from_millis(10)).await;
            }
            cut.cancel();
        };
        let (seen, ()) = tokio::join!(runs(&url, &merged, None, &cut), halt);
        for run in &seen {
            assert_eq!((&run.ending, run.cleanup.as_deref()), (&Ending::Cut, cleanup), "{run:?}");
            assert!(run.observation.timeline.cut.is_some(), "{run:?}");
        }
        let mut told = told.lock().unwrap().clone();
        told.sort();
        let due: &[&str] = if cleanup.is_none() {
            &["start stuck-1", "start stuck-2", "stop stuck-1", "stop stuck-2"]
        } else {
            &["start stuck-1", "start stuck-2"]
        };
        assert_eq!(told, due);
    }
}

#[tokio::test]
async fn a_run_that_is_over_waits_for_the_others_of_its_round_as_long_as_its_socket_may_live() {
    for (request_timeout, waits) in [(None, true), (Some(MARGIN), false)] {
        let (url, told) = server().await;
        let merged = settings(&url, "quick-1, slow-1", "");
        let seen = runs(&url, &merged, request_timeout, &CancellationToken::new()).await;
        let [quick, slow] = seen.as_slice() else { panic!("{seen:?}") };
        assert!(quick.is_whole() && slow.is_whole(), "{seen:?}");
        let closed = quick.observation.timeline.closing.unwrap();
        assert_eq!(closed > slow.completed.unwrap(), waits, "{seen:?}");
        let told = told.lock().unwrap().clone();
        assert_eq!(told.iter().filter(|text| text.starts_with("stop")).count(), 2, "{told:?}");
    }
}

#[tokio::test]
async fn a_strict_flow_passes_over_a_list_as_a_whole_or_each_of_its_events() {
    for (ignored, passes) in [
        ("{ regex: '^.\\{' }", true),
        ("{ type: [x, y] }", true),
        ("{ type: x }", false),
        ("{ type: z }", false),
    ] {
        let (url, _) = server().await;
        let steps = format!("strict: true\n    ignore: {ignored}\n    steps:");
        let merged = with_flow(&url, "list-1, list-2", "", &FLOW.replace("steps:", &steps));
        for run in runs(&url, &merged, None, &CancellationToken::new()).await {
            assert_eq!(run.is_whole(), passes, "{ignored}: {run:?}");
            assert_eq!(matches!(run.ending, Ending::Unexpected { .. }), !passes, "{ignored}: {run:?}");
        }
    }
}

/// A server on loopback that answers whatever it is told with the frames of this user.
async fn numbering(frames: fn(&str) -> Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(Message::Text(user))) = socket.next().await {
                    for frame in frames(&user) {
                        let _ = socket.send(Message::text(frame)).await;
                    }
                }
            });
        }
    });
    url
}

/// What two conversations at once show of each other; each sends its user, and captures the number of its run.
async fn shown(frames: fn(&str) -> Vec<String>) -> IsolationSeen {
    let flow = "flows: { f: { steps: [ { send: '{{user}}' }, { expect: { type: done, capture: { run: /run_id } } } ] } }\n";
    let url = numbering(frames).await;
    let merged = with_flow(&url, "anna, bert", "", flow);
    let address = Address::new(&url::Url::parse(&url).unwrap()).unwrap();
    let prober = Prober::new(address, &merged.settings, None, Redactor::default(), Instant::now(), 0);
    let isolation = merged.settings.configured.isolation.as_ref();
    let asked = FlowsAsked { agent: None, agent_counts: false, isolation, request_timeout: None };
    let mut series = Series::after("run".to_owned(), 0);
    let seen = run_flows(&prober, asked, &mut series, &CancellationToken::new()).await;
    assert!(seen.runs.iter().all(FlowRun::is_whole), "{seen:?}");
    seen.isolation.unwrap()
}

fn run_of(user: &str) -> u32 {
    if user == "anna" { 4711 } else { 4712 }
}

fn done(user: &str, before: &str) -> Vec<String> {
    vec![before.to_owned(), format!(r#"{{"type":"done","run_id":{}}}"#, run_of(user))]
}

#[tokio::test]
async fn a_captured_number_is_looked_for_where_such_numbers_stand() {
    let clean = shown(|user| done(user, r#"{"seq":4711,"left":[4712]}"#)).await;
    assert_eq!((clean.leaks_total, clean.captures, clean.passed_over), (0, 2, 0), "{clean:?}");
    let leaking = shown(|user| done(user, r#"{"data":{"run_id":"4711"}}"#)).await;
    let [leak] = leaking.leaks.as_slice() else { panic!("{leaking:?}") };
    assert_eq!((&*leak.user, &*leak.of_user, &*leak.mark), ("bert", "anna", "run"));
    assert!(leak.text.as_str().contains("4711") && leaking.captures == 2, "{leaking:?}");
}

#[tokio::test]
async fn numbers_that_count_and_short_ones_are_passed_over() {
    let counts = |user: &str| {
        let before = (4700..run_of(user)).map(|number| format!(r#"{{"type":"x","run_id":{number}}}"#));
        before.chain(done(user, "{}")).collect()
    };
    let short = |user: &str| vec![format!(r#"{{"type":"done","run_id":{}}}"#, run_of(user) % 100)];
    for frames in [counts as fn(&str) -> Vec<String>, short] {
        let seen = shown(frames).await;
        assert_eq!((seen.leaks_total, seen.captures, seen.passed_over), (0, 0, 2), "{seen:?}");
    }
}
