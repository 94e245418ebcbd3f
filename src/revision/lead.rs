//! Where does a tag lead?
//!
//! Takes a service as it was read, a tag and a revision; gives whether the tag leads there. The surprising rule: what was
//! asked for and what is in effect count both: in between nobody knows yet where requests go, and nothing is said.

use super::traffic;
use crate::cloudrun::tag_address;
use crate::cloudrun::wire::Service;

/// Where a tag leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// To the revision.
    There,
    /// To the revision, by what was asked for; that is not in effect.
    Arriving {
        /// Short name of the revision that it leads to until then; `None` where it leads nowhere yet.
        from: Option<String>,
    },
    /// Elsewhere, by what was asked for; until that is in effect, to the revision.
    Leaving {
        /// Short name of the revision that has it; `None` where nobody has it.
        holder: Option<String>,
    },
    /// Elsewhere.
    Elsewhere {
        /// Short name of the revision that has it; `None` where nobody has it.
        holder: Option<String>,
    },
}

/// Where `tag` leads, asked about `revision` (a short name). A tag on LATEST leads where its status says.
pub fn lead(service: &Service, tag: &str, revision: &str) -> Lead {
    let of_status = || service.traffic_statuses.iter().find(|status| status.tag.as_deref() == Some(tag));
    let holder = traffic::holder(&service.traffic_entries(), tag);
    let holder = match holder.as_deref() {
        Some("LATEST") => of_status().and_then(|status| status.revision.clone()),
        _ => holder,
    };
    let asked = holder.as_deref() == Some(revision);
    match (asked, tag_address(service, tag, revision).is_some()) {
        (true, true) => Lead::There,
        (true, false) => {
            let from = of_status().and_then(|status| status.revision.clone());
            Lead::Arriving { from: from.filter(|from| from != revision) }
        }
        (false, true) => Lead::Leaving { holder },
        (false, false) => Lead::Elsewhere { holder },
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn asked(entry: &Value, status: &Value) -> Lead {
        let read = json!({"name": "projects/p/locations/l/services/s", "traffic": [entry], "trafficStatuses": [status]});
        lead(&Service::deserialize(read).unwrap(), "gate", "s-2")
    }

    fn entry(revision: &str, tag: &str) -> Value {
        json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "tag": tag, "uri": "https://t"})
    }

    #[test]
    fn a_tag_leads_where_it_was_put_and_is_in_effect() {
        let (ours, theirs, none) = (entry("s-2", "gate"), entry("s-1", "gate"), entry("s-1", ""));
        let elsewhere = |holder: Option<&str>| Lead::Elsewhere { holder: holder.map(str::to_owned) };
        assert_eq!(asked(&ours, &ours), Lead::There);
        let arriving = |from: Option<&str>| Lead::Arriving { from: from.map(str::to_owned) };
        let leaving = |holder: Option<&str>| Lead::Leaving { holder: holder.map(str::to_owned) };
        assert_eq!((asked(&ours, &none), asked(&ours, &theirs)), (arriving(None), arriving(Some("s-1"))));
        assert_eq!((asked(&none, &ours), asked(&theirs, &ours)), (leaving(None), leaving(Some("s-1"))));
        assert_eq!(asked(&theirs, &theirs), elsewhere(Some("s-1")));
        assert_eq!(asked(&none, &none), elsewhere(None));
    }

    #[test]
    fn a_tag_on_the_latest_leads_where_its_status_says() {
        let latest = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "tag": "gate"});
        assert_eq!(asked(&latest, &entry("s-2", "gate")), Lead::There);
        let elsewhere = asked(&latest, &entry("s-3", "gate"));
        assert_eq!(elsewhere, Lead::Elsewhere { holder: Some("s-3".to_owned()) });
    }
}
