//! The writes of one process to several servers, and the moment at which that process is killed.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// The moment at which a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// At which of its writes, from 1.
    pub write: usize,
    /// Whether the server does what that write asks: the process is killed before its answer arrives. Otherwise it is
    /// killed before the write leaves it.
    pub is_done: bool,
}

/// What stands between a process and the servers that it writes to. Cloning shares it. From the moment at which the
/// process is killed, no server gets a request of it, and it gets no answer.
#[derive(Clone, Default)]
pub struct Writes {
    state: Arc<Mutex<State>>,
    killed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    kill: Option<Kill>,
    is_dead: bool,
}

/// What becomes of a request.
enum Fate {
    Answered,
    DoneWithoutAnswer,
    Lost,
}

impl Writes {
    /// A process begins, whose writes are counted anew.
    pub fn begin(&self, kill: Option<Kill>) {
        *self.state() = State { kill, ..State::default() };
    }

    /// Waits until the process is killed.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Returns the writes of the process, as `PUT /v2/…`.
    pub fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// Lets a server answer a request, unless the process is killed at it. `write` says what it writes; none if it
    /// only reads.
    pub(crate) async fn answer<A>(&self, write: Option<String>, server: impl FnOnce() -> A) -> A {
        match self.fate(write) {
            Fate::Answered => return server(),
            Fate::DoneWithoutAnswer => drop(server()),
            Fate::Lost => {}
        }
        pending().await
    }

    fn fate(&self, write: Option<String>) -> Fate {
        let mut state = self.state();
        if state.is_dead {
            return Fate::Lost;
        }
        let Some(write) = write else { return Fate::Answered };
        state.lines.push(write);
        let Some(kill) = state.kill.filter(|kill| kill.write == state.lines.len()) else {
            return Fate::Answered;
        };
        state.is_dead = true;
        self.killed.notify_one();
        if kill.is_done { Fate::DoneWithoutAnswer } else { Fate::Lost }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
