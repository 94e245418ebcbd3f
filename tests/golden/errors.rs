//! Every variant of every error that a run, a promotion or an emulator can end with: words, help and exit code.
//!
//! The binary meets most of these only behind a server that misbehaves in just this way, so they are made by hand. The
//! lists are complete by construction: a variant without a sample does not compile.

use std::fmt::Write as _;
use std::time::Duration;

use revgate::cli::Failure;
use revgate::cloudrun::{About, Adding, ApiError, CredentialError, TagError};
use revgate::config::ServiceName;
use revgate::emulator::{EmulatorError, StateError};
use revgate::engine::EngineError;
use revgate::judge::sequential::SettingsError;
use revgate::probe::{self, CampaignError, TokenError};
use revgate::promote::PromoteError;
use revgate::revision::{self, LocateError, NoRivalAddress, Unreachable, tag::TagTooLong};
use revgate::trust::Excerpt;

use crate::assert_golden;
use crate::documents::CANDIDATE;

/// The samples of every variant of an enum, with the variant's name. A variant that is not listed does not compile, and
/// a sample that stands under another variant's name fails.
macro_rules! samples {
    ($enum:ident: $($variant:ident => [$($sample:expr),+ $(,)?]),+ $(,)?) => {{
        fn name(error: &$enum) -> &'static str {
            match error { $($enum::$variant { .. } => stringify!($variant)),+ }
        }
        let mut samples = Vec::new();
        $($(
            let sample: $enum = $sample;
            assert_eq!(name(&sample), stringify!($variant));
            samples.push((stringify!($variant), sample));
        )+)+
        samples
    }};
}

/// One golden file of errors: what each would end the program with.
fn assert_errors<E: Into<Failure>>(name: &str, samples: Vec<(&'static str, E)>) {
    let mut all = String::new();
    for (variant, sample) in samples {
        let Failure { exit, words, help } = sample.into();
        assert!(!words.is_empty() && !help.is_empty() && !words.contains('\n'), "{variant}: {words}");
        let _ =
            writeln!(all, "──── {variant}\nerror: {words}\n\n  help: {help}\n\nexit code {}\n", exit.code());
    }
    assert_golden(&format!("errors_{name}"), &all);
}

/// The same for errors that a run ends with.
fn assert_engine_errors<E: Into<EngineError>>(name: &str, samples: Vec<(&'static str, E)>) {
    let samples = samples.into_iter().map(|(variant, sample)| (variant, sample.into()));
    assert_errors(name, samples.collect::<Vec<(_, EngineError)>>());
}

fn service() -> ServiceName {
    let word = str::to_owned;
    ServiceName { project: word("demo-project"), region: word("europe-west1"), service: word("checkout") }
}

fn boxed() -> Box<ServiceName> {
    Box::new(service())
}

/// A call that reads the service.
fn about() -> About {
    About { service: service(), what: "get the service", permission: "run.services.get" }
}

/// The API's words.
fn message() -> Excerpt {
    Excerpt::new("what the API says")
}

fn host() -> String {
    "https://run.googleapis.com".to_owned()
}

fn timed_out() -> ApiError {
    ApiError::TimedOut { about: about().into(), host: host(), after: Duration::from_secs(30) }
}

/// A call for a secret, which belongs to no service.
fn secret() -> About {
    let service = ServiceName { region: String::new(), service: "jwt-key".to_owned(), ..service() };
    About { service, what: "read the secret", permission: "secretmanager.versions.access" }
}

fn denied(permission: &str) -> ApiError {
    ApiError::PermissionDenied {
        about: about().into(),
        permission: permission.to_owned(),
        message: message(),
    }
}

#[test]
fn of_the_control_plane() {
    let samples = samples!(ApiError:
        NotFound => [
            ApiError::NotFound { about: about().into(), message: message() },
            ApiError::NotFound { about: secret().into(), message: message() },
        ],
        PermissionDenied => [
            denied("run.services.get"),
            denied("run.services.update"),
            denied("run.operations.get"),
            denied("iam.serviceaccounts.actAs"),
            ApiError::PermissionDenied {
                about: secret().into(),
                permission: "secretmanager.versions.access".to_owned(),
                message: message(),
            },
        ],
        ApiDisabled => [
            ApiError::ApiDisabled { about: about().into(), message: message() },
            ApiError::ApiDisabled { about: secret().into(), message: message() },
        ],
        Unauthenticated => [ApiError::Unauthenticated { about: about().into(), message: message() }],
        Conflict => [
            ApiError::Conflict { about: about().into(), message: message() },
            ApiError::Conflict { about: secret().into(), message: message() },
        ],
        QuotaExceeded => [ApiError::QuotaExceeded { about: about().into(), message: message() }],
        InvalidArgument => [ApiError::InvalidArgument { about: about().into(), message: message() }],
        Unavailable => [ApiError::Unavailable { about: about().into(), status: 503, message: message() }],
        Unreachable => [ApiError::Unreachable {
            about: about().into(),
            host: host(),
            cause: Excerpt::new("tcp connect error: Connection refused (os error 111)"),
        }],
        TimedOut => [timed_out()],
        UnexpectedAnswer => [ApiError::UnexpectedAnswer {
            about: about().into(),
            place: format!("{}/v2/projects/demo-project", host()),
            what: Excerpt::new("HTTP 200 with text/html"),
        }],
        OperationFailed => [ApiError::OperationFailed { about: about().into(), code: 9, message: message() }],
        Credentials => [ApiError::Credentials(CredentialError::NoCertificates)],
        Setup => [ApiError::Setup { cause: Excerpt::new("builder error: no such scheme") }],
    );
    assert_engine_errors("cloudrun_error", samples);
}

#[test]
fn of_credentials() {
    let cause = || Excerpt::new("error resolving DNS: failed to lookup address information");
    let samples = samples!(CredentialError:
        NoCertificates => [CredentialError::NoCertificates],
        NoAccessToken => [CredentialError::NoAccessToken { cause: cause() }],
        NoIdToken => [CredentialError::NoIdToken {
            audience: "https://checkout-abcdefghij-ew.a.run.app".to_owned(),
            cause: cause(),
        }],
        TimedOut => [CredentialError::TimedOut { what: "access token", after: Duration::from_secs(15) }],
        NotSentThere => [CredentialError::NotSentThere {
            url: "http://10.0.0.1/v2".to_owned(),
            instead: "give --api-endpoint an https address, or leave --api-token-file out",
        }],
    );
    assert_engine_errors("cloudrun_credentials", samples);
}

#[test]
fn of_tags() {
    let tag = || "gate-hn3k20f0a".to_owned();
    let not_added = |cause: ApiError| TagError::NotAdded {
        tag: tag(),
        revision: CANDIDATE.to_owned(),
        service: boxed(),
        cause: Box::new(cause),
        adding: Adding::Unknown,
    };
    let samples = samples!(TagError:
        Taken => [TagError::Taken { tag: tag(), holder: "checkout-00041-duz".to_owned(), service: boxed() }],
        NotAdded => [not_added(timed_out()), not_added(denied("run.services.update"))],
        NotRemoved => [TagError::NotRemoved { tag: tag(), service: boxed(), cause: Box::new(timed_out()) }],
        GivenUp => [TagError::GivenUp { tag: tag(), service: boxed(), cause: Box::new(timed_out()) }],
    );
    assert_engine_errors("cloudrun_tagging", samples);
}

#[test]
fn of_locating_the_candidate() {
    let names = || vec!["checkout-00042-xiv".to_owned(), "checkout-00041-duz".to_owned()];
    let samples = samples!(LocateError:
        NoRevisions => [LocateError::NoRevisions { service: boxed() }],
        NoMatch => [LocateError::NoMatch {
            service: boxed(),
            asked: "named checkout-00043-qqq".to_owned(),
            existing: names(),
        }],
        Several => [LocateError::Several {
            service: boxed(),
            asked: "with the label commit=abc123".to_owned(),
            count: 2,
            matches: names(),
        }],
    );
    assert_engine_errors("revision_locate", samples);
}

#[test]
fn of_reaching_the_service() {
    let ingress = |setting, from| Unreachable::Ingress { setting, from, service: service() };
    let samples = samples!(Unreachable:
        Ingress => [
            ingress("internal", "its own networks only"),
            ingress("internal-and-cloud-load-balancing", "its own networks and load balancers only"),
            ingress("none", "nobody"),
        ],
        DefaultUriDisabled => [Unreachable::DefaultUriDisabled { service: service() }],
        Proxy => [Unreachable::Proxy { service: service() }],
        NoAddress => [Unreachable::NoAddress { service: service() }],
    );
    assert_engine_errors("revision_reach", samples);
}

#[test]
fn of_addressing_the_candidate() {
    use revision::AddressError;
    let candidate = || CANDIDATE.to_owned();
    let samples = samples!(AddressError:
        OnAnother => [AddressError::OnAnother {
            tag: "blue".to_owned(),
            holder: "checkout-00041-duz".to_owned(),
            candidate: candidate(),
            service: boxed(),
        }],
        NoTag => [AddressError::NoTag { candidate: candidate(), service: boxed() }],
    );
    assert_engine_errors("revision_address", samples);
}

#[test]
fn of_a_tags_name() {
    let too_long = |length, limit| TagTooLong {
        base: "gate-of-ours".to_owned(),
        length,
        limit,
        service: "checkout".to_owned(),
    };
    assert_engine_errors(
        "revision_tag",
        vec![("TagTooLong", too_long(22, 16)), ("TagTooLong", too_long(22, 6))],
    );
}

#[test]
fn of_probing() {
    use probe::AddressError;
    let address = samples!(AddressError:
        Unusable => [AddressError::Unusable("ftp://host/".to_owned())],
        NoRoots => [AddressError::NoRoots("no such file".to_owned())],
    );
    assert_engine_errors("probe_address", address);
    let token = samples!(TokenError:
        Unsigned => [TokenError::Unsigned { user: "user-001".to_owned(), cause: "invalid key".to_owned() }],
        Claim => [TokenError::Claim { claim: "role".to_owned(), cause: "unknown place {{usr}}".to_owned() }],
        NoKey => [TokenError::NoKey],
        Missing => [TokenError::Missing { user: "user-001".to_owned() }],
    );
    assert_engine_errors("probe_token", token);
    let campaign = samples!(CampaignError:
        NeverRouted => [CampaignError::NeverRouted {
            address: "wss://gate---checkout-abcdefghij-ew.a.run.app".to_owned(),
            waited: Duration::from_mins(1),
        }],
    );
    assert_engine_errors("probe_campaign", campaign);
    let settings = samples!(SettingsError:
        Tolerated => [SettingsError::Tolerated(1.0)],
        Noise => [SettingsError::Noise(0.0)],
        Threshold => [SettingsError::Threshold(1.0)],
        NoStrata => [SettingsError::NoStrata],
    );
    let settings = settings.into_iter().map(|(name, error)| (name, EngineError::Settings(error)));
    assert_errors("judge_settings", settings.collect());
}

#[test]
fn of_a_run_itself() {
    // Those that only pass another error on have golden files of their own above.
    let samples = samples!(EngineError:
        Api => [ApiError::NotFound { about: about().into(), message: message() }.into()],
        Credentials => [CredentialError::NoCertificates.into()],
        Locate => [LocateError::NoRevisions { service: boxed() }.into()],
        Unreachable => [Unreachable::Proxy { service: service() }.into()],
        Address => [revision::AddressError::NoTag { candidate: CANDIDATE.to_owned(), service: boxed() }.into()],
        Rival => [NoRivalAddress { revision: "checkout-00041-duz".to_owned(), percent: 90, service: boxed() }.into()],
        TagTooLong => [
            TagTooLong { base: "gate".to_owned(), length: 14, limit: 12, service: "checkout".to_owned() }.into(),
        ],
        Tag => [TagError::Taken { tag: "gate".to_owned(), holder: "LATEST".to_owned(), service: boxed() }.into()],
        TagWithoutAddress => [EngineError::TagWithoutAddress { tag: "blue".to_owned(), service: boxed() }],
        Unusable => [probe::AddressError::Unusable("ftp://host/".to_owned()).into()],
        Token => [TokenError::Claim { claim: "role".to_owned(), cause: "no text".to_owned() }.into()],
        Campaign => [
            CampaignError::NeverRouted { address: "wss://host".to_owned(), waited: Duration::from_mins(1) }.into(),
        ],
        Descriptors => [probe::TooFewDescriptors { sockets: 2000, limit: 1024 }.into()],
        TagLeft => [EngineError::TagLeft {
            cause: Box::new(EngineError::Interrupted),
            left: TagError::NotRemoved { tag: "gate-hn3k20f0a".to_owned(), service: boxed(), cause: Box::new(timed_out()) },
        }],
        Settings => [EngineError::Settings(SettingsError::NoStrata)],
        NoAddress => [EngineError::NoAddress],
        Interrupted => [EngineError::Interrupted], TagLost => [EngineError::TagLost],
        Conversing => [EngineError::Conversing { cause: Box::new(EngineError::Interrupted),
            left: "the cleanup of 1 of 3 conversations was not done: run_id was never captured".to_owned(),
        }],
    );
    assert_errors("engine", samples);
}

#[test]
fn of_a_promotion() {
    let samples = samples!(PromoteError:
        Refused => [PromoteError::Refused {
            changes: vec!["checkout-00041-duz went from 100 % to 50 %".to_owned(), "tag blue was added".to_owned()],
            revision: CANDIDATE.to_owned(),
            service: boxed(),
        }],
        Interrupted => [PromoteError::Interrupted {
            revision: "checkout-00042-xiv".to_owned(),
            service: Box::new(service()),
        }],
        Api => [PromoteError::Api(denied("run.services.update"))],
        NotAsAsked => [PromoteError::NotAsAsked {
            reason: "the operation failed".to_owned(),
            expected: "checkout-00042-xiv 100 %".to_owned(),
            found: "checkout-00041-duz 100 %".to_owned(),
            command: revision::command::give_all(&service(), CANDIDATE),
        }],
    );
    assert_errors("promote", samples);
}

#[test]
fn of_the_emulator() {
    let taken = |port| EmulatorError::Listen { port, source: std::io::ErrorKind::AddrInUse.into() };
    let not_a_number = || serde_yaml::from_str::<u8>("many").expect_err("no number");
    let samples = samples!(EmulatorError:
        Listen => [taken(8080), taken(0)],
        Command => [EmulatorError::Command { command: "./server 'a".to_owned() }],
        Scenario => [EmulatorError::Scenario { source: not_a_number() }],
        Images => [EmulatorError::Images { source: not_a_number() }],
        NoRevision => [EmulatorError::NoRevision],
        Deployment => [EmulatorError::Deployment { reason: "tag blue: it is another revision's".to_owned() }],
        State => [in_file(StateError::Foreign)],
    );
    assert_errors("emulator", samples);
}

/// An error about a state file.
fn in_file(reason: StateError) -> EmulatorError {
    EmulatorError::State { file: "my cloud.json".into(), reason }
}

#[test]
fn of_a_state_file() {
    let taken_port = |port| StateError::Port {
        port,
        of: "tag gate of service checkout".to_owned(),
        source: std::io::ErrorKind::AddrInUse.into(),
    };
    let samples = samples!(StateError:
        Locked => [StateError::Locked { by: Some(4242) }, StateError::Locked { by: None }],
        Unreadable => [StateError::Unreadable { source: std::io::ErrorKind::PermissionDenied.into() }],
        Unwritable => [StateError::Unwritable { source: std::io::ErrorKind::StorageFull.into() }],
        Damaged => [StateError::Damaged { reason: "missing field `uid` at line 12 column 5".to_owned() }],
        Foreign => [StateError::Foreign],
        Newer => [StateError::Newer { version: 2 }],
        Elsewhere => [StateError::Elsewhere {
            project: "other-project".to_owned(),
            region: "europe-west1".to_owned(),
        }],
        Port => [taken_port(40001), taken_port(0)],
        Revision => [StateError::Revision {
            revision: CANDIDATE.to_owned(),
            reason: "the file runs the command `./server` in it, and this start does not name it".to_owned(),
        }],
    );
    let samples = samples.into_iter().map(|(variant, sample)| (variant, in_file(sample)));
    assert_errors("state_file", samples.collect());
}

#[test]
fn names_of_a_server_give_no_orders() {
    let hostile = "x\n::error::y\u{1b}[2J\u{202e}";
    let error = LocateError::NoMatch {
        service: boxed(),
        asked: hostile.to_owned(),
        existing: vec![hostile.to_owned()],
    };
    let Failure { words, help, .. } = EngineError::from(error).into();
    for text in [words, help] {
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text}");
    }
}
