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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::{Rules, classify};
    use crate::probe::{
        Declared, End, EndKind, Observation, Opening, Phase, PlatformPage, TcpFailure, Timeline,
    };
    use crate::trust::Excerpt;

    fn opening() -> impl Strategy<Value = Opening> {
        let error = Excerpt::new("x");
        prop_oneof![
            Just(Opening::Dns { error: error.clone() }),
            Just(Opening::Local { error: error.clone() }),
            Just(Opening::Tls { error: error.clone() }),
            Just(Opening::Tcp { failure: TcpFailure::Refused, error: error.clone() }),
            Just(Opening::Tcp { failure: TcpFailure::NoRoute, error: error.clone() }),
            Just(Opening::TimedOut { phase: Phase::Opening }),
            any::<bool>().prop_map(|reset| Opening::Ended { reset, bytes: 3 }),
            Just(Opening::Malformed { what: error.clone() }),
            Just(Opening::BadAccept { what: error.clone() }),
            Just(Opening::Subprotocol { what: error }),
            (100..600u16, any::<bool>()).prop_map(|(status, page)| Opening::Refused {
                status,
                body: Excerpt::default(),
                location: None,
                platform: page.then_some(PlatformPage::NotAvailable),
            }),
            Just(Opening::Opened { subprotocol: None }),
        ]
    }

    fn end() -> impl Strategy<Value = Option<End>> {
        let kind = prop_oneof![
            any::<Option<u16>>().prop_map(|code| EndKind::CloseFrame { code, reason: Excerpt::default() }),
            Just(EndKind::NoCloseFrame),
            Just(EndKind::Reset),
            Just(EndKind::CutByUs),
        ];
        let phase =
            prop_oneof![Just(Phase::Greeting), Just(Phase::Answer), Just(Phase::Hold), Just(Phase::Closing)];
        proptest::option::of((kind, phase).prop_map(|(kind, phase)| End { kind, phase }))
    }

    proptest! {
        #[test]
        fn attempted_is_the_sum_of_the_classes_and_of_the_kinds(
            seen in proptest::collection::vec((opening(), end()), 0..40),
            platform_counts: bool,
        ) {
            let rules = Rules { declared: Declared { send: true, expect: false, greeting: false }, learned: None, closes: &[], platform_counts };
            let findings: Vec<_> = seen.iter().map(|(opening, end)| classify(&observation(opening, end.as_ref()), &rules)).collect();
            let tally: Tally = findings.iter().collect();
            prop_assert_eq!(tally.attempted as usize, seen.len());
            prop_assert_eq!(tally.attempted, tally.ok + tally.app_fail + tally.infra);
            prop_assert_eq!(tally.attempted, tally.kinds.values().sum::<u32>());
            // Nothing was ever said: nobody was served.
            prop_assert_eq!(tally.ok, 0);
        }
    }

    fn observation(opening: &Opening, end: Option<&End>) -> Observation {
        Observation {
            socket: 1,
            user: None,
            opening: opening.clone(),
            frames: Vec::new(),
            frames_total: 0,
            sent_after: Some(0),
            knew_greeting: false,
            end: end.cloned(),
            echo: None,
            instance: None,
            timeline: Timeline::default(),
        }
    }
}
