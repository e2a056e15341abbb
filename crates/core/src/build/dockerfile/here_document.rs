//! Here-documents: `RUN <<EOF`.

use super::words::{Word, outside_quotes};

/// The beginning of a here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HereDocument {
    /// The line that ends it.
    end: String,
    /// Whether tabs in front of its lines do not count (`<<-`).
    tabs_are_left_out: bool,
    /// Where `<<` stands in the instruction.
    pub(super) start: usize,
}

impl HereDocument {
    /// Whether a line ends it.
    pub(super) fn ends_with(&self, line: &str) -> bool {
        let line = if self.tabs_are_left_out { line.trim_start_matches('\t') } else { line };
        line == self.end
    }

    /// Returns the line that ends it.
    pub(super) fn end(&self) -> &str {
        &self.end
    }
}

/// Returns the here-documents that an instruction begins, in the order in which their lines follow. Words in
/// quotes begin none, nor does `<<` with a space behind it.
pub(super) fn here_documents(instruction: &str, escape: char) -> Vec<HereDocument> {
    if !instruction.contains("<<") {
        return Vec::new();
    }
    let mut words = outside_quotes(instruction, 0, escape).into_iter();
    let may_have = |word: &Word| ["RUN", "COPY", "ADD"].iter().any(|k| word.text.eq_ignore_ascii_case(k));
    let keyword = words.next().filter(|word| !word.text.eq_ignore_ascii_case("ONBUILD"));
    match keyword.or_else(|| words.next()) {
        Some(keyword) if may_have(&keyword) => words.filter_map(|word| here_document(&word)).collect(),
        _ => Vec::new(),
    }
}

/// Reads `<<NAME`, `<<-NAME`, `3<<"NAME"`.
fn here_document(word: &Word) -> Option<HereDocument> {
    let text = word.text.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = text.strip_prefix("<<")?;
    let (tabs_are_left_out, name) = match rest.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, rest),
    };
    let end: String = name.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    let is_name = !end.is_empty() && !name.contains('<');
    is_name.then_some(HereDocument { end, tabs_are_left_out, start: word.start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_here_document_begins_with_a_name_right_behind_the_arrows() {
        for (text, ends) in [
            ("RUN <<STEP", vec!["STEP"]),
            ("COPY <<'NOTE' /note", vec!["NOTE"]),
            ("run cat <<-A 3<<\"B\" > /x", vec!["A", "B"]),
            ("ONBUILD RUN <<X", vec!["X"]),
            ("RUN cat << X", vec![]),
            ("RUN cat <<< text", vec![]),
            ("RUN echo 'a <<X'", vec![]),
            ("RUN cat<<X", vec![]),
            ("ENV A=<<X", vec![]),
            ("CMD cat <<X", vec![]),
        ] {
            let found: Vec<String> =
                here_documents(text, '\\').iter().map(|document| document.end().to_owned()).collect();
            assert_eq!(found, ends, "{text}");
        }
    }

    #[test]
    fn only_a_dash_leaves_tabs_out() {
        let document = |text| here_documents(text, '\\').remove(0);
        assert!(document("RUN <<-X").ends_with("\t\tX") && !document("RUN <<X").ends_with("\tX"));
        assert!(!document("RUN <<-X").ends_with(" X") && !document("RUN <<X").ends_with("X "));
    }
}
