//! The writes of one process to several servers, and the moment at which that process is killed or stands still.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// One of the writes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Which, from 1.
    pub write: usize,
    /// Whether the server does what that write asks before the process is interrupted. Its answer arrives later, if at
    /// all.
    pub is_done: bool,
}

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// It is killed: no server gets a request of it any more, and it gets no answer.
    Kill,
    /// It stands still until it is resumed. What others write meanwhile is not held up.
    Pause,
}

/// What stands between a process and the servers that it writes to. Cloning shares it.
#[derive(Clone, Default)]
pub struct Writes {
    state: Arc<Mutex<State>>,
    interrupted: Arc<Notify>,
    resumed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    interruption: Option<(Moment, Interruption)>,
    is_dead: bool,
}

/// What becomes of a request.
enum Fate {
    Answered,
    Interrupted(Moment, Interruption),
    Lost,
}

impl Writes {
    /// A process begins, whose writes are counted anew.
    pub fn begin(&self, interruption: Option<(Moment, Interruption)>) {
        *self.state() = State { interruption, ..State::default() };
    }

    /// Waits until the process is interrupted.
    pub async fn interrupted(&self) {
        self.interrupted.notified().await;
    }

    /// Resumes a process that stands still.
    pub fn resume(&self) {
        self.resumed.notify_one();
    }

    /// Returns the writes of the process, as `PUT /v2/…`.
    pub fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// Lets a server answer a request, unless the process is killed at it. `write` says what it writes; none if it
    /// only reads.
    pub(crate) async fn answer<A>(&self, write: Option<String>, server: impl FnOnce() -> A) -> A {
        match self.fate(write) {
            Fate::Answered => server(),
            Fate::Lost => pending().await,
            Fate::Interrupted(moment, interruption) => {
                let (mut server, mut answer) = (Some(server), None);
                if moment.is_done {
                    answer = server.take().map(|server| server());
                }
                if interruption == Interruption::Kill {
                    return pending().await;
                }
                self.resumed.notified().await;
                answer.or_else(|| server.map(|server| server())).unwrap()
            }
        }
    }

    fn fate(&self, write: Option<String>) -> Fate {
        let mut state = self.state();
        if state.is_dead {
            return Fate::Lost;
        }
        let Some(write) = write else { return Fate::Answered };
        state.lines.push(write);
        let number = state.lines.len();
        let Some((moment, interruption)) = state.interruption.filter(|(moment, _)| moment.write == number)
        else {
            return Fate::Answered;
        };
        state.is_dead = interruption == Interruption::Kill;
        self.interrupted.notify_one();
        Fate::Interrupted(moment, interruption)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
