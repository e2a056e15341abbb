//! A line of text as keys change it. Pure.

use console::Key;

/// The text, and where the next character goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    text: Vec<char>,
    cursor: usize,
}

impl Line {
    /// Begins with a text; the cursor stands at its end.
    pub fn new(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        Self { cursor: text.len(), text }
    }

    /// Returns the text.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Does what a key stands for. Returns whether the text is another one.
    pub fn press(&mut self, key: &Key) -> bool {
        let before = self.text.len();
        match key {
            // Ctrl-U and Ctrl-W, as in a shell.
            Key::Char('\u{15}') => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Char('\u{17}') => {
                let begins = self.text[..self.cursor].iter().rposition(|c| *c == ' ').unwrap_or(0);
                self.text.drain(begins..self.cursor);
                self.cursor = begins;
            }
            Key::Char(c) if !c.is_control() => {
                self.text.insert(self.cursor, *c);
                self.cursor += 1;
            }
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Del if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            Key::ArrowLeft => self.cursor = self.cursor.saturating_sub(1),
            Key::ArrowRight => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            _ => {}
        }
        self.text.len() != before
    }

    /// Returns the part of the text around the cursor that has room, and the column of the cursor in it.
    pub fn window(&self, room: usize) -> (String, usize) {
        let begin = (self.cursor + 1).saturating_sub(room.max(1));
        let shown = self.text.iter().skip(begin).take(room).collect();
        (shown, self.cursor - begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(text: &str, keys: &[Key]) -> (String, usize) {
        let mut line = Line::new(text);
        for key in keys {
            line.press(key);
        }
        (line.text(), line.cursor)
    }

    #[test]
    fn keys_change_the_line_where_the_cursor_stands() {
        let typed = [Key::ArrowLeft, Key::Char('x'), Key::Backspace, Key::Char('é'), Key::Del];
        assert_eq!(pressed("v2.1", &typed), ("v2.é".into(), 4));
        assert_eq!(pressed("ab", &[Key::Home, Key::Del, Key::Backspace, Key::ArrowRight]), ("b".into(), 1));
        assert_eq!(pressed(">=1 <2", &[Key::Char('\u{17}')]), (">=1".into(), 3));
        assert_eq!(pressed("abc", &[Key::ArrowLeft, Key::Char('\u{15}'), Key::End]), ("c".into(), 1));
        assert_eq!(pressed("a", &[Key::Char('\u{1b}'), Key::Tab, Key::ArrowRight]), ("a".into(), 1));
    }

    #[test]
    fn a_line_that_is_longer_than_the_terminal_shows_the_part_with_the_cursor() {
        let mut line = Line::new("0123456789");
        assert_eq!(line.window(5), ("6789".into(), 4));
        line.press(&Key::Home);
        assert_eq!(line.window(5), ("01234".into(), 0));
        assert_eq!(Line::new("ab").window(5), ("ab".into(), 2));
    }
}
