//! Can a deploy gate be tried without deploying?
//!
//! A Cloud Run on loopback: the Admin API (v1 and v2) on one port, a port for each service and tag in place of the names of
//! run.app, and behind them instances of a sample agent backend or of a command of the user's own. It takes options,
//! deployments and faults, and gives addresses, logs and the requests it saw.
//!
//! It never imports the client: its answers are built from the public API's JSON, so that client and emulator cannot
//! share a mistake. It binds loopback only, unless it is told otherwise, and everything that it
//! starts ends with it.

mod api;
mod change;
mod clock;
mod deploy;
mod error;
mod faults;
mod front;
mod handle;
mod images;
mod instance;
mod knative;
mod logging;
mod model;
mod nesting;
mod options;
mod reconcile;
mod sample;
mod scenario;
mod spread;
mod state;
mod state_file;
mod traffic;
mod wait;

pub use error::EmulatorError;
pub use faults::{ApiStatus, Cut, Faults, Ingress};
pub use front::{Tls, TlsError};
pub use handle::Emulator;
pub use images::Images;
pub use options::{ApiRequest, Deployment, EmulatorOptions, LogLine, PROJECT, REGION, SERVICE, Workload};
pub use sample::{Behaviour, JwtRefusal, SampleBackend, SubprotocolEcho};
pub use scenario::{RevisionEntry, Scenario};
pub use state_file::StateError;
