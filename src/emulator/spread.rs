//! How many instances does each revision of a service keep, and how many may it have?
//!
//! Takes a service with the traffic that it serves, and bounds the instances of its revisions. What is set for the service
//! is divided by the shares of traffic. The surprising rule: what a template keeps is kept only while the traffic names its
//! revision, by a share of zero or by a tag too; one that nothing names goes to zero.
//!
//! Source: Cloud Run's documentation of minimum instances, maximum instances and manual scaling.

use serde_json::{Map, Value};

use super::model::{Readiness, Revision, Service};

/// How the instances of a service are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scaling {
    /// As many as there are requests for, within these.
    Automatic { least: usize, most: Option<usize> },
    /// This many, whatever is asked.
    Manual(usize),
}

/// Bounds the instances of all ready revisions by the service's settings and traffic.
pub(crate) fn spread(service: &Service) {
    let scaling = Scaling::of(&service.annotations);
    for revision in service.revisions.iter().filter(|revision| revision.readiness == Readiness::Ready) {
        let (least, most) = scaling.bounds(share(service, revision), template(service, revision));
        revision.instances.bound(least, most);
    }
}

/// What a revision's own template says: instances to keep, and the most.
fn template(service: &Service, revision: &Revision) -> (usize, usize) {
    let recipe = revision.instances.recipe();
    (if service.routes_to(&revision.name) { recipe.min } else { 0 }, recipe.max)
}

/// The percents of a revision.
fn share(service: &Service, revision: &Revision) -> usize {
    let targets = service.routed.iter();
    let own = targets.filter(|target| service.resolve(target).as_deref() == Some(&revision.name));
    own.map(|target| target.percent as usize).sum()
}

impl Scaling {
    fn of(annotations: &Map<String, Value>) -> Self {
        let text =
            |name: &str| annotations.get(&format!("run.googleapis.com/{name}")).and_then(Value::as_str);
        let number = |name: &str| text(name).and_then(|text| text.parse().ok());
        if text("scalingMode") == Some("manual") {
            return Self::Manual(number("manualInstanceCount").unwrap_or(0));
        }
        let most = number("maxScale").filter(|most| *most > 0);
        Self::Automatic { least: number("minScale").unwrap_or(0), most }
    }

    /// Instances to keep, and the most, of a revision with this percentage.
    fn bounds(self, percent: usize, (least, most): (usize, usize)) -> (usize, usize) {
        let part = |whole: usize| whole.saturating_mul(percent).div_ceil(100);
        match self {
            Self::Manual(_) if percent == 0 => (0, most),
            Self::Manual(count) => (part(count), part(count)),
            Self::Automatic { least: of_service, most: limit } => {
                let limit = limit.filter(|_| percent > 0).map_or(most, |limit| part(limit).min(most));
                (least.max(part(of_service)).min(limit), limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_service_says_is_divided_by_its_traffic() {
        let of = |annotations: Value| Scaling::of(annotations.as_object().unwrap());
        let service = of(json!({"run.googleapis.com/minScale": "4", "run.googleapis.com/maxScale": "10"}));
        assert_eq!(service.bounds(100, (0, 100)), (4, 10));
        assert_eq!(service.bounds(90, (0, 100)), (4, 9));
        assert_eq!(service.bounds(10, (2, 100)), (1, 1), "the service's most is the limit");
        assert_eq!(service.bounds(0, (2, 100)), (2, 100), "a tag alone is none of the service's");
        assert_eq!(of(json!({})).bounds(100, (1, 7)), (1, 7));
    }

    #[test]
    fn a_number_set_by_hand_ignores_the_templates() {
        let annotations = json!({
            "run.googleapis.com/scalingMode": "manual", "run.googleapis.com/manualInstanceCount": "3",
        });
        let manual = Scaling::of(annotations.as_object().unwrap());
        assert_eq!(manual.bounds(100, (5, 7)), (3, 3));
        assert_eq!(manual.bounds(50, (0, 1)), (2, 2));
        assert_eq!(manual.bounds(0, (5, 7)), (0, 7));
    }
}
