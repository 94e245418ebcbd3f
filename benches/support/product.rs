//! The product's own way through a run, driven by a bench instead of a judge.

use revgate::config::{FileConfig, Lookup, Purpose, Settings, Typed, merge};
use revgate::probe::{Campaign, Campaigned, Learned, Plan, Prober, Round, Stage, Steering};
use revgate::trust::Redactor;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use url::Url;

/// The settings of a file with this text.
pub(crate) fn settings(yaml: &str) -> Settings {
    let file = FileConfig::parse("bench", yaml.as_bytes()).expect("a configuration");
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal);
    merged.expect("a configuration").settings
}

/// A prober of that address, whose pulse beats on that runtime.
pub(crate) fn prober(runtime: &Runtime, address: &str, settings: &Settings) -> Prober {
    let _inside = runtime.enter();
    let url = Url::parse(address).expect("an address");
    let address = revgate::probe::Address::new(&url).expect("an address");
    Prober::new(address, settings, None, Redactor::default(), Instant::now(), 0)
}

/// Runs a campaign.
pub(crate) async fn campaign(prober: Prober, plan: &Plan, steering: &mut Count<'_>) -> Campaigned {
    let run = format!("{:016x}", rand::random::<u64>());
    Campaign::new(prober, plan, steering, run).run(false).await.expect("a campaign")
}

/// True when a socket of the round did not show what a healthy one shows.
pub(crate) fn fails(round: &Round) -> bool {
    round.observations.iter().any(|observation| observation.timeline.satisfied.is_none())
}

/// Wants so many rounds of one stage, and says when each is over.
pub(crate) struct Count<'a> {
    /// The stage.
    pub(crate) stage: Stage,
    /// So many rounds of it.
    pub(crate) rounds: u32,
    /// So many of them under way.
    pub(crate) at_once: u32,
    /// Called when single sockets were served and the rounds begin.
    pub(crate) begun: Box<dyn FnMut() + 'a>,
    /// Called with each of these rounds.
    pub(crate) over: Box<dyn FnMut(&Round) + 'a>,
    /// Called with how many are under way whenever another is wanted or not.
    pub(crate) asked: Box<dyn Fn(u32) + 'a>,
    /// How many were over.
    pub(crate) recorded: u32,
}

impl<'a> Count<'a> {
    /// One round after the other.
    pub(crate) fn new(stage: Stage, rounds: u32, over: impl FnMut(&Round) + 'a) -> Self {
        let (begun, asked, over) = (Box::new(|| {}), Box::new(|_| {}), Box::new(over));
        Self { stage, rounds, at_once: 1, begun, over, asked, recorded: 0 }
    }
}

impl Steering for Count<'_> {
    fn learned(&mut self, learned: Option<&Learned>) {
        assert!(learned.is_some(), "the server does not serve single sockets");
        (self.begun)();
    }

    fn record(&mut self, round: &Round) {
        if round.stage == self.stage {
            self.recorded += 1;
            (self.over)(round);
        }
    }

    fn wants(&self, stage: Stage, in_flight: u32) -> bool {
        if stage == self.stage {
            (self.asked)(in_flight);
        }
        stage == self.stage && in_flight < self.at_once && self.recorded + in_flight < self.rounds
    }

    fn prefers_quiet(&self) -> bool {
        false
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn has_passed(&self) -> bool {
        false
    }
}

/// Runs `work` on a thread of its own: a runtime cannot be waited for from inside another.
pub(crate) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}
