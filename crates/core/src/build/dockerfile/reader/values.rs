//! Instructions that set values: `ARG`, `ENV`, `LABEL`, `SHELL`, `HEALTHCHECK`, and those with one text.

use super::super::Feature;
use super::super::instruction::{Assignment, Detail, Keyword};
use super::super::words::{Word, json_array, outside_quotes};
use super::{FlagRule, Reader, read_at};

const HEALTH_CHECK: &[FlagRule] = &[
    FlagRule::value("interval"),
    FlagRule::value("timeout"),
    FlagRule::value("start-period"),
    FlagRule::value("retries"),
    FlagRule::value("start-interval").since(Feature::StartInterval),
];

impl Reader<'_> {
    pub(super) fn arguments(&mut self) -> Detail {
        let words = outside_quotes(&self.line.text, self.from, self.language.escape);
        if words.is_empty() {
            self.too_little("a name", "write ARG NAME or ARG NAME=value");
        }
        let mut arguments = Vec::new();
        for word in &words {
            self.check_word(word);
            let text = without_outer_quotes(&word.text);
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            };
            if name.is_empty() {
                self.bad_name(word);
            } else {
                arguments.push(Assignment { name: name.to_owned(), value });
            }
        }
        Detail::Arg(arguments)
    }

    /// Reads `NAME=value NAME=value` or the old `NAME the rest`.
    pub(super) fn variables(&mut self) -> Detail {
        let keyword = self.keyword;
        let words = outside_quotes(&self.line.text, self.from, self.language.escape);
        let fix = format!("write {keyword} NAME=value");
        let Some(first) = words.first() else {
            self.too_little("a name and a value", &fix);
            return Detail::Plain;
        };
        if !first.text.contains('=') {
            let Some(second) = words.get(1) else {
                self.invalid(first.start, format!("{keyword} needs a value for {:.40}", first.text), fix);
                return Detail::Plain;
            };
            let value = self.line.text[second.start..].trim_end().to_owned();
            let word = Word { text: value.clone(), start: second.start, end: self.line.text.len() };
            self.check_word(&word);
            return Detail::Env(vec![Assignment { name: first.text.clone(), value: Some(value) }]);
        }
        let mut variables = Vec::new();
        for word in &words {
            self.check_word(word);
            match word.text.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    variables.push(Assignment { name: name.to_owned(), value: Some(value.to_owned()) });
                }
                Some(_) => self.bad_name(word),
                None => {
                    let message = format!("{:.40} has no value", word.text);
                    self.invalid(word.start, message, format!("{fix}, with quotes around spaces"));
                }
            }
        }
        Detail::Env(variables)
    }

    fn bad_name(&mut self, word: &Word) {
        let message = format!("{:.40} has no name", word.text);
        self.invalid(
            word.start,
            message,
            format!("write {} NAME=value without spaces around =", self.keyword),
        );
    }

    pub(super) fn trigger(&mut self) -> Detail {
        if self.rest().trim().is_empty() {
            self.too_little("an instruction", "write ONBUILD RUN command");
            return Detail::Plain;
        }
        let Some(inner) = read_at(self.language, self.line, self.from, self.problems) else {
            return Detail::Plain;
        };
        if matches!(inner.keyword, Keyword::From | Keyword::Onbuild | Keyword::Maintainer) {
            let message = format!("{} is no instruction for ONBUILD", inner.keyword);
            self.invalid(self.from, message, "write it into the Dockerfiles that build on this image");
        }
        Detail::Onbuild(Box::new(inner))
    }

    pub(super) fn health_check(&mut self) -> Detail {
        const FIX: &str = "write HEALTHCHECK CMD command, or HEALTHCHECK NONE";
        self.flags(HEALTH_CHECK);
        let words = outside_quotes(&self.line.text, self.from, self.language.escape);
        match words.first() {
            Some(first) if first.text.eq_ignore_ascii_case("CMD") => match words.get(1) {
                Some(command) => self.check_json(command.start),
                None => self.invalid(first.start, "HEALTHCHECK CMD needs a command", FIX),
            },
            Some(first) if first.text.eq_ignore_ascii_case("NONE") => {
                if let Some(second) = words.get(1) {
                    self.invalid(second.start, "HEALTHCHECK NONE takes nothing", FIX);
                }
            }
            Some(first) => {
                self.invalid(first.start, format!("HEALTHCHECK has no {:.40}", first.text), FIX);
            }
            None => self.too_little("CMD or NONE", FIX),
        }
        Detail::Plain
    }

    pub(super) fn shell(&mut self) -> Detail {
        if json_array(self.rest().trim_end()).is_none_or(|words| words.is_empty()) {
            self.too_little("a JSON array", "write SHELL [\"/bin/sh\", \"-c\"]");
        }
        Detail::Plain
    }

    /// Reads one text or more.
    pub(super) fn list(&mut self) -> Detail {
        let words = self.texts();
        if words.is_empty() || words.iter().any(|word| word.text.trim().is_empty()) {
            let fix =
                if self.keyword == Keyword::Expose { "write EXPOSE 8080/tcp" } else { "write VOLUME /data" };
            self.too_little("at least one text", fix);
        }
        for word in &words {
            self.check_word(word);
        }
        Detail::Plain
    }

    /// Reads all the rest as one text.
    pub(super) fn one_text(&mut self) -> Detail {
        let text = self.rest().trim_end().to_owned();
        if text.is_empty() {
            let fix = format!("write {} text", self.keyword);
            self.too_little("a text", &fix);
        } else if self.keyword != Keyword::Maintainer {
            let end = self.from + text.len();
            self.check_word(&Word { text, start: self.from, end });
        }
        Detail::Plain
    }
}

/// Returns what is between quotes around the whole of a text.
fn without_outer_quotes(text: &str) -> &str {
    let inside =
        |quote: char| text.strip_prefix(quote)?.strip_suffix(quote).filter(|rest| !rest.contains(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}
