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
use crate::trust::escape;

/// Between two tries, at the least.
const PAUSE: Duration = Duration::from_secs(5);

/// The tokens of a run, for all of its probers: what was minted or renewed for one is there for the next.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    purse: Arc<Purse>,
    /// Ends its task with the last clone.
    _renewal: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Tokens {
    /// Begins to renew, where there is something to renew; `say` is told of each failure. What expires within the next
    /// seconds is renewed before this gives anything.
    pub(crate) async fn start(purse: Purse, say: impl Fn(String) + Send + Sync + 'static) -> Self {
        let purse = Arc::new(purse);
        let command = purse.ready().and_then(|(_, command)| command.map(<[String]>::to_vec));
        let Some((command, left)) = command.zip(left(&purse)) else { return Self { purse, _renewal: None } };
        if left < PAUSE * 3 {
            renew(&purse, &command, &say).await;
        }
        let task = tokio::spawn(keep(Arc::downgrade(&purse), command, say));
        Self { purse, _renewal: Some(Arc::new(AbortOnDropHandle::new(task))) }
    }

    /// What there is to say of tokens that expire within `time` and cannot be renewed.
    pub(crate) fn expire_within(&self, time: Duration) -> Option<String> {
        let (tokens, command) = self.purse.ready()?;
        let (expiry, user) = tokens.first_expiry()?;
        let left = expiry.saturating_sub(self.purse.now());
        let soon = left < i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let whose = if user.is_empty() { String::new() } else { format!(" of user {}", escape(user)) };
        (soon && command.is_none()).then(|| {
            format!(
                "the token{whose} expires in {left} s: what is refused after that is no fault of the server's"
            )
        })
    }

    /// The purse itself.
    pub(super) fn purse(&self) -> Arc<Purse> {
        Arc::clone(&self.purse)
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
        let tokens = ReadyTokens::parse(text.expose());
        let tokens = tokens.and_then(|tokens| tokens.refuse_uncarried(purse.carriers()).map(|()| tokens));
        tokens.map_err(|flaw| format!("printed no tokens: {}", flaw.message))
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
