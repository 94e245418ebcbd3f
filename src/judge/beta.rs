//! What is the incomplete beta function, to nearly full precision, at the sizes a test reaches?
//!
//! Takes shapes `a, b >= 1` and a point `x` of `[0, 1]`, gives logarithms, probabilities and quantiles. Never
//! panics, and never leaves the range of a float: everything large stays a logarithm.
//! The surprising rule: the kernel works with `B_x(a, b)` *divided by* `x^a (1 - x)^b`. These powers cancel
//! in every use we have; computing both and subtracting logarithms of size 10^6 would throw away the digits.

use std::f64::consts::PI;

/// Smallest denominator of the continued fraction; keeps Lentz's method from dividing by zero.
const TINY: f64 = 1e-300;
/// Relative change at which the continued fraction has settled.
const SETTLED: f64 = 1e-15;
/// Ceiling on its steps. About `sqrt(max(a, b))` are needed, a few thousand at a million rounds.
const STEPS: u32 = 50_000;
/// From here on the asymptotic series of [`stirling_remainder`] is exact to the last digit.
const ASYMPTOTIC_FROM: f64 = 10.0;

/// `ln Γ(x)` for `x > 0`, by Stirling's formula and its remainder; infinite at 0.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + stirling_remainder(x)
}

/// `ln B(a, b)` for `a, b > 0`.
///
/// The large terms of the three Stirling formulas are cancelled on paper, not in floats, so that the result
/// is good to about 1e-13 of its size even where `ln Γ` itself is of size 10^7.
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    let sum = small + large;
    small * (small / sum).ln() - (large - 0.5) * (small / large).ln_1p() - 0.5 * small.ln()
        + 0.5 * (2.0 * PI).ln()
        + stirling_remainder(small)
        + stirling_remainder(large)
        - stirling_remainder(sum)
}

/// `ln( B_x(a, b) / (x^a (1 - x)^b) )` with `B_x` the *unregularised* incomplete beta integral from 0 to `x`,
/// for `a, b >= 1` and `0 < x < 1`.
///
/// Below the mean this is the continued fraction itself (NIST DLMF 8.17.22); above, it is the whole
/// integral less the upper part, which is then the smaller of the two.
pub(crate) fn ln_scaled_incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if below_mean(a, b, x) {
        return (continued_fraction(a, b, x) / a).ln();
    }
    let whole = ln_beta(a, b) - a * x.ln() - b * (-x).ln_1p();
    let upper = (continued_fraction(b, a, 1.0 - x) / b).ln();
    whole + (-(upper - whole).exp()).ln_1p()
}

/// The regularised incomplete beta function `I_x(a, b)`, which is the Beta(a, b) probability of `[0, x]`,
/// for `a, b >= 1`; 0 at `x <= 0` and 1 at `x >= 1`.
pub(crate) fn regularised_incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let powers = a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b);
    if below_mean(a, b, x) {
        (powers + (continued_fraction(a, b, x) / a).ln()).exp()
    } else {
        1.0 - (powers + (continued_fraction(b, a, 1.0 - x) / b).ln()).exp()
    }
}

/// The `x` with `I_x(a, b) = probability`, by bisection down to neighbouring floats, for `a, b >= 1`.
///
/// Probabilities of 0 or less give 0, of 1 or more give 1.
pub(crate) fn inverse_incomplete_beta(a: f64, b: f64, probability: f64) -> f64 {
    if probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if regularised_incomplete_beta(a, b, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Whether the continued fraction at `x` converges quickly; otherwise the one at `1 - x` does.
fn below_mean(a: f64, b: f64, x: f64) -> bool {
    x < (a + 1.0) / (a + b + 2.0)
}

/// The continued fraction of DLMF 8.17.22, evaluated from the front by Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut numerator = 1.0;
    let mut denominator = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = denominator;
    for step in 1..=STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            denominator = 1.0 / away_from_zero(1.0 + coefficient * denominator);
            numerator = away_from_zero(1.0 + coefficient / numerator);
            change = numerator * denominator;
            fraction *= change;
        }
        if (change - 1.0).abs() < SETTLED {
            break;
        }
    }
    fraction
}

/// What Stirling's formula for `ln Γ(x)` lacks, for `x > 0`: DLMF 5.11.1, reached from small `x` by the
/// recurrence of Γ.
fn stirling_remainder(x: f64) -> f64 {
    let (mut shifted, mut climbed) = (x, 0.0);
    while shifted < ASYMPTOTIC_FROM {
        climbed += (shifted + 0.5) * shifted.recip().ln_1p() - 1.0;
        shifted += 1.0;
    }
    let square = shifted.powi(-2);
    let series = [-691.0 / 360_360.0, 1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0]
        .into_iter()
        .fold(0.0, |sum, coefficient| sum * square + coefficient);
    climbed + series / shifted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{Beta, ContinuousCDF};
    use statrs::function::{beta, gamma};

    fn assert_close(ours: f64, theirs: f64, tolerance: f64) {
        let scale = theirs.abs().max(1e-3);
        assert!((ours - theirs).abs() <= tolerance * scale, "{ours} is not {theirs}");
    }

    #[test]
    fn ln_gamma_meets_factorials() {
        let mut factorial = 0.0_f64;
        for n in 1..200_u32 {
            assert_close(ln_gamma(f64::from(n)), factorial, 1e-12);
            factorial += f64::from(n).ln();
        }
    }

    /// Reference values by arbitrary-precision arithmetic (50 digits).
    #[test]
    fn large_arguments_keep_their_digits() {
        assert_close(ln_beta(3.0, 1_000_000.0), -40.753_387_493_330_38, 1e-14);
        assert_close(ln_beta(10_001.0, 990_001.0), -56_009.830_774_519_86, 1e-14);
        assert_close(regularised_incomplete_beta(10_001.0, 990_001.0, 0.01), 0.497_380_480_074_116, 1e-10);
        assert_close(ln_scaled_incomplete_beta(9_501.0, 990_501.0, 0.01), 9.133_351_587_070_084, 1e-12);
    }

    #[test]
    fn quantiles_of_the_uniform_are_themselves() {
        for probability in [-1.0, 0.0, 0.25, 0.5, 1.0, 2.0] {
            assert_close(inverse_incomplete_beta(1.0, 1.0, probability), probability.clamp(0.0, 1.0), 1e-13);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_statrs(a in 1.0..500.0_f64, b in 1.0..500.0_f64, x in 0.0..=1.0_f64) {
            assert_close(ln_gamma(a), gamma::ln_gamma(a), 1e-11);
            assert_close(ln_beta(a, b), beta::ln_beta(a, b), 1e-10);
            assert_close(regularised_incomplete_beta(a, b, x), beta::beta_reg(a, b, x), 1e-9);
        }

        #[test]
        fn the_inverse_inverts(a in 1.0..300.0_f64, b in 1.0..300.0_f64, probability in 0.001..0.999_f64) {
            let x = inverse_incomplete_beta(a, b, probability);
            assert_close(regularised_incomplete_beta(a, b, x), probability, 1e-10);
            let theirs = Beta::new(a, b).unwrap();
            assert_close(theirs.cdf(x), probability, 1e-9);
            assert_close(x, theirs.inverse_cdf(probability), 1e-6);
        }
    }
}
