//! The terminal that questions are asked on: stdin and stderr, so that stdout holds data only.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use console::{Key, Term};

use crate::cli_error::CliError;
use crate::output::Ui;

/// How long a thread may take until it reads keys.
const LONGEST_BEGINNING: Duration = Duration::from_millis(500);

/// Returns whether the user can be asked: nothing forbids it, and there is a terminal that can be drawn on and is
/// none of a build.
pub fn can_ask(ui: Ui) -> bool {
    let is_set =
        |name: &str| std::env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    ui.may_ask() && io::stdin().is_terminal() && io::stderr().is_terminal() && !is_dumb && !is_set("CI")
}

/// A terminal whose keys are not shown by themselves. It gets back what it had when this is dropped.
pub struct Terminal {
    term: Term,
    before: Modes,
    /// Whether a thread reads keys. It stays where its question is given up, until the program ends.
    is_reading: Arc<AtomicBool>,
}

impl Terminal {
    /// Begins to ask.
    pub fn open() -> Result<Self, CliError> {
        let before = Modes::read().map_err(|error| broken(&error))?;
        let terminal = Self { term: Term::buffered_stderr(), before, is_reading: Arc::default() };
        terminal.before.restore_at_panic();
        terminal.before.without_echo().map_err(|error| broken(&error))?;
        Ok(terminal)
    }

    /// Returns the next key. Ctrl-C is an error that ends the program.
    pub async fn key(&self) -> Result<Key, CliError> {
        let term = self.term.clone();
        match self.read(move || term.read_key_raw()).await? {
            Ok(Key::CtrlC) => Err(CliError::cancelled()),
            key => key.map_err(|error| broken(&error)),
        }
    }

    /// Reads keys on a thread of its own: it waits for the user.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CliError> {
        let is_reading = Arc::clone(&self.is_reading);
        is_reading.store(true, Ordering::SeqCst);
        let read = tokio::task::spawn_blocking(move || {
            leave_signals_to_others();
            let answer = read();
            is_reading.store(false, Ordering::SeqCst);
            answer
        });
        read.await.map_err(|error| CliError::failed(format!("cannot read the answer: {error}")))
    }

    /// Returns the columns and rows that there are now.
    pub fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (usize::from(columns).max(20), usize::from(rows).max(4))
    }

    /// Draws lines where the last ones were drawn; the cursor stands in the first of them, at this column.
    pub fn draw(&self, lines: &[String], column: usize) -> Result<(), CliError> {
        let drawn = || {
            self.term.write_str("\r")?;
            self.term.clear_to_end_of_screen()?;
            self.term.write_str(&lines.join("\r\n"))?;
            self.term.move_cursor_up(lines.len().saturating_sub(1))?;
            self.term.write_str("\r")?;
            self.term.move_cursor_right(column)?;
            self.term.flush()
        };
        drawn().map_err(|error| broken(&error))
    }

    /// Draws one line in the place of what was drawn; what follows begins below it.
    pub fn finish(&self, line: &str) -> Result<(), CliError> {
        let drawn = || {
            self.term.write_str("\r")?;
            self.term.clear_to_end_of_screen()?;
            self.term.write_line(line)?;
            self.term.flush()
        };
        drawn().map_err(|error| broken(&error))
    }
}

/// The changes of a terminal's size.
#[cfg(unix)]
pub struct Resizes(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Resizes {
    /// Begins to listen.
    pub fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::window_change()).ok())
    }

    /// Returns at the next change.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some(changes) => drop(changes.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Where no signal tells of them, the next key does.
#[cfg(not(unix))]
pub struct Resizes;

#[cfg(not(unix))]
impl Resizes {
    /// There is nothing to listen to.
    pub fn listen() -> Self {
        Self
    }

    /// Never returns.
    pub async fn next(&mut self) {
        std::future::pending().await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // There is nothing else to do for a terminal that is gone.
        let _ = self.term.show_cursor().and_then(|()| self.term.flush());
        // A thread that begins to read sets modes of its own: it must not do that afterwards.
        let begins = Instant::now();
        while self.is_reading.load(Ordering::SeqCst)
            && !Modes::are_raw()
            && begins.elapsed() < LONGEST_BEGINNING
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.before.restore();
    }
}

/// Lets other threads get the signals that come while this one waits for a key. A changed size of the terminal would
/// end the wait, which console cannot tell from Ctrl-C. What console raises at Ctrl-C still arrives.
#[cfg(unix)]
fn leave_signals_to_others() {
    use nix::sys::signal::{SigSet, Signal};
    let mut others = SigSet::all();
    others.remove(Signal::SIGINT);
    // A thread that cannot leave them reads its keys all the same.
    let _ = others.thread_block();
}

/// Where nothing interrupts a thread, there is nothing to leave.
#[cfg(not(unix))]
fn leave_signals_to_others() {}

pub(super) fn broken(error: &io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::Interrupted => CliError::cancelled(),
        _ => CliError::failed(format!("cannot read the answer: {error}")),
    }
}

/// How a terminal treats keys.
#[cfg(unix)]
#[derive(Clone)]
struct Modes(rustix::termios::Termios);

#[cfg(unix)]
impl Modes {
    fn read() -> io::Result<Self> {
        Ok(Self(rustix::termios::tcgetattr(io::stdin())?))
    }

    /// Keys are not shown before they are read, nor kept until the line ends. Ctrl-C stays a signal.
    fn without_echo(&self) -> io::Result<()> {
        use rustix::termios::{LocalModes, OptionalActions, tcsetattr};
        let mut modes = self.0.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &modes)?)
    }

    /// Returns whether keys are read: Ctrl-C is none of the signals then.
    fn are_raw() -> bool {
        let modes = rustix::termios::tcgetattr(io::stdin());
        modes.is_ok_and(|modes| !modes.local_modes.contains(rustix::termios::LocalModes::ISIG))
    }

    fn restore(&self) {
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}

/// Where consoles need no modes, there are none.
#[cfg(not(unix))]
#[derive(Clone)]
struct Modes;

impl Modes {
    /// Lets a panic restore the terminal before it is reported: the released program ends then, and drops nothing.
    fn restore_at_panic(&self) {
        let (before, report) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            before.restore();
            let _ = Term::stderr().show_cursor();
            report(panic);
        }));
    }
}

#[cfg(not(unix))]
impl Modes {
    fn read() -> io::Result<Self> {
        Ok(Self)
    }

    fn without_echo(&self) -> io::Result<()> {
        Ok(())
    }

    fn are_raw() -> bool {
        true
    }

    fn restore(&self) {}
}
