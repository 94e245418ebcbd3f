//! By which tag is the candidate addressed?
//!
//! Takes the candidate, the service and what `--tag` said, gives a tag to use or a name to add. It adds nothing itself.
//! The surprising rule: a tag that exists on another revision is refused and never moved, since for minutes after a
//! move its address still leads to the old revision.

use super::locate::Located;
use super::{command, traffic};
use crate::cloudrun::wire::Service;
use crate::config::{Identifier, ServiceName};

/// By which tag the candidate is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressPlan {
    /// A tag that the candidate has. It may have been on another revision before: no proof of identity.
    Use {
        /// The tag.
        tag: String,
        /// Its address; `None` while the API has not acted upon it.
        uri: Option<String>,
    },
    /// A tag to be added, of a name never used before: `revision::tag::fresh` of this base.
    Add {
        /// First part of the name.
        base: Identifier,
    },
}

/// Why the candidate cannot be addressed. The caller's mistake: exit 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The tag that was asked for is another revision's.
    #[error("the tag {tag} belongs to {holder} and is not moved to {candidate}")]
    OnAnother {
        /// The tag.
        tag: String,
        /// Short name of the revision that has it, or `LATEST`.
        holder: String,
        /// Short name of the candidate.
        candidate: String,
        /// The service.
        service: Box<ServiceName>,
    },
    /// The candidate has no tag and none was asked for.
    #[error("{candidate} has no tag, so it has no address of its own")]
    NoTag {
        /// Short name of the candidate.
        candidate: String,
        /// The service.
        service: Box<ServiceName>,
    },
}

impl AddressError {
    /// What to type next.
    pub fn help(&self) -> String {
        let (Self::OnAnother { candidate, service, .. } | Self::NoTag { candidate, service }) = self;
        let name = if matches!(self, Self::NoTag { .. }) { "gate" } else { "another-name" };
        format!(
            "let revgate add one for the time of the check: {}; or add one yourself: {}",
            command::check(service, &["--revision", candidate, "--tag", name]),
            command::add_tag(service, name, candidate)
        )
    }
}

/// Chooses the tag by which the candidate is addressed. `requested` is what `--tag` said.
///
/// # Errors
/// The tag is another revision's, or there is none and none was asked for.
pub fn choose_address(
    service: &Service,
    located: &Located,
    requested: Option<&Identifier>,
) -> Result<AddressPlan, AddressError> {
    let candidate = || located.revision.clone();
    let Some(requested) = requested else {
        let first = located.tags.first();
        return first.map(|tag| AddressPlan::Use { tag: tag.name.clone(), uri: tag.uri.clone() }).ok_or_else(
            || AddressError::NoTag { candidate: candidate(), service: Box::new(service.service_name()) },
        );
    };
    let tag = requested.to_string();
    match traffic::holder(&service.traffic_entries(), &tag) {
        Some(holder) if holder == located.revision => {
            let uri = located.tags.iter().find(|known| known.name == tag).and_then(|known| known.uri.clone());
            Ok(AddressPlan::Use { tag, uri })
        }
        Some(holder) => {
            let service = Box::new(service.service_name());
            Err(AddressError::OnAnother { tag, holder, candidate: candidate(), service })
        }
        None => Ok(AddressPlan::Add { base: requested.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::json;

    use super::super::locate;
    use super::*;
    use crate::cloudrun::wire::Revision;
    use crate::config::Choice;

    fn service() -> Service {
        let entry = |revision: &str, tag: &str| json!({"type": 2, "revision": revision, "tag": tag, "uri": format!("https://{tag}")});
        let entries = json!([entry("s-2", "blue"), entry("s-2", "gate-hn3k20f0a"), entry("s-1", "old"),
            {"type": 1, "tag": "newest"}]);
        let name = "projects/p/locations/l/services/s";
        Service::deserialize(json!({"name": name, "traffic": entries, "trafficStatuses": entries})).unwrap()
    }

    fn plan(revision: &str, tag: Option<&str>) -> Result<AddressPlan, AddressError> {
        let name = format!("projects/p/locations/l/services/s/revisions/{revision}");
        let revisions = [Revision::deserialize(json!({"name": name})).unwrap()];
        let located = locate(&service(), &revisions, &Choice::Newest).unwrap();
        choose_address(&service(), &located, tag.and_then(Identifier::new).as_ref())
    }

    #[test]
    fn uses_adds_or_refuses() {
        let used = |tag: &str| Ok(AddressPlan::Use { tag: tag.into(), uri: Some(format!("https://{tag}")) });
        assert_eq!(plan("s-2", Some("blue")), used("blue"));
        assert_eq!(plan("s-2", None), used("gate-hn3k20f0a"));
        let base = Identifier::new("gate").unwrap();
        assert_eq!(plan("s-2", Some("gate")), Ok(AddressPlan::Add { base }));
        for taken in ["old", "newest"] {
            assert!(matches!(plan("s-2", Some(taken)), Err(AddressError::OnAnother { .. })));
        }
        let help = plan("s-3", None).unwrap_err().help();
        assert!(
            help.contains(
                "gcloud run services update-traffic s --update-tags=gate=s-3 --region l --project p"
            )
        );
    }
}
