//! Lines at the end of a terminal that are drawn again and again.

use std::io::{self, IsTerminal as _};

use console::Term;

use super::text::one_line;

/// Lines below everything that was printed. They are gone once this is dropped.
pub struct Redrawn {
    terminal: Term,
    /// How many lines are drawn.
    drawn: usize,
}

impl Redrawn {
    /// Begins with no line. Returns nothing where stderr is no terminal that can be drawn on.
    pub fn begin() -> Option<Self> {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let can_draw = io::stderr().is_terminal() && !is_dumb;
        can_draw.then(|| Self { terminal: Term::buffered_stderr(), drawn: 0 })
    }

    /// Draws lines in the place of the last ones, each cut to the terminal's width.
    pub fn draw(&mut self, lines: &[String]) {
        let columns = usize::from(self.terminal.size().1).max(2);
        let fitted = |line: &String| console::truncate_str(&one_line(line), columns - 1, "…").into_owned();
        let text = lines.iter().map(fitted).collect::<Vec<_>>().join("\r\n");
        // A terminal that is gone shows nothing.
        let _ =
            self.erase().and_then(|()| self.terminal.write_str(&text)).and_then(|()| self.terminal.flush());
        self.drawn = lines.len();
    }

    /// Takes the lines away, so that something else can be printed in their place.
    pub fn clear(&mut self) {
        let _ = self.erase().and_then(|()| self.terminal.flush());
        self.drawn = 0;
    }

    fn erase(&self) -> io::Result<()> {
        if self.drawn == 0 {
            return Ok(());
        }
        self.terminal.write_str("\r")?;
        self.terminal.move_cursor_up(self.drawn - 1)?;
        self.terminal.clear_to_end_of_screen()
    }
}

impl Drop for Redrawn {
    fn drop(&mut self) {
        self.clear();
    }
}
