//! Letting armed sockets go together.
//!
//! Takes streams on which the whole upgrade request but its last byte was written and writes that byte on each, from
//! one tight loop without a single suspension point; gives back the instant of each write. It never reads. The
//! surprising rule: a stream that is not writable at that instant is finished afterwards, so that one slow socket
//! cannot spread the others.

use futures_util::FutureExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// How far the last byte of one stream came.
enum Progress {
    Unwritten,
    Unflushed,
    Released(Instant),
    Broken,
}

/// Writes `last[i]` on `streams[i]`, as closely together as one thread can. `None` where the stream was broken.
pub(super) async fn release<S: AsyncWrite + Unpin>(streams: &mut [(S, u8)]) -> Vec<Option<Instant>> {
    let mut progress = Vec::with_capacity(streams.len());
    for (stream, last) in streams.iter_mut() {
        progress.push(write_now(stream, *last));
    }
    let mut stamps = Vec::with_capacity(progress.len());
    for (progress, (stream, last)) in progress.into_iter().zip(streams.iter_mut()) {
        stamps.push(finish(progress, stream, *last).await);
    }
    stamps
}

/// One attempt without waiting. Unconstrained: the runtime's budget must not make a writable socket wait its turn.
fn write_now<S: AsyncWrite + Unpin>(stream: &mut S, last: u8) -> Progress {
    match tokio::task::unconstrained(stream.write(&[last])).now_or_never() {
        None => Progress::Unwritten,
        Some(Ok(1)) => match tokio::task::unconstrained(stream.flush()).now_or_never() {
            None => Progress::Unflushed,
            Some(Ok(())) => Progress::Released(Instant::now()),
            Some(Err(_)) => Progress::Broken,
        },
        Some(_) => Progress::Broken,
    }
}

async fn finish<S: AsyncWrite + Unpin>(progress: Progress, stream: &mut S, last: u8) -> Option<Instant> {
    match progress {
        Progress::Released(at) => return Some(at),
        Progress::Broken => return None,
        Progress::Unwritten => stream.write_all(&[last]).await.ok()?,
        Progress::Unflushed => {}
    }
    stream.flush().await.ok()?;
    Some(Instant::now())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn writes_every_last_byte_once_and_in_order() {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for index in 0..5u8 {
            let (near, far) = tokio::io::duplex(8);
            ours.push((near, index));
            theirs.push(far);
        }
        let stamps = release(&mut ours).await;
        assert!(stamps.iter().all(Option::is_some));
        assert!(stamps.is_sorted());
        drop(ours);
        for (index, mut far) in theirs.into_iter().enumerate() {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes, [u8::try_from(index).unwrap()]);
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_full_is_finished_afterwards() {
        let (mut full, mut far) = tokio::io::duplex(1);
        full.write_all(b"x").await.unwrap();
        let reader = tokio::spawn(async move {
            let mut bytes = [0; 2];
            far.read_exact(&mut bytes).await.unwrap();
            bytes
        });
        let (free, _kept) = tokio::io::duplex(8);
        let stamps = release(&mut [(full, b'a'), (free, b'b')]).await;
        assert!(stamps[1] <= stamps[0], "the free stream did not wait for the full one");
        assert_eq!(reader.await.unwrap(), *b"xa");
    }
}
