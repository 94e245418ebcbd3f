//! The check `identity`: did the sockets reach the candidate, and nothing else?
//!
//! Takes the evidence; gives the check. It asks nobody. The surprising rule: the status of a tag proves nothing by itself,
//! since a tag that was moved leads to the old revision for minutes after its status names the new one.

use serde_json::json;

use super::check::{Check, Outcome};
use super::evidence::{AddressKind, Evidence, RequestLog};
use super::tag_loss;
use crate::config::{CheckName, Echo};

/// The check.
pub(super) fn identity(evidence: &Evidence) -> Check {
    let name = CheckName::Identity;
    let unproven =
        |summary: String, help: &str| Check::bare(name, Outcome::Inconclusive, summary).with_help(help);
    let Some(revision) = &evidence.target.revision else {
        return unproven(
            "there is no control plane to ask which revision answers".to_owned(),
            "name --project, --region and --service, or leave it out with --skip ready,identity",
        );
    };
    if let Some(loss) = &evidence.tag_loss {
        return tag_loss::identity(loss, evidence);
    }
    let Some(probing) = &evidence.probing else {
        return unproven("nothing was probed".to_owned(), "see the checks above");
    };
    let identity = &evidence.identity;
    let tagged = matches!(identity.address, AddressKind::FreshTag { .. } | AddressKind::Tag { .. });
    if identity.before == Some(false) || identity.after == Some(false) {
        return unproven(
            "the tag did not name the candidate for the whole run".to_owned(),
            "somebody moved the tag meanwhile: run the check again",
        );
    }
    if tagged && (identity.before.is_none() || identity.after.is_none()) {
        return unproven(
            "whether the tag named the candidate for the whole run could not be read".to_owned(),
            "see the notes for what the control plane answered, then run the check again",
        );
    }
    if let Some(echo) = &identity.echo {
        return by_echo(echo, &evidence.echoes(probing), revision);
    }
    match (&identity.address, &identity.log) {
        (AddressKind::FreshTag { tag }, _) => Check::bare(
            name,
            Outcome::Pass,
            format!("by tag {tag}, a name never used before, on the candidate before and after"),
        )
        .with_evidence(json!({ "by": "fresh-tag", "tag": tag })),
        (_, Some(log)) => by_log(log, revision),
        (AddressKind::Tag { tag }, None) => unproven(
            format!("tag {tag} may have named another revision before, and answers do not name theirs"),
            NAMED_BY_ANSWERS,
        ),
        (AddressKind::Url | AddressKind::None, None) => unproven(
            "answers at this address do not name their revision".to_owned(),
            "let answers name their revision: --identity-header x-revision",
        ),
    }
}

/// What to do where nothing proves it.
const NAMED_BY_ANSWERS: &str = "let answers name their revision (--identity-header x-revision), or deploy without a tag and give --tag NAME";

/// Every request of this run has an entry in the log, and each entry names the revision that took it.
fn by_log(log: &RequestLog, revision: &str) -> Check {
    let name = CheckName::Identity;
    let (due, missing, candidate, others, waited) = match log {
        RequestLog::Read { due, missing, candidate, others, waited_s } => {
            (*due, *missing, *candidate, others, *waited_s)
        }
        RequestLog::Unread { why } => {
            let words = format!("answers do not name their revision, and the log could not be read: {why}");
            return Check::bare(name, Outcome::Inconclusive, words).with_help(NAMED_BY_ANSWERS);
        }
    };
    let elsewhere: u32 = others.iter().map(|(_, count)| count).sum();
    let all = candidate.saturating_add(elsewhere);
    let numbers =
        json!({ "by": "log", "due": due, "missing": missing, "candidate": candidate, "others": others });
    let (outcome, summary, help) = match others.first() {
        Some((other, _)) => (
            Outcome::Inconclusive,
            format!("by the log {candidate} of {all} requests reached the candidate, others \"{other}\""),
            "routing was not finished, or the address is another revision's: run again",
        ),
        None if due == 0 => (
            Outcome::Inconclusive,
            "no socket opened, so nothing names its revision".to_owned(),
            "see serves",
        ),
        None if missing > 0 || candidate == 0 => (
            Outcome::Inconclusive,
            format!("the log has no entry of {missing} of {due} sockets after {waited} s"),
            NAMED_BY_ANSWERS,
        ),
        None => (Outcome::Pass, format!("by the log: {candidate} of {all} requests reached {revision}"), ""),
    };
    let check = Check::bare(name, outcome, summary).with_evidence(numbers);
    if help.is_empty() { check } else { check.with_help(help) }
}

fn by_echo(echo: &Echo, opened: &[Option<&str>], revision: &str) -> Check {
    let place = match echo {
        Echo::Header(name) => format!("header {name}"),
        Echo::Pointer(pointer) => format!("{pointer} of a frame"),
    };
    let right = opened.iter().filter(|echo| **echo == Some(revision)).count();
    let missing = opened.iter().filter(|echo| echo.is_none()).count();
    let other = opened.iter().flatten().find(|echo| **echo != revision);
    let numbers = json!({ "by": "echo", "place": place, "opened": opened.len(), "candidate": right, "missing": missing,
        "other": other });
    let (outcome, summary) = match other {
        _ if opened.is_empty() => {
            (Outcome::Inconclusive, "no socket opened, so nothing named its revision".to_owned())
        }
        Some(other) => (
            Outcome::Inconclusive,
            format!("{right} of {} answers came from the candidate, others from \"{other}\"", opened.len()),
        ),
        None if missing > 0 => {
            (Outcome::Inconclusive, format!("{missing} of {} answers have no {place}", opened.len()))
        }
        None => (Outcome::Pass, format!("by {place} in {right} of {} answers", opened.len())),
    };
    let check = Check::bare(CheckName::Identity, outcome, summary).with_evidence(numbers);
    match outcome {
        Outcome::Pass => check,
        _ if other.is_some() => {
            check.with_help("routing was not finished, or the address is another revision's: run again")
        }
        _ if opened.is_empty() => check.with_help("see serves"),
        _ => check.with_help("put the value of K_REVISION there in every answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(missing: u32, candidate: u32, others: &[(&str, u32)]) -> Check {
        let others = others.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        by_log(&RequestLog::Read { due: 9, missing, candidate, others, waited_s: 60 }, "s-2")
    }

    #[test]
    fn the_log_proves_only_what_it_shows_whole() {
        let check = read(0, 12, &[]);
        assert_eq!(check.outcome, Outcome::Pass);
        assert_eq!(check.summary, "by the log: 12 of 12 requests reached s-2");
        assert_eq!(read(1, 11, &[]).outcome, Outcome::Inconclusive);
        assert_eq!(read(0, 0, &[]).outcome, Outcome::Inconclusive);
        let mixed = read(0, 11, &[("s-1", 1)]);
        assert_eq!(mixed.outcome, Outcome::Inconclusive);
        assert!(mixed.summary.contains("11 of 12 requests reached the candidate, others \"s-1\""));
        let unread = by_log(&RequestLog::Unread { why: "denied".to_owned() }, "s-2");
        assert!(unread.outcome == Outcome::Inconclusive && unread.summary.ends_with(": denied"));
    }
}
