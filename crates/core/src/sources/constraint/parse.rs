//! Text to comparators.

use super::comparator::{Comparator, Open, Operator};
use super::read_version;

/// Longer ones first, so that none is read as the beginning of another.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// Reads comparators that spaces or commas separate; none where one is not in the grammar.
pub(super) fn group(text: &str) -> Option<Vec<Comparator>> {
    let mut comparators = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    // A range takes the spaces around it with it: before it only a comma separates, behind it nothing has to.
    let mut separator = Separator::NotNeeded;
    loop {
        let written =
            OPERATORS.iter().find_map(|(text, operator)| Some((rest.strip_prefix(text)?, *operator)));
        let (behind, operator) = written.unwrap_or((rest, Operator::Equal));
        let (low, behind) = version(behind.trim_start_matches(is_space))?;
        if let Some((high, behind)) = upper_end(behind) {
            let (low, high) = (open(low)?, open(high?)?);
            if written.is_some() || separator == Separator::Space {
                return None;
            }
            comparators.push(low.compared(Operator::GreaterOrEqual));
            comparators.push(high.compared(Operator::LessOrEqual));
            (rest, separator) = (behind, Separator::NotNeeded);
        } else {
            comparators.push(open(low)?.compared(operator));
            (rest, separator) = (behind, Separator::None);
        }
        let behind = rest.trim_start_matches(is_space);
        if behind.is_empty() {
            return Some(comparators);
        }
        if behind.len() < rest.len() && separator == Separator::None {
            separator = Separator::Space;
        }
        rest = match behind.strip_prefix(',') {
            Some(behind) => {
                separator = Separator::NotNeeded;
                behind.trim_start_matches(is_space)
            }
            None => behind,
        };
        if separator == Separator::None {
            return None;
        }
    }
}

/// What stands before a comparator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    None,
    Space,
    /// A comma, or nothing where nothing is needed.
    NotNeeded,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// Returns the upper end of a range whose lower end was read, with what follows it; none where there is no range, and
/// no end where it cannot be read.
fn upper_end(text: &str) -> Option<(Option<&str>, &str)> {
    let dash = text.trim_start_matches(is_space);
    let high = dash.strip_prefix('-')?;
    let has_spaces = dash.len() < text.len() && high.starts_with(is_space);
    let read = version(high.trim_start_matches(is_space)).filter(|_| has_spaces);
    Some(read.map_or((None, text), |(high, behind)| (Some(high), behind)))
}

/// Splits a text into the version that it begins with and what follows.
fn version(text: &str) -> Option<(&str, &str)> {
    let mut end = usize::from(text.starts_with('v'));
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*');
    end += run(&text[end..], is_number)?;
    for _ in 0..2 {
        let Some(length) = text[end..].strip_prefix('.').and_then(|part| run(part, is_number)) else { break };
        end += 1 + length;
    }
    for mark in ['-', '+'] {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let Some(length) = text[end..].strip_prefix(mark).and_then(|part| run(part, is_word)) else {
            continue;
        };
        end += 1 + length;
        while let Some(length) = text[end..].strip_prefix('.').and_then(|part| run(part, is_word)) {
            end += 1 + length;
        }
    }
    Some(text.split_at(end))
}

/// Returns how many bytes a text begins with that are like this; none if the first is not.
fn run(text: &str, is_part: impl Fn(char) -> bool) -> Option<usize> {
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (length > 0).then_some(length)
}

/// A version, and from which number on it is open.
struct Written {
    version: semver::Version,
    open: Open,
}

impl Written {
    fn compared(self, operator: Operator) -> Comparator {
        Comparator { operator, version: self.version, open: self.open }
    }
}

fn open(text: &str) -> Option<Written> {
    let (core, _) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, pre) = core.split_at(core.find('-').unwrap_or(core.len()));
    let mut parts = numbers.strip_prefix('v').unwrap_or(numbers).split('.');
    let mut next = || parts.next().filter(|part| !matches!(*part, "x" | "X" | "*"));
    let (written, open) = match (next(), next(), next()) {
        (None, ..) => (format!("0.0.0{pre}"), Open::Major),
        (Some(major), None, _) => (format!("{major}.0.0{pre}"), Open::Minor),
        (Some(major), Some(minor), None) => (format!("{major}.{minor}.0{pre}"), Open::Patch),
        (Some(_), Some(_), Some(_)) => (text.to_owned(), Open::Nothing),
    };
    Some(Written { version: read_version(&written)?, open })
}
