//! Which revision is the candidate?
//!
//! Takes a service, all its revisions and the choice that was made, gives the candidate and the rule that chose it. It
//! never guesses between several. The surprising rule: `latestCreatedRevision` does not decide, it only disagrees: when
//! two deployments overlap, it may name the other one's.

use serde::{Deserialize, Serialize};

use super::{command, tag, traffic};
use crate::cloudrun::wire::{Revision, Service, TrafficTargetStatus, short_name};
use crate::config::{Choice, ServiceName};

/// How many names an error lists.
const LISTED: usize = 12;

/// The candidate, and how it stands in the service's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// Short name of the candidate.
    pub revision: String,
    /// Unique in all time.
    pub uid: String,
    /// When it was made, by RFC 3339; `None` where the API does not say.
    pub created: Option<String>,
    /// Digests of its images (`sha256:…`).
    pub digests: Vec<String>,
    /// The rule that chose it, such as `newest by creation`.
    pub rule: String,
    /// What it serves now, in percent.
    pub serving_percent: i64,
    /// Its tags, those of statuses and those only asked for.
    pub tags: Vec<CandidateTag>,
    /// The revision that serves most requests now, other than the candidate where there is another.
    pub previous: Option<Serving>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
}

/// A tag of the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateTag {
    /// Its name.
    pub name: String,
    /// Its address as reported; `None` while the API has not acted upon it.
    pub uri: Option<String>,
}

/// A revision and its share of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Short name.
    pub revision: String,
    /// In percent.
    pub percent: i64,
}

/// Why there is no candidate. The caller's mistake: exit 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// The service has no revisions.
    #[error("{service} has no revisions")]
    NoRevisions {
        /// The service.
        service: Box<ServiceName>,
    },
    /// No revision is the one that was asked for.
    #[error("{service} has no revision {asked}, but {}", existing.join(", "))]
    NoMatch {
        /// The service.
        service: Box<ServiceName>,
        /// What was asked for.
        asked: String,
        /// What exists, newest first.
        existing: Vec<String>,
    },
    /// More than one is.
    #[error("{service} has {count} revisions {asked}: {}", matches.join(", "))]
    Several {
        /// The service.
        service: Box<ServiceName>,
        /// What was asked for.
        asked: String,
        /// How many match.
        count: usize,
        /// Those that match, newest first.
        matches: Vec<String>,
    },
}

impl LocateError {
    /// What to type next.
    pub fn help(&self) -> String {
        match self {
            Self::NoRevisions { service } => {
                format!("deploy one, or see how the service stands: {}", command::describe(service))
            }
            Self::NoMatch { service, .. } => {
                format!("see all of them: {}", command::list_revisions(service))
            }
            Self::Several { service, matches, .. } => {
                let newest = matches.first().map_or("NAME", String::as_str);
                format!("name one of them: {}", command::check(service, &["--revision", newest]))
            }
        }
    }
}

/// Finds the candidate.
///
/// # Errors
/// None or several match; both say what exists.
pub fn locate(service: &Service, revisions: &[Revision], choice: &Choice) -> Result<Located, LocateError> {
    let mut alive: Vec<&Revision> =
        revisions.iter().filter(|revision| revision.delete_time.is_none()).collect();
    alive.sort_by(|a, b| (b.create_time, &b.name).cmp(&(a.create_time, &a.name)));
    let Some(newest) = alive.first().copied() else {
        return Err(LocateError::NoRevisions { service: Box::new(service.service_name()) });
    };
    let asked = describe(choice);
    let (candidate, rule) = match choice {
        Choice::Newest => (newest, "newest by creation".to_owned()),
        Choice::Revision(name) => {
            let matches = |revision: &Revision| revision.short_name() == name;
            (only(service, &alive, &asked, matches)?, "by name".to_owned())
        }
        Choice::Labels(labels) => {
            let matches = |revision: &Revision| {
                labels.iter().all(|(key, value)| revision.labels.get(key) == Some(value))
            };
            (only(service, &alive, &asked, matches)?, format!("the only one {asked}"))
        }
        Choice::ImageDigest(digest) => {
            let matches = |revision: &Revision| revision.digests().contains(&digest.as_str());
            (only(service, &alive, &asked, matches)?, format!("the only one {asked}"))
        }
    };
    Ok(located(service, candidate, newest, rule, choice))
}

/// The end of "no revision …", from the choice.
fn describe(choice: &Choice) -> String {
    match choice {
        Choice::Newest => "that is newest".to_owned(),
        Choice::Revision(name) => format!("named {name}"),
        Choice::ImageDigest(digest) => format!("with the image {digest}"),
        Choice::Labels(labels) => {
            let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("with {} {}", if pairs.len() == 1 { "the label" } else { "the labels" }, pairs.join(", "))
        }
    }
}

/// The only revision that matches.
fn only<'a>(
    service: &Service,
    newest_first: &[&'a Revision],
    asked: &str,
    matches: impl Fn(&Revision) -> bool,
) -> Result<&'a Revision, LocateError> {
    let found: Vec<&Revision> = newest_first.iter().copied().filter(|revision| matches(revision)).collect();
    let service = || Box::new(service.service_name());
    let asked = asked.to_owned();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(LocateError::NoMatch { service: service(), asked, existing: names(newest_first) }),
        several => Err(LocateError::Several {
            service: service(),
            asked,
            count: several.len(),
            matches: names(several),
        }),
    }
}

/// The first names, and how many more there are.
fn names(revisions: &[&Revision]) -> Vec<String> {
    let mut names: Vec<String> =
        revisions.iter().take(LISTED).map(|revision| revision.short_name().to_owned()).collect();
    if revisions.len() > LISTED {
        names.push(format!("and {} more", revisions.len() - LISTED));
    }
    names
}

fn located(
    service: &Service,
    candidate: &Revision,
    newest: &Revision,
    rule: String,
    choice: &Choice,
) -> Located {
    let name = candidate.short_name();
    let serving_percent = traffic::effective_percent(service, name);
    Located {
        revision: name.to_owned(),
        uid: candidate.uid.clone(),
        created: candidate.create_time.map(|time| time.to_string()),
        digests: candidate.digests().into_iter().map(str::to_owned).collect(),
        rule,
        serving_percent,
        tags: tags(service, name),
        previous: previous(service, name),
        notes: notes(service, candidate, newest, serving_percent, choice),
    }
}

/// The tags of a revision: first those that revgate makes, then by name.
fn tags(service: &Service, revision: &str) -> Vec<CandidateTag> {
    let named = |entry: &TrafficTargetStatus| entry.revision.as_deref() == Some(revision);
    let reported = service.traffic_statuses.iter();
    let asked = service.traffic.iter().map(|target| &target.view);
    let mut tags: Vec<CandidateTag> = Vec::new();
    for entry in reported.chain(asked).filter(|entry| named(entry)) {
        if let Some(name) = &entry.tag
            && !tags.iter().any(|tag| &tag.name == name)
        {
            tags.push(CandidateTag { name: name.clone(), uri: entry.uri.clone() });
        }
    }
    tags.sort_by_key(|tag| (!tag::is_fresh_shape(&tag.name), tag.name.clone()));
    tags
}

/// Who serves most now, the candidate only when nobody else does.
fn previous(service: &Service, candidate: &str) -> Option<Serving> {
    traffic::effective_shares(service)
        .into_iter()
        .max_by_key(|(revision, percent)| (revision != candidate, *percent))
        .map(|(revision, percent)| Serving { revision, percent })
}

fn notes(
    service: &Service,
    candidate: &Revision,
    newest: &Revision,
    serving_percent: i64,
    choice: &Choice,
) -> Vec<String> {
    let mut notes = Vec::new();
    let name = candidate.short_name();
    let latest = short_name(&service.latest_created_revision);
    if *choice == Choice::Newest && !latest.is_empty() && latest != name {
        notes.push(format!(
            "{name} is the newest by creation, but the service names {latest} as created last: two deployments may \
             overlap; name yours with --revision"
        ));
    }
    if *choice != Choice::Newest && newest.name != candidate.name {
        notes.push(format!("{} is newer than {name}", newest.short_name()));
    }
    if serving_percent > 0 {
        notes.push(format!("{name} already serves {serving_percent} % of the requests"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    const FULL: &str = "projects/p/locations/l/services/s";

    fn service(latest_created: &str) -> Service {
        Service::deserialize(json!({
            "name": FULL, "latestCreatedRevision": format!("{FULL}/revisions/{latest_created}"),
            "latestReadyRevision": format!("{FULL}/revisions/s-1"),
            "traffic": [{"type": 1, "percent": 100}, {"type": 2, "revision": "s-3", "tag": "soon"}],
            "trafficStatuses": [{"type": 1, "percent": 100},
                {"type": 2, "revision": "s-3", "tag": "zeta", "uri": "https://zeta"}]}))
        .unwrap()
    }

    fn revision(name: &str, time: &str, extra: Value) -> Revision {
        let mut raw = json!({"name": format!("{FULL}/revisions/{name}"), "createTime": time});
        if let (Some(raw), Value::Object(extra)) = (raw.as_object_mut(), extra) {
            raw.extend(extra);
        }
        Revision::deserialize(raw).unwrap()
    }

    fn revisions() -> Vec<Revision> {
        let digest =
            json!({"containerStatuses": [{"imageDigest": "r/x@sha256:aa"}], "labels": {"commit": "abc"}});
        vec![
            revision("s-2", "2026-11-23T20:28:12.5Z", digest.clone()),
            revision("s-1", "2026-11-22T20:28:12Z", json!({"labels": {"commit": "abc", "env": "prod"}})),
            revision("s-3", "2026-11-23T20:28:12.812345678Z", digest),
            revision("s-9", "2026-11-24T00:00:00Z", json!({"deleteTime": "2026-11-24T00:00:01Z"})),
        ]
    }

    #[test]
    fn takes_the_newest_by_time_and_names_a_disagreement() {
        let located = locate(&service("s-3"), &revisions(), &Choice::Newest).unwrap();
        assert_eq!((located.revision.as_str(), located.rule.as_str()), ("s-3", "newest by creation"));
        assert_eq!((located.serving_percent, located.notes.len()), (0, 0));
        assert_eq!(located.previous, Some(Serving { revision: "s-1".into(), percent: 100 }));
        let names: Vec<_> = located.tags.iter().map(|tag| (tag.name.as_str(), tag.uri.as_deref())).collect();
        assert_eq!(names, [("soon", None), ("zeta", Some("https://zeta"))]);
        let other = locate(&service("s-2"), &revisions(), &Choice::Newest).unwrap();
        assert!(other.revision == "s-3" && other.notes[0].contains("names s-2 as created last"));
    }

    #[test]
    fn takes_the_one_that_was_asked_for() {
        let by = |choice: Choice| locate(&service("s-3"), &revisions(), &choice);
        let named = by(Choice::Revision("s-1".into())).unwrap();
        assert_eq!(named.notes, ["s-3 is newer than s-1", "s-1 already serves 100 % of the requests"]);
        let labels = vec![("commit".into(), "abc".into()), ("env".into(), "prod".into())];
        assert_eq!(by(Choice::Labels(labels)).unwrap().revision, "s-1");

        let several = by(Choice::ImageDigest("sha256:aa".into())).unwrap_err();
        assert_eq!(several.to_string(), "s · l has 2 revisions with the image sha256:aa: s-3, s-2");
        assert!(several.help().ends_with("--service s --revision s-3"));
        let none = by(Choice::Revision("s-7".into())).unwrap_err();
        assert_eq!(none.to_string(), "s · l has no revision named s-7, but s-3, s-2, s-1");
        assert!(matches!(locate(&service(""), &[], &Choice::Newest), Err(LocateError::NoRevisions { .. })));
    }
}
