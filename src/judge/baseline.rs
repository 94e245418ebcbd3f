//! Is the candidate worse than the revision that serves, or was it like that before?
//!
//! Takes pairs of rounds, one at each of the two, and gives a comparison with its numbers; the engine asks the same code
//! after every pair whether it may go on. It makes no failure and takes none away: what a failure that was there before comes
//! to is a policy's to say. The surprising rule: one failure of the serving revision ends it, since people are served
//! there, so that it can show "worse" and "was there before", and never "no worse".

use serde::Serialize;

use super::bench::outcome;
use super::check::Check;
use super::classify::{Class, Finding, Kind, Rules};
use super::evidence::{Evidence, Probing};
use super::race::Tests;
use super::seen::classify;
use super::sequential::{SettingsError, TrialOutcome};
use super::statistics::{e_worse, times_as_often};
use super::verdict::tested;
use crate::config::Pattern;
use crate::probe::{Baseline, BaselineEnd, Learned, Observation, Opening, Pair, Round};
use crate::trust::{Excerpt, escape, one_line};

/// Evidence that is enough to call the candidate worse: wrong in one of twenty comparisons of equals at most.
const WORSE_AT: f64 = 20.0;

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Standing {
    /// The candidate fails more often than the serving revision.
    Worse,
    /// The serving revision fails alike.
    PreExisting,
    /// The serving revision fails too, but in another way.
    Unlike,
    /// Neither was seen.
    Open,
}

/// The pairs so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pairing {
    /// Pairs in which both rounds reached the application.
    pairs: u32,
    /// The others.
    void: u32,
    candidate_only: u32,
    serving_only: u32,
    both: u32,
    /// It was worse at some time: what came later does not count.
    #[serde(skip)]
    worse: bool,
    #[serde(skip)]
    candidate: Vec<Signature>,
    /// The first socket of the serving revision that was not served, and its pair.
    #[serde(skip)]
    serving: Option<(u32, Finding)>,
}

/// By what two failures are alike.
type Signature = (Kind, Option<u16>, Option<u16>);

fn signature(finding: &Finding) -> Signature {
    (finding.kind, finding.status, finding.code)
}

impl Pairing {
    /// Takes in a pair; `rules` are those of the candidate and of the serving revision.
    pub fn add(&mut self, pair: &Pair, rules: [&Rules<'_>; 2]) {
        let [candidate, serving] = [(&pair.candidate, rules[0]), (&pair.serving, rules[1])]
            .map(|(round, rules)| findings(&round.observations, rules));
        self.candidate.extend(failures(&candidate).map(signature));
        let failed = failures(&serving).next().or_else(|| serving.iter().find(|f| f.class != Class::Ok));
        if let (None, Some(failed)) = (&self.serving, failed) {
            self.serving = Some((pair.number, failed.clone()));
        }
        match (outcome(&candidate), outcome(&serving)) {
            (TrialOutcome::Void, _) | (_, TrialOutcome::Void) => {
                self.void += 1;
                return;
            }
            (TrialOutcome::Failing, TrialOutcome::Clean) => self.candidate_only += 1,
            (TrialOutcome::Clean, TrialOutcome::Failing) => self.serving_only += 1,
            (TrialOutcome::Failing, TrialOutcome::Failing) => self.both += 1,
            (TrialOutcome::Clean, TrialOutcome::Clean) => {}
        }
        self.pairs += 1;
        self.worse |= self.evidence() >= WORSE_AT;
    }

    /// True when no further pair may be run: a socket of the serving revision was not served, or the candidate is worse.
    pub fn is_over(&self) -> bool {
        self.worse || self.serving.is_some()
    }

    fn discordant(&self) -> u32 {
        self.candidate_only + self.serving_only
    }

    fn evidence(&self) -> f64 {
        e_worse(self.candidate_only, self.discordant())
    }

    fn words(&self) -> String {
        format!(
            "{} candidate-only of {} discordant pairs, E = {:.1}",
            self.candidate_only,
            self.discordant(),
            self.evidence()
        )
    }
}

fn findings(observations: &[Observation], rules: &Rules<'_>) -> Vec<Finding> {
    observations.iter().map(|observation| classify(observation, rules)).collect()
}

fn failures(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.class == Class::AppFail)
}

/// The pattern whose failures are compared: the one that failed, else the one with most failures that is undecided. `None`
/// when nothing failed.
///
/// # Errors
/// The settings of the test guarantee nothing.
pub fn in_question(probing: &Probing, platform_counts: bool) -> Result<Option<Pattern>, SettingsError> {
    Ok(tested(Some(probing), platform_counts)?.and_then(|tests| tests.in_question()))
}

/// True when a single socket was served, as far as can be said before anything is known of a healthy one. One to which
/// nothing was said need only open.
pub fn is_served(round: &Round, probing: &Probing, platform_counts: bool) -> bool {
    if !round.stage.is_judged() {
        return round.observations.iter().all(|o| matches!(o.opening, Opening::Opened { .. }));
    }
    let rules = rules_of(probing, None, platform_counts);
    findings(&round.observations, &rules).iter().all(|finding| finding.class == Class::Ok)
}

/// What is known of a healthy socket where this came unasked.
pub fn rules_of<'a>(probing: &'a Probing, learned: Option<&'a Learned>, platform_counts: bool) -> Rules<'a> {
    let plan = &probing.plan;
    Rules { declared: plan.declared, learned, closes: &plan.closes, platform_counts }
}

/// A comparison in a report.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Comparison {
    serving: String,
    pub(super) pattern: Option<Pattern>,
    pub(super) standing: Standing,
    discordant: u32,
    e_value: f64,
    #[serde(flatten)]
    pairing: Pairing,
    /// How often the candidate may fail for each time that the serving revision does (95 %); where both fail alike.
    at_most_times: Option<f64>,
    pub(super) words: String,
}

impl Comparison {
    /// The comparison of a run; `None` where none was asked for.
    pub(super) fn of(evidence: &Evidence, tests: &Tests) -> Option<Self> {
        let (baseline, probing) = (evidence.baseline.as_ref()?, evidence.probing.as_ref()?);
        let front = evidence.target.behind_front_end;
        let own = rules_of(probing, probing.learned.as_ref(), front);
        let other = rules_of(probing, baseline.learned.as_ref(), front);
        let mut pairing = Pairing::default();
        for pair in &baseline.pairs {
            if !pairing.is_over() {
                pairing.add(pair, [&own, &other]);
            }
        }
        if let Some(bench) = baseline.pattern.and_then(|pattern| tests.patterns.get(&pattern)) {
            pairing.candidate.extend(bench.failures.iter().map(|failure| signature(&failure.finding)));
        }
        let astray = astray(baseline, evidence);
        let standing = if astray.is_some() { Standing::Open } else { pairing.standing() };
        let words = astray.unwrap_or_else(|| words(baseline, &pairing, standing, &other));
        let informative = pairing.discordant() + pairing.both;
        Some(Self {
            serving: baseline.plan.serving.clone(),
            pattern: baseline.pattern,
            standing,
            discordant: pairing.discordant(),
            e_value: pairing.evidence(),
            at_most_times: (standing == Standing::PreExisting).then(|| times_as_often(informative)),
            pairing,
            words,
        })
    }

    /// True when a policy may excuse the failure of `pattern`: it was there before, and how much more often it may come now
    /// is bounded.
    pub(super) fn may_excuse(&self, pattern: Pattern) -> bool {
        let is_bounded = self.at_most_times.is_some_and(f64::is_finite);
        self.standing == Standing::PreExisting && self.pattern == Some(pattern) && is_bounded
    }

    /// Why a failure of this pattern does not block, with what is not known.
    pub(super) fn excuse(&self, pattern: Pattern) -> String {
        let times = self.at_most_times.unwrap_or(f64::INFINITY);
        format!(
            "{pattern} is excused (pre-existing: allow), though it may fail up to {times:.0} times as often as before \
             (95 %): {}",
            self.words
        )
    }
}

impl Pairing {
    fn standing(&self) -> Standing {
        match &self.serving {
            _ if self.worse => Standing::Worse,
            // Neither says what the application does in this pattern.
            Some((_, failed)) if failed.class != Class::AppFail || failed.kind == Kind::LimitReached => {
                Standing::Open
            }
            Some((_, failed)) if self.candidate.contains(&signature(failed)) => Standing::PreExisting,
            Some(_) => Standing::Unlike,
            None => Standing::Open,
        }
    }
}

/// The pattern whose failure does not block, by the policy of the run and what the pairs show.
pub(super) fn excused(evidence: &Evidence, compared: Option<&Comparison>) -> Option<Pattern> {
    let allowed = evidence.probing.as_ref().is_some_and(|probing| probing.plan.race.baseline.excuses());
    let compared = compared.filter(|_| allowed)?;
    compared.pattern.filter(|pattern| compared.may_excuse(*pattern))
}

/// The check with what the comparison came to.
pub(super) fn told(check: Check, compared: Option<&Comparison>, excused: Option<Pattern>) -> Check {
    let Some(compared) = compared else { return check };
    let words = excused.map_or_else(|| compared.words.clone(), |pattern| compared.excuse(pattern));
    Check { summary: one_line(&format!("{}; {words}", check.summary)), ..check }
}

/// Why the pairs show nothing: another revision answered on one of the two sides.
fn astray(baseline: &Baseline, evidence: &Evidence) -> Option<String> {
    let serving = &baseline.plan.serving;
    if !baseline.held {
        return Some(format!("not comparable: the address did not lead to {serving} until the end"));
    }
    evidence.identity.echo.as_ref()?;
    let singles = baseline.singles.iter().map(|round| (round, Some(serving)));
    let pairs = baseline.pairs.iter().flat_map(|pair| {
        [(&pair.candidate, evidence.target.revision.as_ref()), (&pair.serving, Some(serving))]
    });
    let other = singles.chain(pairs).find_map(|(round, due)| {
        let opened = round.observations.iter().filter(|o| matches!(o.opening, Opening::Opened { .. }));
        let mut named = opened.filter_map(|o| o.echo.as_ref().map(Excerpt::as_str));
        named.find(|name| due.is_some_and(|due| due != name)).map(str::to_owned)
    });
    other.map(|other| format!("not comparable with {serving}: an answer came from \"{}\"", escape(&other)))
}

fn words(baseline: &Baseline, pairing: &Pairing, standing: Standing, other: &Rules<'_>) -> String {
    let serving = &baseline.plan.serving;
    let counts = pairing.words();
    let failed = pairing.serving.as_ref();
    let (number, seen) = failed.map_or((0, "nothing"), |(number, finding)| (*number, finding.words.as_str()));
    match standing {
        Standing::Worse => format!("worse than the serving revision {serving}: {counts}"),
        Standing::PreExisting => {
            format!(
                "PRE-EXISTING: the serving revision {serving} fails alike in pair {number} ({seen}); {counts}"
            )
        }
        Standing::Unlike => {
            format!(
                "not comparable: the serving revision {serving} fails too in pair {number}, but otherwise ({seen}); {counts}"
            )
        }
        Standing::Open if failed.is_some() => {
            format!("not comparable yet: {serving} was left in peace in pair {number} ({seen}); {counts}")
        }
        Standing::Open => open_words(baseline, &counts, pairing.pairs, other),
    }
}

fn open_words(baseline: &Baseline, counts: &str, pairs: u32, other: &Rules<'_>) -> String {
    let serving = &baseline.plan.serving;
    let spent = match baseline.end {
        BaselineEnd::NothingFailed => return format!("nothing failed that could be compared with {serving}"),
        BaselineEnd::NotRepeatable => {
            return format!(
                "not comparable: a first contact cannot be repeated at {serving}, which serves already"
            );
        }
        BaselineEnd::NotServed => {
            let seen = baseline.singles.iter().flat_map(|round| &round.observations);
            let mut failed = seen.map(|o| classify(o, other)).filter(|finding| finding.class != Class::Ok);
            let seen = failed.next().map_or_else(|| "not served".to_owned(), |finding| finding.words);
            return format!("not comparable: the serving revision {serving} fails single sockets ({seen})");
        }
        BaselineEnd::ServingErrors => "the serving revision began to fail",
        BaselineEnd::Pairs | BaselineEnd::Decided => "all of them were run",
        BaselineEnd::Sockets => "the sockets of this run were spent",
        BaselineEnd::Time => "their time was spent",
    };
    format!("not comparable yet: {counts}, in {pairs} pairs with {serving}; {spent}")
}

#[cfg(test)]
mod tests;
