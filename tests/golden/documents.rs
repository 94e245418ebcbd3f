//! The evidence behind the golden reports: one revision, by turns healthy, racy, dead and hostile.
//!
//! Built by hand, so that no clock, port or random number is in it, and judged by the program's own judge.

use std::collections::{BTreeMap, BTreeSet};

use revgate::config::{
    Asked, CheckName, Echo, Limits, Pattern, RaceSettings, Selection, ServiceName, Timeouts,
};
use revgate::judge::{
    AddressKind, ConfiguredEvidence, EVIDENCE_VERSION, Evidence, IdentityEvidence, Probing, ReadyEvidence,
    Target,
};
use revgate::probe::{
    Calibration, Capacity, Company, Declared, End, EndKind, Frame, HELD_SOCKETS, Learned, Means, Observation,
    Opening, Phase, Place, Plan, PlatformPage, Round, Stage, StopReason, Stratum, Timeline,
};
use revgate::trust::Excerpt;

use crate::compared;
use crate::interrupted::interruption;

/// Short name of the candidate.
pub(crate) const CANDIDATE: &str = "checkout-00042-xiv";

/// Short name of the revision that serves.
pub(crate) const SERVING: &str = "checkout-00041-duz";

/// What obeys nobody: it colours, reorders, breaks lines, draws images and gives orders to a CI system.
pub(crate) const HOSTILE: &str = "::warning::w \u{1b}[31mred\u{202e}\u{200b}\r\n::error::injected\n::set-output name=a::b\n##[error]x \
     ![p](https://evil.example/p.png) <img src=x> | `code` @everyone \u{9b}2J";

/// Rounds that are enough for a pass of one stratum, and no more than a few.
const ENOUGH: u32 = 320;

/// A revision that is ready, was reached and served every socket.
pub(crate) fn approved() -> Evidence {
    let mut campaign = Campaign::default();
    campaign.rounds(Stage::FirstContact, 1, 4, healthy);
    campaign.rounds(Stage::Learning, 2, 1, healthy);
    campaign.rounds(Stage::Held, HELD_SOCKETS, 1, healthy);
    for (stage, sockets) in
        [(Stage::Control, 1), (Stage::Users, 3), (Stage::SameUser, 2), (Stage::FirstMessage, 2)]
    {
        campaign.rounds(stage, ENOUGH, sockets, healthy);
    }
    Evidence { probing: Some(probing(campaign.rounds, StopReason::Decided)), ..bare() }
}

/// Two sockets of one user are released together and one is closed with 1011, twice.
pub(crate) fn blocked_by_race() -> Evidence {
    let mut campaign = Campaign::default();
    campaign.rounds(Stage::FirstContact, 1, 4, healthy);
    campaign.rounds(Stage::Held, 2, 1, healthy);
    campaign.rounds(Stage::Users, 2, 3, healthy);
    campaign.rounds(Stage::SameUser, 1, 2, healthy);
    campaign.rounds(Stage::SameUser, 2, 2, |socket| match socket % 2 {
        0 => healthy(socket),
        _ => closed(socket, 1011, "Factory init failed"),
    });
    Evidence { probing: Some(probing(campaign.rounds, StopReason::Decided)), ..bare() }
}

/// The container never came up, so nothing was opened.
pub(crate) fn blocked_by_ready() -> Evidence {
    let ready = ReadyEvidence::Failed {
        condition: "ContainerHealthy".to_owned(),
        reason: "HEALTH_CHECK_CONTAINER_ERROR".to_owned(),
        message: Excerpt::new(
            "The user-provided container failed to start and listen on the port: PORT=8080",
        ),
        log: Some("https://console.cloud.google.com/logs/viewer?project=demo-project".to_owned()),
    };
    let identity =
        IdentityEvidence { address: AddressKind::None, before: None, after: None, ..bare().identity };
    Evidence { ready, identity, took_ms: 1234, ..bare() }
}

/// Six sockets, and not one of them reached the application.
pub(crate) fn nothing_opened() -> Evidence {
    let mut campaign = Campaign::default();
    campaign.rounds(Stage::FirstContact, 1, 4, platform_page);
    campaign.rounds(Stage::Learning, 2, 1, platform_page);
    let mut probing = probing(campaign.rounds, StopReason::NotServed);
    probing.learned = None;
    Evidence { probing: Some(probing), ..bare() }
}

/// A rehearsal, dry, with two checks left out.
pub(crate) fn rehearsed_dry_and_skipped() -> Evidence {
    let skip = vec![CheckName::Identity, CheckName::Race];
    let selection = Selection { only: Vec::new(), skip, configured: Vec::new() };
    let target = Target { rehearsed: true, behind_front_end: false, ..bare().target };
    let identity =
        IdentityEvidence { address: AddressKind::None, before: None, after: None, ..bare().identity };
    Evidence { target, selection, identity, dry_run: true, took_ms: 812, ..bare() }
}

/// Every rule of the judgement is weaker than it comes.
pub(crate) fn weakened() -> Evidence {
    let mut evidence = blocked_by_race();
    let race = &mut evidence.probing.as_mut().expect("a probed run").plan.race;
    race.patterns = vec![Pattern::FirstContact, Pattern::SameUser];
    race.tolerated = 0.07;
    race.pass_confidence = 0.8;
    race.noise = 0.01;
    race.zero_tolerance = vec![1006];
    evidence
}

/// Everything that a server, a tag or the editor of a record can put a word into says the hostile text.
pub(crate) fn hostile() -> Evidence {
    let mut campaign = Campaign::default();
    campaign.rounds(Stage::FirstContact, 1, 2, |socket| closed(socket, 1011, HOSTILE));
    campaign.rounds(Stage::Learning, 1, 1, |socket| refused(socket, HOSTILE));
    campaign.rounds(Stage::Control, 1, 1, |socket| closed(socket, 1008, HOSTILE));
    for observation in campaign.rounds.iter_mut().flat_map(|round| &mut round.observations) {
        observation.user = Some(HOSTILE.to_owned());
        observation.echo = Some(Excerpt::new(HOSTILE));
    }
    let mut evidence = Evidence { probing: Some(probing(campaign.rounds, StopReason::Decided)), ..bare() };
    let all = || HOSTILE.to_owned();
    evidence.target = Target {
        service: Some(ServiceName { project: all(), region: all(), service: all() }),
        revision: Some(all()),
        rule: all(),
        previous: Some(all()),
        address: Some(all()),
        path: all(),
        notes: vec![all()],
        ..evidence.target
    };
    evidence.ready = ReadyEvidence::Failed {
        condition: all(),
        reason: all(),
        message: Excerpt::new(HOSTILE),
        log: Some(all()),
    };
    evidence.baseline = Some(compared::hostile());
    evidence.watch = Some(compared::watched(HOSTILE));
    evidence.identity.address = AddressKind::Tag { tag: all() };
    evidence.identity.echo = Some(Echo::Header(all()));
    evidence.asked.command = all();
    evidence.asked.options.push((all(), Some(all())));
    evidence.interrupted = Some(interruption(None, 2, HOSTILE));
    evidence
}

/// A ready candidate behind a fresh tag, and nothing opened yet.
fn bare() -> Evidence {
    let service = ServiceName {
        project: "demo-project".to_owned(),
        region: "europe-west1".to_owned(),
        service: "checkout".to_owned(),
    };
    Evidence {
        version: EVIDENCE_VERSION,
        recorded_by: "revgate of a golden file".to_owned(),
        started_at: "2026-11-23T20:28:12Z".parse().unwrap(),
        took_ms: 58_321,
        target: Target {
            service: Some(service),
            revision: Some(CANDIDATE.to_owned()),
            revision_uid: Some("0f0a-42".to_owned()),
            rule: "newest by creation".to_owned(),
            serving_percent: 0,
            previous: Some(SERVING.to_owned()),
            address: Some("wss://gate-hn3k20f0a---checkout-abcdefghij-ew.a.run.app".to_owned()),
            path: "/ws?user={{user}}".to_owned(),
            rehearsed: false,
            behind_front_end: true,
            notes: vec!["the image has moved on since the tag was written".to_owned()],
        },
        selection: Selection::default(),
        dry_run: false,
        asked: asked(),
        ready: ReadyEvidence::Ready { notes: Vec::new() },
        identity: IdentityEvidence {
            address: AddressKind::FreshTag { tag: "gate-hn3k20f0a".to_owned() },
            echo: Some(Echo::Header("x-revision".to_owned())),
            instance_echo: None,
            before: Some(true),
            after: Some(true),
            log: None,
        },
        local: None,
        probing: None,
        configured: ConfiguredEvidence::default(),
        baseline: None,
        watch: None,
        times: vec![(CheckName::Ready, 8100), (CheckName::Race, 3900)],
        interrupted: None,
        tag_loss: None,
    }
}

/// As it was typed.
fn asked() -> Asked {
    let option = |name: &str, text: &str| (name.to_owned(), Some(text.to_owned()));
    Asked {
        command: "check".to_owned(),
        options: vec![
            option("project", "demo-project"),
            option("region", "europe-west1"),
            option("service", "checkout"),
            option("tag", "gate"),
            option("path", "/ws?user={{user}}"),
        ],
    }
}

fn probing(rounds: Vec<Round>, stopped: StopReason) -> Probing {
    let strata = [
        (Pattern::FirstContact, 4),
        (Pattern::Control, 1),
        (Pattern::Users, 3),
        (Pattern::SameUser, 2),
        (Pattern::FirstMessage, 2),
    ];
    let plan = Plan {
        seed: 7141,
        users: 3,
        strata: strata.map(|(pattern, sockets)| Stratum { pattern, sockets }).to_vec(),
        left_out: Vec::new(),
        held: HELD_SOCKETS,
        alone_rounds: 5,
        quiet_rounds: 40,
        place: Place::Remote,
        capacity: Capacity::default(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        race: RaceSettings::default(),
        declared: Declared { send: true, expect: true, greeting: false },
        closes: Vec::new(),
        harmless: false,
    };
    let learned = Learned {
        due: BTreeMap::from([("type=welcome".to_owned(), 1)]),
        at_least: 1,
        answered: Some(BTreeSet::from(["the declared answer".to_owned()])),
        sockets: 3,
        ..Learned::default()
    };
    let calibration = Some(Calibration { rounds: 20, found: 19, window: 1000 });
    Probing {
        plan,
        calibration,
        learned: Some(learned),
        round_trip: Some(10_400),
        rounds,
        stopped,
        cold: None,
    }
}

/// Rounds on one clock, with sockets numbered through.
#[derive(Default)]
pub(crate) struct Campaign {
    pub(crate) rounds: Vec<Round>,
    pub(crate) sockets: u32,
    pub(crate) at: u64,
}

impl Campaign {
    /// `count` more rounds of `stage`, each of so many sockets.
    pub(crate) fn rounds(
        &mut self,
        stage: Stage,
        count: u32,
        sockets: u32,
        seen: impl Fn(u32) -> Observation,
    ) {
        let earlier = self.rounds.iter().filter(|round| round.stage == stage).count();
        for number in (u32::try_from(earlier).unwrap() + 1..).take(usize::try_from(count).unwrap()) {
            let started = self.at;
            let observations = (0..sockets).map(|_| {
                self.sockets += 1;
                shifted(seen(self.sockets), started)
            });
            let observations = observations.collect();
            self.at += 20_000;
            let release_spread = (sockets > 1).then_some(4_000);
            self.rounds.push(Round {
                stage,
                number,
                company: Company::Quiet,
                delay: None,
                means: (sockets > 1).then_some(Means::IoUring),
                started,
                frozen: None,
                ended: self.at,
                release_spread,
                late: None,
                observations,
            });
        }
    }
}

/// The same at `by` microseconds later.
fn shifted(mut seen: Observation, by: u64) -> Observation {
    let times = &mut seen.timeline;
    times.began += by;
    times.ended += by;
    for at in [
        &mut times.connected,
        &mut times.secured,
        &mut times.released,
        &mut times.answered,
        &mut times.greeted,
        &mut times.sent,
        &mut times.satisfied,
        &mut times.closing,
    ] {
        *at = at.map(|at| at + by);
    }
    seen.frames.iter_mut().for_each(|frame| frame.at += by);
    seen
}

/// Welcomed, answered, held, and closed by us.
pub(crate) fn healthy(socket: u32) -> Observation {
    let frame = |at, shape: &str, expected, text: &str| Frame {
        at,
        size: text.len(),
        shape: Excerpt::new(shape),
        expected: Some(expected),
        text: Excerpt::new(text),
        ..Frame::default()
    };
    Observation {
        frames: vec![
            frame(6_200, "type=welcome", false, r#"{"type":"welcome"}"#),
            frame(7_300, "type=pong", true, r#"{"type":"pong","nonce":"n1"}"#),
        ],
        frames_total: 2,
        sent_after: Some(1),
        end: Some(End {
            kind: EndKind::CloseFrame { code: Some(1000), reason: Excerpt::default() },
            phase: Phase::Closing,
        }),
        timeline: Timeline {
            greeted: Some(6_200),
            sent: Some(6_300),
            satisfied: Some(7_300),
            closing: Some(9_000),
            ended: 9_500,
            ..opened_at()
        },
        ..opened(socket)
    }
}

/// Closed right after the 101.
pub(crate) fn closed(socket: u32, code: u16, reason: &str) -> Observation {
    let kind = EndKind::CloseFrame { code: Some(code), reason: Excerpt::new(reason) };
    Observation {
        end: Some(End { kind, phase: Phase::Greeting }),
        timeline: Timeline { ended: 7_000, ..opened_at() },
        ..opened(socket)
    }
}

/// An application's own refusal.
fn refused(socket: u32, body: &str) -> Observation {
    Observation {
        opening: Opening::Refused {
            status: 302,
            body: Excerpt::new(body),
            location: Some(Excerpt::new(body)),
            platform: None,
        },
        echo: None,
        timeline: Timeline { ended: 6_100, ..opened_at() },
        ..opened(socket)
    }
}

/// The front end answers in the application's place.
fn platform_page(socket: u32) -> Observation {
    let opening = Opening::Refused {
        status: 503,
        body: Excerpt::new("The service you requested is not available yet."),
        location: None,
        platform: Some(PlatformPage::NotAvailable),
    };
    Observation { opening, echo: None, knew_greeting: false, ..refused(socket, "") }
}

fn opened(socket: u32) -> Observation {
    Observation {
        socket,
        user: Some(format!("user-{:03}", socket % 3 + 1)),
        opening: Opening::Opened { subprotocol: None },
        frames: Vec::new(),
        frames_total: 0,
        sent_after: None,
        knew_greeting: true,
        end: None,
        echo: Some(Excerpt::new(CANDIDATE)),
        instance: None,
        timeline: opened_at(),
    }
}

fn opened_at() -> Timeline {
    Timeline {
        began: 0,
        connected: Some(1_000),
        secured: Some(4_000),
        released: Some(5_000),
        answered: Some(6_100),
        ..Timeline::default()
    }
}
