//! The evidence behind the golden reports of a comparison with the revision that serves.

use revgate::config::{BaselineSettings, Limits, Pattern, PreExisting};
use revgate::judge::{Evidence, Watch};
use revgate::probe::{Baseline, BaselineEnd, BaselinePlan, Company, Pair, Round, Stage};
use revgate::trust::Excerpt;

use crate::documents::{Campaign, HOSTILE, SERVING, approved, blocked_by_race, closed, healthy};

/// A race, and the serving revision fails alike in the second of two pairs; the policy would excuse that, had the rest
/// passed.
pub(crate) fn pre_existing() -> Evidence {
    let mut evidence = blocked_by_race();
    let race = &mut evidence.probing.as_mut().expect("a probed run").plan.race;
    race.baseline = BaselineSettings { asked: true, pre_existing: PreExisting::Allow };
    let mut campaign = Campaign { at: 200_000, sockets: 24, ..Campaign::default() };
    campaign.rounds(Stage::Learning, 2, 1, healthy);
    let singles = std::mem::take(&mut campaign.rounds).into_iter().map(of_serving).collect();
    campaign.rounds(Stage::SameUser, 1, 2, healthy);
    campaign.rounds(Stage::SameUser, 3, 2, |socket| match socket % 2 {
        0 => healthy(socket),
        _ => closed(socket, 1011, "Factory init failed"),
    });
    let mut rounds = campaign.rounds.into_iter().map(|round| Round { company: Company::Alone, ..round });
    let mut next = || rounds.next().expect("four rounds");
    let pairs = [(1, true), (2, true)].map(|(number, serving_first)| {
        let serving = of_serving(next());
        Pair { number, serving_first, serving, candidate: next() }
    });
    let learned = evidence.probing.as_ref().and_then(|probing| probing.learned.clone());
    evidence.baseline = Some(Baseline {
        plan: plan(SERVING),
        pattern: Some(Pattern::SameUser),
        learned,
        singles,
        pairs: pairs.to_vec(),
        end: BaselineEnd::Decided,
        held: true,
    });
    evidence
}

/// A healthy candidate, and a serving revision that began to fail meanwhile.
pub(crate) fn harmed() -> Evidence {
    Evidence { watch: Some(watched(SERVING)), ..approved() }
}

/// A serving revision of this name that began to fail.
pub(crate) fn watched(serving: &str) -> Watch {
    Watch::Watched { serving: serving.to_owned(), before: 1, before_s: 600, during: 9, during_s: 41 }
}

/// Names of the serving revision that obey nobody.
pub(crate) fn hostile() -> Baseline {
    let plan = BaselinePlan { way: HOSTILE.to_owned(), address: HOSTILE.to_owned(), ..plan(HOSTILE) };
    Baseline { pattern: Some(Pattern::Users), ..Baseline::none(plan, BaselineEnd::Pairs) }
}

fn plan(serving: &str) -> BaselinePlan {
    let address = "wss://checkout-abcdefghij-ew.a.run.app".to_owned();
    let way = "the service's own address, with all traffic".to_owned();
    BaselinePlan::new(serving.to_owned(), address, way, &Limits::default())
}

/// A round whose answers name the serving revision.
fn of_serving(mut round: Round) -> Round {
    for observation in &mut round.observations {
        observation.echo = Some(Excerpt::new(SERVING));
    }
    round
}
