//! How many sockets went how: the sum that always comes out.
//!
//! Takes findings, gives counts by class and by kind. `attempted` is the sum of the classes and the sum of the kinds,
//! because it is never counted apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::classify::{Class, Finding, Kind};

/// Counts of sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All of them.
    pub attempted: u32,
    /// Served.
    pub ok: u32,
    /// Failed by the application.
    pub app_fail: u32,
    /// Never reached the application: proven.
    pub infra: u32,
    /// By what was seen.
    pub kinds: BTreeMap<Kind, u32>,
}

impl Tally {
    /// Counts one socket.
    pub fn add(&mut self, finding: &Finding) {
        self.attempted += 1;
        match finding.class {
            Class::Ok => self.ok += 1,
            Class::AppFail => self.app_fail += 1,
            Class::Infra => self.infra += 1,
        }
        *self.kinds.entry(finding.kind).or_insert(0) += 1;
    }
}

impl<'a> FromIterator<&'a Finding> for Tally {
    fn from_iter<I: IntoIterator<Item = &'a Finding>>(findings: I) -> Self {
        let mut tally = Self::default();
        for finding in findings {
            tally.add(finding);
        }
        tally
    }
}
