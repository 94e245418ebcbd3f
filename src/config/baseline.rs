//! Whether the revision that serves is compared with the candidate, and what such a comparison may excuse.
//!
//! Takes the sources; gives the wish, or refuses it. It compares nothing. The surprising rule: the acknowledgement that
//! production may be loaded is read from flag and variable only: whoever may change the configuration file must not be
//! able to aim a run at production.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::{Sources, Spot};
use super::values::{self, Flaw};

/// Whether the serving revision is compared with, and what a failure that it shows as well comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineSettings {
    /// `--baseline`, acknowledged. False in a plan where there is no serving revision to compare with.
    pub asked: bool,
    /// What becomes of a failure that the serving revision shows as well.
    pub pre_existing: PreExisting,
}

impl BaselineSettings {
    /// True when a failure that the serving revision shows as well may be excused.
    pub fn excuses(self) -> bool {
        self.asked && self.pre_existing == PreExisting::Allow
    }
}

/// What becomes of a failure that the serving revision shows as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreExisting {
    /// It blocks like any other.
    #[default]
    Block,
    /// It is excused, where everything else passes.
    Allow,
}

/// The wish, checked: it needs the acknowledgement, and a service whose traffic says who serves.
pub(crate) fn baseline(sources: &Sources<'_>, has_service: bool) -> Result<BaselineSettings, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.race);
    let keys = ["race", "baseline"];
    let found = sources.one(typed.baseline.as_ref(), None, &keys, values::boolean)?;
    let asked = found.map(|found| found.value).or(file.baseline).unwrap_or(false);
    let agreed = sources.one(typed.i_may_load_production.as_ref(), None, &[], values::boolean)?;
    let keys_of_policy = ["race", "pre-existing"];
    let pre_existing =
        sources.one(None, file.pre_existing.as_ref(), &keys_of_policy, values::pre_existing)?;
    let spot = Spot::of(typed.baseline.as_ref(), &keys);
    if asked && !agreed.is_some_and(|found| found.value) {
        let flaw = Flaw::new(
            "a comparison with the serving revision opens sockets at production, and nobody said that this run may",
        );
        let help = "add --i-may-load-production: at most 10 openings a second, until the serving revision's first \
                    failure; it is never read from the file";
        return Err(sources.error(&spot, flaw.help(help)));
    }
    if asked && !has_service {
        let flaw = Flaw::new("without a service nobody knows which revision serves");
        return Err(sources.error(&spot, flaw.help("give --project, --region and --service besides --url")));
    }
    let pre_existing = pre_existing.map_or_else(PreExisting::default, |found| found.value);
    Ok(BaselineSettings { asked, pre_existing })
}
