//! How a problem is explained: by fields to users of a manifest, by flags to users of a command.

/// What the user wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// Flags and references.
    Flags,
    /// A manifest.
    Fields,
}

/// Fields of the spec as core's sentences name them, and what stands for them on the command line. The
/// longer ones come first.
const FLAGS: [(&str, &str); 12] = [
    ("set source.select.latest to 1", "give --latest 1"),
    ("spec.destination.version", "DESTINATION:VERSION"),
    ("source.select.latest", "--latest"),
    ("source.immutableTags", "--immutable-tags"),
    ("destination.version", "the version of DESTINATION"),
    ("source.version", "the version of SOURCE"),
    ("allowCandidateRelease", "--allow-candidate-release"),
    ("select.include", "--include"),
    ("select.exclude", "--exclude"),
    ("select.latest", "--latest"),
    ("select.minAge", "--min-age"),
    ("add it to secrets, with id: ", "give it: --secret src=FILE,id="),
];

impl Wording {
    /// Translates one of core's messages, which name fields. Text in quotes is the user's own and stays.
    pub fn of(self, text: &str) -> String {
        if self == Self::Fields {
            return text.to_owned();
        }
        let translated =
            |part: &str| FLAGS.iter().fold(part.to_owned(), |part, (f, flag)| part.replace(f, flag));
        let parts: Vec<String> = text
            .split('"')
            .enumerate()
            .map(|(i, part)| if i % 2 == 0 { translated(part) } else { part.to_owned() })
            .collect();
        parts.join("\"")
    }

    /// Returns what includes release candidates.
    pub fn candidates(self) -> &'static str {
        match self {
            Self::Flags => "add --allow-candidate-release",
            Self::Fields => "set spec.allowCandidateRelease",
        }
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::selection::Exclusion;

    use super::*;

    #[test]
    fn what_came_from_flags_is_explained_by_flags() {
        let reasons = [
            Exclusion::Candidate,
            Exclusion::NotIncluded,
            Exclusion::Excluded("select.latest".to_owned()),
            Exclusion::NotLatest(3),
        ];
        let explained = |wording: Wording| {
            reasons.iter().map(|reason| wording.of(&reason.to_string())).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(explained(Wording::Flags), @r#"
        it is a pre-release; --allow-candidate-release includes those
        --include does not match it
        --exclude matches it with "select.latest"
        it is not among the newest 3 (--latest)
        "#);
        assert_eq!(explained(Wording::Fields), reasons.each_ref().map(ToString::to_string).join("\n"));
    }
}
