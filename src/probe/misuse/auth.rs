//! Sockets with bad tokens, one after the other, between two with a good one.
//!
//! Takes the settings and gives what was seen of each. It neither knows what a refusal is nor counts any. The surprising
//! rule: a socket that opens is spoken with, since one that was accepted and never asked for anything would not show whether
//! it is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::dialogue::{Dialogue, Heard};
use super::super::expectation::Declared;
use super::super::learned::Learned;
use super::super::observation::{Observation, Opening, Phase};
use super::super::prober::Prober;
use super::super::series::Series;
use super::super::served::{Came, serve_once};
use super::super::spec::SocketSpec;
use super::tokens::{OVERSIZED, forge};
use crate::config::{AuthSettings, BadToken, Refusals};
use crate::trust::{Excerpt, Secret};

/// How long a server may take to refuse before it is asked for anything.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What was seen of sockets with bad tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthSeen {
    /// What the configuration declares.
    pub declared: Declared,
    /// Codes with which a healthy server may close a socket that it has served.
    pub closes: Vec<u16>,
    /// What a proper refusal looks like.
    pub refusals: Vec<Refusals>,
    /// How long an answer, or an end, was waited for, in milliseconds.
    pub patience_ms: u64,
    /// A token goes in the first message, so that a server that was sent none may still be waiting for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_message: bool,
    /// A good token, before the bad ones.
    pub before: Observation,
    /// The bad ones, in their order.
    pub bad: Vec<BadTokenSeen>,
    /// A good token, after them; `None` where that was not reached.
    pub after: Option<Observation>,
    /// Kinds that could not be made, and why.
    pub left_out: Vec<(BadToken, Excerpt)>,
}

/// What was seen of one socket with a bad token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BadTokenSeen {
    /// In which way it was bad.
    pub kind: BadToken,
    /// Its socket.
    pub observation: Observation,
    /// A good token beside a header as large, where an oversized one got no answer: is it read at all?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Observation>,
}

/// Opens sockets with each of the bad tokens.
pub async fn send_bad_tokens(
    prober: &Prober,
    settings: &AuthSettings,
    learned: Option<&Learned>,
    series: &mut Series,
    cut: &CancellationToken,
) -> AuthSeen {
    let pause = Duration::from_secs(1) / settings.pace.max(1);
    let patience = settings.patience.unwrap_or(prober.timeouts.answer);
    let (before, served) = serve_once(prober, &series.socket(Some(0)), learned, cut).await;
    let mut seen = AuthSeen {
        declared: prober.declared(),
        closes: prober.conversation.closes.clone(),
        refusals: settings.refusals.clone(),
        patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        first_message: prober.first_messages() > 0,
        before,
        bad: Vec::new(),
        after: None,
        left_out: Vec::new(),
    };
    // What bad tokens do shows nothing where a good one is not served: the server is left in peace.
    if !served {
        return seen;
    }
    for kind in &settings.kinds {
        let user = prober.user_name(Some(0)).to_owned();
        let purse = prober.purse.as_deref();
        let forged = purse.map(|purse| forge(*kind, purse, &user, &settings.audience));
        let credential = match forged {
            Some(Ok(credential)) => credential,
            Some(Err(why)) => {
                seen.left_out.push((*kind, Excerpt::new(&prober.redactor.redact(&why))));
                continue;
            }
            None => continue,
        };
        let mut carrying = prober.carrying(credential);
        // A server that chooses no subprotocol for a token that it is about to refuse is heard out.
        carrying.conversation.require_subprotocol = false;
        for _ in 0..settings.tries {
            if cut.is_cancelled() {
                return seen;
            }
            let _ = cut.run_until_cancelled(sleep(pause)).await;
            let observation = knock(&carrying, &series.socket(Some(0)), learned, patience, cut).await;
            let unread = *kind == BadToken::Oversized && may_be_unread(&observation.opening);
            let control =
                if unread { Some(laden_once(prober, learned, series, (pause, cut)).await) } else { None };
            seen.bad.push(BadTokenSeen { kind: *kind, observation, control });
        }
    }
    let _ = cut.run_until_cancelled(sleep(pause)).await;
    seen.after = Some(serve_once(prober, &series.socket(Some(0)), learned, cut).await.0);
    seen
}

/// A good token beside a header as large, until it is left unanswered too: whether that happens may hang on the pieces in
/// which the header comes.
async fn laden_once(
    prober: &Prober,
    learned: Option<&Learned>,
    series: &mut Series,
    (pause, cut): (Duration, &CancellationToken),
) -> Observation {
    let laden = laden(prober);
    let pausing = || cut.run_until_cancelled(sleep(pause));
    let _ = pausing().await;
    let mut seen = serve_once(&laden, &series.socket(Some(0)), learned, cut).await.0;
    for _ in 1..AuthSettings::CONTROLS {
        if may_be_unread(&seen.opening) || cut.is_cancelled() {
            break;
        }
        let _ = pausing().await;
        seen = serve_once(&laden, &series.socket(Some(0)), learned, cut).await.0;
    }
    seen
}

/// True where nobody may have read the request: nothing was said to it, or what may be a front end's word for that.
fn may_be_unread(opening: &Opening) -> bool {
    opening.is_unanswered() || matches!(opening, Opening::Refused { status: 502 | 503, .. })
}

/// The same with a header as large as an oversized token, which says nothing.
fn laden(prober: &Prober) -> Prober {
    let mut laden = prober.clone();
    laden.conversation.headers.push(("X-Filler".to_owned(), Secret::new("A".repeat(OVERSIZED))));
    laden
}

/// Opens a socket that must be refused, and looks what it is given.
async fn knock(
    prober: &Prober,
    spec: &SocketSpec,
    learned: Option<&Learned>,
    patience: Duration,
    cut: &CancellationToken,
) -> Observation {
    prober.turn(std::slice::from_ref(spec), prober.messages_of_socket(), cut).await;
    let mut dialogue = match Dialogue::open(prober, spec, prober.timeouts.opening, cut).await {
        Err(unopened) => return *unopened,
        Ok(dialogue) => dialogue,
    };
    dialogue.knows(learned);
    let came = linger(&mut dialogue, learned, patience).await;
    let phase = if dialogue.seen().sent_after.is_some() { Phase::Answer } else { Phase::Greeting };
    dialogue.leave(came, phase).await
}

/// Waits to be refused; asks once, unless an error has come; waits on.
async fn linger(dialogue: &mut Dialogue<'_>, learned: Option<&Learned>, patience: Duration) -> Came {
    let begun = Instant::now();
    let mut until = begun + REFUSAL_TIME.min(patience);
    let mut asked = false;
    loop {
        match dialogue.hear(until).await {
            Heard::End(kind) => return Came::End(kind),
            Heard::Nothing if asked || dialogue.is_cut() => return Came::Short,
            Heard::Nothing => {
                asked = true;
                until = Instant::now() + patience;
                let failed = dialogue.seen().frames.iter().any(|frame| frame.error);
                if !failed && let Err(kind) = dialogue.ask().await {
                    return Came::End(kind);
                }
            }
            // It is served: there is no refusal to wait for.
            _ if asked && dialogue.is_answered(learned) => return Came::Far,
            _ => {}
        }
    }
}
