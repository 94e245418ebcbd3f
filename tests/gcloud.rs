//! The unmodified gcloud against the emulator, through whole stories.
//!
//! Every command runs from an environment that holds nothing but what `revgate emulator env` prints. Without gcloud on the
//! machine the tests say so loudly and pass; with `REVGATE_REQUIRE_GCLOUD=1`, as in `.ci/run`, they fail.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "gcloud/access.rs"]
mod access;
#[path = "gcloud/action.rs"]
mod action;
#[path = "gcloud/deploys.rs"]
mod deploys;
#[path = "gcloud/logs.rs"]
mod logs;
#[path = "gcloud/offline.rs"]
mod offline;
#[path = "gcloud/revisions.rs"]
mod revisions;
#[path = "gcloud/services.rs"]
mod services;
#[path = "gcloud/shell.rs"]
mod shell;
#[path = "gcloud/support.rs"]
mod support;
#[path = "gcloud/traffic.rs"]
mod traffic;
