//! All that the sockets of a run share: where they go, who they are, what they say.
//!
//! Takes the settings once and answers each socket's questions. It opens nothing. The surprising rule: times are
//! microseconds since the start of the run, read in one place, so that every report counts from the same zero.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ballast::Ballast;
use super::expectation::Declared;
use super::handshake::{Identity, UpgradeRequest};
use super::matcher::{Matcher, Matchers};
use super::observation::in_microseconds;
use super::pace::Accounts;
use super::pulse::Pulse;
use super::release::Releaser;
use super::renewal::Tokens;
use super::spec::SocketSpec;
use super::token::{Purse, TokenError};
use super::transport::Address;
use crate::child::Freezer;
use crate::config::{Carrier, Conversation, Echo, Expect, Settings, Timeouts, Values};
use crate::trust::{Redactor, Secret};

/// Which of the application's tokens a socket carries.
#[derive(Debug, Clone, Default)]
pub(super) enum Credential {
    /// The one minted for its user.
    #[default]
    OfUser,
    /// None at all.
    Missing,
    /// This one, whoever the user is.
    Given(Secret),
}

/// All that sockets need, shared by every round.
#[derive(Debug, Clone)]
pub struct Prober {
    /// Where sockets are opened.
    pub address: Address,
    /// How they are opened and what is said.
    pub conversation: Conversation,
    /// The application's tokens; `None` where there are none.
    pub purse: Option<Arc<Purse>>,
    /// Which of them a socket carries.
    pub(super) credential: Credential,
    /// The IAM ID token.
    pub id_token: Option<Secret>,
    /// The users.
    pub users: Vec<String>,
    /// Where answers name their revision.
    pub echo: Option<Echo>,
    /// Where answers name their instance.
    pub instance_echo: Option<Echo>,
    /// The steps' times.
    pub timeouts: Timeouts,
    /// Takes secrets out of what servers say.
    pub redactor: Redactor,
    /// Lets sockets go together.
    pub releaser: Arc<Releaser>,
    /// Stops the server while sockets are let go; `None` where its process is not ours.
    pub(crate) freezer: Option<Arc<Freezer>>,
    /// Tells when this machine stood still.
    pub(super) pulse: Arc<Pulse>,
    /// Keeps sockets open beyond their round; `None` where they end with it.
    pub(crate) ballast: Option<Arc<Ballast>>,
    /// What each user has said within the last minute, whoever said it in his name.
    pub(super) accounts: Arc<Accounts>,
    /// Zero of all times.
    pub epoch: Instant,
}

impl Prober {
    /// A prober for `address`, inside a runtime; `epoch_seconds` is the wall clock, in seconds since 1970, at `epoch`.
    pub fn new(
        address: Address,
        settings: &Settings,
        id_token: Option<Secret>,
        redactor: Redactor,
        epoch: Instant,
        epoch_seconds: i64,
    ) -> Self {
        let purse = settings.token.clone().map(|t| Purse::new(t, epoch, epoch_seconds, redactor.clone()));
        let purse = purse.map(Arc::new);
        Self {
            address,
            conversation: settings.conversation.clone(),
            purse,
            credential: Credential::OfUser,
            id_token,
            users: settings.users.clone(),
            echo: settings.echo.clone(),
            instance_echo: settings.instance_echo.clone(),
            timeouts: settings.timeouts,
            redactor,
            releaser: Arc::new(Releaser::detect()),
            freezer: None,
            pulse: Arc::new(Pulse::start()),
            ballast: None,
            accounts: Arc::new(Accounts::new(settings.limits.messages_per_minute)),
            epoch,
        }
    }

    /// The same for a server of our own: it is stopped while sockets are let go.
    pub(crate) fn freezing(self, freezer: Arc<Freezer>) -> Self {
        Self { freezer: Some(freezer), ..self }
    }

    /// The same for another address, of a server that is never stopped.
    pub(crate) fn aimed(&self, address: Address) -> Self {
        Self { address, freezer: None, ..self.clone() }
    }

    /// The same for sockets that carry another token than their user's, or none.
    pub(super) fn carrying(&self, credential: Credential) -> Self {
        Self { credential, ..self.clone() }
    }

    /// The same for sockets that are kept open beyond their round.
    pub(super) fn keeping(&self, ballast: Arc<Ballast>) -> Self {
        Self { ballast: Some(ballast), ..self.clone() }
    }

    /// The same with the tokens of the run.
    pub(crate) fn sharing(mut self, tokens: Option<&Tokens>) -> Self {
        self.purse = tokens.map(Tokens::purse).or(self.purse);
        self
    }

    /// Mints every user's token, so that a key that cannot sign is found before the first socket.
    pub fn mint_all(&self) -> Result<(), TokenError> {
        let Some(purse) = &self.purse else { return Ok(()) };
        self.users.iter().try_for_each(|user| purse.token(user).map(drop))
    }

    pub(super) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    pub(super) fn at(&self, instant: Instant) -> u64 {
        in_microseconds(instant.saturating_duration_since(self.epoch))
    }

    pub(super) fn user_name(&self, index: Option<usize>) -> &str {
        index
            .and_then(|index| self.users.get(index))
            .or_else(|| self.users.first())
            .map_or("revgate", String::as_str)
    }

    /// Messages that a socket of a round sends: its text, and its token where that goes first.
    pub(super) fn messages_of_socket(&self) -> usize {
        self.first_messages() + usize::from(self.conversation.send.is_some())
    }

    /// Messages that carry the token, before anything else is said.
    pub(super) fn first_messages(&self) -> usize {
        let carriers = self.purse.as_ref().map_or(&[][..], |purse| purse.carriers());
        carriers.iter().filter(|carrier| matches!(carrier, Carrier::FirstMessage(_))).count()
    }

    /// Waits until sockets of these users may send so many messages each; they count as sent from then on. Sockets without
    /// a user may send at any time.
    pub(super) async fn turn(&self, sockets: &[SocketSpec], messages: usize, cut: &CancellationToken) {
        let at = self.accounts.book(&of_users(sockets, messages), Instant::now());
        let _ = cut.run_until_cancelled(sleep_until(at)).await;
    }

    /// The same, and nothing counts as sent.
    pub(super) async fn room(&self, sockets: &[SocketSpec], messages: usize, cut: &CancellationToken) {
        let at = self.accounts.room(&of_users(sockets, messages), Instant::now());
        let _ = cut.run_until_cancelled(sleep_until(at)).await;
    }

    pub(super) fn declared(&self) -> Declared {
        Declared::of(&self.conversation)
    }

    pub(super) fn matchers(&self, values: Values<'_>) -> Matchers {
        let matcher =
            |pattern: &Option<Expect>| pattern.as_ref().map(|pattern| Matcher::new(pattern, values));
        Matchers {
            expect: matcher(&self.conversation.expect),
            greeting: matcher(&self.conversation.greeting),
            harmless: matcher(&self.conversation.harmless),
        }
    }

    pub(super) fn request(&self, values: Values<'_>) -> UpgradeRequest {
        let token = match &self.credential {
            // Minted before the first socket, so it can only fail on a user that signed before: then it goes without,
            // and the server's refusal is observed.
            Credential::OfUser => self.purse.as_ref().and_then(|purse| purse.token(values.user).ok()),
            Credential::Missing => None,
            Credential::Given(token) => Some(token.clone()),
        };
        let is_good = matches!(self.credential, Credential::OfUser);
        let expires = self.purse.as_ref().filter(|_| is_good).and_then(|purse| purse.expiry(token.as_ref()?));
        let identity = Identity { token, id_token: self.id_token.clone() };
        let carriers = self.purse.as_ref().map_or(&[][..], |purse| purse.carriers());
        let mut request = UpgradeRequest::new(&self.address, &self.conversation, carriers, &identity, values);
        request.expires = expires;
        request
    }
}

/// How many messages each user sends, where each socket sends so many.
fn of_users(sockets: &[SocketSpec], messages: usize) -> BTreeMap<usize, usize> {
    let mut of_users = BTreeMap::new();
    for user in sockets.iter().filter_map(|socket| socket.user) {
        *of_users.entry(user).or_insert(0) += messages;
    }
    of_users
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};

    #[tokio::test]
    async fn a_user_has_one_account_at_both_revisions_and_with_any_token() {
        let file = FileConfig::parse("t", b"send: x\nlimits: { messages-per-minute: 2 }\n").unwrap();
        let settings =
            merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap().settings;
        let address = |text: &str| Address::new(&url::Url::parse(text).unwrap()).unwrap();
        let here = address("ws://127.0.0.1:9");
        let prober = Prober::new(here, &settings, None, Redactor::default(), Instant::now(), 0);
        let others = [prober.aimed(address("ws://127.0.0.1:10")), prober.carrying(Credential::Missing)];
        let socket = SocketSpec { number: 1, user: Some(0), nonce: "n".to_owned() };
        for other in &others {
            other
                .turn(std::slice::from_ref(&socket), other.messages_of_socket(), &CancellationToken::new())
                .await;
        }
        let now = Instant::now();
        assert!(prober.accounts.of(0).next(now) > now && prober.accounts.of(1).next(now) == now);
    }

    /// A server on loopback that lets nobody in.
    async fn refusing() -> Address {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        Address::new(&url::Url::parse(&url).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_socket_or_request_whose_own_token_has_expired_by_its_end_says_so() {
        use super::super::{dialogue::Dialogue, http::ask_endpoints, series::Series};
        use crate::config::SecretSource;
        let file = b"token: { tokens-env: A }\napi: { endpoints: [{ path: /, token: true, times: 1 }, { path: /, times: 1 }] }\n";
        let file = FileConfig::parse("t", file).unwrap();
        let mut lookup = Lookup::default();
        // It expires at 1000.
        let token = Secret::new("e30.eyJleHAiOjEwMDB9.c2ln");
        lookup.insert(SecretSource::Environment("A".to_owned()), Ok(token.clone()));
        let settings = merge(&Typed::default(), Some(&file), &lookup, Purpose::Rehearsal).unwrap().settings;
        let address = refusing().await;
        let socket = SocketSpec { number: 1, user: Some(0), nonce: "n".to_owned() };
        for (started, expired) in [(1_001, Some(0)), (999, Some(1_000_000)), (1, None)] {
            let at = (Redactor::default(), Instant::now(), started);
            let prober = Prober::new(address.clone(), &settings, None, at.0, at.1, at.2);
            let given = prober.carrying(Credential::Given(token.clone()));
            for (prober, due) in [(&prober, expired), (&given, None)] {
                let cut = CancellationToken::new();
                let opened = Dialogue::open(prober, &socket, prober.timeouts.opening, &cut).await;
                let seen = opened.err().expect("a refusal");
                assert!(
                    matches!(seen.opening, super::super::Opening::Refused { status: 401, .. }),
                    "{seen:?}"
                );
                assert_eq!(seen.timeline.expired, due, "started at {started}");
            }
            let (api, cut) = (settings.configured.api.as_ref().unwrap(), CancellationToken::new());
            let seen = ask_endpoints(&prober, api, &mut Series::after("run".to_owned(), 0), &cut).await;
            for (endpoint, due) in seen.endpoints.iter().zip([expired, None]) {
                assert!(endpoint.answers.iter().all(|answer| answer.expired == due), "started at {started}");
                assert!(!endpoint.answers.is_empty());
            }
        }
    }
}
