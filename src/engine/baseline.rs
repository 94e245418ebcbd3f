//! The comparison with the revision that serves: chosen before the first socket, made after the candidate's own rounds.
//!
//! Takes the control plane and the prober of the candidate; leaves pairs of rounds in the evidence. It makes no verdict.
//! The surprising rule: where nothing failed it opens nothing, since no socket at production could change what is said of a
//! candidate without failures.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Control, EngineError, Run};
use crate::judge::{Pairing, Part, Probing, in_question, is_served, rules_of};
use crate::probe::{
    Address, Baseline, BaselineEnd, BaselinePlan, Learned, Pair, Pairs, Prober, Round, SINGLES,
};
use crate::revision::{Rival, rival};

/// The revision that serves.
pub(super) struct Opponent {
    pub(super) plan: BaselinePlan,
    address: Address,
}

impl Run<'_> {
    /// Finds the revision that serves, where a comparison was asked for.
    pub(super) fn choose_opponent(&mut self, control: &Control) -> Result<(), EngineError> {
        if !self.settings.race.baseline.asked {
            return Ok(());
        }
        match rival(&control.service, &control.located)? {
            Rival::None { reason } => {
                let words = format!("no baseline: {reason}");
                self.evidence.target.notes.push(words.clone());
                self.around.note(words);
            }
            Rival::At { revision, uri, way } => {
                let url = Url::parse(&uri).map_err(|_| control.without_address(&way))?;
                let address = Address::new(&url)?;
                let plan = BaselinePlan::new(revision, address.display(), way, &self.settings.limits);
                self.opponent = Some(Opponent { plan, address });
            }
        }
        Ok(())
    }

    /// Compares what failed with the revision that serves. `prober` is the candidate's; `None` where nothing was opened.
    pub(super) async fn compare(
        &mut self,
        control: &Control,
        prober: Option<Prober>,
    ) -> Result<(), EngineError> {
        let (Some(opponent), Some(prober), Some(probing)) = (&self.opponent, prober, &self.evidence.probing)
        else {
            self.course.leave_out(Part::Baseline);
            return Ok(());
        };
        self.course.begin(Part::Baseline);
        let front = self.evidence.target.behind_front_end;
        let plan = opponent.plan.clone();
        let question = in_question(probing, front).map_err(EngineError::Settings)?;
        let mut baseline = match question {
            None => Baseline::none(plan, BaselineEnd::NothingFailed),
            Some(pattern) if !pattern.is_comparable() => Baseline::none(plan, BaselineEnd::NotRepeatable),
            Some(pattern) => {
                self.around.note(format!("baseline: comparing {pattern} with {}", plan.serving));
                let serving = prober.aimed(opponent.address.clone());
                let candidate = (prober, probing.learned.clone());
                let sockets = probing.rounds.iter().map(|round| round.observations.len()).sum::<usize>();
                let sockets = u32::try_from(sockets).unwrap_or(u32::MAX);
                let run = format!("{:016x}", rand::random::<u64>());
                let mut pairs =
                    Pairs::new((&probing.plan, &opponent.plan), pattern, candidate, serving, sockets, run);
                let running = run_pairs(&mut pairs, probing, (&opponent.plan, front), self.halt());
                let (singles, learned, pairs, end) = self.unless_interrupted(running).await?;
                Baseline { plan, pattern: Some(pattern), learned, singles, pairs, end, held: true }
            }
        };
        if baseline.pattern.is_some() {
            baseline.held = self.still_leads(control, &baseline.plan).await?;
        }
        self.around.note(format!("baseline: {} pairs with {}", baseline.pairs.len(), baseline.plan.serving));
        self.evidence.baseline = Some(baseline);
        self.course.end();
        Ok(())
    }

    /// True while the address leads to the revision that it led to before. What cannot be read is no proof.
    async fn still_leads(&self, control: &Control, plan: &BaselinePlan) -> Result<bool, EngineError> {
        let reading = control.client.get_service(&control.name);
        let Ok(service) = self.unless_interrupted(reading).await? else { return Ok(false) };
        let now = rival(&service, &control.located);
        Ok(matches!(now, Ok(Rival::At { revision, way, .. }) if revision == plan.serving && way == plan.way))
    }
}

type Ran = (Vec<Round>, Option<Learned>, Vec<Pair>, BaselineEnd);

/// Single sockets, then pairs until the serving revision fails, the candidate is worse, or enough was spent.
async fn run_pairs(
    pairs: &mut Pairs<'_>,
    probing: &Probing,
    (plan, front): (&BaselinePlan, bool),
    halt: CancellationToken,
) -> Ran {
    let until = Instant::now() + plan.time;
    let mut singles = Vec::new();
    if !pairs.has_room() {
        return (singles, None, Vec::new(), BaselineEnd::Sockets);
    }
    for _ in 0..SINGLES {
        if halt.is_cancelled() {
            return (singles, None, Vec::new(), BaselineEnd::ServingErrors);
        }
        let round = pairs.single().await;
        let served = is_served(&round, probing, front);
        singles.push(round);
        if !served {
            return (singles, None, Vec::new(), BaselineEnd::NotServed);
        }
    }
    let learned = pairs.learn(&singles);
    if learned.as_ref().is_none_or(|learned| learned.answered.is_none()) {
        return (singles, learned, Vec::new(), BaselineEnd::NotServed);
    }
    let own = rules_of(probing, probing.learned.as_ref(), front);
    let other = rules_of(probing, learned.as_ref(), front);
    let (mut pairing, mut done) = (Pairing::default(), Vec::new());
    let end = loop {
        if pairing.is_over() {
            break BaselineEnd::Decided;
        }
        if halt.is_cancelled() {
            break BaselineEnd::ServingErrors;
        }
        if done.len() >= plan.pairs as usize {
            break BaselineEnd::Pairs;
        }
        if !pairs.has_room() {
            break BaselineEnd::Sockets;
        }
        if Instant::now() >= until {
            break BaselineEnd::Time;
        }
        let pair = pairs.pair().await;
        pairing.add(&pair, [&own, &other]);
        done.push(pair);
    };
    (singles, learned, done, end)
}
