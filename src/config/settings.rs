//! The validated settings of one run: what is gated, how it is reached, provoked and judged.
//!
//! Every value here has been checked; code to the right of it asks no further questions. It holds no text that still
//! has to be parsed. The surprising rule: a secret is held as [`Secret`] from the first moment on, so that printing the
//! settings is always safe.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Asked, BaselineSettings, Carrier, ConfiguredChecks, Pattern, ReadyTokens, Selection, SigningKey, Template,
};
use crate::trust::Secret;

/// All that a run needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The service whose candidate is gated; `None` when only `--url` was given.
    pub service: Option<ServiceName>,
    /// Which revision is the candidate.
    pub choice: Choice,
    /// `--tag`: a tag of the candidate, or the first part of the name of a tag to add.
    pub tag: Option<Identifier>,
    /// `--url`: the address itself, `ws` or `wss`, without the path of the socket.
    pub url: Option<url::Url>,
    /// Where the control plane is and who we are there.
    pub api: ApiAccess,
    /// Whether probes carry an IAM ID token.
    pub id_token: IdTokenMode,
    /// How long to wait for the candidate to be ready.
    pub deadline: Duration,
    /// How a socket is opened and what is said on it.
    pub conversation: Conversation,
    /// The application's own token, minted for each user.
    pub token: Option<TokenSettings>,
    /// The users whose sockets are opened; never empty, a single `revgate` where none is configured.
    pub users: Vec<String>,
    /// Where answers name the revision that gave them.
    pub echo: Option<Echo>,
    /// Where answers name the instance that gave them.
    pub instance_echo: Option<Echo>,
    /// How long each step of a socket may take.
    pub timeouts: Timeouts,
    /// What is provoked, and how it is judged.
    pub race: RaceSettings,
    /// What the run may cost the service.
    pub limits: Limits,
    /// What it may cost a process of our own: more, but for what the configuration states.
    pub local_limits: Limits,
    /// Which checks were asked for.
    pub checks: Selection,
    /// What is asked for by being configured.
    pub configured: ConfiguredChecks,
    /// The server itself, where this run may start it; `None` where it only knows an address.
    pub local: Option<LocalSettings>,
    /// Print the plan and stop.
    pub dry_run: bool,
    /// Secrets that a dry run leaves where they are, a line each: commands that it does not run, and what it does not ask
    /// Secret Manager for.
    pub unread: Vec<String>,
    /// What was typed, for the commands that a report names.
    pub asked: Asked,
}

/// A service's full name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceName {
    /// Project id or number.
    pub project: String,
    /// Region, such as `europe-west1`.
    pub region: String,
    /// Short name of the service.
    pub service: String,
}

impl ServiceName {
    /// `projects/P/locations/L/services/S`.
    pub fn resource(&self) -> String {
        format!("projects/{}/locations/{}/services/{}", self.project, self.region, self.service)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {}", self.service, self.region)
    }
}

/// A name by the rules of Cloud Run: 1 to 63 lower-case letters, digits and hyphens, beginning with a letter, not
/// ending with a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Identifier(String);

impl Identifier {
    /// `None` when `text` is not such a name.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let well_formed = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(allowed)
            && !text.ends_with('-');
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which revision is the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// The newest by creation time.
    Newest,
    /// The one of this short name.
    Revision(String),
    /// The one with all of these labels.
    Labels(Vec<(String, String)>),
    /// The one whose image has this digest (`sha256:` and 64 hexadecimal digits).
    ImageDigest(String),
}

/// Where the control plane is and who we are there.
#[derive(Debug, Clone)]
pub enum ApiAccess {
    /// Google's own API with application default credentials.
    Google,
    /// Another endpoint (an emulator): anonymous unless a token is given. Evidence from it is marked as rehearsed.
    Other {
        /// Base address, without a trailing slash.
        endpoint: url::Url,
        /// Bearer token for it, from `--api-token-file`.
        token: Option<Secret>,
    },
}

/// A command that starts the very server that is gated, for the patterns that need its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// The command as it was typed.
    pub command: String,
    /// Its words; `$PORT` is filled in at each start.
    pub words: Vec<String>,
}

/// Whether probes carry an IAM ID token in `X-Serverless-Authorization`.
#[derive(Debug, Clone)]
pub enum IdTokenMode {
    /// When the service is private and the control plane is Google's.
    Auto,
    /// Never.
    Never,
    /// This one, from `--id-token-file`.
    Given(Secret),
}

/// How a socket is opened, what is said on it and what must come back.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Path and query of the upgrade request.
    pub path: Template,
    /// Further headers of the upgrade request.
    pub headers: Vec<(String, Secret)>,
    /// Subprotocols that are offered, besides one that carries the token.
    pub subprotocols: Vec<String>,
    /// Whether a handshake without a chosen subprotocol fails (RFC 6455 allows it, so: not by default).
    pub require_subprotocol: bool,
    /// The text that is sent on each socket.
    pub send: Option<Template>,
    /// What the answer must look like.
    pub expect: Option<Expect>,
    /// What must come unasked to every socket.
    pub greeting: Option<Expect>,
    /// Frames that report no error, whatever they look like.
    pub harmless: Option<Expect>,
    /// Codes with which a healthy server may close a socket that it has served; never one that says "I failed".
    pub closes: Vec<u16>,
}

/// What an answer must look like.
#[derive(Debug, Clone)]
pub enum Expect {
    /// The frame is JSON and holds at least this: every key of an object with a matching value, arrays of the same
    /// length, everything else equal.
    JsonSubset(Template),
    /// The frame's text matches this regular expression.
    Regex(Template),
}

impl Expect {
    /// As it was written.
    pub fn source(&self) -> &str {
        match self {
            Self::JsonSubset(template) | Self::Regex(template) => template.source(),
        }
    }
}

/// The application's own tokens, one for each user.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Where they come from.
    pub origin: TokenOrigin,
    /// How a token travels, in each of these ways.
    pub carriers: Vec<Carrier>,
}

/// Where tokens come from.
#[derive(Debug, Clone)]
pub enum TokenOrigin {
    /// Minted here.
    Minted(MintSettings),
    /// Made by somebody else.
    Ready {
        /// The tokens.
        tokens: ReadyTokens,
        /// What is run for new ones; `None` where they cannot be had again.
        command: Option<Vec<String>>,
    },
    /// Left where they are by a dry run, which opens nothing and needs none.
    Unread {
        /// Whether they would be given ready, and not minted here with a key.
        is_ready: bool,
        /// What tokens that are minted here would say.
        claims: serde_json::Map<String, serde_json::Value>,
    },
}

/// JWTs that are minted for each user.
#[derive(Debug, Clone)]
pub struct MintSettings {
    /// The key.
    pub key: SigningKey,
    /// Claims; the values' texts may hold `{{user}}` and `{{nonce}}`. `sub`, `iat`, `exp` and `jti` are added where
    /// they are not named.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// From minting to `exp`.
    pub lifetime: Duration,
}

impl TokenSettings {
    /// How tokens are minted, where they are.
    pub fn minted(&self) -> Option<&MintSettings> {
        match &self.origin {
            TokenOrigin::Minted(minted) => Some(minted),
            TokenOrigin::Ready { .. } | TokenOrigin::Unread { .. } => None,
        }
    }
}

/// Where an answer names the revision, or the instance, that gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Echo {
    /// This header of the answer to the upgrade.
    Header(String),
    /// This JSON pointer (RFC 6901) into one of the first frames.
    Pointer(String),
}

/// How long each step of a socket may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From the first packet to the answer to the upgrade. Default 10 s.
    pub opening: Duration,
    /// The same for the first contact, where an instance may have to start. Default 30 s.
    pub first_contact: Duration,
    /// For each thing that is due on an open socket. Default 10 s.
    pub answer: Duration,
    /// How long a round's sockets are held beyond the last answer. Default 250 ms.
    pub hold: Duration,
    /// How long the sockets of `serves`, and conversations that are complete, are held. Default 3 s.
    pub serves_hold: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            opening: Duration::from_secs(10),
            first_contact: Duration::from_secs(30),
            answer: Duration::from_secs(10),
            hold: Duration::from_millis(250),
            serves_hold: Duration::from_secs(3),
        }
    }
}

/// What is provoked, and how it is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaceSettings {
    /// The patterns, in the order of the plan.
    pub patterns: Vec<Pattern>,
    /// At most so many rounds of each pattern; `None`: as many as the test needs.
    pub rounds: Option<u32>,
    /// Whether the prober must first find the bundled race.
    pub calibrate: bool,
    /// Only the round of this number of each pattern; `None`: from the first on.
    pub round: Option<u32>,
    /// Sockets of a round of distinct users. Default 5, at least 2.
    pub sockets: u32,
    /// How long the probing may take. Default 3 min.
    pub time_budget: Duration,
    /// Seed of users, nonces and orders; chosen by the run where not given.
    pub seed: Option<u64>,
    /// The rate of failing rounds below which a revision must be, as a fraction. Default 0.01.
    pub tolerated: f64,
    /// The rate of sockets that fail for reasons outside the application, as a fraction. Default 0.0001.
    pub noise: f64,
    /// Rounds under way at once, besides those that must run quiet; `None`: as many as the limits allow where the path is
    /// long, and one where it is short.
    pub lanes: Option<u32>,
    /// How sure a pass must be: one minus the chance, for each pattern, that rounds that fail at the tolerated rate pass.
    /// Default 0.95.
    pub pass_confidence: f64,
    /// How sure a fail must be: one minus the chance that noise alone fails any pattern. Default 0.999.
    pub fail_confidence: f64,
    /// Close codes of which a single one fails the revision. Default 1011.
    pub zero_tolerance: Vec<u16>,
    /// Whether new instances of a deployed revision are made to start.
    pub cold: bool,
    /// The rate of failing cold starts below which a server must be, as a fraction. Default 0.1: each costs seconds.
    pub cold_tolerated: f64,
    /// How long the cold starts may take, besides `time_budget`. Default 2 min.
    pub cold_budget: Duration,
    /// The comparison with the revision that serves.
    pub baseline: BaselineSettings,
}

impl Default for RaceSettings {
    fn default() -> Self {
        Self {
            patterns: Pattern::DEFAULT.to_vec(),
            rounds: None,
            calibrate: true,
            round: None,
            sockets: 5,
            time_budget: Duration::from_mins(3),
            seed: None,
            tolerated: 0.01,
            noise: 1e-4,
            lanes: None,
            pass_confidence: 0.95,
            fail_confidence: 0.999,
            zero_tolerance: vec![1011],
            cold: false,
            cold_tolerated: 0.1,
            cold_budget: Duration::from_mins(2),
            baseline: BaselineSettings::default(),
        }
    }
}

/// What the run may cost the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sockets open at once. Default 100.
    pub sockets_at_once: u32,
    /// Openings a second. Default 200.
    pub openings_per_second: u32,
    /// Sockets of the whole run. Default 5000.
    pub sockets_per_run: u32,
    /// Sockets of one user open at once, where sockets have users. Default 4.
    pub sockets_per_user: u32,
    /// Messages of one user within any minute, where sockets have users; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_minute: Option<u32>,
}

impl Limits {
    /// The defaults at a process of our own, where nobody else is served: 200 at once, any number a second, 20 000 in all.
    pub fn of_process() -> Self {
        let (sockets_at_once, openings_per_second, sockets_per_run) = (200, 1_000_000, 20_000);
        Self { sockets_at_once, openings_per_second, sockets_per_run, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets_at_once: 100,
            openings_per_second: 200,
            sockets_per_run: 5000,
            sockets_per_user: 4,
            messages_per_minute: None,
        }
    }
}
