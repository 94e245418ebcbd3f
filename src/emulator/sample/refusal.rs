//! What becomes of a socket whose token is bad, behind the 101: properly, or in one of the ways in which backends fail.

use super::conversation::{End, Socket};
use super::settings::JwtRefusal;
use super::text;

/// What a bad token meets.
pub(super) enum Refused {
    /// The conversation is over.
    End(End),
    /// It is taken for a good one.
    Accepted,
}

/// Treats a bad token as the settings say. A refusal before the 101 never comes here.
pub(super) async fn refuse(socket: &mut Socket<'_>, reason: &str) -> Refused {
    match socket.sample.settings.jwt_refusal {
        JwtRefusal::Status401 | JwtRefusal::Close1008 => {
            socket.send(&text::error(reason)).await;
            Refused::End(End::Close(1008, "authentication failed"))
        }
        JwtRefusal::Close1011 => Refused::End(End::Close(1011, "internal error")),
        JwtRefusal::Abort => Refused::End(End::Gone),
        JwtRefusal::Silence => Refused::End(socket.listen().await),
        JwtRefusal::Accept => Refused::Accepted,
    }
}
