//! What came on one conversation's socket, as far as it is kept.
//!
//! Takes frames as they come and keeps the first 256 KiB; of what does not fit it looks at once for the marks that are known
//! by then. It never judges. The surprising rule: it keeps bytes, and not excerpts, since what is captured in one
//! conversation may have come on another's socket long before anybody knew it.

use tokio_tungstenite::tungstenite::Bytes;

use super::condition::Incoming;
use super::marks::{Lookout, Mark};

/// How many bytes of a conversation are kept.
const KEPT: usize = 256 * 1024;
/// What a kept frame costs besides its bytes.
const OVERHEAD: usize = 64;
/// How many finds of frames that are not kept are remembered.
const FINDS: usize = 16;

/// What came on one socket.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    frames: Vec<(u64, Bytes)>,
    bytes: usize,
    /// Finds in frames that are not kept: when, in what, and whose.
    late: Vec<(u64, String, Mark)>,
    /// How many frames were looked at.
    pub(super) seen: u64,
    /// How many may show others and were not.
    pub(super) shared: u64,
    /// True when not all were kept.
    pub(super) cut: bool,
}

impl Transcript {
    /// Takes in a frame that came on a socket of `user`.
    pub(super) fn add(
        &mut self,
        at: u64,
        payload: &Bytes,
        incoming: &Incoming<'_>,
        lookout: &Lookout,
        user: &str,
    ) {
        self.seen += 1;
        let cost = payload.len() + OVERHEAD;
        if !self.cut && self.bytes + cost <= KEPT {
            self.bytes += cost;
            self.frames.push((at, payload.clone()));
            return;
        }
        self.cut = true;
        for mark in lookout.foreign(&incoming.text, user) {
            let known = self.late.iter().any(|(_, _, other)| other == mark);
            if self.late.len() < FINDS && !known {
                let text = around(&incoming.text, &mark.text);
                self.late.push((at, text.to_owned(), mark.clone()));
            }
        }
    }

    /// All finds of marks of others on a socket of `user`: when, in what, and whose.
    pub(super) fn foreign(&self, lookout: &Lookout, user: &str) -> Vec<(u64, String, Mark)> {
        let mut found = Vec::new();
        for (at, payload) in &self.frames {
            let incoming = Incoming::new(payload);
            let plain = incoming.unescaped();
            for text in [Some(&*incoming.text), plain.as_deref()].into_iter().flatten() {
                for mark in lookout.foreign(text, user) {
                    if !found.iter().any(|(when, _, other)| when == at && other == mark) {
                        found.push((*at, around(text, &mark.text).to_owned(), mark.clone()));
                    }
                }
            }
        }
        found.extend(self.late.iter().cloned());
        found
    }
}

/// The part of a text around a mark in it, so that an excerpt shows the mark.
fn around<'a>(text: &'a str, mark: &str) -> &'a str {
    let Some(at) = text.find(mark).filter(|_| text.len() > 300) else { return text };
    let start = text.floor_char_boundary(at.saturating_sub(120));
    let end = text.floor_char_boundary((at + mark.len() + 120).min(text.len()));
    text.get(start..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_looked_at_once() {
        let mark = |text: &str| Mark {
            text: text.to_owned(),
            run: 2,
            user: "b".to_owned(),
            kind: "nonce".to_owned(),
        };
        let lookout = Lookout::new(vec![mark("nonce-2")]);
        let mut transcript = Transcript::default();
        let add = |transcript: &mut Transcript, text: &str| {
            let payload = Bytes::from(text.to_owned());
            transcript.add(1, &payload, &Incoming::new(&payload), &lookout, "a");
        };
        add(&mut transcript, "{\"id\":\"\\u0072un-77\"}");
        add(&mut transcript, &" x".repeat(KEPT));
        add(&mut transcript, "late nonce-2");
        assert!(transcript.cut && transcript.bytes <= KEPT);
        let known = Lookout::new(vec![mark("nonce-2"), mark("run-77")]);
        let found: Vec<String> =
            transcript.foreign(&known, "a").into_iter().map(|(_, _, m)| m.text).collect();
        assert_eq!(found, ["run-77", "nonce-2"]);
        assert!(transcript.foreign(&known, "b").iter().all(|(_, _, mark)| mark.text == "nonce-2"));
    }

    #[test]
    fn a_million_tiny_frames_are_bounded() {
        let lookout = Lookout::new(Vec::new());
        let mut transcript = Transcript::default();
        let payload = Bytes::from_static(b"x");
        for _ in 0..1_000_000 {
            transcript.add(0, &payload, &Incoming::new(&payload), &lookout, "a");
        }
        assert!(transcript.frames.len() <= KEPT / OVERHEAD && transcript.seen == 1_000_000);
    }
}
