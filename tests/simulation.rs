//! How often is the decision rule wrong? Simulated runs against what it promises.
//!
//! Two thousand runs a rate take a while, so these are run by their own command, which prints the table:
//! `cargo test --release --test simulation -- --ignored --nocapture`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the table is the result; a test fails by panicking"
)]

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use revgate::judge::sequential::{Decision, Sequential, TestSettings, Trial, TrialOutcome};

/// Runs of each rate.
const RUNS: u32 = 2000;
/// Rounds after which a run gives up.
const MOST_ROUNDS: u32 = 1500;
/// Strata that share the error of a fail.
const STRATA: u32 = 3;
/// Sockets of a round.
const SOCKETS: u32 = 10;

/// What happens to the rounds of a run.
#[derive(Debug, Clone, Copy)]
struct World {
    /// Rounds that fail by themselves, a fraction.
    failing: f64,
    /// Rounds that meet the platform only, a fraction.
    void: f64,
    /// Rounds in flight at once.
    lanes: u32,
    /// A failing round hangs until its time-out instead of failing at once.
    hangs: bool,
    /// Chance that a round meets something that breaks everything in flight.
    blips: f64,
}

impl World {
    const QUIET: Self = Self { failing: 0.0, void: 0.0, lanes: 1, hangs: false, blips: 0.0 };
}

/// How the runs of one world ended, and how many rounds they took on the mean.
#[derive(Debug, Default)]
struct Ends {
    pass: u32,
    fail: u32,
    rounds: u64,
}

/// One round takes so many microseconds; a hanging one until its time-out.
const ROUND: u64 = 30_000;
const HANGING: u64 = 10_000_000;

/// The trials of a run in the order of their starts: with `lanes` in flight, one starts every `ROUND / lanes`.
fn trials(world: World, random: &mut StdRng) -> Vec<Trial> {
    let mut trials: Vec<Trial> = (0..u64::from(MOST_ROUNDS))
        .map(|index| {
            let started = index * ROUND / u64::from(world.lanes) + index;
            let outcome = if random.random_bool(world.void) {
                TrialOutcome::Void
            } else if random.random_bool(world.failing) {
                TrialOutcome::Failing
            } else {
                TrialOutcome::Clean
            };
            let lasts = if world.hangs && outcome == TrialOutcome::Failing { HANGING } else { ROUND };
            Trial { outcome, sockets: SOCKETS, started, ended: started + lasts }
        })
        .collect();
    // A blip strikes in time. A round is in flight for as long as `lanes` of them start, so this is the rate at which
    // each single round, and not each start, meets one.
    let blips = world.blips / f64::from(world.lanes);
    for index in 0..trials.len() {
        if random.random_bool(blips) {
            let at = trials[index].started;
            for trial in &mut trials {
                if trial.started <= at && at <= trial.ended && trial.outcome == TrialOutcome::Clean {
                    trial.outcome = TrialOutcome::Failing;
                    trial.ended = at;
                }
            }
        }
    }
    trials
}

fn simulate(world: World, seed: u64) -> Ends {
    let mut ends = Ends::default();
    for run in 0..RUNS {
        let mut random = StdRng::seed_from_u64(seed << 32 | u64::from(run));
        let mut test = Sequential::new(TestSettings::standard(STRATA)).unwrap();
        let trials = trials(world, &mut random);
        let mut decision = Decision::Undecided;
        for (index, trial) in trials.iter().enumerate() {
            decision = test.push(trial);
            if decision != Decision::Undecided {
                // A pass waits for all in flight, and they may take it back.
                let in_flight = trials[index + 1..].iter().take_while(|later| later.started <= trial.ended);
                in_flight.for_each(|later| decision = test.push(later));
                if decision != Decision::Undecided {
                    break;
                }
            }
        }
        ends.pass += u32::from(decision == Decision::Pass);
        ends.fail += u32::from(decision == Decision::Fail);
        ends.rounds += u64::from(test.rounds());
    }
    ends
}

fn share(count: u32) -> f64 {
    f64::from(count) / f64::from(RUNS)
}

/// Three standard errors of a share around `promised`: what chance alone explains.
fn chance(promised: f64) -> f64 {
    3.0 * (promised * (1.0 - promised) / f64::from(RUNS)).sqrt()
}

fn show(name: &str, world: World, ends: &Ends) {
    let mean = ends.rounds / u64::from(RUNS);
    println!(
        "{name:<22} {:>5.1} % failing   pass {:.4}   fail {:.4}   mean rounds {mean}",
        world.failing * 100.0,
        share(ends.pass),
        share(ends.fail)
    );
}

#[test]
#[ignore = "a minute of simulation; its command is at the top of the file"]
fn wrong_passes_and_wrong_fails_stay_within_the_promise() {
    let worlds: [(&str, World); 4] = [
        ("one at a time", World::QUIET),
        ("a tenth void", World { void: 0.1, ..World::QUIET }),
        ("hangs at 60 lanes", World { lanes: 60, hangs: true, ..World::QUIET }),
        ("60 lanes", World { lanes: 60, ..World::QUIET }),
    ];
    let noise = revgate::judge::statistics::noise_of_round(SOCKETS, 1e-4);
    for (seed, (name, world)) in worlds.into_iter().enumerate() {
        for (step, failing) in [0.0, noise, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2].into_iter().enumerate() {
            let world = World { failing, ..world };
            let ends = simulate(world, (seed * 100 + step) as u64);
            show(name, world, &ends);
            if failing >= 0.01 {
                assert!(share(ends.pass) <= 0.05 + chance(0.05), "{name}: wrong passes");
            }
            if failing <= noise {
                let promised = 0.001 / f64::from(STRATA);
                assert!(share(ends.fail) <= promised + chance(promised), "{name}: wrong fails");
            }
        }
    }
}

#[test]
#[ignore = "a minute of simulation; its command is at the top of the file"]
fn a_blip_that_takes_all_lanes_is_one_failure() {
    let noise = revgate::judge::statistics::noise_of_round(SOCKETS, 1e-4);
    for (step, lanes) in [1, 10, 60].into_iter().enumerate() {
        let world = World { lanes, blips: noise, ..World::QUIET };
        let ends = simulate(world, 900 + step as u64);
        show(&format!("blips over {lanes} lanes"), world, &ends);
        let promised = 0.001 / f64::from(STRATA);
        assert!(share(ends.fail) <= promised + chance(promised), "{lanes} lanes: wrong fails");
    }
}

#[test]
#[ignore = "a minute of simulation; its command is at the top of the file"]
fn the_figures_of_a_single_lane_are_those_that_were_published() {
    // Rates, and the shares of passes and fails at ten sockets, three strata and 1500 rounds.
    let published = [
        (0.0, 1.00, 0.00),
        (0.001, 0.99, 0.00),
        (0.002, 0.89, 0.00),
        (0.005, 0.28, 0.24),
        (0.01, 0.04, 0.89),
        (0.02, 0.00, 1.00),
        (0.05, 0.0, 1.00),
        (0.2, 0.0, 1.00),
    ];
    for (step, (failing, pass, fail)) in published.into_iter().enumerate() {
        let ends = simulate(World { failing, ..World::QUIET }, 700 + step as u64);
        show("published", World { failing, ..World::QUIET }, &ends);
        assert!((share(ends.pass) - pass).abs() <= 0.03, "{failing}: pass {}", share(ends.pass));
        assert!((share(ends.fail) - fail).abs() <= 0.03, "{failing}: fail {}", share(ends.fail));
    }
}
