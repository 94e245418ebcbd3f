//! What came on one conversation's socket, as far as it is kept.
//!
//! Takes frames as they come and keeps the first 256 KiB; of what does not fit it looks at once for the marks that are known
//! by then. It never judges. The surprising rule: it keeps bytes, and not excerpts, since what is captured in one
//! conversation may have come on another's socket long before anybody knew it.

use tokio_tungstenite::tungstenite::Bytes;

use super::incoming::Incoming;
use super::marks::{Lookout, Mark};
use super::streams::Streams;
use crate::trust::{Excerpt, Redactor};

/// How many bytes of a conversation are kept.
const KEPT: usize = 256 * 1024;
/// What a kept frame costs besides its bytes.
const OVERHEAD: usize = 64;
/// How many finds of frames that are not kept are remembered.
const FINDS: usize = 16;

/// Whose socket it is, and who takes secrets out of what is shown of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// Its user.
    pub(super) user: &'a str,
    /// Takes secrets out.
    pub(super) redactor: &'a Redactor,
}

/// A mark of another that was found.
#[derive(Debug, Clone)]
pub(super) struct Find {
    /// When it came.
    pub(super) at: u64,
    /// In what.
    pub(super) text: Excerpt,
    /// The mark.
    pub(super) mark: Mark,
    /// It came in pieces, of which this frame had the last.
    pub(super) in_pieces: bool,
}

/// What came on one socket.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    frames: Vec<(u64, Bytes)>,
    bytes: usize,
    streams: Streams,
    /// Finds in frames that are not kept.
    late: Vec<Find>,
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
        own: Own<'_>,
    ) {
        self.seen += 1;
        let seams = self.streams.seams(incoming);
        let cost = payload.len() + OVERHEAD;
        if !self.cut && self.bytes + cost <= KEPT {
            self.bytes += cost;
            self.frames.push((at, payload.clone()));
            return;
        }
        self.cut = true;
        for find in finds(at, incoming, &seams, lookout, own) {
            let known = self.late.iter().any(|other| other.mark == find.mark);
            if self.late.len() < FINDS && !known {
                self.late.push(find);
            }
        }
    }

    /// The frames that are kept, in their order: when each came, and its payload.
    pub(super) fn kept(&self) -> &[(u64, Bytes)] {
        &self.frames
    }

    /// All finds of marks of others on a socket of `user`.
    pub(super) fn foreign(&self, lookout: &Lookout, own: Own<'_>) -> Vec<Find> {
        let mut streams = Streams::default();
        let frames = self.frames.iter().flat_map(|(at, payload)| {
            let incoming = Incoming::new(payload);
            let seams = streams.seams(&incoming);
            finds(*at, &incoming, &seams, lookout, own)
        });
        // What was taken for a mark when it came may be everybody's, or a number.
        let late = self.late.iter().filter(|find| lookout.looks_for(&find.mark));
        frames.chain(late.cloned()).collect()
    }
}

/// The marks of others in a frame, each once, and in what is put together at its seams.
fn finds(at: u64, incoming: &Incoming<'_>, seams: &[String], lookout: &Lookout, own: Own<'_>) -> Vec<Find> {
    let mut found: Vec<Find> = Vec::new();
    let mut add = |mark: &Mark, text: &dyn Fn() -> Excerpt, in_pieces| {
        if !found.iter().any(|find| find.mark == *mark) {
            found.push(Find { at, text: text(), mark: mark.clone(), in_pieces });
        }
    };
    let plain = incoming.unescaped();
    for text in [Some(&*incoming.text), plain.as_deref()].into_iter().flatten() {
        for mark in lookout.foreign(text, own.user) {
            add(mark, &|| around(text, &mark.text, own.redactor), false);
        }
    }
    for mark in seams.iter().flat_map(|seam| lookout.foreign_nonces(seam, own.user)) {
        add(mark, &|| Excerpt::new(&mark.text), true);
    }
    found
}

/// The part of a text around a mark in it, so that an excerpt shows the mark. Secrets go first: a part of a text may begin
/// in the middle of one.
pub(super) fn around(text: &str, mark: &str, redactor: &Redactor) -> Excerpt {
    let text = redactor.redact_cut(text);
    let found = text.find(mark).or_else(|| text.to_ascii_lowercase().find(&mark.to_ascii_lowercase()));
    let Some(at) = found.filter(|_| text.len() > 300) else { return Excerpt::new(&text) };
    let start = text.floor_char_boundary(at.saturating_sub(120));
    let end = text.floor_char_boundary((at + mark.len() + 120).min(text.len()));
    Excerpt::new(text.get(start..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Secret;

    fn own<'a>(user: &'a str, redactor: &'a Redactor) -> Own<'a> {
        Own { user, redactor }
    }

    #[test]
    fn no_part_of_a_secret_is_shown_around_a_mark() {
        let redactor = Redactor::default();
        let secret = "s3cret".repeat(20);
        redactor.learn(&Secret::new(secret.clone()));
        let text = format!("{}{secret}{} run-77 {}", "x".repeat(300), " y".repeat(30), " z".repeat(300));
        let shown = around(&text, "run-77", &redactor);
        assert!(shown.as_str().contains("run-77") && !shown.as_str().contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_is_not_kept_is_looked_at_once() {
        let mark = |text: &str| Mark {
            text: text.to_owned(),
            run: 2,
            user: "b".to_owned(),
            kind: "nonce".to_owned(),
        };
        let lookout = Lookout::new(vec![mark("nonce-2")]);
        let redactor = Redactor::default();
        let mut transcript = Transcript::default();
        let add = |transcript: &mut Transcript, text: &str| {
            let payload = Bytes::from(text.to_owned());
            transcript.add(1, &payload, &Incoming::new(&payload), &lookout, own("a", &redactor));
        };
        add(&mut transcript, "{\"id\":\"\\u0072un-77\"}");
        add(&mut transcript, &" x".repeat(KEPT));
        add(&mut transcript, "late nonce-2");
        assert!(transcript.cut && transcript.bytes <= KEPT);
        let known = Lookout::new(vec![mark("nonce-2"), mark("run-77")]);
        let found: Vec<String> =
            transcript.foreign(&known, own("a", &redactor)).into_iter().map(|find| find.mark.text).collect();
        assert_eq!(found, ["run-77", "nonce-2"]);
        let fewer = Lookout::new(vec![mark("run-77")]);
        assert_eq!(transcript.foreign(&fewer, own("a", &redactor)).len(), 1, "a mark no more");
        assert!(
            transcript.foreign(&known, own("b", &redactor)).iter().all(|find| find.mark.text == "nonce-2")
        );
    }

    #[test]
    fn a_nonce_in_pieces_is_found_in_what_is_kept_and_behind_it() {
        let mark =
            Mark { text: "0a1b-2-c3".to_owned(), run: 2, user: "b".to_owned(), kind: "nonce".to_owned() };
        let lookout = Lookout::new(vec![mark]);
        let redactor = Redactor::default();
        for length in [1, KEPT] {
            let mut transcript = Transcript::default();
            let long = "y".repeat(length);
            for text in
                [&*long, "{\"t\":\"see 0A1\"}", "{\"t\":\"b-2-\"}", "{\"u\":\"c3\"}", "{\"t\":\"c3.\"}"]
            {
                let payload = Bytes::from(text.to_owned());
                transcript.add(7, &payload, &Incoming::new(&payload), &lookout, own("a", &redactor));
            }
            let found = transcript.foreign(&lookout, own("a", &redactor));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].in_pieces && found[0].text.as_str() == "0a1b-2-c3", "{found:?}");
            assert!(transcript.foreign(&lookout, own("b", &redactor)).len() <= transcript.late.len());
        }
    }

    #[test]
    fn a_million_tiny_frames_are_bounded() {
        let lookout = Lookout::new(Vec::new());
        let redactor = Redactor::default();
        let mut transcript = Transcript::default();
        let payload = Bytes::from_static(b"x");
        for _ in 0..1_000_000 {
            transcript.add(0, &payload, &Incoming::new(&payload), &lookout, own("a", &redactor));
        }
        assert!(transcript.frames.len() <= KEPT / OVERHEAD && transcript.seen == 1_000_000);
    }
}
