//! What users ask to be tried again as if it had never failed: the value of the annotation `imgop.skopeo.io/reset`.

use std::fmt;

use crate::api::TagFailure;

/// What of an object that failed is to be tried again at once, its tries counted anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reset {
    /// All of it.
    All,
    /// One tag, or digest, of the source.
    Tag(String),
}

impl Reset {
    /// Reads the value of the annotation: any text for all, `TAG@` and any text without `@` for one tag, which may
    /// have its content behind it (`1.27@sha256:…`).
    pub fn parse(value: &str) -> Self {
        match value.rsplit_once('@') {
            Some((tag, _)) if !tag.is_empty() => Self::Tag(tag.to_owned()),
            _ => Self::All,
        }
    }

    /// Returns what is reset where a spec is new, which is all, or where the annotation has this value.
    pub fn of(is_spec_new: bool, value: Option<&str>) -> Option<Self> {
        if is_spec_new { Some(Self::All) } else { value.map(Self::parse) }
    }

    /// Resets those of these failures that it covers.
    pub fn apply_to(&self, failures: &mut [TagFailure]) {
        failures.iter_mut().filter(|failure| self.covers(&failure.tag)).for_each(TagFailure::reset);
    }

    /// Returns a value of the annotation that asks for this; `token` makes it a new one.
    pub fn value(&self, token: impl fmt::Display) -> String {
        match self {
            Self::All => token.to_string(),
            Self::Tag(tag) => format!("{tag}@{token}"),
        }
    }

    /// Returns whether this tag, or digest, of the source is tried again.
    pub fn covers(&self, source_ref: &str) -> bool {
        match self {
            Self::All => true,
            Self::Tag(tag) => tag == source_ref,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_text_resets_all_and_one_with_a_tag_in_front_that_tag() {
        for all in ["", "now", "2026-11-21T12:00:00Z", "@now"] {
            assert_eq!(Reset::parse(all), Reset::All, "{all}");
        }
        let one = Reset::parse("v2.13.1@now");
        assert_eq!(one, Reset::Tag("v2.13.1".to_owned()));
        let pinned = format!("1.27@sha256:{}", "0".repeat(64));
        assert_eq!(Reset::parse(&format!("{pinned}@now")), Reset::Tag(pinned));
        assert_eq!((one.covers("v2.13.1"), one.covers("v2.13.10")), (true, false));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(tag in "[A-Za-z0-9_.:-]{1,128}", token in "[^@]{0,40}") {
            let one = Reset::Tag(tag);
            prop_assert_eq!(Reset::parse(&one.value(&token)), one);
            prop_assert_eq!(Reset::parse(&Reset::All.value(&token)), Reset::All);
        }
    }
}
