//! The order of GNU `sort -V` where characters are compared by their bytes (`LC_ALL=C`).
//!
//! Source: the algorithm that GNU's manual of `sort` describes, which is Debian's for versions with these exceptions: an
//! empty text, `.` and `..` come first, then what begins with a dot; and an ending such as `.tar.gz` counts last.

use std::cmp::Ordering;

/// Compares two lines as `sort -V` does.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    by_version(a.as_bytes(), b.as_bytes()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

fn by_version(a: &[u8], b: &[u8]) -> Ordering {
    let first = |text: &[u8]| match text {
        b"" => 0,
        b"." => 1,
        b".." => 2,
        [b'.', ..] => 3,
        _ => 4,
    };
    match (first(a), first(b)) {
        (x, y) if x != y => return x.cmp(&y),
        (0..=2, _) => return Ordering::Equal,
        _ => {}
    }
    debian(&a[..without_ending(a)], &b[..without_ending(b)]).then_with(|| debian(a, b))
}

/// Returns where the ending of a file's name begins: `(\.[A-Za-z~][A-Za-z0-9~]*)*$`.
fn without_ending(text: &[u8]) -> usize {
    let (mut end, mut at) = (text.len(), text.len());
    while at > 0 {
        let Some(dot) = text[..at].iter().rposition(|byte| *byte == b'.') else { break };
        let part = &text[dot + 1..at];
        let is_ending = part.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'~')
            && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'~');
        if !is_ending || dot == 0 {
            break;
        }
        (end, at) = (dot, dot);
    }
    end
}

/// Compares by turns what are no digits, and numbers.
fn debian(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = a.split_at(a.iter().take_while(|byte| !byte.is_ascii_digit()).count());
        let (b_text, b_rest) = b.split_at(b.iter().take_while(|byte| !byte.is_ascii_digit()).count());
        let of_text = (0..a_text.len().max(b_text.len()))
            .map(|at| weight(a_text.get(at)).cmp(&weight(b_text.get(at))))
            .find(|order| order.is_ne());
        let (a_number, a_end) = number(a_rest);
        let (b_number, b_end) = number(b_rest);
        let of_number = || a_number.len().cmp(&b_number.len()).then_with(|| a_number.cmp(b_number));
        match of_text.unwrap_or_else(of_number) {
            Ordering::Equal => (a, b) = (a_end, b_end),
            order => return order,
        }
    }
    Ordering::Equal
}

/// A tilde comes before the end, the end before letters, and letters before all else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

/// Returns the digits at the beginning without leading zeros, and what follows them.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let (digits, rest) = text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
    (&digits[digits.iter().take_while(|digit| **digit == b'0').count()..], rest)
}
