//! What is bad about each kind of frame, on the wire.
//!
//! Takes an open dialogue and a kind; sends it, and waits for nothing. The surprising rule: an error is only what cannot be
//! sent whatever the server does: one that closes meanwhile is heard by whoever listens next.

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::super::dialogue::Dialogue;
use super::super::observation::EndKind;
use super::bystander::PING;
use crate::config::{BadFrame, FramesSettings};

impl Dialogue<'_> {
    /// What is bad about the frame, on the wire.
    pub(super) async fn commit(&mut self, kind: BadFrame, settings: &FramesSettings) -> Result<(), EndKind> {
        let text = |text: &str| Message::text(text.to_owned());
        let largest = settings.largest.unwrap_or_default();
        match kind {
            BadFrame::MalformedJson => self.say(text(r#"{"type":"ping","payload":{"#)).await,
            BadFrame::UnknownType => self.say(text(r#"{"type":"revgate-unknown-type"}"#)).await,
            BadFrame::Empty => self.say(text("")).await,
            BadFrame::Binary => {
                self.say(Message::Binary(Bytes::from_static(b"\x00\xff\xfe\x80revgate"))).await
            }
            BadFrame::JustOver => self.say(padded(largest.saturating_add(1))).await,
            BadFrame::FarOver => self.say(padded(BadFrame::far_over(largest))).await,
            BadFrame::Fragments => self.fragments().await,
            BadFrame::PingFlood => {
                for _ in 0..settings.pings {
                    self.say(Message::Ping(Bytes::from_static(PING))).await?;
                }
                Ok(())
            }
            BadFrame::HalfClose => {
                self.half_close().await;
                Ok(())
            }
        }
    }

    /// The usual text in three frames, with a ping before the last.
    async fn fragments(&mut self) -> Result<(), EndKind> {
        let Some(text) = self.text() else { return Ok(()) };
        self.asked();
        let bytes = text.into_bytes();
        let (first, rest) = bytes.split_at(bytes.len() / 3);
        let (second, third) = rest.split_at(rest.len() / 2);
        let frame = |part: &[u8], code: Data, last: bool| {
            Message::Frame(Frame::message(part.to_vec(), OpCode::Data(code), last))
        };
        self.say(frame(first, Data::Text, false)).await?;
        self.say(frame(second, Data::Continue, false)).await?;
        self.say(Message::Ping(Bytes::from_static(PING))).await?;
        self.say(frame(third, Data::Continue, true)).await
    }
}

/// JSON of exactly so many bytes; of very few, a text that is none.
fn padded(bytes: usize) -> Message {
    let (head, tail) = (r#"{"type":"revgate-too-large","padding":""#, r#""}"#);
    let padding = bytes.saturating_sub(head.len() + tail.len());
    let mut text = format!("{head}{}{tail}", "x".repeat(padding));
    text.truncate(bytes);
    Message::text(text)
}
