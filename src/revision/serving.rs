//! By which address is the revision that serves reached, and nobody else?
//!
//! Takes the service and the candidate; gives an address that leads to the serving revision alone, or says why there is
//! nothing to compare with. It adds nothing. The surprising rule: a service's own address counts only while one revision
//! has all of its traffic, since any other share would compare the candidate with a mixture, perhaps with itself.

use super::locate::Located;
use super::{command, tag, traffic};
use crate::cloudrun::wire::Service;
use crate::config::ServiceName;

/// Where the revision that serves is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// By an address that leads to it alone.
    At {
        /// Short name.
        revision: String,
        /// The address, as reported.
        uri: String,
        /// Why it leads there, such as `its tag blue`.
        way: String,
    },
    /// There is nothing to compare with.
    None {
        /// Why not.
        reason: String,
    },
}

/// The serving revision has no address of its own. The caller's mistake: exit 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{revision} serves {percent} % and has no address of its own to be compared at; a run adds no tag to it unasked"
)]
pub struct NoRivalAddress {
    /// Short name of the revision that serves.
    pub revision: String,
    /// Its share of the traffic.
    pub percent: i64,
    /// The service.
    pub service: Box<ServiceName>,
}

impl NoRivalAddress {
    /// What to type next.
    pub fn help(&self) -> String {
        let add = command::add_tag(&self.service, "serving", &self.revision);
        format!("add a tag yourself: {add}; or leave out --baseline")
    }
}

/// Finds the revision that serves, and its address: a tag of its own, else the service's, where it has all traffic.
///
/// # Errors
/// It serves a part of the traffic only, and has no tag.
pub fn rival(service: &Service, located: &Located) -> Result<Rival, NoRivalAddress> {
    let none = |reason: String| Ok(Rival::None { reason });
    let Some(serving) = &located.previous else {
        return none("no revision serves yet".to_owned());
    };
    let revision = serving.revision.clone();
    if revision == located.revision {
        return none("the candidate is the revision that serves".to_owned());
    }
    let mut tags: Vec<(bool, &str, &str)> = service
        .traffic_statuses
        .iter()
        .filter(|entry| entry.revision.as_deref() == Some(&revision))
        .filter_map(|entry| entry.tag.as_deref().zip(entry.uri.as_deref()))
        .map(|(tag, uri)| (tag::is_fresh_shape(tag), tag, uri))
        .collect();
    // One that a run made may be gone before this run ends.
    tags.sort_unstable();
    if let Some((_, tag, uri)) = tags.first() {
        return Ok(Rival::At { revision, uri: (*uri).to_owned(), way: format!("its tag {tag}") });
    }
    match &service.uri {
        Some(uri) if traffic::effective_percent(service, &revision) == 100 => {
            let way = "the service's own address, with all traffic".to_owned();
            Ok(Rival::At { revision, uri: uri.clone(), way })
        }
        _ => Err(NoRivalAddress {
            revision,
            percent: serving.percent,
            service: Box::new(service.service_name()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::super::locate;
    use super::*;
    use crate::cloudrun::wire::Revision;
    use crate::config::Choice;

    fn found(statuses: &Value) -> Result<Rival, NoRivalAddress> {
        let name = "projects/p/locations/l/services/s";
        let service = json!({"name": name, "uri": "https://s", "trafficStatuses": statuses});
        let service = Service::deserialize(service).unwrap();
        let revision = json!({"name": format!("{name}/revisions/s-2")});
        let located = locate(&service, &[Revision::deserialize(revision).unwrap()], &Choice::Newest).unwrap();
        rival(&service, &located)
    }

    fn at(uri: &str, way: &str) -> Rival {
        Rival::At { revision: "s-1".into(), uri: uri.into(), way: way.into() }
    }

    #[test]
    fn a_tag_of_its_own_comes_first_and_a_run_s_own_last() {
        let all = json!({"type": 2, "revision": "s-1", "percent": 100});
        let tag =
            |tag: &str| json!({"type": 2, "revision": "s-1", "tag": tag, "uri": format!("https://{tag}")});
        let other = json!({"type": 2, "revision": "s-2", "tag": "gate", "uri": "https://gate"});
        assert_eq!(
            found(&json!([all, other, tag("gate-hn3k20f0a"), tag("live")])),
            Ok(at("https://live", "its tag live"))
        );
        assert_eq!(
            found(&json!([all, other])),
            Ok(at("https://s", "the service's own address, with all traffic"))
        );
    }

    #[test]
    fn a_share_of_the_traffic_is_refused_with_the_command_that_adds_a_tag() {
        let share =
            |revision: &str, percent: i64| json!({"type": 2, "revision": revision, "percent": percent});
        let error = found(&json!([share("s-1", 90), share("s-2", 10)])).unwrap_err();
        assert!(error.to_string().starts_with("s-1 serves 90 % and has no address of its own"));
        assert!(error.help().contains("update-traffic s --update-tags=serving=s-1"), "{}", error.help());
    }

    #[test]
    fn nobody_and_the_candidate_itself_are_no_rival() {
        for (statuses, words) in [
            (json!([]), "no revision serves yet"),
            (
                json!([{"type": 2, "revision": "s-2", "percent": 100}]),
                "the candidate is the revision that serves",
            ),
        ] {
            assert_eq!(found(&statuses), Ok(Rival::None { reason: words.into() }));
        }
    }
}
