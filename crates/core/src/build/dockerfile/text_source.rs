//! The bytes of a Dockerfile as text, and places in it.

use super::{Position, Problem};

/// Bytes that a Dockerfile may have.
const MAX_BYTES: usize = 4 << 20;

/// A Dockerfile's text, of which every place has a line and a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TextSource {
    pub(super) text: String,
    /// Where lines begin.
    starts: Vec<usize>,
}

impl TextSource {
    /// Reads bytes as text. A byte order mark is left out.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let start = Position { line: 1, column: 1 };
        if bytes.len() > MAX_BYTES {
            let message = format!("the file has {} bytes; a Dockerfile may have {MAX_BYTES}", bytes.len());
            return Err(Problem::invalid(start, message, "put long texts into files and COPY them"));
        }
        if is_utf16(bytes) {
            return Err(Problem::invalid(start, "the file is encoded as UTF-16", "save it as UTF-8"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = Self::new(String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned());
                let position = before.position(before.text.len());
                return Err(Problem::invalid(
                    position,
                    "here is a byte that is not UTF-8",
                    "save the file as UTF-8",
                ));
            }
        };
        let source = Self::new(valid.to_owned());
        match source.unreadable() {
            Some(problem) => Err(problem),
            None => Ok(source),
        }
    }

    fn new(text: String) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(breaks).collect();
        Self { text, starts }
    }

    /// Returns what makes lines end where no reader expects it.
    fn unreadable(&self) -> Option<Problem> {
        if let Some(at) = self.text.find('\0') {
            return Some(Problem::invalid(self.position(at), "here is a NUL byte", "remove it"));
        }
        let bytes = self.text.as_bytes();
        let at = self.text.match_indices('\r').find(|(at, _)| bytes.get(at + 1) != Some(&b'\n'));
        let (at, _) = at?;
        let message = "here is a carriage return without a line feed";
        Some(Problem::invalid(self.position(at), message, "end lines with LF or CR LF"))
    }

    /// Returns the line and column of a place.
    pub(super) fn position(&self, at: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        let column = before.chars().count() + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position { line: number(line), column: number(column) }
    }

    /// Returns each line without its end, with the place where it begins.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = self.starts.iter().skip(1).copied().chain(std::iter::once(self.text.len()));
        let lines = self.starts.iter().copied().zip(ends);
        lines.map(|(start, end)| {
            let line = &self.text[start..end];
            let line = line.strip_suffix('\n').unwrap_or(line);
            (start, line.strip_suffix('\r').unwrap_or(line))
        })
    }
}

/// Whether bytes are UTF-16: they say so, or every second one is 0 as in English text.
fn is_utf16(bytes: &[u8]) -> bool {
    let looks_like_it = |zero: usize| {
        let begin = &bytes[..bytes.len().min(64)];
        begin.len() >= 4 && begin.iter().skip(zero).step_by(2).all(|byte| *byte == 0)
    };
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || looks_like_it(0) || looks_like_it(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        TextSource::read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_no_builder_reads_as_it_looks_is_refused() {
        let utf16: Vec<u8> = "FROM a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(problem(&utf16).contains("UTF-16"));
        assert!(problem(&[b"\xfe\xff".as_slice(), b"\0F\0R"].concat()).contains("UTF-16"));
        assert_eq!(
            problem(b"FROM a\rRUN b\r"),
            "line 1, column 7: here is a carriage return without a line feed; end lines with LF or CR LF"
        );
        assert_eq!(problem(b"FROM a\nRUN \0b"), "line 2, column 5: here is a NUL byte; remove it");
        assert!(
            problem(b"FROM a\nRUN \xe9").starts_with("line 2, column 5: here is a byte that is not UTF-8")
        );
        assert!(problem(&vec![b'#'; MAX_BYTES + 1]).contains("a Dockerfile may have 4194304"));
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text() {
        let source = TextSource::read("\u{feff}FROM a\r\nRUN é b".as_bytes()).unwrap();
        let lines: Vec<_> = source.lines().collect();
        assert_eq!(lines, [(0, "FROM a"), (8, "RUN é b")]);
        assert_eq!(source.position(source.text.len() - 1), Position { line: 2, column: 7 });
        assert_eq!(source.position(9999), Position { line: 2, column: 1 });
    }
}
