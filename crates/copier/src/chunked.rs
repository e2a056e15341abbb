//! Parts of a stream, one after the other, each as the body of a request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Mutex, Notify};

/// What comes of a blob, as the sender of it hands it on.
pub(crate) type Pieces = Receiver<io::Result<Bytes>>;

/// A stream of which one part after the other is taken.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    state: Arc<Mutex<State>>,
    wants: Wants,
}

/// Whether a part is being taken, so that more is wanted at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wants(Arc<Taking>);

#[derive(Debug, Default)]
struct Taking {
    is_under_way: AtomicBool,
    /// Nothing was taken for too long.
    given_up: Notify,
}

#[derive(Debug)]
struct State {
    pieces: Pieces,
    /// What came with the end of the part before.
    rest: Bytes,
}

impl Parts {
    pub(crate) fn new(pieces: Pieces) -> Self {
        let state = State { pieces, rest: Bytes::new() };
        Self { state: Arc::new(Mutex::new(state)), wants: Wants::default() }
    }

    /// Returns whether a part is being taken, for whoever sends the pieces.
    pub(crate) fn wants(&self) -> Wants {
        self.wants.clone()
    }

    /// Returns once nothing of a part was taken for too long: whoever sends it does not notice that by itself.
    pub(crate) async fn given_up(&self) {
        self.wants.0.given_up.notified().await;
    }

    /// Waits until there is something to be taken.
    ///
    /// # Errors
    /// Where nothing comes any more.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        let mut held = self.state.lock().await;
        if held.rest.is_empty() {
            let piece = held.pieces.recv().await;
            held.rest = piece.unwrap_or_else(|| Err(io::Error::other("no more came")))?;
        }
        Ok(())
    }

    /// Returns the next `length` bytes. It is an error if fewer come: then what is sent is not complete.
    pub(crate) fn take(&self, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let wants = self.wants.clone();
        futures::stream::unfold((self.state.clone(), length, wants), |(state, left, wants)| async move {
            if left == 0 {
                return None;
            }
            wants.set(true);
            let mut held = state.lock().await;
            let mut piece = std::mem::take(&mut held.rest);
            if piece.is_empty() {
                piece = match held.pieces.recv().await {
                    Some(Ok(piece)) => piece,
                    Some(Err(error)) => return Some((Err(error), (state.clone(), 0, wants))),
                    None => return Some((Err(io::Error::other("no more came")), (state.clone(), 0, wants))),
                };
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            held.rest = piece.split_off(taken);
            drop(held);
            let left = left - piece.len() as u64;
            wants.set(left > 0);
            Some((Ok(piece), (state, left, wants)))
        })
    }
}

impl Wants {
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_under_way.load(Ordering::Relaxed)
    }

    /// Ends the part that is being taken, if one is.
    pub(crate) fn give_up(&self) {
        if self.is_set() {
            self.0.given_up.notify_one();
        }
    }

    fn set(&self, wants: bool) {
        self.0.is_under_way.store(wants, Ordering::Relaxed);
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
            parts.ready().await.unwrap();
            let part: Vec<Bytes> = parts.take(length).try_collect().await.unwrap();
            taken.push(String::from_utf8(part.concat()).unwrap());
        }
        assert_eq!(taken, ["ab", "cdef", "gh"]);
        assert!(!parts.wants().is_set() && parts.ready().await.is_err());
        assert!(parts.take(1).try_collect::<Vec<Bytes>>().await.is_err(), "nothing is left");
    }
}
