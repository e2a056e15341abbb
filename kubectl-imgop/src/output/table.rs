//! Tables as kubectl prints them: no borders, three spaces between columns.

use anstyle::Style;
use comfy_table::{ContentArrangement, presets};

use super::text::{longest_command, one_line, wrapped};

/// The column of messages, which is the last one where there is any.
const MESSAGE: &str = "MESSAGE";
/// How long a message may be that is shown several times.
const MAX_REPEATED: usize = 40;
/// The least width to wrap a column to.
const MIN_WRAPPED_WIDTH: u16 = 20;
/// How far what stands below a row is set in.
const INDENT: usize = 4;

/// Returns the width of the terminal that shows stdout, if it is one.
pub fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}

/// A table of plain text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<(Style, Vec<String>)>,
}

/// One line of a laid out table.
#[derive(Debug, Clone)]
pub struct Line {
    /// The style of the whole line.
    pub style: Style,
    /// Its text, safe for a terminal.
    pub text: String,
}

impl Table {
    /// An empty table.
    pub fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        Self { header: header.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.styled_row(Style::new(), cells);
    }

    /// Adds a row in a colour. Colour never adds to what the text says.
    pub fn styled_row(&mut self, style: Style, cells: impl IntoIterator<Item = String>) {
        self.rows.push((style, cells.into_iter().map(|cell| one_line(&cell)).collect()));
    }

    /// Replaces messages that an earlier table or row shows already.
    pub fn shorten_repeats(&mut self, shown: &mut Vec<String>) {
        if self.header.last() != Some(&MESSAGE) {
            return;
        }
        for message in self.rows.iter_mut().filter_map(|(_, cells)| cells.last_mut()) {
            if message.len() <= MAX_REPEATED {
                continue;
            }
            if shown.iter().any(|shown| shown.contains(&*message)) {
                "(as above)".clone_into(message);
            } else {
                shown.push(message.clone());
            }
        }
    }

    /// Lays the table out in this width. The last column is wrapped: beside the others, or below each row where they
    /// leave it too little room.
    pub fn wrapped_lines(&self, headers: bool, width: u16) -> Vec<String> {
        if self.width() <= usize::from(width) {
            return self.lines(headers).into_iter().map(|line| line.text).collect();
        }
        let begin = self.width_of_others();
        let room = usize::from(width.saturating_sub(begin));
        let is_wide = |cells: &[String]| cells.last().is_some_and(|text| longest_command(text) > room);
        let is_torn =
            room < usize::from(MIN_WRAPPED_WIDTH) || self.rows.iter().any(|(_, cells)| is_wide(cells));
        if is_torn && begin > 0 {
            return self.stacked_lines(headers, width);
        }
        let (others, last) = self.without_last(headers);
        let row = |(line, text): (Line, String)| {
            let texts = wrapped(&text, room);
            let gap = usize::from(begin).saturating_sub(console::measure_text_width(&line.text));
            let mut lines = vec![format!(
                "{}{}{}",
                line.text,
                " ".repeat(gap),
                texts.first().cloned().unwrap_or_default()
            )];
            lines
                .extend(texts.iter().skip(1).map(|text| format!("{}{text}", " ".repeat(usize::from(begin)))));
            lines.into_iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
        };
        others.lines(headers).into_iter().zip(last).flat_map(row).collect()
    }

    /// Returns the table without its last column, and the texts of that, the header's first where there is one.
    fn without_last(&self, headers: bool) -> (Self, Vec<String>) {
        let (mut others, mut last) = (self.clone(), Vec::new());
        last.extend(others.header.pop().map(str::to_owned).filter(|_| headers));
        last.extend(others.rows.iter_mut().map(|(_, cells)| cells.pop().unwrap_or_default()));
        (others, last)
    }

    /// Lays the table out with the last column below each row.
    fn stacked_lines(&self, headers: bool, width: u16) -> Vec<String> {
        let (others, mut last) = self.without_last(headers);
        if let (true, Some(header)) = (headers, last.first_mut()) {
            header.clear();
        }
        let lines = others.lines(headers).into_iter().map(|line| line.text);
        let below = |text: &str| wrapped(text, usize::from(width).saturating_sub(INDENT));
        let below = |text: &str| below(text).into_iter().map(|line| format!("{}{line}", " ".repeat(INDENT)));
        lines
            .zip(last)
            .flat_map(|(line, text)| std::iter::once(line).chain(below(&text).collect::<Vec<_>>()))
            .collect()
    }

    /// Returns how wide all columns but the last are, with the space behind each.
    fn width_of_others(&self) -> u16 {
        let table = self.layout(true);
        let widths = table.column_max_content_widths();
        widths.iter().rev().skip(1).map(|width| width.saturating_add(3)).sum()
    }

    /// Cuts the last column off where it goes beyond this width. Returns nothing where too little of it would be left.
    pub fn cut_to(mut self, width: u16) -> Option<Self> {
        let room = usize::from(width.checked_sub(self.width_of_others())?);
        if room < usize::from(MIN_WRAPPED_WIDTH) && self.width() > usize::from(width) {
            return None;
        }
        for text in self.rows.iter_mut().filter_map(|(_, cells)| cells.last_mut()) {
            *text = console::truncate_str(text, room, "…").into_owned();
        }
        Some(self)
    }

    /// Returns the width of the widest line.
    pub fn width(&self) -> usize {
        let lines = self.lines(true);
        lines.iter().map(|line| console::measure_text_width(&line.text)).max().unwrap_or(0)
    }

    /// Lays the table out, a line for each row.
    pub fn lines(&self, headers: bool) -> Vec<Line> {
        let header_style = headers.then(Style::new);
        let styles = header_style.into_iter().chain(self.rows.iter().map(|(style, _)| *style));
        let texts: Vec<String> =
            self.layout(headers).lines().map(|line| line.trim_end().to_owned()).collect();
        styles.zip(texts).map(|(style, text)| Line { style, text }).collect()
    }

    fn layout(&self, headers: bool) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        // The header is laid out as a row: it has no style of its own.
        if headers {
            table.add_row(&self.header);
        }
        for (_, cells) in &self.rows {
            table.add_row(cells);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &Table, headers: bool) -> String {
        table.lines(headers).into_iter().map(|line| line.text + "\n").collect()
    }

    #[test]
    fn columns_are_three_spaces_apart_and_lines_end_with_text() {
        let mut table = Table::new(["NAME", "READY", "MESSAGE"]);
        table.row(["argocd".to_owned(), "True".to_owned(), String::new()]);
        table.row(["a".to_owned(), "False".to_owned(), "two\nlines \u{1b}[2J".to_owned()]);
        insta::assert_snapshot!(text(&table, true), @r"
        NAME     READY   MESSAGE
        argocd   True
        a        False   two lines \u{1b}[2J
        ");
        assert!(!text(&table, false).contains("NAME"));
    }

    fn failing() -> Table {
        let mut table = Table::new(["CONDITION", "MESSAGE"]);
        let message = "registry.example.com denies access to team/app: the account may not pull (HTTP 403)";
        table.row(["Ready".to_owned(), message.to_owned()]);
        table.row(["Stalled".to_owned(), message.to_owned()]);
        table.row(["Other".to_owned(), "short".to_owned()]);
        table.row(["Again".to_owned(), "short".to_owned()]);
        table
    }

    #[test]
    fn a_long_message_is_shown_once() {
        let (mut first, mut second, mut shown) = (failing(), failing(), Vec::new());
        first.shorten_repeats(&mut shown);
        second.shorten_repeats(&mut shown);
        insta::assert_snapshot!(text(&first, true) + &text(&second, true), @"
        CONDITION   MESSAGE
        Ready       registry.example.com denies access to team/app: the account may not pull (HTTP 403)
        Stalled     (as above)
        Other       short
        Again       short
        CONDITION   MESSAGE
        Ready       (as above)
        Stalled     (as above)
        Other       short
        Again       short
        ");
    }

    #[test]
    fn a_long_message_is_wrapped_to_the_terminal() {
        insta::assert_snapshot!(failing().wrapped_lines(true, 60).join("\n"), @"
        CONDITION   MESSAGE
        Ready       registry.example.com denies access to team/app:
                    the account may not pull (HTTP 403)
        Stalled     registry.example.com denies access to team/app:
                    the account may not pull (HTTP 403)
        Other       short
        Again       short
        ");
    }

    #[test]
    fn a_long_message_that_has_no_room_beside_the_others_stands_below_its_row() {
        let mut table = Table::new(["FAILED-TAG", "REASON", "MESSAGE"]);
        let message = "registry.example.com denies access to team/app (HTTP 403)".to_owned();
        table.row(["v2.13.1-with-a-long-name".to_owned(), "CopyFailed".to_owned(), message]);
        table.row(["v2.13.0".to_owned(), "OutOfMemory".to_owned(), String::new()]);
        insta::assert_snapshot!(table.wrapped_lines(true, 50).join("\n"), @"
        FAILED-TAG                 REASON
        v2.13.1-with-a-long-name   CopyFailed
            registry.example.com denies access to team/app
            (HTTP 403)
        v2.13.0                    OutOfMemory
        ");
        assert!(table.wrapped_lines(true, 50).iter().all(|line| line.chars().count() <= 50));
    }

    #[test]
    fn a_command_is_never_broken() {
        let mut table = Table::new(["CONDITION", "MESSAGE"]);
        let command = "kubectl create rolebinding imgop -n ci --clusterrole=imgop --serviceaccount=imgop-system:imgop-agent";
        table.row(["Ready".to_owned(), format!("the agent may not work here: {command}")]);
        insta::assert_snapshot!(table.wrapped_lines(true, 60).join("\n"), @"
        CONDITION
        Ready
            the agent may not work here:
            kubectl create rolebinding imgop -n ci --clusterrole=imgop --serviceaccount=imgop-system:imgop-agent
        ");
    }

    #[test]
    fn a_message_is_cut_off_only_if_enough_of_it_is_left() {
        let cut = |width: u16| failing().cut_to(width).map(|table| text(&table, false));
        insta::assert_snapshot!(cut(40).unwrap(), @"
        Ready     registry.example.com denies…
        Stalled   registry.example.com denies…
        Other     short
        Again     short
        ");
        assert_eq!(cut(30), None);
        assert_eq!(cut(200), Some(text(&failing(), false)));
    }

    #[test]
    fn nothing_is_cut_however_wide_it_is() {
        let mut table = Table::new(["NAME"]);
        table.row(["x".repeat(500)]);
        assert!(text(&table, true).contains(&"x".repeat(500)));
    }
}
