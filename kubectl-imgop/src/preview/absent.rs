//! What to print when the source has no tag that is selected: the nearest tags, and what to write instead.
//! Pure.

use imgop_core::copy::CopyRequest;
use imgop_core::selection::{Excluded, Exclusion, Pattern, Version, by_version, select};
use imgop_registry::reference::Tag;

use crate::output::wording::Wording;

/// How many of the newest tags are named.
const MAX_NEWEST: usize = 5;
/// How many near misses are named.
const MAX_NEAR: usize = 3;

/// Returns what is wrong, in one sentence.
pub fn message(request: &CopyRequest) -> String {
    let (source, version) = (&request.source, &request.version);
    match version {
        Version::Exact(tag) => format!("{source} has no tag {tag}"),
        Version::Digest(digest) => format!("{source} has no manifest {digest}"),
        Version::Tags(tags) => format!("{source} has none of the tags {tags}"),
        Version::Every => format!("no tag of {source} is selected"),
        Version::Pattern(_) | Version::Range(_) => format!("no tag of {source} matches {version}"),
    }
}

/// Returns hints on the nearest tags, from all tags of the source and from the near misses of the version.
pub fn hints(request: &CopyRequest, all: &[Tag], excluded: &[Excluded], wording: Wording) -> Vec<String> {
    if all.is_empty() {
        return vec![format!("{} has no tags", request.source)];
    }
    let mut newest: Vec<&Tag> = all.iter().collect();
    newest.sort_by(|a, b| by_version(b, a));
    let near = match &request.version {
        Version::Exact(tag) => similar(tag, &newest),
        _ => excluded.iter().map(|e| (&e.tag, wording.of(&e.reason.to_string()))).collect(),
    };
    let mut hints = together(&near);
    let names: Vec<&str> = newest.iter().take(MAX_NEWEST).map(|tag| tag.as_str()).collect();
    hints.push(match all.len() {
        number if number > MAX_NEWEST => format!("it has {number} tags; the newest: {}", names.join(", ")),
        _ => format!("its tags: {}", names.join(", ")),
    });
    let nearest = near.iter().map(|(tag, _)| *tag).chain(newest.iter().copied());
    let only_candidates = !excluded.is_empty() && excluded.iter().all(|e| e.reason == Exclusion::Candidate);
    hints.push(match pattern(request, nearest, all) {
        _ if only_candidates => format!("use one of them, or {}", wording.candidates()),
        Some(pattern) => format!("use one of them, or a pattern such as {pattern}"),
        None => "use one of them".to_owned(),
    });
    if matches!(request.version, Version::Exact(_)) {
        hints.push("if it is not released yet: an Image waits for the tag and copies it then".to_owned());
    }
    hints
}

/// Returns one line for the tags that are near for the same reason.
fn together(near: &[(&Tag, String)]) -> Vec<String> {
    let mut reasons: Vec<(&String, Vec<&str>)> = Vec::new();
    for (tag, why) in near.iter().take(MAX_NEAR) {
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, tags)) => tags.push(tag.as_str()),
            None => reasons.push((why, vec![tag.as_str()])),
        }
    }
    let line = |(why, tags): (&String, Vec<&str>)| match tags.as_slice() {
        [tag] => format!("near miss {tag}: {why}"),
        tags => format!("near misses {}: {why}", tags.join(", ")),
    };
    reasons.into_iter().map(line).collect()
}

/// Returns tags that may have been intended instead of this one, the likeliest first.
fn similar<'a>(wanted: &Tag, newest: &[&'a Tag]) -> Vec<(&'a Tag, String)> {
    let wanted = wanted.as_str();
    let bare = wanted.strip_prefix('v').unwrap_or(wanted);
    // `v2.13.` of v2.13.9: what the releases of one line share.
    let line = wanted.rfind('.').map(|dot| &wanted[..=dot]);
    let kinship = |tag: &str| {
        let goes_on = |rest: &str| rest.starts_with(['.', '-']);
        if tag.eq_ignore_ascii_case(wanted) {
            Some((0, "it differs in upper and lower case".to_owned()))
        } else if tag.strip_prefix('v').unwrap_or(tag) == bare {
            let v = if tag.starts_with('v') { "it has a leading v" } else { "it has no leading v" };
            Some((1, v.to_owned()))
        } else if tag.strip_prefix(wanted).is_some_and(goes_on) {
            Some((2, format!("it starts with {wanted}")))
        } else if wanted.strip_prefix(tag).is_some_and(goes_on) {
            Some((3, format!("{wanted} starts with it")))
        } else if line.is_some_and(|line| tag.starts_with(line)) {
            Some((4, "only its last part differs".to_owned()))
        } else {
            None
        }
    };
    let mut near: Vec<(u8, &Tag, String)> =
        newest.iter().filter_map(|tag| kinship(tag.as_str()).map(|(rank, why)| (rank, *tag, why))).collect();
    near.sort_by_key(|(rank, ..)| *rank);
    near.into_iter().map(|(_, tag, why)| (tag, why)).collect()
}

/// Returns a pattern that selects tags: the one that is written, with more parts, else that of the nearest
/// tag's release line, such as `v2.13.x` for v2.13.10.
fn pattern<'a>(request: &CopyRequest, nearest: impl Iterator<Item = &'a Tag>, all: &[Tag]) -> Option<String> {
    let longer = [".x", ".x.x"].map(|parts| match request.version.to_string().split_once('-') {
        Some((version, suffix)) => format!("{version}{parts}-{suffix}"),
        None => format!("{}{parts}", request.version),
    });
    let is_pattern = matches!(request.version, Version::Pattern(_));
    let lines = nearest.filter_map(release_line).take(MAX_NEAR).flatten();
    let mut patterns = longer.into_iter().filter(|_| is_pattern).chain(lines);
    patterns.find(|pattern| {
        let version: Option<Version> = pattern.parse::<Pattern>().ok().and_then(|_| pattern.parse().ok());
        version.is_some_and(|version| !select(&version, false, &request.filter, all, 0).tags.is_empty())
    })
}

/// Returns the patterns of a tag's release line: `v2.13.x` and `v2.13.x-alpine` for v2.13.10-alpine. Nothing
/// for tags that are no versions.
pub fn release_line(tag: &Tag) -> Option<[String; 2]> {
    let text = tag.as_str();
    let (version, suffix) = text.split_at(text.find('-').unwrap_or(text.len()));
    let (line, last) = version.rsplit_once('.')?;
    let is_number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| [format!("{line}.x"), format!("{line}.x{suffix}")])
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageSpec;
    use imgop_core::selection::Filter;

    use super::*;

    fn printed(version: &str, tags: &[&str]) -> String {
        let spec: ImageSpec = serde_json::from_value(serde_json::json!({ "mode": "OneShot",
            "source": { "name": "quay.io/a/b", "version": version }, "destination": { "name": "r.example.com/a" } }))
        .unwrap();
        let request = CopyRequest::parse(&spec).unwrap();
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let excluded =
            imgop_core::selection::select(&request.version, false, &request.filter, &tags, 100).excluded;
        let hints = hints(&request, &tags, &excluded, Wording::Flags);
        format!("{}\n{}", message(&request), hints.join("\n"))
    }

    const TAGS: [&str; 8] =
        ["v2.13.0", "v2.13.1", "v2.13.10", "v2.14.0-rc1", "v2.13.1-alpine", "2.13.1", "latest", "1.0"];

    #[test]
    fn an_absent_tag_comes_with_those_that_may_be_intended() {
        insta::assert_snapshot!(printed("v2.13.9", &TAGS), @"
        quay.io/a/b has no tag v2.13.9
        near misses v2.13.10, v2.13.1, v2.13.1-alpine: only its last part differs
        it has 8 tags; the newest: v2.14.0-rc1, v2.13.10, v2.13.1, 2.13.1, v2.13.1-alpine
        use one of them, or a pattern such as v2.13.x
        if it is not released yet: an Image waits for the tag and copies it then
        ");
        insta::assert_snapshot!(printed("v1.0", &TAGS), @"
        quay.io/a/b has no tag v1.0
        near miss 1.0: it has no leading v
        it has 8 tags; the newest: v2.14.0-rc1, v2.13.10, v2.13.1, 2.13.1, v2.13.1-alpine
        use one of them, or a pattern such as 1.x
        if it is not released yet: an Image waits for the tag and copies it then
        ");
        insta::assert_snapshot!(printed("Latest", &TAGS), @"
        quay.io/a/b has no tag Latest
        near miss latest: it differs in upper and lower case
        it has 8 tags; the newest: v2.14.0-rc1, v2.13.10, v2.13.1, 2.13.1, v2.13.1-alpine
        use one of them, or a pattern such as v2.14.x-rc1
        if it is not released yet: an Image waits for the tag and copies it then
        ");
    }

    #[test]
    fn a_pattern_without_matches_comes_with_why_the_nearest_do_not_match_and_with_one_that_does() {
        insta::assert_snapshot!(printed("v2.14.x", &TAGS), @"
        no tag of quay.io/a/b matches v2.14.x
        near miss v2.14.0-rc1: it is a pre-release; --allow-candidate-release includes those
        it has 8 tags; the newest: v2.14.0-rc1, v2.13.10, v2.13.1, 2.13.1, v2.13.1-alpine
        use one of them, or add --allow-candidate-release
        ");
        let of_three = printed("v2.x", &TAGS);
        assert!(of_three.contains("or a pattern such as v2.x.x"), "{of_three}");
        let revisions = ["3.12.0-1", "3.12.0-2", "3.9.1-1"];
        let of_revisions = printed(">=3.9", &revisions);
        assert!(of_revisions.ends_with("or a pattern such as 3.12.x-2"), "{of_revisions}");
        let revisions: [Tag; 3] = revisions.map(|tag| tag.parse().unwrap());
        let followed = select(&"3.12.x-2".parse().unwrap(), false, &Filter::default(), &revisions, 0).tags;
        assert_eq!(followed, revisions[1..2], "the pattern selects tags");
        insta::assert_snapshot!(printed("9.x", &["latest", "stable"]), @"
        no tag of quay.io/a/b matches 9.x
        its tags: stable, latest
        use one of them
        ");
        insta::assert_snapshot!(printed("9.x", &[]), @"
        no tag of quay.io/a/b matches 9.x
        quay.io/a/b has no tags
        ");
    }
}
