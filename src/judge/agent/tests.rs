use super::*;
use crate::config::Latency;
use crate::probe::{AgentAsked, Came, End, EndKind, Observation, Opening, Phase, PlatformPage, Timeline};
use crate::trust::Excerpt;

fn run(ending: Ending, end: EndKind, phase: Phase) -> FlowRun {
    let observation = Observation {
        socket: 1,
        user: Some("user-1".to_owned()),
        opening: Opening::Opened { subprotocol: None },
        frames: Vec::new(),
        frames_total: 1,
        sent_after: None,
        knew_greeting: false,
        end: Some(End { kind: end, phase }),
        echo: None,
        instance: None,
        timeline: Timeline::default(),
    };
    FlowRun {
        number: 1,
        company: FlowCompany::Alone,
        user: "user-1".to_owned(),
        started: Some(1_000_000),
        completed: matches!(&ending, Ending::Completed | Ending::Ended { due: None, .. })
            .then_some(2_000_000),
        events: vec![Came { name: "agent_started".to_owned(), at: 1_500_000 }],
        events_total: 1,
        sent: 1,
        paced: 0,
        ending,
        answered: 0,
        near: None,
        cleanup: None,
        observation,
    }
}

fn close(code: u16) -> EndKind {
    EndKind::CloseFrame { code: Some(code), reason: Excerpt::new("why") }
}

fn ended(due: Option<&str>, end: EndKind) -> Conclusion {
    let phase = if due.is_some() { Phase::Answer } else { Phase::Hold };
    of_run(&run(Ending::Ended { due: due.map(str::to_owned), at: 8_000_000 }, end, phase), true)
}

#[test]
fn a_close_before_completion_fails_and_a_close_in_peace_after_it_does_not() {
    let Conclusion::Failed(words) = ended(Some("agent_thinking"), close(1011)) else { panic!("no failure") };
    assert!(
        words.starts_with("close 1011 \"why\" 7.0 s after its start, where agent_thinking was due"),
        "{words}"
    );
    assert!(matches!(ended(Some("x"), close(1000)), Conclusion::Failed(_)));
    assert_eq!(ended(None, close(1000)), Conclusion::Completed);
    assert_eq!(ended(None, close(1001)), Conclusion::Completed);
    for end in [close(1011), EndKind::NoCloseFrame, EndKind::Reset] {
        assert!(matches!(ended(None, end), Conclusion::Failed(_)));
    }
    let late = of_run(&run(Ending::Completed, close(1011), Phase::Closing), true);
    assert!(matches!(late, Conclusion::Failed(words) if words.contains("in answer to our close")));
    assert_eq!(of_run(&run(Ending::Completed, close(1000), Phase::Closing), true), Conclusion::Completed);
}

#[test]
fn only_proof_of_the_platform_voids_a_run() {
    let refused = |platform| {
        let mut run = run(Ending::NotOpened, EndKind::Reset, Phase::Opening);
        run.observation.opening =
            Opening::Refused { status: 503, body: Excerpt::default(), location: None, platform };
        run
    };
    let page = Some(PlatformPage::NotAvailable);
    assert!(matches!(of_run(&refused(page), true), Conclusion::Void(_)));
    assert!(matches!(of_run(&refused(page), false), Conclusion::Failed(_)), "anybody can say so");
    assert!(matches!(of_run(&refused(None), true), Conclusion::Failed(_)));
    assert!(matches!(of_run(&run(Ending::Cut, EndKind::CutByUs, Phase::Answer), true), Conclusion::Void(_)));
}

#[test]
fn a_limit_of_the_service_s_own_says_nothing_of_the_agent() {
    let ended = |code, reason| {
        let end = EndKind::CloseFrame { code: Some(code), reason: Excerpt::new(reason) };
        of_run(&run(Ending::Ended { due: Some("x".to_owned()), at: 1 }, end, Phase::Answer), true)
    };
    let limited = ended(1008, "rate limit exceeded");
    assert!(matches!(limited, Conclusion::Void(words) if words.contains("under `limits:`")));
    assert!(matches!(ended(1008, "policy violation"), Conclusion::Failed(_)));
    assert!(matches!(ended(1011, "rate limit exceeded"), Conclusion::Failed(_)), "it says that it failed");
}

#[test]
fn a_keepalive_that_our_own_stall_ran_out_says_nothing() {
    let end = EndKind::CloseFrame { code: Some(1011), reason: Excerpt::new("keepalive ping timeout") };
    let ending = Ending::Ended { due: Some("x".to_owned()), at: 8_000_000 };
    let mut stalled = run(ending, end, Phase::Answer);
    assert!(matches!(of_run(&stalled, true), Conclusion::Failed(_)));
    stalled.observation.timeline.stalled = Some(20_000_000);
    assert!(matches!(of_run(&stalled, true), Conclusion::Void(_)));
}

#[test]
fn percentiles_are_of_times_since_the_first_step() {
    let whole = run(Ending::Completed, close(1000), Phase::Closing);
    let latencies = Latencies::of(&[&whole, &whole]);
    let completion = latencies.completion();
    assert_eq!(completion["runs"], 2);
    let near = |value: &Value, due: u64| value.as_u64().unwrap().abs_diff(due) <= due / 500;
    assert!(near(&completion["p50"], 1_000_000) && near(&completion["p99"], 1_000_000), "{completion}");
    let words = latencies.words();
    assert!(
        words.starts_with("to completion p50 1") && words.contains("; p95 to agent_started 5"),
        "{words}"
    );
    let paced = FlowRun { paced: 400_000, ..whole.clone() };
    assert!(
        near(&Latencies::of(&[&paced]).completion()["max"], 600_000),
        "our own waiting is not the server's"
    );
    assert!(near(&latencies.events()["agent_started"]["p95"], 500_000));
    let limit = |p95| Latency { p95: Some(std::time::Duration::from_millis(p95)), ..Latency::default() };
    assert!(latencies.over(&limit(1010)).is_none());
    assert!(latencies.over(&limit(900)).unwrap().starts_with("p95 is 1"));
    assert!(Latencies::of(&[]).over(&limit(1)).is_none());
}

#[test]
fn fewer_users_run_fewer_at_once() {
    let asked = AgentAsked {
        flow: String::new(),
        alone: 3,
        at_once: 5,
        rounds: 2,
        users: 2,
        latency: Latency::default(),
    };
    assert_eq!((asked.together(), asked.total()), (2, 7));
}

#[test]
fn a_pass_says_what_it_leaves_open() {
    let whole = run(Ending::Completed, close(1000), Phase::Closing);
    let of = |clean: usize| Runs { completed: vec![&whole; clean], ..Runs::default() };
    // 1 - 0.05^(1/n), rounded up.
    for (clean, percent) in [(12, "22.1"), (3, "63.2"), (50, "5.9"), (1, "95")] {
        let words = format!("up to {percent} % of runs failing is not excluded (95 %)");
        assert_eq!(left_open(&of(clean)), words);
    }
}
