//! Text as go-yaml's emitter writes it: in which style, and where a long one is folded.
//!
//! Text that would be read as another type stands in double quotes. Else it is plain, unless it begins or continues
//! with what means something in YAML: then it stands in single quotes, or in double ones if it has characters that
//! have to be escaped. Several lines are a block. Source: `encode.go`, `emitterc.go` of go-yaml; compared with the real
//! library by a test.

use super::quoting::{is_base_60, is_read_as_text};

/// Beyond this column a space becomes a line break.
const WIDTH: usize = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// Appends the name of a field.
pub(super) fn push_key(out: &mut String, text: &str) {
    let style = match Style::of(text) {
        Style::Literal => Style::Double,
        style => style,
    };
    push_line(out, text, style, None);
}

/// Appends a value. Its further lines are indented by `indent`.
pub(super) fn push_value(out: &mut String, text: &str, indent: usize) {
    match Style::of(text) {
        Style::Literal => push_block(out, text, indent),
        style => push_line(out, text, style, Some(indent)),
    }
}

impl Style {
    fn of(text: &str) -> Self {
        let shape = Shape::of(text);
        let is_text = is_read_as_text(text) && !is_base_60(text);
        if text.contains('\n') && shape.can_be_a_block && !shape.needs_escapes {
            Self::Literal
        } else if text.contains('\n') || !is_text || shape.needs_escapes {
            Self::Double
        } else if shape.means_something {
            Self::Single
        } else {
            Self::Plain
        }
    }
}

/// What about a text keeps it from standing as it is.
struct Shape {
    /// It has characters that have to be escaped.
    needs_escapes: bool,
    /// It has characters that mean something in YAML.
    means_something: bool,
    /// Its lines have no spaces at their ends.
    can_be_a_block: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let is_blank = |at: usize| chars.get(at).is_none_or(|c| matches!(c, ' ' | '\t'));
        let is_space = |at: usize| is_blank(at) || chars.get(at) == Some(&'\n');
        let mut means_something = text.starts_with("---") || text.starts_with("...");
        for (at, c) in chars.iter().enumerate() {
            means_something |= match (at, c) {
                (
                    0,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                    | '`',
                ) => true,
                (0, '?' | '-') | (_, ':') => is_blank(at + 1),
                (_, '#') => is_space(at - 1),
                _ => false,
            };
        }
        means_something |= text.starts_with(' ') || text.ends_with(' ');
        Self {
            needs_escapes: text.chars().any(|c| c != '\n' && needs_escape(c)),
            means_something,
            can_be_a_block: !text.contains(" \n") && !text.ends_with(' '),
        }
    }
}

fn needs_escape(c: char) -> bool {
    let is_plain =
        matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}');
    !is_plain || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Appends text of one line. Where it may be folded, further lines are indented.
fn push_line(out: &mut String, text: &str, style: Style, folded: Option<usize>) {
    let quote = match style {
        Style::Single => "'",
        Style::Double => "\"",
        Style::Plain | Style::Literal => "",
    };
    out.push_str(quote);
    let mut column = out.rsplit('\n').next().map_or(0, |line| line.chars().count());
    let mut follows_space = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let before_space = chars.peek().is_some_and(|(_, next)| *next == ' ');
        let is_inside = at > 0 && chars.peek().is_some();
        let may_break = match style {
            Style::Double => is_inside,
            Style::Single => is_inside && !before_space,
            Style::Plain | Style::Literal => !before_space,
        };
        match folded {
            Some(indent) if c == ' ' && may_break && !follows_space && column > WIDTH => {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
                if before_space {
                    out.push('\\');
                    column += 1;
                }
            }
            _ => {
                let start = out.len();
                push_char(out, c, style);
                column += out[start..].chars().count();
            }
        }
        follows_space = c == ' ';
    }
    out.push_str(quote);
}

fn push_char(out: &mut String, c: char, style: Style) {
    match style {
        Style::Single if c == '\'' => out.push_str("''"),
        Style::Double => push_escaped(out, c),
        _ => out.push(c),
    }
}

fn push_escaped(out: &mut String, c: char) {
    let short = match c {
        '"' => '"',
        '\\' => '\\',
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c if needs_escape(c) => return out.push_str(&by_number(c)),
        c => return out.push(c),
    };
    out.extend(['\\', short]);
}

fn by_number(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02X}"),
        code @ 0x100..=0xffff => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    }
}

/// Appends text of several lines.
fn push_block(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    out.push_str(match text.strip_suffix('\n') {
        None => "-",
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+",
        Some(_) => "",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
}
