//! What a version stands for while it is typed.

use imgop_registry::reference::Tag;

use super::{Filter, Selection, Version, VersionError, select};

/// The tags that a text stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypedVersion {
    /// It is a version that selects these, the newest first.
    Selects(Selection),
    /// It is no version yet, or selects nothing; these begin with it, the newest first.
    Begins(Vec<Tag>),
}

/// Returns what a text stands for among the tags of a repository.
pub fn typed_version(text: &str, candidates: bool, tags: &[Tag]) -> TypedVersion {
    let version: Result<Version, VersionError> = text.parse();
    if let Ok(version) = version {
        let selection = select(&version, candidates, &Filter::default(), tags, 0);
        if !selection.tags.is_empty() {
            return TypedVersion::Selects(selection);
        }
    }
    let begun: Vec<Tag> = tags.iter().filter(|tag| tag.as_str().starts_with(text)).cloned().collect();
    TypedVersion::Begins(select(&Version::Every, true, &Filter::default(), &begun, 0).tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let tags = ["1.0", "1.10", "1.9", "1.9-rc1", "2.0", "latest"].map(|tag| tag.parse().unwrap());
        let (word, tags) = match typed_version(text, false, &tags) {
            TypedVersion::Selects(selection) => ("selects", selection.tags),
            TypedVersion::Begins(tags) => ("begins", tags),
        };
        let tags: Vec<String> = tags.iter().map(Tag::to_string).collect();
        format!("{word} {}", tags.join(" "))
    }

    #[test]
    fn the_tags_shrink_as_a_version_is_typed() {
        assert_eq!(shown(""), "begins 2.0 1.10 1.9 1.9-rc1 1.0 latest");
        assert_eq!(shown("1"), "begins 1.10 1.9 1.9-rc1 1.0");
        assert_eq!(shown("1."), "begins 1.10 1.9 1.9-rc1 1.0");
        assert_eq!(shown("1.x"), "selects 1.10 1.9 1.0");
        assert_eq!(shown("1.9"), "selects 1.9");
        assert_eq!(shown(">=1.9"), "selects 2.0 1.10 1.9");
        assert_eq!(shown("*"), "selects 2.0 1.10 1.9 1.0 latest");
        assert_eq!(shown("3.x"), "begins ");
    }
}
