//! On which cores the threads of a group may run.
//!
//! Threads that wake together may run one behind the other, and then they do not race. Dealt out to the cores they run at
//! the same time, which finds a window that is spent computing; all on one core, whoever waits lets the next one in, which
//! finds a window that is spent waiting, however short (`cargo bench --bench shaking`). The surprising rule: where each
//! might run before is remembered and given back, since a server may have bound its threads itself; a thread that came
//! meanwhile has what its process had.

use std::collections::HashMap;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::freeze::Cores;
use super::threads::Thread;

/// Where threads might run before they were bound.
#[derive(Debug, Default)]
pub(super) struct Placement {
    before: HashMap<i32, CpuSet>,
    bound: bool,
}

impl Placement {
    /// Gives each thread one core of those that its process may use: in turn, or all the same.
    pub(super) fn bind(&mut self, threads: &[Thread], on: Cores) {
        self.bound = true;
        for thread in threads {
            for number in [thread.process, thread.number] {
                if let Ok(allowed) = sched_getaffinity(Pid::from_raw(number)) {
                    self.before.entry(number).or_insert(allowed);
                }
            }
        }
        for (turn, thread) in threads.iter().enumerate() {
            let Some(allowed) = self.before.get(&thread.process) else { continue };
            let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
            let turn = if on == Cores::All { turn } else { 0 };
            let Some(core) = turn.checked_rem(cores.len()).and_then(|index| cores.get(index)) else {
                continue;
            };
            let mut one = CpuSet::new();
            one.set(*core);
            // A thread that is gone already needs no core.
            let _ = sched_setaffinity(Pid::from_raw(thread.number), &one);
        }
    }

    /// Undoes that.
    pub(super) fn restore(&mut self, threads: &[Thread]) {
        if !std::mem::take(&mut self.bound) {
            return;
        }
        for thread in threads {
            let before = self.before.get(&thread.number).or_else(|| self.before.get(&thread.process));
            if let Some(before) = before {
                let _ = sched_setaffinity(Pid::from_raw(thread.number), before);
            }
        }
        // Numbers are used again: another thread of this number may have other cores.
        self.before.clear();
    }
}
