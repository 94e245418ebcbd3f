//! What to do about a failure: which lines of help does a failed check give?
//!
//! Takes a finding and the evidence around it, gives text with a command to type, filled in as far as it is known. It
//! decides nothing: a check is judged before anybody asks for advice. The surprising rule: what never reached the
//! application has advice too, since "inconclusive" without a reason sends people looking in the wrong place.

use super::bench::{Bench, Failure};
use super::classify::{Finding, Kind, UNGREETED, WITHOUT_CODE};
use super::evidence::{Evidence, Probing};
use crate::config::{FAILED, Pattern};
use crate::probe::{Phase, Stage};
use crate::trust::escape;

/// What to do about a token that expired on its way.
pub(super) const LET_LIVE: &str =
    "let tokens live longer: `lifetime:` under `token:`, or `tokens-command:`, which gives new ones in time";

/// What to do about a frame that is meant for another socket.
const MISDIRECTED: &str = "look for state that sockets share across an `await` (a global of the current user, one slot for \
    whoever asked last); if a healthy server says such things to everybody, describe answers with --expect PATTERN, and \
    greetings with `harmless: PATTERN` in revgate.yaml";

/// How to run the failing round again.
pub(super) fn again(
    pattern: Pattern,
    bench: &Bench,
    probing: Option<&Probing>,
    evidence: &Evidence,
) -> Option<String> {
    let plan = &probing?.plan;
    let seed = plan.seed.to_string();
    if pattern == Pattern::Cold && plan.starts_instances() {
        // Who starts is the platform's choice: what asked for it is all that can be repeated.
        let with = [("pattern", Pattern::Control.name()), ("seed", seed.as_str())];
        return Some(format!("let instances start again: {}", evidence.asked.repeat(&with)));
    }
    let round = bench.zero().or_else(|| bench.failures.first())?.round.to_string();
    let mut with = vec![("pattern", pattern.name()), ("seed", &seed)];
    // The first contact is over once and for all; its pattern alone makes another.
    if pattern != Pattern::FirstContact {
        with.push(("round", &round));
    }
    Some(format!("repeat this round: {}", evidence.asked.repeat(&with)))
}

/// The same command with one more option, which the reader fills in.
fn with(evidence: &Evidence, option: &str, placeholder: &str) -> String {
    // One key for tokens is enough: two in one command are refused.
    let without = ["token-secret-env", "token-secret-file"];
    let without = if without.contains(&option) { &without[..] } else { &[option] };
    format!("{} --{option} {placeholder}", evidence.asked.line(&evidence.asked.command, without, &[]))
}

/// What is said where nothing better is known.
const MEANING: &str = "what it means: revgate explain race";
/// The same of sockets that fail only together.
const TOGETHER: &str = "single sockets are served, so that neither the token nor the configuration explains it; what it means: \
    revgate explain race";

/// What a failure of the application's suggests. `together`: single sockets are served, where rounds fail.
pub(super) fn of_failure(failure: &Failure, together: bool, evidence: &Evidence) -> String {
    if let Some(advice) = of_replacement(failure) {
        return advice.to_owned();
    }
    let advice = of_finding(&failure.finding, evidence);
    let holds = matches!(failure.finding.kind, Kind::LimitReached | Kind::Misdirected | Kind::TooLarge);
    if together && !holds && advice != MEANING { TOGETHER.to_owned() } else { advice }
}

/// What a failure suggests that anybody may meet.
fn of_finding(finding: &Finding, evidence: &Evidence) -> String {
    let typed = |option: &str, placeholder: &str| with(evidence, option, placeholder);
    match (finding.kind, finding.status, finding.code) {
        // First of all: a limit is often closed with 1008, and a better token does not help there.
        (Kind::LimitReached, ..) => {
            "state the service's limits in revgate.yaml: `limits:` has sockets-at-once, openings-per-second, \
             sockets-per-user and messages-per-minute"
                .to_owned()
        }
        (Kind::HttpStatus, Some(401 | 403), _) | (_, _, Some(1008 | 4001 | 4003)) => format!(
            "the application refused the socket: look at the token (`token:` in revgate.yaml), its claims and the \
             users; sign it with the key that the server checks: {}",
            typed("token-secret-env", "VARIABLE")
        ),
        (Kind::HttpStatus, Some(404 | 405), _) => format!(
            "no WebSocket at path {}: name the right one: {}",
            escape(&evidence.target.path),
            typed("path", "/PATH")
        ),
        (Kind::Silent, ..) => {
            "a socket that says nothing proves nothing: declare what a healthy one does with \
                               --send TEXT and --expect PATTERN"
                .to_owned()
        }
        (Kind::NoAnswer, ..) => {
            "if what came is a healthy answer, or looks like what comes unasked, describe answers with --expect PATTERN"
                .to_owned()
        }
        (Kind::GreetingMissing, ..) if finding.words.starts_with(UNGREETED) => {
            "if a healthy socket is greeted otherwise, or only after the first message, mend or leave out `greeting:` in \
             revgate.yaml (`expect` says what an answer is)"
                .to_owned()
        }
        (Kind::Misdirected, ..) => MISDIRECTED.to_owned(),
        (Kind::ErrorFrame, ..) => {
            "if this frame is what a healthy server says, declare it: as the answer with --expect PATTERN, else with \
             `harmless: PATTERN` in revgate.yaml"
                .to_owned()
        }
        (Kind::TcpRefused | Kind::TcpTimeout | Kind::TcpFailed, ..) => format!(
            "the server is down, or the address is another's: nobody answers at {}; is it the right one? \
             revgate check --url wss://HOST",
            address(evidence)
        ),
        (Kind::Close, _, code)
            if finding.phase == Phase::Hold && !code.is_some_and(|code| FAILED.contains(&code)) =>
        {
            format!(
                "if a healthy server closes like this once it has answered, declare it: `closes: [{}]` in revgate.yaml",
                code.unwrap_or(WITHOUT_CODE)
            )
        }
        (Kind::TooLarge, ..) => "let the probed conversation have a smaller answer: send another text".to_owned(),
        (Kind::Subprotocol, ..) => "offer what the server speaks with --subprotocol".to_owned(),
        (Kind::Tls, ..) => "check the address (wss needs a certificate that this machine trusts)".to_owned(),
        _ => MEANING.to_owned(),
    }
}

/// What a close suggests that another socket of the same user may have caused.
fn of_replacement(failure: &Failure) -> Option<&'static str> {
    let finding = &failure.finding;
    let of_one_user =
        matches!(failure.stage, Stage::SameUser | Stage::FrozenSameUser | Stage::Reconnect | Stage::Stagger);
    if finding.kind != Kind::Close || finding.code == Some(1011) {
        return None;
    }
    // A pair that arrives at once is told apart before its first one was served; then only a code of the application's own
    // may mean it.
    let may_mean_it =
        finding.phase == Phase::Hold || finding.code.is_some_and(|code| (4000..5000).contains(&code));
    if of_one_user && may_mean_it {
        return Some(
            "if a user's second socket may replace the first, say so: `limits: {sockets-per-user: 1}` in revgate.yaml, \
             and --pattern without same-user",
        );
    }
    names_another(&finding.words).then_some(
        "a newer socket of the user seems to replace the older one, also one that is only held: if that is meant, say so: \
         `limits: {sockets-per-user: 1}` in revgate.yaml, and --pattern without same-user",
    )
}

/// True when a close says that another socket has taken its place.
fn names_another(words: &str) -> bool {
    const SAID: [&str; 7] =
        ["replaced", "newer", "another", "duplicate", "superseded", "elsewhere", "taken over"];
    let words = words.to_ascii_lowercase();
    SAID.iter().any(|said| words.contains(said))
}

/// What is suggested by a socket that never reached the application.
pub(super) fn of_unreached(finding: &Finding, evidence: &Evidence) -> String {
    match (finding.kind, finding.status) {
        (Kind::Dns, _) => format!(
            "the name in {} is not known to DNS here; is it the right one? revgate check --url wss://HOST",
            address(evidence)
        ),
        (Kind::PlatformPage, Some(401 | 403)) => {
            let command = with(evidence, "id-token-file", "FILE");
            format!(
                "the service is private: IAM wants an ID token of an account with roles/run.invoker: \
                 {command} (gcloud auth print-identity-token > FILE)"
            )
        }
        (Kind::PlatformPage, Some(404)) => {
            "this host is not routed: look at the service's traffic and ingress, then run it again".to_owned()
        }
        (Kind::PlatformPage, _) => {
            "the platform had no instance for it: look at the service's scaling, then run it again".to_owned()
        }
        (Kind::ExpiredToken, _) => LET_LIVE.to_owned(),
        (Kind::LatePong, _) => "run it where less else is running, or with fewer sockets at once".to_owned(),
        (
            Kind::NoAnswer | Kind::Silent | Kind::GreetingMissing | Kind::OpeningTimeout | Kind::TcpTimeout,
            _,
        ) => "give it more with --time-budget".to_owned(),
        (Kind::LocalLimit, _) => {
            "this machine ran out of sockets: raise `ulimit -n`, or lower limits.sockets-at-once".to_owned()
        }
        _ => "there is no way there from this machine: look at its network, then run it again".to_owned(),
    }
}

fn address(evidence: &Evidence) -> &str {
    evidence.target.address.as_deref().unwrap_or("this address")
}
