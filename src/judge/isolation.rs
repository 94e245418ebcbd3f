//! The check `isolation`: does no user see what belongs to another?
//!
//! Takes the evidence; gives the outcome with what was looked for and where. It opens nothing. The surprising rule: one leak
//! blocks, whatever else passed, and without two users whose conversations ran at once nothing was shown.

use serde_json::json;

use super::agent::not_run;
use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;
use crate::probe::{IsolationSeen, Leak};

/// The check.
pub(super) fn isolation(evidence: &Evidence) -> Check {
    let name = CheckName::Isolation;
    let agent = evidence.configured.agent.as_ref();
    let Some(seen) = agent.and_then(|seen| seen.isolation.as_ref()) else { return not_run(name, evidence) };
    let failed = agent.is_some_and(|agent| agent.runs.iter().any(|run| !run.is_whole()));
    let IsolationSeen { conversations, users, at_once, marks, frames, .. } = *seen;
    let looked = format!(
        "{} of {} of {}, looked for in {} and all closes",
        several(marks.into(), "mark"),
        several(conversations.into(), "conversation"),
        several(users.into(), "user"),
        several(frames, "frame")
    );
    let check = if let Some(leak) = seen.leaks.first() {
        let more = match seen.leaks_total {
            1 => String::new(),
            total => format!("; {total} leaks in all"),
        };
        Check::bare(name, Outcome::Fail, format!("{}{more}", words(leak)))
            .with_help(advice(leak))
            .with_help("what it means: revgate explain isolation")
    } else if at_once < 2 && failed {
        let words =
            format!("a run failed before two users' conversations ran at once and to their end; {looked}");
        Check::bare(name, Outcome::Inconclusive, words).with_help("see agent")
    } else if users < 2 {
        Check::bare(name, Outcome::Inconclusive, format!("it takes two users; {looked}"))
            .with_help("name more users: users: [a, b, c] in revgate.yaml, or --user a,b,c")
    } else if at_once < 2 {
        let words = format!("no two users' conversations ran at once and to their end; {looked}");
        Check::bare(name, Outcome::Inconclusive, words).with_help("see agent, or raise `at-once:`")
    } else if marks == 0 || frames == 0 {
        let words = format!("nothing that could have shown: {looked}");
        Check::bare(name, Outcome::Inconclusive, words)
            .with_help("send {{nonce}} in the flow, or name users of four characters and more")
    } else {
        let cut = if seen.cut == 0 {
            String::new()
        } else {
            format!("; {} conversations were longer than the 256 KiB that are kept", seen.cut)
        };
        let short = if seen.short == 0 {
            String::new()
        } else {
            format!(
                "; {} marks are shorter than 4 characters, or numbered as a count does, and were not looked for",
                seen.short
            )
        };
        Check::bare(name, Outcome::Pass, format!("{looked}; {at_once} users at once{cut}{short}"))
    };
    check.with_evidence(json!(seen))
}

/// What to do where it is no leak.
fn advice(leak: &Leak) -> String {
    if matches!(leak.mark.as_str(), "nonce" | "user") {
        return "if these frames may show others, as a list of who is there does, name them under `isolation: shared:`"
            .to_owned();
    }
    let mark = &leak.mark;
    format!(
        "if {mark} is nobody's own (a model, a state), name the captures that are: isolation: {{ captures: [NAME] }}; if these \
         frames may show others, name them under `isolation: shared:`"
    )
}

fn several(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn words(leak: &Leak) -> String {
    let Leak { run, user, of_run, of_user, mark, in_close, in_pieces, text, .. } = leak;
    let what = match mark.as_str() {
        "nonce" => "the nonce".to_owned(),
        "user" => "the user".to_owned(),
        capture => format!("the captured {capture}"),
    };
    let place = match (in_close, in_pieces) {
        (true, _) => "the reason of the close",
        (false, true) => "pieces over several frames",
        (false, false) => "a frame",
    };
    format!("{user} (run {run}) got {what} of {of_user} (run {of_run}) in {place}: \"{text}\"")
}
