//! How long runs took, to their completion and to each event: percentiles by an HDR histogram.
//!
//! Takes completed runs; gives percentiles in microseconds, to three digits. Pure. The surprising rule: of a handful of runs
//! the high percentiles are all the slowest one; that is said by the number of runs, and not hidden.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::config::Latency;
use crate::probe::FlowRun;

/// Digits that are kept.
const DIGITS: u8 = 3;

/// How many events are told in one line; all are in the numbers.
const EVENTS: usize = 6;

/// The times of completed runs.
pub(super) struct Latencies {
    completion: Option<Histogram<u64>>,
    events: BTreeMap<String, Histogram<u64>>,
}

impl Latencies {
    /// Of these runs.
    pub(super) fn of(runs: &[&FlowRun]) -> Self {
        let mut completion = Histogram::new(DIGITS).ok();
        let mut events: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
        for run in runs {
            let Some(started) = run.started else { continue };
            if let (Some(histogram), Some(completed)) = (&mut completion, run.completed) {
                record(histogram, completed.saturating_sub(started).saturating_sub(run.paced));
            }
            // Each event by its first coming; the welcome came before the start.
            let mut seen = Vec::new();
            for came in run.events.iter().filter(|came| came.at >= started) {
                if seen.contains(&came.name.as_str()) {
                    continue;
                }
                seen.push(came.name.as_str());
                if !events.contains_key(&came.name) {
                    events
                        .extend(Histogram::new(DIGITS).ok().map(|histogram| (came.name.clone(), histogram)));
                }
                if let Some(histogram) = events.get_mut(&came.name) {
                    record(histogram, came.at.saturating_sub(started));
                }
            }
        }
        Self { completion, events }
    }

    /// The first limit that is exceeded, in words.
    pub(super) fn over(&self, limits: &Latency) -> Option<String> {
        let histogram = self.completion.as_ref().filter(|histogram| !histogram.is_empty())?;
        let limits = [("p50", 0.5, limits.p50), ("p95", 0.95, limits.p95), ("p99", 0.99, limits.p99)];
        limits.into_iter().find_map(|(name, quantile, limit)| {
            let limit = limit?;
            let value = histogram.value_at_quantile(quantile);
            let over = u128::from(value) > limit.as_micros();
            over.then(|| {
                format!("{name} is {} ms, and {} ms are allowed", value.div_ceil(1000), limit.as_millis())
            })
        })
    }

    /// The percentiles in one line.
    pub(super) fn words(&self) -> String {
        let Some(histogram) = self.completion.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return "no times".to_owned();
        };
        let at = |quantile| histogram.value_at_quantile(quantile).div_ceil(1000);
        let completion =
            format!("to completion p50 {} ms, p95 {} ms, p99 {} ms", at(0.5), at(0.95), at(0.99));
        let mut events: Vec<(u64, &str)> =
            self.events.iter().map(|(name, times)| (times.value_at_quantile(0.95), name.as_str())).collect();
        events.sort_unstable();
        let events: Vec<String> = events
            .into_iter()
            .take(EVENTS)
            .map(|(time, name)| format!("{name} {} ms", time.div_ceil(1000)))
            .collect();
        if events.is_empty() { completion } else { format!("{completion}; p95 to {}", events.join(", ")) }
    }

    /// Percentiles of the time to completion.
    pub(super) fn completion(&self) -> Value {
        self.completion.as_ref().map_or(Value::Null, percentiles)
    }

    /// Percentiles of the time to each event.
    pub(super) fn events(&self) -> Value {
        let of = |(name, histogram): (&String, &Histogram<u64>)| (name.clone(), percentiles(histogram));
        Value::Object(self.events.iter().map(of).collect::<Map<_, _>>())
    }
}

/// The histogram grows with what is recorded, up to what 64 bits hold.
fn record(histogram: &mut Histogram<u64>, time: u64) {
    if histogram.record(time).is_err() {
        histogram.saturating_record(time);
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let at = |quantile| histogram.value_at_quantile(quantile);
    json!({ "runs": histogram.len(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": histogram.max() })
}
