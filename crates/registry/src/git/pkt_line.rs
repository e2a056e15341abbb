//! The lines in which git's protocol is written: four hexadecimal digits with the length of the line, these four
//! included, and the rest of it
//! (git's Documentation/gitprotocol-common, "pkt-line Format").

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PktLine<'a> {
    /// Data, without the line end.
    Data(&'a str),
    /// The end of a part of a message, or of the message.
    Marker,
}

/// A text that is not in lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it does not answer as a git server")]
pub(super) struct PktLineError;

/// Reads all lines.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<PktLine<'_>>, PktLineError> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, behind) = rest.split_at_checked(4).ok_or(PktLineError)?;
        let length =
            std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let length = length.and_then(|text| usize::from_str_radix(text, 16).ok()).ok_or(PktLineError)?;
        let Some(data) = length.checked_sub(4) else {
            // 0000, 0001 and 0002 are marks, and 0003 is nothing.
            if length == 3 {
                return Err(PktLineError);
            }
            lines.push(PktLine::Marker);
            rest = behind;
            continue;
        };
        let (data, behind) = behind.split_at_checked(data).ok_or(PktLineError)?;
        // A name that is no UTF-8 is none that a spec can name.
        let text = std::str::from_utf8(data).unwrap_or_default();
        lines.push(PktLine::Data(text.strip_suffix('\n').unwrap_or(text)));
        rest = behind;
    }
    Ok(lines)
}

/// Returns a line with this text.
pub(super) fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_as_git_writes_them() {
        assert_eq!(line("command=ls-refs"), "0014command=ls-refs\n");
        let read = read(b"0006a\n0005a0000000bfoobar\n").unwrap();
        assert_eq!(read, [PktLine::Data("a"), PktLine::Data("a"), PktLine::Marker, PktLine::Data("foobar")]);
    }

    #[test]
    fn what_is_not_in_lines_is_an_error() {
        for bad in [&b"<html>"[..], b"0003", b"00", b"0009a\n", b"+004"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_an_error_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_written_is_read(text in "[a-z/ ]{0,80}") {
            let written = line(&text);
            prop_assert_eq!(read(written.as_bytes()).unwrap(), [PktLine::Data(text.as_str())]);
        }
    }
}
