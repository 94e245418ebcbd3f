//! The figures of the decision rule, and the closed forms against independent ways to compute them.

use super::*;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use statrs::distribution::{Beta, ContinuousCDF};

const TOLERATED: f64 = 0.01;
const NOISE: f64 = 1e-4;

fn assert_close(ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance * theirs.abs() + 1e-290, "{ours} is not {theirs}");
}

/// `smaller <= larger` but for rounding; below 1e-290 floats lose their digits.
fn at_most(smaller: f64, larger: f64) -> bool {
    smaller <= larger * (1.0 + 1e-9) + 1e-290
}

/// The mixture mean of [`e_pass`] by Simpson's rule, as the rule is written and not as we compute it.
fn e_pass_by_quadrature(n: u32, k: u32, p1: f64) -> f64 {
    let (failing, clean) = (f64::from(k), f64::from(n - k));
    let value = |q: f64| {
        let ln_failing = if k == 0 { 0.0 } else { failing * (q / p1).ln() };
        (ln_failing + clean * ((-q).ln_1p() - (-p1).ln_1p())).exp()
    };
    let steps = 20_000_u32;
    let sum: f64 = (0..=steps)
        .map(|step| {
            let weight = if step == 0 || step == steps { 1.0 } else { f64::from(2 + 2 * (step % 2)) };
            weight * value(p1 * f64::from(step) / f64::from(steps))
        })
        .sum();
    let flawless = if k == 0 { (1.0 - p1).powf(-clean) } else { 0.0 };
    0.8 * flawless + 0.2 * sum / (3.0 * f64::from(steps))
}

#[test]
fn a_pass_takes_313_clean_rounds_896_with_one_failure_1110_with_two() {
    for (p1, k, rounds) in [(0.01, 0, 313), (0.01, 1, 896), (0.01, 2, 1110), (0.1, 0, 30)] {
        assert!(e_pass(rounds, k, p1) >= 20.0, "{k} failing of {rounds}");
        assert!(e_pass(rounds - 1, k, p1) < 20.0, "{k} failing of {}", rounds - 1);
    }
}

#[test]
fn a_fail_takes_so_many_failures_within_so_many_rounds() {
    let figures = [
        (10, 3.0, [(2, 7), (3, 48), (4, 140), (5, 300)].as_slice()),
        (10, 1.0, [(2, 12), (3, 65), (4, 200), (5, 363)].as_slice()),
        (2, 3.0, [(2, 36), (3, 240)].as_slice()),
    ];
    for (sockets, strata, within) in figures {
        let p0 = noise_of_round(sockets, NOISE);
        for &(k, n) in within {
            assert!(e_fail(n, k, p0) >= 1000.0 * strata, "N = {sockets}: {k} of {n}");
            assert!(e_fail(n + 1, k, p0) < 1000.0 * strata, "N = {sockets}: {k} of {}", n + 1);
        }
    }
}

#[test]
fn one_failing_round_alone_is_never_a_fail() {
    for sockets in 1..=1_000 {
        assert!(e_fail(1, 1, noise_of_round(sockets, NOISE)) < 1000.0);
    }
}

/// Reference values by arbitrary-precision quadrature (50 digits).
#[test]
fn evidence_has_its_digits() {
    assert_close(e_pass(1110, 2, TOLERATED), 20.037_054_704_189_16, 1e-13);
    assert_close(e_fail(7, 2, noise_of_round(10, NOISE)), 3_548.306_044_920_918, 1e-12);
}

/// `1.9^c·0.1^(d − c)` by multiplication.
fn e_worse_by_multiplication(candidate_only: u32, other_only: u32) -> f64 {
    let own: f64 = (0..candidate_only).map(|_| 1.9).product();
    own * (0..other_only).map(|_| 0.1).product::<f64>()
}

#[test]
fn worse_takes_five_pairs_alone_nine_against_one_and_twelve_against_two() {
    for (own, other) in [(5, 0), (9, 1), (12, 2), (16, 3)] {
        assert!(e_worse(own, own + other) >= 20.0, "{own} against {other}");
        assert!(e_worse(own - 1, own - 1 + other) < 20.0, "{} against {other}", own - 1);
    }
    assert_close(e_worse(5, 5), 24.760_99, 1e-12);
    assert_close(e_worse(0, 0), 1.0, 1e-14);
    assert_close(e_worse(7, 5), e_worse(5, 5), 1e-14);
    assert_close(e_worse(u32::MAX, u32::MAX), f64::MAX, 0.0);
    assert_close(e_worse(0, u32::MAX), 0.0, 0.0);
}

/// The exact mean over all sequences of `d` pairs, by the binomial distribution, is `(0.1 + 1.8·q)^d`: at most 1 for
/// every `q` of the hypothesis.
#[test]
fn evidence_for_worse_gains_nothing_on_average_where_it_is_not() {
    for q in [0.0_f64, 0.1, 0.3, 0.49, 0.5] {
        for d in 0..=40_u32 {
            let mut choose = 1.0_f64;
            let mut mean = 0.0;
            for c in 0..=d {
                let probability = choose
                    * q.powi(i32::try_from(c).unwrap())
                    * (1.0 - q).powi(i32::try_from(d - c).unwrap());
                mean += probability * e_worse(c, d);
                choose *= f64::from(d - c) / f64::from(c + 1);
            }
            assert_close(mean, (0.1 + 1.8 * q).powi(i32::try_from(d).unwrap()), 1e-9);
            assert!(mean <= 1.0 + 1e-9, "{mean} at q = {q}, d = {d}");
        }
    }
}

/// How often two equal sides, paired until one of them is called worse or 500 pairs are over, are called so. Of 4000 at
/// most 200 on average; 260 would be more than four standard deviations off.
#[test]
fn equals_are_rarely_called_worse() {
    let mut random = StdRng::seed_from_u64(3);
    for rate in [0.02, 0.2, 0.7] {
        let called = (0..4000).filter(|_| {
            let (mut own, mut discordant) = (0, 0);
            (0..500).any(|_| {
                let (a, b) = (random.random_bool(rate), random.random_bool(rate));
                own += u32::from(a && !b);
                discordant += u32::from(a != b);
                e_worse(own, discordant) >= 20.0
            })
        });
        let called = called.count();
        assert!((20..=260).contains(&called), "{called} of 4000 at {rate}");
    }
}

#[test]
fn a_failure_in_the_first_pair_bounds_the_ratio_by_twenty() {
    for (pairs, times) in [(1, 20.0), (2, 39.493_6), (5, 97.979_5)] {
        assert_close(times_as_often(pairs), times, 1e-5);
        // The geometric distribution, as it is written.
        let share = 1.0 / times_as_often(pairs);
        assert_close(1.0 - (1.0 - share).powi(i32::try_from(pairs).unwrap()), 0.05, 1e-9);
    }
    assert!(times_as_often(0).is_infinite());
}

#[test]
fn a_rise_is_the_tail_of_the_binomial_distribution() {
    // Five of five in 180 of 780 s: (3/13)^5.
    assert_close(rise((5, 180), (0, 600)), (3.0_f64 / 13.0).powi(5), 1e-9);
    // One of three in half of the time: 7/8; two: 1/2.
    assert_close(rise((1, 60), (2, 60)), 0.875, 1e-9);
    assert_close(rise((2, 60), (1, 60)), 0.5, 1e-9);
    for nothing in [((0, 60), (9, 600)), ((9, 0), (9, 600)), ((9, 60), (9, 0))] {
        assert_close(rise(nothing.0, nothing.1), 1.0, 0.0);
    }
}

#[test]
fn no_rounds_are_no_evidence() {
    assert_close(e_pass(0, 0, TOLERATED), 1.0, 1e-14);
    assert_close(e_fail(0, 0, 1e-3), 1.0, 1e-14);
}

#[test]
fn rates_at_and_beyond_the_edges_stay_finite() {
    for rate in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 0.89, 0.9, 0.95, 1.0, 7.0, f64::INFINITY] {
        for (n, k) in [(0, 0), (1, 0), (1, 1), (1_000_000, 0), (1_000_000, 500_000), (1_000_000, 1_000_000)] {
            assert!(e_pass(n, k, rate).is_finite(), "e_pass({n}, {k}, {rate})");
            assert!(e_fail(n, k, rate).is_finite(), "e_fail({n}, {k}, {rate})");
        }
    }
    assert!(e_pass(1_000_000, 0, 0.0) <= 1.0 + 1e-12);
    assert_close(e_fail(50, 25, 0.95), 1.0, 1e-12);
    assert_close(e_fail(9, 1, 0.0), 625.0 / 4.0, 1e-12);
}

#[test]
fn noise_of_a_round_grows_with_its_sockets() {
    assert_close(noise_of_round(1, NOISE), NOISE, 1e-12);
    assert_close(noise_of_round(10, NOISE), 9.995_501_199_790e-4, 1e-9);
    assert!(noise_of_round(0, 0.5).abs() < f64::EPSILON);
    assert_close(noise_of_round(3, 1.0), 1.0, 1e-15);
    assert_close(noise_of_round(u32::MAX, 1.0), 1.0, 1e-15);
}

#[test]
fn fixed_sample_figures() {
    assert_eq!(rounds_needed(0.01, 0.95), Some(299));
    assert_eq!(rounds_needed(1.0, 0.95), Some(1));
    assert_eq!(rounds_needed(0.01, 0.0), Some(0));
    assert_eq!(rounds_needed(0.0, 0.95), None);
    assert_eq!(rounds_needed(0.01, 1.0), None);
    assert_eq!(rounds_needed(1.0, 1.0), Some(1));
    assert_eq!(rounds_needed(f64::NAN, 0.95), None);
    assert_close(rule_of_three(300), 0.01, 1e-15);
    assert_close(rule_of_three(0), 1.0, 1e-15);
    for n in [6_u8, 30] {
        let root = 1.0 - 0.05_f64.powf(f64::from(n).recip());
        assert_close(clopper_pearson_upper(0, n.into(), 0.95), root, 1e-12);
    }
    assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
    let (lower, upper) = clopper_pearson(20, 50, 0.95);
    assert_close(lower, 0.264_1, 1e-3);
    assert_close(upper, 0.548_2, 1e-3);
}

/// Fisher's tea lady (3 of 4 against 1 of 4: 17/70), and tables whose tail is a plain fraction.
#[test]
fn fisher_counts_tables() {
    assert_close(fisher_exact_greater(3, 4, 1, 4), 17.0 / 70.0, 1e-12);
    assert_close(fisher_exact_greater(4, 4, 0, 4), 1.0 / 70.0, 1e-12);
    assert_close(fisher_exact_greater(2, 2, 0, 8), 1.0 / 45.0, 1e-12);
    for (a_fail, a_n, b_fail, b_n) in [(0, 9, 4, 9), (0, 0, 3, 5), (3, 5, 0, 0), (0, 5, 0, 5), (9, 5, 9, 5)] {
        assert_close(fisher_exact_greater(a_fail, a_n, b_fail, b_n), 1.0, 1e-12);
    }
    assert!(fisher_exact_greater(20, 50, 0, 200) < 1e-14);
}

proptest! {
    // Each case sums 20 000 terms.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn e_pass_is_its_integral(n in 0..3_000_u32, share in 0.0..0.1_f64, p1 in 0.005..0.2_f64) {
        let k = (0..=n).rev().find(|&k| f64::from(k) <= share * f64::from(n)).unwrap_or(0);
        assert_close(e_pass(n, k, p1), e_pass_by_quadrature(n, k, p1), 1e-7);
    }
}

proptest! {
    #[test]
    fn evidence_follows_the_counts(n in 1..1_000_000_u32, k in 0..1_000_u32, p in 1e-6..0.5_f64) {
        let k = k.min(n - 1);
        prop_assert!(at_most(e_pass(n, k + 1, p), e_pass(n, k, p)));
        prop_assert!(at_most(e_pass(n + 1, k + 1, p), e_pass(n, k, p)));
        prop_assert!(at_most(e_pass(n, k, p), e_pass(n + 1, k, p)));
        prop_assert!(at_most(e_fail(n, k, p), e_fail(n, k + 1, p)));
        prop_assert!(at_most(e_fail(n, k, p), e_fail(n + 1, k + 1, p)));
        prop_assert!(at_most(e_fail(n + 1, k, p), e_fail(n, k, p)));
    }

    /// The property behind both guarantees: one more round changes the evidence by a factor of 1 on average.
    #[test]
    fn neither_bet_gains_on_average(n in 0..3_000_u32, k in 0..30_u32, p in 1e-4..0.2_f64, at in 0.0..=1.0_f64) {
        let k = k.min(n);
        let after = |evidence: fn(u32, u32, f64) -> f64, rate: f64| {
            rate * evidence(n + 1, k + 1, p) + (1.0 - rate) * evidence(n + 1, k, p)
        };
        assert_close(after(e_pass, p), e_pass(n, k, p), 1e-9);
        assert_close(after(e_fail, p), e_fail(n, k, p), 1e-9);
        prop_assert!(at_most(after(e_pass, p + at * (1.0 - p)), e_pass(n, k, p)));
        prop_assert!(at_most(after(e_fail, p * at), e_fail(n, k, p)));
    }

    #[test]
    fn evidence_is_finite_and_positive_or_zero(n in 0..=1_000_000_u32, k in 0..=1_000_000_u32, p in 0.0..=1.0_f64) {
        for evidence in [e_pass(n, k, p), e_fail(n, k, p)] {
            prop_assert!(evidence.is_finite() && evidence >= 0.0);
        }
    }

    #[test]
    fn clopper_pearson_is_the_beta_quantile(n in 1..400_u32, k in 0..400_u32, confidence in 0.5..0.999_f64) {
        let k = k.min(n - 1);
        let upper = clopper_pearson_upper(k, n, confidence);
        let posterior = Beta::new(f64::from(k) + 1.0, f64::from(n - k)).unwrap();
        assert_close(posterior.cdf(upper), confidence, 1e-9);
        let (lower, higher) = clopper_pearson(k, n, confidence);
        let rate = f64::from(k) / f64::from(n);
        prop_assert!(lower <= rate && rate < upper && upper < higher);
    }

    #[test]
    fn rounds_needed_is_the_smallest(rate in 1e-6..0.999_f64, confidence in 0.5..0.9999_f64) {
        let n = rounds_needed(rate, confidence).unwrap();
        prop_assert!(clopper_pearson_upper(0, n, confidence) <= rate * (1.0 + 1e-9));
        prop_assert!(n == 1 || clopper_pearson_upper(0, n - 1, confidence) >= rate * (1.0 - 1e-9));
    }

    #[test]
    fn fisher_falls_with_failures_in_a(a_n in 1..60_u32, b_n in 1..200_u32, a in 0..60_u32, b in 0..200_u32) {
        let (a, b) = (a.min(a_n - 1), b.min(b_n));
        let p = fisher_exact_greater(a, a_n, b, b_n);
        prop_assert!((0.0..=1.0).contains(&p));
        prop_assert!(fisher_exact_greater(a + 1, a_n, b, b_n) <= p * (1.0 + 1e-9));
    }
}

proptest! {
    #[test]
    fn evidence_for_worse_is_the_product_of_its_pairs(own in 0..300_u32, other in 0..200_u32) {
        let ours = e_worse(own, own + other);
        prop_assert!(ours.is_finite());
        assert_close(ours, e_worse_by_multiplication(own, other), 1e-9);
        prop_assert!(at_most(ours, e_worse(own + 1, own + other + 1)));
        prop_assert!(at_most(e_worse(own, own + other + 1), ours));
    }

    #[test]
    fn evidence_for_worse_never_overflows(own: u32, discordant: u32) {
        let evidence = e_worse(own, discordant);
        prop_assert!(evidence.is_finite() && evidence >= 0.0);
    }
}

proptest! {
    #[test]
    fn a_rise_follows_the_counts(during in 1..2_000_u32, before in 0..2_000_u32, time in 1..4_000_u64) {
        let chance = rise((during, time), (before, 600));
        prop_assert!((0.0..=1.0).contains(&chance));
        prop_assert!(at_most(rise((during + 1, time), (before, 600)), chance + 1e-9));
        prop_assert!(at_most(chance, rise((during, time), (before + 1, 600)) + 1e-9));
        prop_assert!(at_most(chance, rise((during, time + 1), (before, 600)) + 1e-9));
    }
}
