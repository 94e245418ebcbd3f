//! The emulator over real sockets: its API, its front end, and each behaviour of its sample backend.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests are tests too")]

mod emulator {
    mod api;
    mod behaviours;
    mod clock;
    mod control;
    mod forms;
    mod front;
    mod instances;
    mod knative;
    mod logs;
    mod masks;
    mod mishaps;
    mod names;
    mod operations;
    #[cfg(unix)]
    mod restarts;
    mod scaling;
    mod state;
    mod support;
}
