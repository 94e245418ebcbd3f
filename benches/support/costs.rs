//! What this process costs: processor time, and memory of its own and of the kernel's.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};

/// Microseconds of processor time of all threads of this process so far, by itself and in the kernel.
pub(crate) fn processor_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("every process may ask");
    [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64)
        .iter()
        .sum()
}

/// Kilobytes of this process that are in memory.
pub(crate) fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmRSS:").unwrap_or(f64::NAN)
}

/// Kilobytes that the kernel holds for sockets: the objects where `/proc/slabinfo` may be read, else all of its small
/// objects, and the buffers.
pub(crate) fn kernel() -> f64 {
    let objects = objects_of_sockets().unwrap_or_else(|| {
        field(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "Slab:").unwrap_or(f64::NAN)
    });
    let buffers = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let pages = buffers.lines().find(|line| line.starts_with("TCP:")).and_then(|line| {
        let mut words = line.split(' ').skip_while(|word| *word != "mem");
        words.nth(1)?.parse::<f64>().ok()
    });
    objects + 4.0 * pages.unwrap_or(0.0)
}

/// Where [`kernel`] reads.
pub(crate) fn kernel_source() -> &'static str {
    if objects_of_sockets().is_some() { "/proc/slabinfo" } else { "/proc/meminfo, all of Slab" }
}

/// What a TCP socket consists of, in kilobytes.
fn objects_of_sockets() -> Option<f64> {
    const KINDS: [&str; 9] = [
        "TCP",
        "sock_inode_cache",
        "filp",
        "dentry",
        "eventpoll_epi",
        "eventpoll_pwq",
        "skbuff_head_cache",
        "skbuff_small_head",
        "tcp_bind_bucket",
    ];
    let table = fs::read_to_string("/proc/slabinfo").ok()?;
    let sizes = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let kind = words.next().filter(|kind| KINDS.contains(kind))?;
        let active: f64 = words.next()?.parse().ok()?;
        let size: f64 = words.nth(1)?.parse().ok()?;
        let _ = kind;
        Some(active * size / 1024.0)
    });
    Some(sizes.sum())
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
