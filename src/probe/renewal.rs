//! New tokens before the old ones expire, where a command gives them.
//!
//! Takes a purse of ready tokens and runs its command once two thirds of the shortest remaining life are over. It says
//! what it could not do and never stops a run. The surprising rule: it holds the purse only weakly, and ends when that
//! is dropped: whoever waits for the last note would wait for ever otherwise.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::token::Purse;
use crate::child;
use crate::config::ReadyTokens;

/// Between two tries, at the least.
const PAUSE: Duration = Duration::from_secs(5);

/// Renews the tokens of a purse for as long as this lives.
#[derive(Debug)]
pub(super) struct Renewal(#[expect(dead_code, reason = "its drop ends the task")] AbortOnDropHandle<()>);

impl Renewal {
    /// Begins, where there is something to renew; `say` is told of each failure. What expires within the next seconds is
    /// renewed before this gives anything.
    pub(super) async fn start(
        purse: &Arc<Purse>,
        say: impl Fn(String) + Send + Sync + 'static,
    ) -> Option<Self> {
        let (_, command) = purse.ready()?;
        let command = command?.to_vec();
        if left(purse)? < PAUSE * 3 {
            renew(purse, &command, &say).await;
        }
        let purse = Arc::downgrade(purse);
        Some(Self(AbortOnDropHandle::new(tokio::spawn(keep(purse, command, say)))))
    }
}

async fn keep(purse: Weak<Purse>, command: Vec<String>, say: impl Fn(String) + Send + Sync) {
    loop {
        let Some(left) = purse.upgrade().and_then(|purse| left(&purse)) else { return };
        // Of what is left, so that a command that gives no newer ones is not asked in a row.
        tokio::time::sleep((left * 2 / 3).max(PAUSE)).await;
        let Some(held) = purse.upgrade() else { return };
        renew(&held, &command, &say).await;
    }
}

async fn renew(purse: &Purse, command: &[String], say: &(impl Fn(String) + Send + Sync)) {
    let answer = child::answer(command, purse.redactor()).await;
    let tokens = answer.and_then(|text| {
        ReadyTokens::parse(text.expose()).map_err(|flaw| format!("printed no tokens: {}", flaw.message))
    });
    match tokens {
        Ok(tokens) => purse.renew(tokens),
        Err(reason) => say(format!(
            "the tokens could not be renewed: the command {reason}; once they have expired, a refusal is no fault of the \
             server's"
        )),
    }
}

/// How long all tokens are good still; `None` where none of them says so.
fn left(purse: &Purse) -> Option<Duration> {
    let (expiry, now) = (purse.ready()?.0.first_expiry()?.0, purse.now());
    Some(Duration::from_secs(u64::try_from(expiry.saturating_sub(now)).unwrap_or(0)))
}
