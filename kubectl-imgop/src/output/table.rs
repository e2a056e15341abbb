//! Tables as kubectl prints them: no borders, three spaces between columns.

use anstyle::Style;
use comfy_table::{ContentArrangement, presets};

use super::text::one_line;

/// A table of plain text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<(Style, Vec<String>)>,
}

/// One line of a laid out table.
#[derive(Debug, Clone)]
pub struct Line {
    /// How the whole line looks.
    pub style: Style,
    /// What it says, safe for a terminal.
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

    /// Adds a row in a colour. Colour never says anything that the text does not.
    pub fn styled_row(&mut self, style: Style, cells: impl IntoIterator<Item = String>) {
        self.rows.push((style, cells.into_iter().map(|cell| one_line(&cell)).collect()));
    }

    /// Lays the table out.
    pub fn lines(&self, headers: bool) -> Vec<Line> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        // The header is laid out as a row: it has no look of its own.
        if headers {
            table.add_row(&self.header);
        }
        for (_, cells) in &self.rows {
            table.add_row(cells);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        let header_style = headers.then(Style::new);
        let styles = header_style.into_iter().chain(self.rows.iter().map(|(style, _)| *style));
        let texts: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        styles.zip(texts).map(|(style, text)| Line { style, text }).collect()
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

    #[test]
    fn nothing_is_cut_however_wide_it_is() {
        let mut table = Table::new(["NAME"]);
        table.row(["x".repeat(500)]);
        assert!(text(&table, true).contains(&"x".repeat(500)));
    }
}
