//! How much evidence do `n` rounds with `k` failing hold, for a pass and for a fail?
//!
//! Takes counts and rates, gives e-values (evidence that may be checked after every round) and, labelled
//! *fixed sample*, the classical figures (valid only where `n` was settled beforehand; for print, never for
//! a decision). All rates are fractions of rounds in 0 to 1, all results finite and never NaN.
//! The surprising rule: an e-value is compared with `1 / error`, not with a quantile. It is a bet that gains
//! nothing on average while the hypothesis holds, so by Ville's inequality it *ever* reaches 20 with a
//! probability of at most 1/20, however often one looks and whenever one stops.

use super::beta::{inverse_incomplete_beta, ln_gamma, ln_scaled_incomplete_beta};

/// Components of the mixture of [`e_fail`].
pub(crate) const FAIL_COMPONENTS: usize = 4;
/// The rates that [`e_fail`] bets on, as multiples of the noise rate of a round.
const FAIL_MULTIPLES: [f64; FAIL_COMPONENTS] = [5.0, 20.0, 100.0, 500.0];
/// The highest rate that [`e_fail`] bets on: a certain failure would be refuted by a single clean round.
const FAIL_RATE_CAP: f64 = 0.9;
/// Share of the bet of [`e_pass`] on a service that never fails; it is lost at the first failing round.
const PASS_SHARE_FLAWLESS: f64 = 0.8;
/// Share of the bet of [`e_pass`] on a service that fails, but less than tolerated.
const PASS_SHARE_TOLERABLE: f64 = 0.2;
/// What a pair that only the candidate fails multiplies the evidence of [`e_worse`] with.
const WORSE_GAIN: f64 = 1.9;
/// What a pair that only the other side fails multiplies it with.
const WORSE_LOSS: f64 = 0.1;
/// What "95 % confidence" leaves open; the numerator of the rule of three is its `-ln`, rounded up to 3.
const RULE_OF_THREE: f64 = 3.0;

/// Evidence that rounds fail *less* often than `tolerated_rate`, from `n` rounds of which `k` failed.
///
/// `0.8·[k = 0]·(1 − p1)^−n + 0.2·mean over q uniform on (0, p1) of (q/p1)^k·((1 − q)/(1 − p1))^(n − k)` with
/// `p1 = tolerated_rate`. The mean is `(1 − p1)·S`, `S` the incomplete beta integral
/// `B_p1(k + 1, n − k + 1)` divided by `p1^(k + 1)·(1 − p1)^(n − k + 1)`.
///
/// Each factor gains nothing on average at a rate of `p1` and loses above it, so this is an e-process for
/// "at least `p1`, whatever came before". No rounds give 1; more than `f64::MAX` gives `f64::MAX`; `k` above
/// `n` counts as `n`; a rate outside of (0, 1) is moved to its nearest float inside.
pub fn e_pass(n: u32, k: u32, tolerated_rate: f64) -> f64 {
    let rate = inside_unit(tolerated_rate);
    let failing = f64::from(k.min(n));
    let clean = f64::from(n) - failing;
    let ln_clean_factor = (-rate).ln_1p();
    let ln_tolerable = ln_clean_factor + ln_scaled_incomplete_beta(failing + 1.0, clean + 1.0, rate);
    let tolerable = PASS_SHARE_TOLERABLE.ln() + ln_tolerable;
    if k > 0 {
        return finite_exp(tolerable);
    }
    let flawless = PASS_SHARE_FLAWLESS.ln() - clean * ln_clean_factor;
    finite_exp(ln_sum_exp(&[flawless, tolerable]))
}

/// Evidence that rounds fail *more* often than the noise rate `p0` of a round, from `n` rounds of which `k`
/// failed.
///
/// Mean over `q` in `{5, 20, 100, 500}·p0`, each at most 0.9, of `(q/p0)^k·((1 − q)/(1 − p0))^(n − k)`.
///
/// An e-process for "at most `p0`, whatever came before". No rounds give 1; more than `f64::MAX` gives
/// `f64::MAX`; `k` above `n` counts as `n`. A `p0` of 0.9 or more can never be refuted and gives 1; one of 0
/// or less is moved to the smallest float, where a failing round counts its multiple and a clean one nothing.
pub fn e_fail(n: u32, k: u32, p0: f64) -> f64 {
    let failing = f64::from(k.min(n));
    let clean = f64::from(n) - failing;
    let bet = FailBet::against(p0);
    let mut ln_evidence = [0.0; FAIL_COMPONENTS];
    for (component, total) in ln_evidence.iter_mut().enumerate() {
        *total = failing * bet.ln_failing[component] + clean * bet.ln_clean[component];
    }
    mean_of_bets(&ln_evidence)
}

/// Evidence that the candidate fails *more* often than what it is paired with, from `discordant` pairs in which one side
/// failed and the other did not, of which the candidate alone failed in `candidate_only` (the pairs of `McNemar`, Psychometrika 12, 1947).
///
/// `1.9^c · 0.1^(d − c)`: pairs in which both fail or neither does say nothing and are not counted.
///
/// An e-process for "whatever came before, a discordant pair is the candidate's alone with a probability `q` of at most
/// 1/2": each pair multiplies it by `1.9·q + 0.1·(1 − q) = 0.1 + 1.8·q` on average, which is 1 at 1/2 and less below. Where
/// both fail equally often, `q` is 1/2 because chance decides which of them is first. So it ever reaches 20 with a
/// probability of at most 1/20, whenever one stops. Five pairs of the candidate's alone reach 24.8.
///
/// No pairs give 1; more than `f64::MAX` gives `f64::MAX`; `candidate_only` above `discordant` counts as `discordant`.
pub fn e_worse(candidate_only: u32, discordant: u32) -> f64 {
    let own = f64::from(candidate_only.min(discordant));
    let other = f64::from(discordant) - own;
    finite_exp(own * WORSE_GAIN.ln() + other * WORSE_LOSS.ln())
}

/// How often, at most, the candidate fails for each time that what it is paired with does, when that failed first in the
/// `pairs`th pair in which anything failed: `1/(1 − 0.95^(1/n))`, so 20 for the first, 39 for the second.
///
/// Were the share of these pairs in which it fails below `1 − 0.95^(1/n)`, it would have failed so soon with a probability
/// below 5 % (the geometric distribution). With rates `a` of the candidate and `b` of the other, that share is
/// `b/(a + b − a·b)`, and one over it is `a/b + 1 − a`, which is at least `a/b`. No pairs give infinity.
pub fn times_as_often(pairs: u32) -> f64 {
    if pairs == 0 {
        return f64::INFINITY;
    }
    -1.0 / (0.95_f64.ln() / f64::from(pairs)).exp_m1()
}

/// The noise rate of a round of `sockets`, each of which fails with probability `noise` by itself:
/// `1 − (1 − noise)^sockets`.
///
/// No sockets give 0; a `noise` of 1 or more gives 1 for any socket.
pub fn noise_of_round(sockets: u32, noise: f64) -> f64 {
    if sockets == 0 {
        return 0.0;
    }
    -(f64::from(sockets) * (-noise.clamp(0.0, 1.0)).ln_1p()).exp_m1()
}

/// Fixed sample: the one-sided upper Clopper–Pearson bound of the rate after `k` of `n` rounds failed,
/// `BetaInv(confidence; k + 1, n − k)`.
///
/// No rounds, or all failing, give 1. `k` above `n` counts as `n`.
pub fn clopper_pearson_upper(k: u32, n: u32, confidence: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    inverse_incomplete_beta(f64::from(k) + 1.0, f64::from(n - k), confidence)
}

/// Fixed sample: the two-sided Clopper–Pearson interval of the rate, `(lower, upper)`, after `k` of `n`
/// rounds failed: `BetaInv(α/2; k, n − k + 1)` and `BetaInv(1 − α/2; k + 1, n − k)` with
/// `α = 1 − confidence`.
///
/// No rounds give (0, 1), none failing a lower end of 0, all failing an upper end of 1. `k` above `n` counts
/// as `n`.
pub fn clopper_pearson(k: u32, n: u32, confidence: f64) -> (f64, f64) {
    let (failing, outside) = (k.min(n), (1.0 - confidence) / 2.0);
    let lower = if failing == 0 {
        0.0
    } else {
        inverse_incomplete_beta(f64::from(failing), f64::from(n - failing) + 1.0, outside)
    };
    (lower, clopper_pearson_upper(failing, n, 1.0 - outside))
}

/// Fixed sample: the rule of three, `3/n`, an upper 95 % bound of the rate after `n` clean rounds and none
/// failing.
///
/// At most 1, which three rounds or fewer give.
pub fn rule_of_three(n: u32) -> f64 {
    RULE_OF_THREE / f64::from(n).max(RULE_OF_THREE)
}

/// Fixed sample: how many clean rounds, none failing, show at `confidence` that the true rate is below
/// `rate`: the smallest `n` with `(1 − rate)^n <= 1 − confidence`, so 299 for 1 % at 95 %.
///
/// A rate of 1 needs one round, a confidence of 0 none. `None` if `u32::MAX` rounds would not do, as for a
/// rate of 0 or a confidence of 1 at any rate below 1.
pub fn rounds_needed(rate: f64, confidence: f64) -> Option<u32> {
    let per_round = (-rate.clamp(0.0, 1.0)).ln_1p();
    let target = (-confidence.clamp(0.0, 1.0)).ln_1p();
    let suffices = |n: u32| n > 0 && f64::from(n) * per_round <= target;
    if target >= 0.0 {
        return Some(0);
    }
    let (mut too_few, mut enough) = (0_u32, u32::MAX);
    if !suffices(enough) {
        return None;
    }
    while enough - too_few > 1 {
        let middle = u32::midpoint(too_few, enough);
        if suffices(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Some(enough)
}

/// Fixed sample: Fisher's exact test, one-sided: the probability of at least `a_fail` of the failures falling
/// on group A (`a_fail` of `a_n` failed) against group B (`b_fail` of `b_n`) if both had the same rate.
///
/// Small values say that A fails more. Upper tail of the hypergeometric distribution. An empty group or no
/// failure gives 1; failures above their group's size count as its size.
pub fn fisher_exact_greater(a_fail: u32, a_n: u32, b_fail: u32, b_n: u32) -> f64 {
    let a_fail = a_fail.min(a_n);
    let failures = a_fail + b_fail.min(b_n);
    let ln_tables = ln_choose(a_n + b_n, failures);
    let most = a_n.min(failures);
    // A cannot hold fewer than this many, so all tables from here on are all tables there are.
    if a_fail <= failures.saturating_sub(b_n) {
        return 1.0;
    }
    let tail: f64 =
        (a_fail..=most).map(|x| (ln_choose(a_n, x) + ln_choose(b_n, failures - x) - ln_tables).exp()).sum();
    tail.min(1.0)
}

/// How often so many events come in a window by chance when they come as often as in another: the probability that of all
/// of them at least those of the first fall into it, each with the first window's share of the time. `(events, seconds)`.
///
/// Exact for events that come independently of each other (two Poisson rates, given their sum: Przyborowski and Wilenski,
/// Biometrika 31, 1940); events in bursts rise by chance more often. Windows of no time, or no events, give 1.
pub fn rise((during, during_time): (u32, u64), (before, before_time): (u32, u64)) -> f64 {
    let (own, other) = (seconds(during_time), seconds(before_time));
    if during == 0 || own <= 0.0 || other <= 0.0 {
        return 1.0;
    }
    let all = during.saturating_add(before);
    let (ln_own, ln_other) = ((own / (own + other)).ln(), (other / (own + other)).ln());
    let term = |x: u32| ln_choose(all, x) + f64::from(x) * ln_own + f64::from(all - x) * ln_other;
    (during..=all).map(|x| term(x).exp()).sum::<f64>().min(1.0)
}

/// A time as a number; more than 136 years are as many.
fn seconds(time: u64) -> f64 {
    f64::from(u32::try_from(time).unwrap_or(u32::MAX))
}

/// What one round adds to the logarithm of each component of the mixture of [`e_fail`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailBet {
    /// Added by a failing round, never negative: `ln(q/p0)`.
    pub(crate) ln_failing: [f64; FAIL_COMPONENTS],
    /// Added by a clean round, never positive: `ln((1 − q)/(1 − p0))`.
    pub(crate) ln_clean: [f64; FAIL_COMPONENTS],
}

impl FailBet {
    /// The bet against a noise rate of `p0` a round. Where the cap of 0.9 falls below `p0` the component
    /// stays at `p0` and bets nothing: a bet on a *lower* rate would gain on a service that is merely better.
    pub(crate) fn against(p0: f64) -> Self {
        let noise = inside_unit(p0);
        let rates = FAIL_MULTIPLES.map(|multiple| (multiple * noise).min(FAIL_RATE_CAP).max(noise));
        Self {
            ln_failing: rates.map(|rate| (rate / noise).ln()),
            ln_clean: rates.map(|rate| (-rate).ln_1p() - (-noise).ln_1p()),
        }
    }
}

/// The mean of the components of [`e_fail`], from their logarithms; at most `f64::MAX`.
pub(crate) fn mean_of_bets(ln_evidence: &[f64; FAIL_COMPONENTS]) -> f64 {
    finite_exp(ln_sum_exp(&ln_evidence.map(|total| total + (1.0 / 4.0_f64).ln())))
}

/// `ln` of the sum of the exponentials of finite `terms`, without overflow.
fn ln_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()
}

/// `e^x`, with `f64::MAX` in place of infinity: evidence is printed as JSON, which knows no infinity.
fn finite_exp(x: f64) -> f64 {
    x.exp().min(f64::MAX)
}

/// `rate` moved into the open interval (0, 1); NaN to its lower end.
fn inside_unit(rate: f64) -> f64 {
    if rate > 0.0 { rate.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON) } else { f64::MIN_POSITIVE }
}

/// `ln` of the number of ways to choose `k` of `n`, for `k <= n`.
fn ln_choose(n: u32, k: u32) -> f64 {
    let ln_factorial = |m: u32| ln_gamma(f64::from(m) + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests;
