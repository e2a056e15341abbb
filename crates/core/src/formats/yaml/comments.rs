//! Comments of YAML: no parser reports them.

/// Returns the lines, from 1, in which a comment stands. A `#` within a block of literal text counts as one, too.
pub(crate) fn comments(text: &str) -> Vec<usize> {
    let mut quote = None;
    let lines = text.lines().enumerate().filter(|(_, line)| has_comment(line, &mut quote));
    lines.map(|(at, _)| at + 1).collect()
}

/// Whether a line has a comment. `quote` is the quote in which it begins, and in which the next one does.
fn has_comment(line: &str, quote: &mut Option<char>) -> bool {
    let mut before = ' ';
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match *quote {
            Some('"') if c == '\\' => {
                rest.next();
            }
            Some('\'') if c == '\'' && rest.peek() == Some(&'\'') => {
                rest.next();
            }
            Some(open) if c == open => *quote = None,
            None if c == '#' && before.is_whitespace() => return true,
            // Within a word a quote is a character like others.
            None if matches!(c, '"' | '\'') && (before.is_whitespace() || "[{,".contains(before)) => {
                *quote = Some(c);
            }
            Some(_) | None => {}
        }
        before = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_comment_begins_a_line_or_stands_behind_a_space_and_in_no_quotes() {
        let text = "# first\na: b # second\nc: 'd # no' # third\ne: \"f \\\" # no\"\ng: h#no\n  # fourth\ni: it's # fifth\n";
        assert_eq!(comments(text), [1, 2, 3, 6, 7]);
        assert_eq!(comments("a: 'it''s # no\n  # no'\nb: [\"c\", 'd'] # yes\n"), [3]);
        assert_eq!(comments("a: '{{ env \"X\" }}'\n"), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn a_comment_behind_quoted_text_is_found_whatever_the_text_is(text in "[ -~]{0,20}") {
            let quoted = text.replace('\'', "''");
            prop_assert_eq!(comments(&format!("a: '{quoted}'\nb: c # d\n")), [2]);
        }
    }
}
