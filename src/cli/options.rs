//! The options of a run, as data: from here come arguments, help and environment variables.

/// One option that takes a text.
pub(super) struct Choosable {
    /// Long name; its variable is `REVGATE_` and the name.
    pub(super) name: &'static str,
    /// What its text is called in the help.
    pub(super) value: &'static str,
    /// The group in the help.
    pub(super) group: &'static str,
    /// What it means.
    pub(super) help: &'static str,
    /// How often and in which form it may be given.
    pub(super) many: Many,
}

/// How often an option may be given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Many {
    /// Once.
    No,
    /// Again and again.
    Repeated,
    /// Again and again, or separated by commas.
    Commas,
    /// Without a text.
    Switch,
}

const TARGET: &str = "What is gated";
const ACCESS: &str = "How it is reached";
const SOCKET: &str = "What a socket says";
const CHECKS: &str = "What is checked";
const OUTPUT: &str = "What is shown";

const fn one(name: &'static str, value: &'static str, group: &'static str, help: &'static str) -> Choosable {
    Choosable { name, value, group, help, many: Many::No }
}

const fn switch(name: &'static str, group: &'static str, help: &'static str) -> Choosable {
    Choosable { name, value: "", group, help, many: Many::Switch }
}

const fn commas(
    name: &'static str,
    value: &'static str,
    group: &'static str,
    help: &'static str,
) -> Choosable {
    Choosable { name, value, group, help, many: Many::Commas }
}

const fn repeated(
    name: &'static str,
    value: &'static str,
    group: &'static str,
    help: &'static str,
) -> Choosable {
    Choosable { name, value, group, help, many: Many::Repeated }
}

/// Options whose texts make the settings.
pub(super) const SETTINGS: &[Choosable] = &[
    one("project", "P", TARGET, "Google Cloud project (else GOOGLE_CLOUD_PROJECT)"),
    one("region", "R", TARGET, "Region of the service, such as europe-west1"),
    one("service", "S", TARGET, "The Cloud Run service"),
    one("revision", "N", TARGET, "The candidate by name; default: the newest revision"),
    repeated("label", "K=V", TARGET, "The candidate by label; several must all match"),
    one("image-digest", "D", TARGET, "The candidate by its image, sha256:…"),
    one(
        "tag",
        "NAME",
        TARGET,
        "A tag of the candidate, or the first part of a tag to add at 0 % and remove again",
    ),
    one("deadline", "D", TARGET, "How long the candidate may take to be ready [default: 10m]"),
    one("url", "URL", ACCESS, "Probe this address (ws://, wss://) instead of the candidate's tag"),
    one(
        "path",
        "PATH",
        ACCESS,
        "Path of the WebSocket; {{user}}, {{nonce}}, {{round}} are filled in [default: /]",
    ),
    one("api-endpoint", "URL", ACCESS, "Another Cloud Run Admin API, such as an emulator; anonymous"),
    one("api-token-file", "FILE", ACCESS, "Bearer token for --api-endpoint"),
    one("id-token-file", "FILE", ACCESS, "IAM ID token for a private service"),
    repeated("header", "'K: V'", SOCKET, "A further header of the upgrade request"),
    repeated("subprotocol", "NAME", SOCKET, "A subprotocol to offer"),
    commas(
        "user",
        "NAME",
        SOCKET,
        "Open sockets as these users, in turn [default: those of ready tokens, else revgate]",
    ),
    one(
        "token-secret-env",
        "VAR",
        SOCKET,
        "Mint a JWT for each user with the key in this variable; HS256 where revgate.yaml names no other algorithm",
    ),
    one("token-secret-file", "FILE", SOCKET, "Mint a JWT for each user with the key in this file"),
    commas(
        "token-carry",
        "HOW",
        SOCKET,
        "How the token travels: authorization, subprotocol[:TEMPLATE], query:NAME, cookie:NAME, first-message[:TEMPLATE]; {{token}}, {{token.base64url}} are filled in [default: authorization]",
    ),
    one(
        "send",
        "TEXT",
        SOCKET,
        "Send this on each socket and demand an answer; {{user}}, {{nonce}}, {{round}} are filled in",
    ),
    one("expect", "PATTERN", SOCKET, "What the answer must hold: a JSON subset, else a regular expression"),
    one("identity-header", "NAME", SOCKET, "This header of the 101 names the revision (K_REVISION)"),
    one("identity-pointer", "POINTER", SOCKET, "This JSON pointer into a frame names the revision"),
    commas("skip", "CHECK", CHECKS, "Leave these checks out; an approval needs serves, and race or agent"),
    commas(
        "only",
        "CHECK",
        CHECKS,
        "Run only these checks: ready, identity, serves, race, and what revgate.yaml asks for",
    ),
    commas(
        "pattern",
        "NAME",
        CHECKS,
        "Run only these: first-contact, control, users, same-user, first-message, reconnect, stagger; with --exec also frozen-users, frozen-same-user, cold",
    ),
    switch("thorough", CHECKS, "Run all patterns, also reconnect and stagger"),
    switch("cold", CHECKS, "Also hold so many sockets that new instances of the revision must start"),
    one("rounds", "N", CHECKS, "At most so many rounds of each pattern"),
    one("sockets", "N", CHECKS, "Sockets of a round of distinct users [default: 5]"),
    one("time-budget", "D", CHECKS, "How long the probing may take [default: 3m]"),
    one("seed", "N", CHECKS, "Repeat which users meet in which round"),
    one("round", "N", CHECKS, "Repeat only the round of this number, with --pattern and --seed"),
    switch("no-calibration", CHECKS, "Do not prove first that this prober finds the bundled race"),
    switch(
        "baseline",
        CHECKS,
        "After a failure, compare with the revision that serves; needs --i-may-load-production",
    ),
    switch(
        "i-may-load-production",
        CHECKS,
        "Sockets may be opened at the serving revision: at most 10 a second, until its first failure",
    ),
];

/// Options of the output and of the command itself.
pub(super) const OUTPUTS: &[Choosable] = &[
    one("format", "FORMAT", OUTPUT, "text or json [default: text]"),
    one("record", "FILE", OUTPUT, "Write the whole run there, for revgate judge and promote --recorded"),
    one("progress", "HOW", OUTPUT, "auto, bars, plain or none [default: auto]"),
    one("color", "WHEN", OUTPUT, "auto, always or never [default: auto]"),
];
