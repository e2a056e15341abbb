//! What the lines of the log are written with.

use std::io::Write;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// How many log lines may wait to be written. They take memory while the log is not read, and 32 bytes each always.
const MAX_WAITING_LINES: usize = 4096;

/// Returns a writer that never waits for whoever reads `out`: lines beyond what is buffered are dropped and
/// counted. What waits is written when the guard is dropped.
pub fn log_writer(out: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING_LINES).thread_name("log").finish(out)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    /// Takes nothing before the other end is closed.
    struct Unread(Receiver<()>);

    impl Write for Unread {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_is_not_read_blocks_nothing_and_its_lines_are_dropped_and_counted() {
        let (reader, unread) = channel();
        let (mut lines, _guard) = log_writer(Unread(unread));
        let (written, is_written) = channel();
        let dropped = lines.error_counter();
        std::thread::spawn(move || {
            for _ in 0..MAX_WAITING_LINES + 100 {
                lines.write_all(b"{}\n").unwrap();
            }
            written.send(()).unwrap();
        });
        is_written.recv_timeout(Duration::from_secs(20)).expect("it waits for the reader");
        // One line may be on its way already.
        assert!((99..=100).contains(&dropped.dropped_lines()), "{}", dropped.dropped_lines());
        drop(reader);
    }
}
