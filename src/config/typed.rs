//! What was typed: the options of the command line and of the environment, as texts.
//!
//! Takes texts from `cli` and holds them with where they came from. It judges none of them. The surprising rule: numbers
//! are held as texts too, so that a wrong number is reported in the same words from a flag, a variable and the file.

use std::fmt;

use super::error::Place;

/// Where an option was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In the option's own variable, `REVGATE_…`.
    Environment,
    /// In a variable that is not revgate's own and that only fills a gap, such as `GOOGLE_CLOUD_PROJECT`.
    Ambient(&'static str),
}

/// One option that was typed; never without a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    option: &'static str,
    origin: Origin,
    texts: Vec<String>,
}

impl fmt::Debug for Given {
    /// Without the texts: they may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({})", self.place())
    }
}

impl Given {
    /// `option` is the long name without the hyphens; a list has several texts.
    pub fn new(option: &'static str, origin: Origin, texts: Vec<String>) -> Self {
        Self { option, origin, texts }
    }

    /// Where it was typed.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Where it was typed, as shown in errors.
    pub fn place(&self) -> Place {
        match self.origin {
            Origin::Flag => Place::Flag(self.option.to_owned()),
            Origin::Environment => Place::Environment(variable(self.option)),
            Origin::Ambient(name) => Place::Environment(name.to_owned()),
        }
    }

    /// The only text, or the last.
    pub fn text(&self) -> &str {
        self.texts.last().map_or("", String::as_str)
    }

    /// All texts, in the order in which they were typed.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// The variable of an option: `time-budget` has `REVGATE_TIME_BUDGET`.
pub fn variable(option: &str) -> String {
    format!("REVGATE_{}", option.to_ascii_uppercase().replace('-', "_"))
}

/// All options of a run that were typed; `None` for those that were not. Fields are named as the options.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// `--project`.
    pub project: Option<Given>,
    /// `GOOGLE_CLOUD_PROJECT`: used when no other place names a project, not even the file.
    pub ambient_project: Option<Given>,
    /// `--region`.
    pub region: Option<Given>,
    /// `--service`.
    pub service: Option<Given>,
    /// `--revision`.
    pub revision: Option<Given>,
    /// `--label`, repeated.
    pub label: Option<Given>,
    /// `--image-digest`.
    pub image_digest: Option<Given>,
    /// `--tag`.
    pub tag: Option<Given>,
    /// `--deadline`.
    pub deadline: Option<Given>,
    /// `--api-endpoint`.
    pub api_endpoint: Option<Given>,
    /// `--api-token-file`.
    pub api_token_file: Option<Given>,
    /// `--url`.
    pub url: Option<Given>,
    /// `--path`.
    pub path: Option<Given>,
    /// `--send`.
    pub send: Option<Given>,
    /// `--expect`.
    pub expect: Option<Given>,
    /// `--header`, repeated.
    pub header: Option<Given>,
    /// `--subprotocol`, repeated.
    pub subprotocol: Option<Given>,
    /// `--user`, repeated.
    pub user: Option<Given>,
    /// `--token-secret-env`.
    pub token_secret_env: Option<Given>,
    /// `--token-secret-file`.
    pub token_secret_file: Option<Given>,
    /// `--token-carry`, a list.
    pub token_carry: Option<Given>,
    /// `--identity-header`.
    pub identity_header: Option<Given>,
    /// `--identity-pointer`.
    pub identity_pointer: Option<Given>,
    /// `--id-token-file`.
    pub id_token_file: Option<Given>,
    /// `--skip`, a list.
    pub skip: Option<Given>,
    /// `--only`, a list.
    pub only: Option<Given>,
    /// `--exec`: never in the file, since whoever may change that must not choose what is run.
    pub exec: Option<Given>,
    /// `--pattern`, a list.
    pub pattern: Option<Given>,
    /// `--rounds`.
    pub rounds: Option<Given>,
    /// `--sockets`.
    pub sockets: Option<Given>,
    /// `--time-budget`.
    pub time_budget: Option<Given>,
    /// `--seed`.
    pub seed: Option<Given>,
    /// `--round`.
    pub round: Option<Given>,
    /// `--thorough`; its text is `true` when typed as a flag.
    pub thorough: Option<Given>,
    /// `--cold`; its text is `true` when typed as a flag.
    pub cold: Option<Given>,
    /// `--no-calibration`; its text is `true` when typed as a flag.
    pub no_calibration: Option<Given>,
    /// `--baseline`; its text is `true` when typed as a flag.
    pub baseline: Option<Given>,
    /// `--i-may-load-production`: never in the file, since whoever may change that must not aim a run at production.
    pub i_may_load_production: Option<Given>,
    /// `--dry-run`, which has no other form.
    pub dry_run: bool,
    /// `--allow-commands`, which has no other form: whoever reads the command line must see it.
    pub allow_commands: bool,
}
