//! The process group of a child, and the signals that it is sent.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::process::Child;

/// The process group that a child leads; killed on drop.
#[derive(Debug)]
pub(crate) struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
    /// It is gone, and its number may be another's: no further signal may be sent.
    gone: AtomicBool,
}

#[cfg(unix)]
impl Group {
    /// The group of a child that was started as the leader of one.
    pub(super) fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { leader: id.and_then(rustix::process::Pid::from_raw), gone: AtomicBool::new(false) }
    }

    /// The leader's process id, which is the group's.
    pub(crate) fn id(&self) -> Option<i32> {
        self.leader.map(rustix::process::Pid::as_raw_pid)
    }

    /// Asks all of it to end; what is stopped could not hear that, so it goes on first.
    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
        self.resume();
    }

    /// Stops all of it where it stands; it takes a moment until the last thread has heard.
    pub(crate) fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets all of it go on.
    pub(crate) fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Ends all of it at once; no signal after this one is sent.
    pub(crate) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
        self.gone.store(true, Ordering::Release);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(leader) = self.leader.filter(|_| !self.gone.load(Ordering::Acquire)) {
            // A group that is gone already is what we want.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(not(unix))]
impl Group {
    pub(super) fn of(_child: &Child) -> Self {
        Self { gone: AtomicBool::new(false) }
    }

    /// There are no groups here.
    pub(crate) fn id(&self) -> Option<i32> {
        None
    }

    /// There is no such signal here; the child is killed on drop.
    pub(crate) fn terminate(&self) {}

    /// There are no groups here; the child is killed on drop.
    pub(crate) fn kill(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// There is no such signal here.
    pub(crate) fn stop(&self) {}

    /// There is no such signal here.
    pub(crate) fn resume(&self) {}
}
