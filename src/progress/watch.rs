//! The task that owns the screen.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::Event;
use crate::trust::one_line;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A live line on a terminal.
    Bars,
    /// One line an event.
    Plain,
    /// Nothing.
    None,
}

/// Of rounds, only so many are shown in plain lines.
const EVERY: u32 = 100;

/// Shows events until the channel ends.
pub async fn watch(mut events: UnboundedReceiver<Event>, manner: Manner) {
    let bar = match manner {
        Manner::Bars => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)),
        Manner::Plain | Manner::None => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}") {
        bar.set_style(style);
    }
    if manner == Manner::Bars {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    while let Some(event) = events.recv().await {
        let passing = matches!(&event, Event::Round { number, .. } if !number.is_multiple_of(EVERY));
        let line = line(&event);
        match manner {
            Manner::None => {}
            Manner::Bars if matches!(event, Event::Round { .. } | Event::Waiting { .. }) => {
                bar.set_message(line);
            }
            Manner::Bars => bar.println(line),
            Manner::Plain if passing => {}
            // A closed pipe silences the lines and nothing else.
            Manner::Plain => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }
    bar.finish_and_clear();
}

/// One line; names in it may come from a server.
fn line(event: &Event) -> String {
    let words = match event {
        Event::Located { headline } => headline.clone(),
        Event::Note { words } => format!("note: {words}"),
        Event::Waiting { words } => format!("waiting until ready: {words}"),
        Event::Planned { words, .. } => format!("plan: {words}"),
        Event::Round { stage, number, sockets, failed, infra } => {
            format!("{stage} round {number}: {sockets} sockets, {failed} failed, {infra} not reached")
        }
        Event::Checked { check, outcome, summary } => format!("{outcome} {check}: {summary}"),
    };
    one_line(&words)
}
