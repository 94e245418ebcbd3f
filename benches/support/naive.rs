//! Many sockets as people open them with tokio-tungstenite and with Python, for what they cost.

use std::path::Path;
use std::process::Command;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::backends;
use super::clients::{Order, connected};
use super::costs::processor_time;

/// How fast, and how dear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Handshakes a second.
    pub(crate) rate: f64,
    /// Microseconds of processor time for each.
    pub(crate) processor: f64,
}

/// Opens and closes sockets with tokio-tungstenite, so many tasks at once.
pub(crate) fn tokio(runtime: &Runtime, order: &Order, count: usize, at_once: usize) -> Cost {
    let (began, used) = (Instant::now(), processor_time());
    let each = count / at_once;
    let tasks = (0..at_once).map(|_| {
        let order = order.clone();
        runtime.spawn(async move {
            for _ in 0..each {
                let mut socket = connected(&order).await.expect("a greeted socket");
                socket.close(None).await.expect("an open socket");
                while let Some(Ok(_)) = socket.next().await {}
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    runtime.block_on(async { join_all(tasks).await.into_iter().for_each(|task| task.expect("no panic")) });
    let opened = (each * at_once) as f64;
    Cost { rate: opened / began.elapsed().as_secs_f64(), processor: (processor_time() - used) / opened }
}

/// The same in Python; `None` where there is none.
pub(crate) fn python(order: &Order, count: usize, at_once: usize, trusted: Option<&Path>) -> Option<Cost> {
    let figures = cost(order, count, &at_once.to_string(), trusted)?;
    let [rate, processor] = figures.as_slice() else { return None };
    Some(Cost { rate: *rate, processor: *processor })
}

/// Kilobytes of Python's memory for each of so many held sockets; `None` where there is no Python.
pub(crate) fn python_memory(order: &Order, count: usize, trusted: Option<&Path>) -> Option<f64> {
    cost(order, count, "hold", trusted)?.first().copied()
}

fn cost(order: &Order, count: usize, at_once: &str, trusted: Option<&Path>) -> Option<Vec<f64>> {
    let python = std::panic::catch_unwind(backends::python).ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/cost.py");
    let scheme = if trusted.is_some() { "wss" } else { "ws" };
    let address = format!("{scheme}://{}{}", order.server, order.path);
    let mut command = Command::new(python);
    command.arg(script).args([&address, &count.to_string(), at_once]).args(trusted);
    let output = command.output().expect("an installed Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "Python failed: {}", String::from_utf8_lossy(&output.stderr));
    said.split_whitespace().map(|word| word.parse().ok()).collect()
}
