//! Whether this process may hold as many sockets at once as a plan asks for.
//!
//! Takes the number of sockets and gives an error when they cannot all be open, before the first one is. It opens
//! nothing. The surprising rule: the limit that counts is not the one that the process was started with; a process may
//! raise that one by itself up to a second, hard limit, and this is done first.

/// Descriptors that are left for everything else: the runtime, files, connections to the control plane.
const OTHERS: u64 = 64;

/// More sockets at once than this process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{sockets} sockets at once need {needed} file descriptors, and this process may have {limit}", needed = self.needed())]
pub struct TooFewDescriptors {
    /// How many sockets were asked for.
    pub sockets: u32,
    /// How many files and sockets this process may have open, after the limit was raised as far as it may raise it.
    pub limit: u64,
}

impl TooFewDescriptors {
    /// The next thing to do.
    pub fn help(&self) -> String {
        let possible = self.limit.saturating_sub(OTHERS);
        format!(
            "start it where the limit is higher: ulimit -n {} as root before it, or docker run --ulimit nofile={} (at most {possible} sockets at once are possible now)",
            self.needed(),
            self.needed(),
        )
    }

    fn needed(&self) -> u64 {
        u64::from(self.sockets) + OTHERS
    }
}

/// Raises this process's limit of open files and sockets as far as it may, and gives it; `None` where there is none.
///
/// Processes that are started afterwards inherit it.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// macOS names no hard limit but refuses more than this.
    const REFUSED_NOWHERE: u64 = 10_240;

    let before = getrlimit(Resource::Nofile);
    for current in [before.maximum, before.maximum.or(Some(REFUSED_NOWHERE))] {
        let higher = current.is_none() || current > before.current;
        if before.current.is_some()
            && higher
            && setrlimit(Resource::Nofile, Rlimit { current, ..before }).is_ok()
        {
            break;
        }
    }
    getrlimit(Resource::Nofile).current
}

/// This system has no such limit.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> Option<u64> {
    None
}

/// Raises the limit and refuses more sockets at once than fit into it.
pub fn check_descriptors(sockets: u32) -> Result<(), TooFewDescriptors> {
    fits(sockets, raise_descriptor_limit())
}

fn fits(sockets: u32, limit: Option<u64>) -> Result<(), TooFewDescriptors> {
    match limit {
        Some(limit) if u64::from(sockets) + OTHERS > limit => Err(TooFewDescriptors { sockets, limit }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thousand_sockets_are_refused_where_a_thousand_fit() {
        let refused = fits(2000, Some(1024)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "2000 sockets at once need 2064 file descriptors, and this process may have 1024"
        );
        assert_eq!(
            refused.help(),
            "start it where the limit is higher: ulimit -n 2064 as root before it, or docker run --ulimit nofile=2064 (at most 960 sockets at once are possible now)"
        );
    }

    #[test]
    fn what_fits_exactly_is_not_refused() {
        assert_eq!(fits(960, Some(1024)), Ok(()));
        assert!(fits(961, Some(1024)).is_err());
        assert_eq!(fits(u32::MAX, None), Ok(()));
        assert!(fits(1, Some(3)).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        use rustix::process::{Resource, getrlimit};

        let hard = getrlimit(Resource::Nofile).maximum;
        let limit = raise_descriptor_limit();
        if cfg!(target_os = "linux") {
            assert_eq!(limit, hard);
        }
        assert_eq!(raise_descriptor_limit(), limit, "raising twice changes nothing");
    }
}
