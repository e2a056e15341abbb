//! Parts of a stream, one after the other, each as the body of a request.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;

/// What comes of a blob, as the sender of it hands it on.
pub(crate) type Pieces = Receiver<io::Result<Bytes>>;

/// A stream of which one part after the other is taken.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    pieces: Pieces,
    /// What came with the end of the part before.
    rest: Bytes,
}

impl Parts {
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self(Arc::new(Mutex::new(State { pieces, rest: Bytes::new() })))
    }

    /// Returns the next `length` bytes. It is an error if fewer come: then what is sent is not complete.
    pub(crate) fn take(&self, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures::stream::unfold((self.0.clone(), length), |(state, left)| async move {
            if left == 0 {
                return None;
            }
            let mut held = state.lock().await;
            let mut piece = std::mem::take(&mut held.rest);
            if piece.is_empty() {
                piece = match held.pieces.recv().await {
                    Some(Ok(piece)) => piece,
                    Some(Err(error)) => return Some((Err(error), (state.clone(), 0))),
                    None => return Some((Err(io::Error::other("no more came")), (state.clone(), 0))),
                };
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            held.rest = piece.split_off(taken);
            drop(held);
            let left = left - piece.len() as u64;
            Some((Ok(piece), (state, left)))
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_part_ends_within_a_piece_and_the_next_one_begins_there() {
        let (sender, pieces) = mpsc::channel(4);
        for piece in ["abc", "defg", "h"] {
            sender.send(Ok(Bytes::from(piece))).await.unwrap();
        }
        drop(sender);
        let parts = Parts::new(pieces);
        let mut taken = Vec::new();
        for length in [2, 4, 2] {
            let part: Vec<Bytes> = parts.take(length).try_collect().await.unwrap();
            taken.push(String::from_utf8(part.concat()).unwrap());
        }
        assert_eq!(taken, ["ab", "cdef", "gh"]);
        assert!(parts.take(1).try_collect::<Vec<Bytes>>().await.is_err(), "nothing is left");
    }
}
