//! What makes a verdict say less than it would by default: the first lines of every report.
//!
//! Takes the evidence and gives a line for each weakening. It changes no outcome. The surprising rule: only what makes an
//! *approval* say less stands here; settings that make it harder to approve are nobody's worry.

use crate::config::{CheckName, Pattern, RaceSettings, in_percent};
use crate::judge::{Evidence, Probing, excused, severity};
use crate::trust::one_line;

pub(super) fn weakened(evidence: &Evidence) -> Vec<String> {
    let mut weakened = Vec::new();
    if evidence.target.rehearsed {
        weakened.push("rehearsed: the control plane was not Google's".to_owned());
    }
    if evidence.dry_run {
        weakened.push("dry run: nothing was opened".to_owned());
    }
    let skipped: Vec<&str> = evidence.selection.skipped().into_iter().map(CheckName::name).collect();
    if !skipped.is_empty() {
        weakened.push(format!("skipped on request: {}", skipped.join(", ")));
    }
    let carried = &evidence.configured.carried;
    if !carried.test_headers.is_empty() {
        // An edited record may hold anything.
        let names = one_line(&carried.test_headers.join(", "));
        weakened.push(format!("test headers sent: {names}: they may change the path under test"));
    }
    if carried.shared_token {
        weakened.push("one token for all users: to a server that goes by it they are one".to_owned());
    }
    // Both are whole seconds, cut off: a second too early is better said than not.
    let took = i64::try_from(evidence.took_ms / 1000).unwrap_or(i64::MAX);
    if let Some(left) = carried.token_left.filter(|left| *left <= took) {
        weakened.push(format!(
            "the tokens expired {left} s into the run: what was refused after that is no fault of the server's"
        ));
    }
    let own = evidence.local.as_ref().and_then(|local| local.probing.as_ref());
    if let Some(Probing { plan, .. }) = own {
        let missing = Pattern::LOCAL.into_iter().filter(|pattern| !plan.race.patterns.contains(pattern));
        let missing: Vec<&str> = missing.map(Pattern::name).collect();
        if !missing.is_empty() {
            weakened.push(format!("local stage without {}", missing.join(", ")));
        }
        let standard = RaceSettings::default();
        if plan.race.cold_tolerated > standard.cold_tolerated {
            weakened.push(format!("tolerates {} % of cold starts failing", plan.race.cold_tolerated * 100.0));
        }
    }
    if let Some(probing) = &evidence.probing {
        weakened.extend(weakened_race(&probing.plan.race));
        weakened.extend(probing.plan.harmless.then(|| "declared frames report no error".to_owned()));
    }
    weakened.extend(passed_over(evidence));
    let trimmed = &evidence.configured.trimmed;
    weakened.extend(trimmed.iter().map(|trimmed| format!("{} with {}", trimmed.check, trimmed.words())));
    let entries = excused(evidence);
    if entries > 0 {
        let entries = if entries == 1 { "1 log entry".to_owned() } else { format!("{entries} log entries") };
        weakened.push(format!("{entries} excused by logs.allow"));
    }
    weakened.extend(severity(evidence).map(|severity| format!("log entries below {severity} do not count")));
    weakened
}

/// Captured values that `isolation` might have looked for, where it could look for none of them.
fn passed_over(evidence: &Evidence) -> Option<String> {
    let seen = evidence.configured.agent.as_ref()?.isolation.as_ref()?;
    let nothing = seen.passed_over > 0 && seen.captures == 0 && evidence.selection.runs(CheckName::Isolation);
    nothing.then(|| {
        "isolation looked for nothing that was captured: it is shorter than 4 characters, or numbered as a count does"
            .to_owned()
    })
}

/// What of the settings of a race makes an approval say less.
fn weakened_race(race: &RaceSettings) -> Vec<String> {
    let standard = RaceSettings::default();
    let mut weakened = Vec::new();
    if !standard.patterns.iter().all(|pattern| race.patterns.contains(pattern)) {
        let names: Vec<&str> = race.patterns.iter().map(|pattern| pattern.name()).collect();
        weakened.push(format!("patterns restricted to {}", names.join(", ")));
    }
    if !race.calibrate {
        weakened.push("not calibrated: nothing shows that this prober sees a race".to_owned());
    }
    if let Some(round) = race.round {
        weakened.push(format!("only round {round} of each pattern"));
    }
    if race.tolerated > standard.tolerated {
        weakened.push(format!("tolerates {} % of rounds failing", in_percent(race.tolerated)));
    }
    if race.noise > standard.noise {
        weakened.push(format!("takes {} % of sockets for noise", in_percent(race.noise)));
    }
    for (confidence, usual, what) in [
        (race.pass_confidence, standard.pass_confidence, "approves"),
        (race.fail_confidence, standard.fail_confidence, "blocks"),
    ] {
        if confidence < usual {
            weakened.push(format!("{what} at a confidence of {} %", in_percent(confidence)));
        }
    }
    if race.baseline.excuses() {
        weakened.push("a failure that the serving revision shows as well is excused".to_owned());
    }
    if !race.zero_tolerance.contains(&1011) {
        weakened.push("a single 1011 does not block".to_owned());
    }
    weakened
}
