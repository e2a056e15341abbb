//! Words of an instruction: divided by spaces, in quotes, as flags, as JSON.

/// A part of an instruction, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Where it begins in the instruction.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// `--name=value` in front of what an instruction is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: String,
    /// Its value without quotes; none without `=`.
    pub(super) value: Option<String>,
    /// Where it begins in the instruction.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// Returns the words between spaces. Quotes mean nothing.
pub(super) fn between_spaces(text: &str, from: usize) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    let rest = text.get(from..).unwrap_or_default();
    for (at, c) in rest.char_indices().map(|(at, c)| (at + from, c)).chain([(text.len(), ' ')]) {
        match start {
            None if !c.is_whitespace() => start = Some(at),
            Some(begin) if c.is_whitespace() => {
                words.push(Word { text: text[begin..at].to_owned(), start: begin, end: at });
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Returns the words between spaces that are neither in quotes nor behind an escape, as they are written.
pub(super) fn outside_quotes(text: &str, from: usize, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut start, mut quote, mut is_escaped) = (None, None, false);
    let rest = text.get(from..).unwrap_or_default();
    for (at, c) in rest.char_indices().map(|(at, c)| (at + from, c)) {
        let is_plain = !std::mem::take(&mut is_escaped);
        if is_plain && quote.is_none() && c.is_whitespace() {
            if let Some(begin) = start.take() {
                words.push(Word { text: text[begin..at].to_owned(), start: begin, end: at });
            }
            continue;
        }
        start = start.or(Some(at));
        match (c, quote) {
            _ if !is_plain => {}
            (c, Some('"') | None) if c == escape => is_escaped = true,
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    if let Some(begin) = start {
        words.push(Word { text: text[begin..].to_owned(), start: begin, end: text.len() });
    }
    words
}

/// Returns the flags that stand first, and where they end. `--` alone ends them.
pub(super) fn flags(text: &str, from: usize, escape: char) -> (Vec<Flag>, usize) {
    let mut flags = Vec::new();
    let mut end = from;
    for word in outside_quotes(text, from, escape) {
        let Some(flag) = word.text.strip_prefix("--") else { break };
        end = word.end;
        if flag.is_empty() {
            break;
        }
        let flag = unquoted(flag);
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (flag, None),
        };
        flags.push(Flag { name, value, start: word.start, end: word.end });
    }
    let spaces = text[end..].len() - text[end..].trim_start().len();
    (flags, end + spaces)
}

/// Returns a flag without its quotes. A backslash keeps the character behind it, whatever the escape is.
fn unquoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', _) => plain.extend(characters.next()),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => plain.push(c),
        }
    }
    plain
}

/// Returns the texts of a JSON array of texts.
pub(super) fn json_array(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: Vec<Word>) -> Vec<String> {
        words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        assert_eq!(texts(between_spaces("FROM  a\tAS b ", 4)), ["a", "AS", "b"]);
        assert_eq!(
            texts(outside_quotes(r#"a="b c" d='e "f' g\ h "i\" j" k"#, 0, '\\')),
            [r#"a="b c""#, r#"d='e "f'"#, r"g\ h", r#""i\" j""#, "k"]
        );
        assert_eq!(texts(outside_quotes("a` b \\ c", 0, '`')), ["a` b", "\\", "c"]);
        assert_eq!(
            texts(outside_quotes("a \"b c", 0, '\\')),
            ["a", "\"b c"],
            "an open quote goes to the end"
        );
    }

    #[test]
    fn flags_stand_first_and_lose_their_quotes() {
        let text = r#"COPY --from=a --chown="b:c" --link -- --d e"#;
        let (flags, rest) = flags(text, 5, '\\');
        let read: Vec<_> = flags.iter().map(|flag| (flag.name.as_str(), flag.value.as_deref())).collect();
        assert_eq!(read, [("from", Some("a")), ("chown", Some("b:c")), ("link", None)]);
        assert_eq!(&text[rest..], "--d e");
        assert_eq!(&text[flags[1].start..flags[1].end], r#"--chown="b:c""#);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words_without_a_panic(text in "[-\"'\\\\`=a \t\u{e9}\u{3000}]{0,40}", from in 0usize..50) {
            let words = outside_quotes(&text, from, '\\');
            for word in words.iter().chain(&between_spaces(&text, from)) {
                proptest::prop_assert_eq!(&text[word.start..word.end], &word.text);
            }
            if text.is_char_boundary(from) && from <= text.len() {
                let _ = flags(&text, from, '\\');
            }
        }
    }
}
