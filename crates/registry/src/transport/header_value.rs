//! Quoted strings and tokens in header fields (RFC 9110, 5.6).

/// Returns a quoted string with its escapes undone, or a plain token; and the text behind it.
pub(crate) fn header_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let word = &text[..text.find([',', ';', ' ', '\t']).unwrap_or(text.len())];
        return (word.to_owned(), &text[word.len()..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}
