//! The check `api`: did every endpoint answer as it should, each time?
//!
//! Takes what was seen of endpoints; gives the check with counts and latencies. It asks nobody. The surprising rule: the
//! platform's own pages, requests that never left and refusals of a token that had expired are void, and a single void answer
//! keeps the check from passing, while a single wrong one fails it.

use serde_json::{Value, json};

use super::advice::LET_LIVE;
use super::check::{Check, Outcome};
use super::checks::unfinished;
use super::evidence::Evidence;
use crate::config::{CheckName, SWALLOWED_WORDS};
use crate::probe::{Answer, Answered, ApiSeen, EndpointSeen, PlatformPage};

/// Wrong answers of an endpoint that are shown.
const SHOWN: usize = 3;

/// The check.
pub(super) fn api(evidence: &Evidence) -> Check {
    let name = CheckName::Api;
    let Some(seen) = &evidence.configured.api else {
        if evidence.probing.is_none() {
            let (why, help) = unfinished(None, None);
            return Check::bare(name, Outcome::Inconclusive, why).with_help(help);
        }
        return Check::bare(name, Outcome::Inconclusive, "asked for, and no endpoint was asked")
            .with_help("name them: api: { endpoints: [{ path: /health }] }");
    };
    if let Some(why) = &seen.no_client {
        let words = format!("no HTTP client can be made here: \"{why}\"");
        return Check::bare(name, Outcome::Inconclusive, words)
            .with_help("look at the root certificates: ls -l \"${SSL_CERT_FILE:-/etc/ssl/certs}\"");
    }
    let tallies: Vec<Tally<'_>> = seen.endpoints.iter().map(Tally::of).collect();
    let check = Check::bare(name, outcome(&tallies), words(&tallies));
    let check =
        check.with_evidence(json!({ "endpoints": tallies.iter().map(Tally::numbers).collect::<Vec<_>>() }));
    help(&tallies, seen).into_iter().fold(check, Check::with_help)
}

/// The answers of one endpoint, by what they are worth.
struct Tally<'a> {
    endpoint: &'a EndpointSeen,
    right: u64,
    wrong: Vec<(usize, &'a Answer)>,
    void: Vec<&'a Answer>,
    /// Requests that were to be made and were not, or whose answer was not waited for.
    missing: u64,
    /// Of answers that came, in ascending order.
    latencies: Vec<u64>,
}

impl<'a> Tally<'a> {
    fn of(endpoint: &'a EndpointSeen) -> Self {
        let due = u64::from(endpoint.times) + u64::from(endpoint.at_once);
        let mut tally =
            Self { endpoint, right: 0, wrong: vec![], void: vec![], missing: 0, latencies: vec![] };
        let mut cut = 0;
        for (index, answer) in endpoint.answers.iter().enumerate() {
            if matches!(answer.result, Answered::Right { .. } | Answered::Wrong { .. }) {
                tally.latencies.push(answer.took);
            }
            match &answer.result {
                Answered::Right { .. } if tally.is_late(answer) => tally.wrong.push((index, answer)),
                Answered::Right { .. } => tally.right += 1,
                Answered::Wrong { .. } if refuses_expired(answer) => tally.void.push(answer),
                Answered::Wrong { .. } | Answered::TimedOut | Answered::Broken { .. } => {
                    tally.wrong.push((index, answer));
                }
                Answered::Platform { .. } | Answered::NotSent { .. } => tally.void.push(answer),
                Answered::Cut => cut += 1,
            }
        }
        tally.missing = due.saturating_sub(endpoint.answers.len() as u64) + cut;
        tally.latencies.sort_unstable();
        tally
    }

    fn is_late(&self, answer: &Answer) -> bool {
        answer.took / 1000 > self.endpoint.within
    }

    fn asked(&self) -> usize {
        self.endpoint.answers.len()
    }

    /// Nearest rank, in microseconds.
    fn percentile(&self, percent: usize) -> Option<u64> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    fn latency_words(&self) -> String {
        let of = |percent| self.percentile(percent).map_or_else(|| "none".to_owned(), milliseconds);
        format!("p50 {}, p95 {}, p99 {}", of(50), of(95), of(99))
    }

    fn numbers(&self) -> Value {
        let shown: Vec<String> =
            self.wrong.iter().take(SHOWN).map(|(index, answer)| self.wrong_words(*index, answer)).collect();
        json!({ "endpoint": self.endpoint.name, "asked": self.asked(), "right": self.right, "wrong": self.wrong.len(),
            "void": self.void.len(), "missing": self.missing, "within_ms": self.endpoint.within,
            "latency_us": { "p50": self.percentile(50), "p95": self.percentile(95), "p99": self.percentile(99) },
            "first_wrong": shown })
    }

    fn wrong_words(&self, index: usize, answer: &Answer) -> String {
        let what = match &answer.result {
            Answered::Wrong { what, body, .. } if body.is_empty() => format!("{what}, with an empty body"),
            Answered::Wrong { what, body, .. } => format!("{what}: \"{body}\""),
            Answered::TimedOut => {
                format!("no whole answer within {}", milliseconds(self.endpoint.within.saturating_mul(1000)))
            }
            Answered::Broken { what } => format!("no whole answer: \"{what}\""),
            _ => format!(
                "it took {}, more than {}",
                milliseconds(answer.took),
                milliseconds(self.endpoint.within.saturating_mul(1000))
            ),
        };
        let how = if answer.at_once {
            let turn = (index + 1).saturating_sub(self.endpoint.times as usize);
            format!("request {turn} of {} at once", self.endpoint.at_once)
        } else {
            format!("request {}", index + 1)
        };
        format!("{what} ({how})")
    }

    /// What is said of answers that say nothing of the application, each kind with its first.
    fn void_words(&self) -> impl Iterator<Item = String> {
        let (expired, unreached): (Vec<&Answer>, Vec<&Answer>) =
            self.void.iter().copied().partition(|answer| refuses_expired(answer));
        let said = |answers: &[&Answer], what: &str| {
            let why = match &answers.first()?.result {
                Answered::Platform { page, .. } => page.words().to_owned(),
                Answered::NotSent { what } => format!("not sent: \"{what}\""),
                Answered::Wrong { what, .. } => what.to_string(),
                _ => String::new(),
            };
            Some(format!("{}: {} of {} {what}: {why}", self.endpoint.name, answers.len(), self.asked()))
        };
        let unreached = said(&unreached, "never reached the application");
        unreached.into_iter().chain(said(&expired, "carried a token that had expired by then"))
    }
}

/// True for an answer that says to a request that it is not let in, where its token had expired by then.
fn refuses_expired(answer: &Answer) -> bool {
    answer.expired.is_some() && matches!(answer.result, Answered::Wrong { status: 401 | 403, .. })
}

fn outcome(tallies: &[Tally<'_>]) -> Outcome {
    if tallies.iter().any(|tally| !tally.wrong.is_empty()) {
        return Outcome::Fail;
    }
    let whole = |tally: &Tally<'_>| tally.right > 0 && tally.void.is_empty() && tally.missing == 0;
    if !tallies.is_empty() && tallies.iter().all(whole) { Outcome::Pass } else { Outcome::Inconclusive }
}

fn words(tallies: &[Tally<'_>]) -> String {
    let wrong = tallies.iter().filter_map(|tally| {
        let (index, first) = tally.wrong.first()?;
        Some(format!(
            "{}: {} of {} answers are wrong, first: {}",
            tally.endpoint.name,
            tally.wrong.len(),
            tally.asked(),
            tally.wrong_words(*index, first)
        ))
    });
    let void = tallies.iter().flat_map(Tally::void_words);
    let missing: u64 = tallies.iter().map(|tally| tally.missing).sum();
    let missing = (missing > 0).then(|| format!("{missing} requests were not made, for the run was over"));
    let mut parts: Vec<String> = wrong.chain(void).chain(missing).collect();
    let right: u64 = tallies.iter().map(|tally| tally.right).sum();
    let asked: usize = tallies.iter().map(Tally::asked).sum();
    let slowest = tallies.iter().max_by_key(|tally| tally.percentile(95));
    let slowest = slowest.filter(|tally| !tally.latencies.is_empty());
    let latency = slowest.map_or_else(String::new, |tally| {
        let of = if tallies.len() > 1 { format!(", slowest {}", tally.endpoint.name) } else { String::new() };
        format!("{of}, {}", tally.latency_words())
    });
    let count =
        if tallies.len() == 1 { "1 endpoint".to_owned() } else { format!("{} endpoints", tallies.len()) };
    parts.push(format!("{right} of {asked} answers of {count} as they should be{latency}"));
    parts.join("; ")
}

fn help(tallies: &[Tally<'_>], seen: &ApiSeen) -> Vec<String> {
    let mut help = Vec::new();
    if seen.endpoints.iter().any(|endpoint| endpoint.is_swallowed) {
        help.push(SWALLOWED_WORDS.to_owned());
    }
    if let Some(tally) = tallies.iter().find(|tally| !tally.wrong.is_empty()) {
        let name = &tally.endpoint.name;
        help.push(format!("ask {name} yourself with curl -i, and look at the revision's log at that time"));
    }
    let pages = tallies.iter().flat_map(|tally| &tally.void).filter_map(|answer| match &answer.result {
        Answered::Platform { page, .. } => Some(*page),
        _ => None,
    });
    help.extend(pages.map(page_help).next().map(str::to_owned));
    if tallies.iter().flat_map(|tally| &tally.void).any(|answer| refuses_expired(answer)) {
        help.push(LET_LIVE.to_owned());
    }
    help
}

fn page_help(page: PlatformPage) -> &'static str {
    match page {
        PlatformPage::NotRouted => {
            "see that the path is one of the service's, and that the tag is routed: run it again"
        }
        PlatformPage::NoCapacity => "ask for fewer at once, or let the revision have more instances",
        PlatformPage::NotAvailable => "see ready, and the revision's log for instances that do not start",
        PlatformPage::NotAllowed => {
            "give this account roles/run.invoker, or an IAM ID token with --id-token-file"
        }
    }
}

fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100),
        10_000..10_000_000 => format!("{} ms", microseconds / 1000),
        _ => format!("{} s", microseconds / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Excerpt;

    fn endpoint(answers: Vec<Answer>) -> EndpointSeen {
        EndpointSeen {
            name: Excerpt::new("GET /health"),
            is_swallowed: false,
            statuses: vec!["200".to_owned()],
            within: 2000,
            times: u32::try_from(answers.len()).unwrap(),
            at_once: 0,
            answers,
        }
    }

    fn answer(took: u64, result: Answered) -> Answer {
        Answer { number: 1, at_once: false, began: 0, took, expired: None, result }
    }

    fn right(took: u64) -> Answer {
        answer(took, Answered::Right { status: 200 })
    }

    fn judged(endpoint: &EndpointSeen) -> (Outcome, String) {
        let tallies = [Tally::of(endpoint)];
        (outcome(&tallies), words(&tallies))
    }

    #[test]
    fn all_right_passes_with_its_percentiles() {
        let seen = endpoint((1..=100).map(|n| right(n * 1000)).collect());
        let (outcome, words) = judged(&seen);
        assert_eq!(outcome, Outcome::Pass);
        assert_eq!(
            words,
            "100 of 100 answers of 1 endpoint as they should be, p50 50 ms, p95 95 ms, p99 99 ms"
        );
    }

    #[test]
    fn one_late_answer_fails_and_one_page_of_the_platform_is_no_pass() {
        let (outcome, words) = judged(&endpoint(vec![right(1000), right(2_001_000)]));
        assert_eq!(outcome, Outcome::Fail);
        assert!(words.contains("it took 2001 ms, more than 2000 ms (request 2)"), "{words}");
        let page = Answered::Platform { status: 404, page: PlatformPage::NotRouted };
        let (outcome, words) = judged(&endpoint(vec![right(1000), answer(5, page)]));
        assert_eq!(outcome, Outcome::Inconclusive);
        assert!(words.contains("1 of 2 never reached the application"), "{words}");
    }

    #[test]
    fn a_refusal_of_an_expired_token_is_no_failure_and_no_pass() {
        let wrong = |status, expired| {
            let what = Excerpt::new(&format!("status {status} where 2xx is due"));
            let result = Answered::Wrong { status, what, body: Excerpt::default() };
            Answer { expired, ..answer(1000, result) }
        };
        for status in [401, 403] {
            let (outcome, words) = judged(&endpoint(vec![right(1000), wrong(status, Some(9))]));
            assert_eq!(outcome, Outcome::Inconclusive, "{words}");
            let due = format!(
                "GET /health: 1 of 2 carried a token that had expired by then: status {status} where 2xx is due"
            );
            assert!(words.starts_with(&due), "{words}");
            assert_eq!(judged(&endpoint(vec![wrong(status, None)])).0, Outcome::Fail);
        }
        assert_eq!(judged(&endpoint(vec![wrong(500, Some(9))])).0, Outcome::Fail);
    }

    #[test]
    fn what_was_not_asked_is_no_pass() {
        let mut seen = endpoint(vec![right(1000)]);
        seen.times = 2;
        assert_eq!(judged(&seen).0, Outcome::Inconclusive);
        assert_eq!(judged(&endpoint(vec![answer(9, Answered::Cut)])).0, Outcome::Inconclusive);
        assert_eq!(outcome(&[]), Outcome::Inconclusive);
    }
}
