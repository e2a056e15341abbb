//! `COPY` and `ADD`.

use super::super::Feature;
use super::super::instruction::{Detail, Keyword};
use super::super::substitution::{SubstitutionError, expand};
use super::super::words::{Flag, Word};
use super::{FlagRule, Reader};

const COPY: &[FlagRule] = &[
    FlagRule::value("from"),
    FlagRule::value("chown"),
    FlagRule::value("chmod"),
    FlagRule::switch("link").since(Feature::Link),
    FlagRule::switch("parents").since(Feature::Parents),
    FlagRule::value("exclude").since(Feature::Exclude),
];

const ADD: &[FlagRule] = &[
    FlagRule::value("chown"),
    FlagRule::value("chmod"),
    FlagRule::value("checksum").since(Feature::AddChecksum),
    FlagRule::switch("keep-git-dir").since(Feature::AddKeepGitDir),
    FlagRule::switch("link").since(Feature::Link),
    FlagRule::value("exclude").since(Feature::Exclude),
    FlagRule::of_others("unpack"),
];

impl Reader<'_> {
    pub(super) fn copy(&mut self) -> Detail {
        let flags = self.flags(if self.keyword == Keyword::Copy { COPY } else { ADD });
        for flag in flags.iter().filter(|flag| flag.name == "chmod") {
            self.check_mode(flag);
        }
        let words = self.texts();
        if words.len() < 2 {
            let fix = format!("write {} source destination", self.keyword);
            self.too_little("a source and a destination", &fix);
        }
        for word in &words {
            self.check_path(word);
        }
        if self.keyword == Keyword::Add && !self.language.buildah.has(Feature::AddGit) {
            for word in words.iter().filter(|word| is_git(&word.text)) {
                let fix = "fetch it with RUN git clone, or as the context";
                self.unsupported(
                    word.start,
                    Some(Feature::AddGit),
                    "ADD does not know git repositories",
                    fix,
                );
            }
        }
        let from = flags.iter().rev().find(|flag| flag.name == "from");
        Detail::Copy(from.and_then(|flag| Some(self.located(flag.value.as_deref()?, flag.start..flag.end))))
    }

    /// Only octal permissions are known.
    fn check_mode(&mut self, flag: &Flag) {
        let mode = flag.value.as_deref().unwrap_or_default();
        let is_octal = (1..=5).contains(&mode.len()) && mode.bytes().all(|b| matches!(b, b'0'..=b'7'));
        if !is_octal && !mode.contains('$') {
            let message = format!("--chmod={mode:.40} is not octal, and Buildah knows nothing else");
            self.unsupported(flag.start, None, message, "write it as --chmod=0755");
        }
    }

    /// A path with spaces is none between quotes.
    fn check_path(&mut self, word: &Word) {
        match expand(&word.text, &|_| Some(String::new())) {
            Err(SubstitutionError::OpenQuote(quote)) if !self.is_json() => {
                let fix = format!("write paths with spaces as {} [\"a b\", \"/c\"]", self.keyword);
                self.invalid(word.start, format!("{quote} has no end"), fix);
            }
            _ => self.check_word(word),
        }
    }
}

/// Whether ADD takes a source for a git repository.
fn is_git(source: &str) -> bool {
    let (url, _) = source.split_once('#').unwrap_or((source, ""));
    let is_url_of_git =
        url.strip_suffix(".git").is_some_and(|url| url.starts_with("https://") || url.starts_with("http://"));
    is_url_of_git || ["git@", "git://", "ssh://"].iter().any(|scheme| source.starts_with(scheme))
}
