//! Names that a reader would have in the place of those of a test cluster.

use std::collections::BTreeMap;

use anstyle::Style;

/// The environment variable with the names to replace: `10.0.0.1:5000=quay.io`, separated by commas.
pub const NAMES_VARIABLE: &str = "IMGOP_PICTURE_NAMES";

/// A line of a terminal: what each of its cells shows.
pub type Row = Vec<(Style, String)>;

/// What stands between two blanks and more: one column of a table, or a line of text.
struct Field {
    start: usize,
    end: usize,
    renamed: Row,
}

/// Returns the pairs of a list such as `10.0.0.1:5000=quay.io,10.0.0.1:5001=registry.example.com`.
#[must_use]
pub fn pairs(list: &str) -> Vec<(&str, &str)> {
    list.split(',').filter_map(|pair| pair.split_once('=')).collect()
}

/// Replaces names. Tables, which empty lines end, get columns as wide as what is in them then.
#[must_use]
pub fn renamed(rows: &[Row], names: &[(&str, &str)]) -> Vec<Row> {
    let is_empty = |row: &Row| row.iter().all(is_blank);
    let tables = rows.chunk_by(|one, next| !is_empty(one) && !is_empty(next));
    tables
        .flat_map(|table| laid_out(&table.iter().map(|row| fields(row, names)).collect::<Vec<_>>()))
        .collect()
}

fn is_blank((style, text): &(Style, String)) -> bool {
    style.is_plain() && text == " "
}

fn fields(row: &Row, names: &[(&str, &str)]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for (at, _) in row.iter().enumerate().filter(|(_, cell)| !is_blank(cell)) {
        match fields.last_mut() {
            // One blank is between words.
            Some(last) if at < last.end + 2 => last.end = at + 1,
            _ => fields.push(Field { start: at, end: at + 1, renamed: Row::new() }),
        }
    }
    for field in &mut fields {
        field.renamed = replaced(&row[field.start..field.end], names);
    }
    fields
}

fn begins_with(cells: &[(Style, String)], word: &str) -> bool {
    let texts = cells.iter().map(|(_, text)| text.as_str());
    texts.take(word.chars().count()).collect::<String>() == word
}

fn replaced(mut cells: &[(Style, String)], names: &[(&str, &str)]) -> Row {
    let mut row = Row::new();
    while let Some(first) = cells.first() {
        if let Some((from, to)) = names.iter().find(|(from, _)| begins_with(cells, from)) {
            row.extend(to.chars().map(|letter| (first.0, letter.to_string())));
            cells = &cells[from.chars().count()..];
        } else {
            row.push(first.clone());
            cells = &cells[1..];
        }
    }
    row
}

/// Puts the fields of a table where there is room for those before them.
fn laid_out(table: &[Vec<Field>]) -> Vec<Row> {
    // Where a column began, and where it begins now.
    let mut starts: BTreeMap<usize, usize> =
        table.iter().flatten().map(|field| (field.start, field.start)).collect();
    for start in starts.keys().copied().collect::<Vec<_>>() {
        let pairs = || table.iter().flat_map(|row| row.windows(2)).filter(|pair| pair[1].start == start);
        let gap = pairs().map(|pair| start - pair[0].end).min();
        let end = pairs().map(|pair| starts[&pair[0].start] + pair[0].renamed.len()).max();
        if let (Some(gap), Some(end)) = (gap, end) {
            starts.insert(start, end + gap);
        }
    }
    let row = |fields: &Vec<Field>| {
        fields.iter().fold(Row::new(), |mut row, field| {
            row.resize(starts[&field.start].max(row.len()), (Style::new(), " ".to_owned()));
            row.extend(field.renamed.iter().cloned());
            row
        })
    };
    table.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed_text(text: &str) -> String {
        let row = |line: &str| line.chars().map(|letter| (Style::new(), letter.to_string())).collect::<Row>();
        let rows: Vec<Row> = text.lines().map(row).collect();
        let names = pairs("10.0.0.1:5000=quay.io,10.0.0.1:5001=registry.example.com");
        let text = |row: Row| row.into_iter().map(|(_, text)| text).collect::<String>();
        renamed(&rows, &names).into_iter().map(text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_after_names_are_replaced() {
        let table = "$ get\nNAME   IMAGE             READY   AGE\na      10.0.0.1:5001/a   True    1s\nb      10.0.0.1:5001/b   \
                     False   2s\n\nSOURCE   10.0.0.1:5000/a   8 tags\nTO       10.0.0.1:5001/a";
        let expected = "$ get\nNAME   IMAGE                    READY   AGE\na      registry.example.com/a   True    1s\n\
                        b      registry.example.com/b   False   2s\n\nSOURCE   quay.io/a   8 tags\nTO       registry.example.com/a";
        assert_eq!(renamed_text(table), expected);
    }

    #[test]
    fn text_keeps_its_words() {
        assert_eq!(
            renamed_text("from 10.0.0.1:5000/a to 10.0.0.1:5001/b\n\n  1 tag"),
            "from quay.io/a to registry.example.com/b\n\n  1 tag"
        );
    }
}
