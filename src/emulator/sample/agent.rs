//! A run of the sample's agent: five events, or what becomes of them.
//!
//! Says them on the socket, one after the other, and gives how the socket ends where the run ends it. The surprising rule:
//! the leak needs two runs at once, as its models in the field do: the last event is of whichever run was begun last.

use std::sync::PoisonError;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::conversation::{End, Socket};
use super::settings::Behaviour;

/// What a run is known by.
#[derive(Debug, Clone)]
pub(crate) struct AgentRun {
    id: String,
    request: String,
}

/// Plays a run; how the socket ends, where it does not go on.
pub(super) async fn run(
    socket: &mut Socket<'_>,
    user: &str,
    message: &Value,
    request: String,
) -> Result<(), End> {
    let sample = socket.sample;
    let own = AgentRun { id: format!("run-{:016x}", rand::random::<u64>()), request };
    let remembered = || sample.latest_run.lock().unwrap_or_else(PoisonError::into_inner);
    *remembered() = Some(own.clone());
    let behaviour = socket.behaviour;
    for index in order(behaviour) {
        let latest = remembered().clone();
        let last = latest.filter(|_| behaviour == Behaviour::AgentLeak && *index == 4);
        let event = event(*index, last.as_ref().unwrap_or(&own), user, message, behaviour);
        if !socket.send(&event).await {
            return Err(End::Left);
        }
        if behaviour == Behaviour::AgentDies {
            sleep(sample.settings.agent_death()).await;
            return Err(End::Close(1011, "orchestrator is None"));
        }
        sleep(sample.settings.agent_step).await;
    }
    Ok(())
}

/// The events of a run, by their places in the healthy order.
fn order(behaviour: Behaviour) -> &'static [usize] {
    match behaviour {
        Behaviour::AgentOutOfOrder => &[0, 1, 3, 2, 4],
        Behaviour::AgentIncomplete => &[0, 1, 2, 3],
        _ => &[0, 1, 2, 3, 4],
    }
}

/// One of the five events.
fn event(index: usize, run: &AgentRun, user: &str, message: &Value, behaviour: Behaviour) -> Value {
    let words = run.request.split_whitespace().count();
    let (name, mut data) = match index {
        0 => ("agent_started", json!({"agent": "sample", "user_request": run.request})),
        1 => ("agent_thinking", json!({"thought": "which tool fits"})),
        2 => ("tool_executing", json!({"tool": "count_words"})),
        3 => ("tool_completed", json!({"tool": "count_words", "result": words})),
        _ => ("agent_completed", json!({"result": format!("done: {}", run.request)})),
    };
    data["run_id"] = json!(run.id);
    data["user_id"] = json!(user);
    if behaviour == Behaviour::AgentFallback {
        data["fallback_active"] = json!(true);
    }
    let mut event = json!({"type": name, "data": data});
    for key in ["thread_id", "message_id", "nonce"] {
        if let Some(value) = message.get(key) {
            event[key] = value.clone();
        }
    }
    event
}
