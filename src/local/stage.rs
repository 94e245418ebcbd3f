//! The local stage from its start to its end: one process for the frozen rounds, then one for each cold start.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cold::Cold;
use super::server::Server;
use crate::probe::{
    Address, AddressError, Campaign, CampaignError, Campaigned, Learned, Plan, Prober, Stage, Steering,
    StopReason, TokenError, Trials,
};

/// How long the server may take to listen; Cloud Run's default start-up probe gives it 240 s.
const LISTENS_WITHIN: Duration = Duration::from_mins(4);

/// What a local stage leaves behind.
#[derive(Debug)]
pub struct LocalRun {
    /// Its rounds, and why it ended.
    pub campaigned: Campaigned,
    /// The last lines that the server of the frozen rounds wrote.
    pub lines: Vec<String>,
}

/// Why there is no local stage.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// There is no such program, or it may not be run.
    #[error("the command could not be started: {0}")]
    Command(std::io::Error),
    /// It ended, or did not open its port in time.
    #[error("the command ran and did not listen on $PORT")]
    NeverListened {
        /// The last lines that it wrote.
        lines: Vec<String>,
    },
    /// The loopback address was refused.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The application's token could not be minted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The campaign could not begin.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
}

/// Runs the stage. `prober` makes a prober for an address; what was seen until `interrupted` is cancelled is handed over, and
/// the end of a process is not waited for then: dropped, it ends too.
pub async fn run<S: Steering>(
    words: &[String],
    plan: &Plan,
    prober: impl Fn(Address) -> Prober,
    steering: &mut S,
    run: &str,
    interrupted: &CancellationToken,
) -> Result<LocalRun, NotStarted> {
    let server = Server::start(words).await.map_err(NotStarted::Command)?;
    // One connection that says nothing, as a start-up probe makes.
    let opening = server.open_within(LISTENS_WITHIN, 1);
    if interrupted.run_until_cancelled(opening).await.unwrap_or_default().is_empty() {
        let lines = server.lines();
        let _ = interrupted.run_until_cancelled(server.end()).await;
        return Err(NotStarted::NeverListened { lines });
    }
    let prober = prober(server.address()?);
    prober.mint_all()?;
    let frozen = prober.clone().freezing(Arc::new(server.freezer()));
    let campaign = Campaign::new(frozen, plan, steering, run.to_owned()).interrupted_by(interrupted.clone());
    let mut campaigned = campaign.run(false).await?;
    let lines = server.lines();
    let _ = interrupted.run_until_cancelled(server.end()).await;
    let wants_cold = plan.strata.iter().any(|stratum| Stage::from(stratum.pattern) == Stage::Cold);
    let unknown =
        matches!(campaigned.stopped, StopReason::NotServed | StopReason::Unheard | StopReason::AnswerUntold);
    if wants_cold && !unknown && !steering.has_failed() && !interrupted.is_cancelled() {
        let sockets = campaigned.rounds.iter().map(|round| round.observations.len()).sum::<usize>();
        let trials = Trials { plan, sockets_before: u32::try_from(sockets).unwrap_or(u32::MAX), run };
        let learned: Option<Arc<Learned>> = campaigned.learned.clone().map(Arc::new);
        let cold = Cold { words: words.into(), prober, trials, learned, steering };
        let (rounds, stopped) = cold.run(interrupted).await;
        campaigned.rounds.extend(rounds);
        campaigned.stopped = worse(campaigned.stopped, stopped);
    }
    if steering.has_passed() || steering.has_failed() {
        campaigned.stopped = StopReason::Decided;
    }
    Ok(LocalRun { campaigned, lines })
}

/// What kept the first part from its end is said rather than what kept the second.
fn worse(frozen: StopReason, cold: StopReason) -> StopReason {
    if matches!(frozen, StopReason::Rounds | StopReason::Decided) { cold } else { frozen }
}
