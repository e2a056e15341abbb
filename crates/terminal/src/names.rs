//! Names that a reader would have in the place of those of a test cluster.

/// The environment variable with the names to replace: `10.0.0.1:5000=quay.io`, separated by commas.
pub const NAMES_VARIABLE: &str = "IMGOP_PICTURE_NAMES";

/// Returns the pairs of a list such as `10.0.0.1:5000=quay.io,10.0.0.1:5001=registry.example.com`.
#[must_use]
pub fn pairs(list: &str) -> Vec<(&str, &str)> {
    list.split(',').filter_map(|pair| pair.split_once('=')).collect()
}

/// Replaces names in a line. Where a column follows, it stays where it is.
#[must_use]
pub fn renamed(line: &str, names: &[(&str, &str)]) -> String {
    names.iter().fold(line.to_owned(), |line, (from, to)| replaced(&line, from, to))
}

fn replaced(line: &str, from: &str, to: &str) -> String {
    let mut parts = line.split(from);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(to);
        let word = part.find(' ').unwrap_or(part.len());
        let (word, rest) = part.split_at(word);
        text.push_str(word);
        if rest.starts_with("  ") {
            text.push_str(&" ".repeat(from.len().saturating_sub(to.len())));
        }
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_columns_stay_where_they_are() {
        let names = pairs("10.0.0.1:5000=quay.io,10.0.0.1:5001=r.example.com");
        assert_eq!(renamed("10.0.0.1:5000/a   Ready", &names), "quay.io/a         Ready");
        assert_eq!(
            renamed("from 10.0.0.1:5000/a to 10.0.0.1:5001/b", &names),
            "from quay.io/a to r.example.com/b"
        );
    }
}
