//! Which Image copies which tag between two repositories.

use super::*;

/// What each Image copies, what it leaves out of its version, and whether it follows.
fn shares(spec: &ImageMirrorSpec) -> Vec<(Vec<String>, Vec<String>, bool)> {
    let texts = |child: Child| {
        let selected = child.selected.iter().map(Selected::text).collect();
        (selected, child.left_out, child.follows)
    };
    children(spec).into_iter().map(texts).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn a_tag_that_follows_beside_a_star_that_does_not_is_left_out_of_the_star() {
    let entries = vec![entry("quay.io/a/b", &["*", "latest", "1.0"])];
    let follow = texts(&["latest"]);
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], follow, ..spec(entries) };
    assert_eq!(
        shares(&mirror),
        [
            (texts(&["*"]), texts(&["latest"]), false),
            // 1.0 is the star's.
            (texts(&["latest"]), vec![], true),
        ]
    );
    for spec in image_specs(&mirror) {
        crate::copy::CopyRequest::parse(&spec).unwrap();
    }
}

#[test]
fn a_content_that_is_named_beside_a_pattern_that_means_its_tag_is_left_out_of_the_pattern() {
    let pinned = format!("1.2@sha256:{}", "0".repeat(64));
    let entries = vec![entry("quay.io/a/b", &["1.x", &pinned, "2.0"])];
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], ..spec(entries) };
    let shares = shares(&mirror);
    assert_eq!(shares[0], (texts(&["1.x"]), texts(&["1\\.2"]), false));
    assert_eq!(shares[1], (texts(&[&pinned, "2.0"]), vec![], false));
    assert_eq!(image_specs(&mirror)[0].source.select.clone().unwrap().exclude, ["1\\.2"]);
}

#[test]
fn a_tag_that_several_patterns_select_is_copied_by_the_first_of_them_alone() {
    let entries = vec![entry("quay.io/a/b", &["*", "1.x.x", "1.2.x", "1.x", ">=3"])];
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], ..spec(entries) };
    let all: Vec<(String, Vec<String>)> = shares(&mirror)
        .into_iter()
        .map(|(mut selected, left_out, _)| (selected.remove(0), left_out))
        .collect();
    let (two, three) = ("[vV]?1\\.[0-9]+", "[vV]?1\\.[0-9]+\\.[0-9]+");
    let patterns = format!("[vV]?1\\.2\\.[0-9]+|{two}|{three}");
    assert_eq!(
        all,
        [
            ("*".to_owned(), vec![patterns.clone()]),
            ("1.2.x".to_owned(), vec![]),
            ("1.x".to_owned(), vec![]),
            ("1.x.x".to_owned(), texts(&["[vV]?1\\.2\\.[0-9]+"])),
            (">=3".to_owned(), vec![patterns]),
        ]
    );
}

#[test]
fn a_tag_that_is_excluded_or_in_conflict_is_left_out_of_the_patterns_that_select_it() {
    let excluding = MirrorEntry { excluded_tags: texts(&["1.7"]), ..entry("quay.io/a/b", &["1.x", "2.0"]) };
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], ..spec(vec![excluding]) };
    assert_eq!(shares(&mirror)[0].1, texts(&["1\\.7"]));
    assert!(inventory(&mirror).warnings.is_empty());
    let digest = |digit: &str| format!("1.2@sha256:{}", digit.repeat(64));
    let both = vec![entry("quay.io/a/b", &["1.x", &digest("0"), &digest("1")])];
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], ..spec(both) };
    assert_eq!(inventory(&mirror).expand().unwrap().conflicts.len(), 1);
    assert_eq!(shares(&mirror), [(texts(&["1.x"]), texts(&["1\\.2"]), false)]);
}

#[test]
fn more_tags_beside_a_pattern_than_an_image_can_leave_out_are_a_problem_that_names_the_fix() {
    let follow: Vec<String> = (0..900).map(|n| format!("1.{n}")).collect();
    let mut tags: Vec<&str> = follow.iter().map(String::as_str).collect();
    tags.push("1.x");
    let mirror = ImageMirrorSpec {
        targets: vec![target(CORP, true)],
        follow: follow.clone(),
        ..spec(vec![entry("quay.io/a/b", &tags)])
    };
    let error = inventory(&mirror).expand().unwrap_err();
    insta::assert_snapshot!(error, @"spec.entries[0].tags: 1.x selects 900 tags that are named beside it and are not copied as it copies them, more than an Image can leave out of a pattern or a range; give 1.x an entry of its own with another targetName, or name its tags one by one");
    let patterns: Vec<String> = (0..33).map(|n| format!("{n}.x")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let error = inventory(&spec(vec![entry("quay.io/a/b", &patterns)])).expand().unwrap_err();
    insta::assert_snapshot!(error.problems[0], @"spec.entries[0].tags: 33 patterns and ranges go from one source to one destination, and 32 is the most; write fewer that select more, such as 1.x.x or *");
}

/// A mirror of one source with these many tags, in several entries.
fn many_tags(count: usize) -> ImageMirrorSpec {
    let tags: Vec<String> = (0..count).map(|n| format!("1.{n}")).collect();
    let entries = tags
        .chunks(1_000)
        .map(|tags| entry("quay.io/a/b", &tags.iter().map(String::as_str).collect::<Vec<_>>()));
    ImageMirrorSpec { targets: vec![target(CORP, true)], ..spec(entries.collect()) }
}

#[test]
fn more_tags_than_an_image_may_have_are_divided_among_several_each_once() {
    for count in [500, 501, 1_000, 3_000] {
        let all = children(&many_tags(count));
        assert_eq!(all.len() == 1, count <= 500, "{count}: {}", all.len());
        assert!(all.iter().all(|child| child.selected.len() <= 500), "{count}");
        let tags: BTreeSet<_> = all.iter().flat_map(|child| &child.selected).map(Selected::text).collect();
        assert_eq!((tags.len(), all.iter().map(|child| child.selected.len()).sum()), (count, count));
        let names: BTreeSet<_> = all.iter().map(|child| child.name("m")).collect();
        assert_eq!(names.len(), all.len());
    }
    let within = inventory(&many_tags(120)).expand_within(50).unwrap().children;
    assert!(within.len() > 2 && within.iter().all(|child| child.selected.len() <= 50));
}

#[test]
fn one_more_tag_changes_one_part_of_many_and_the_first_part_keeps_its_name() {
    let (before, after) = (children(&many_tags(900)), children(&many_tags(901)));
    assert_eq!(before.len(), after.len());
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!(changed, 1);
    assert_eq!(children(&many_tags(1))[0].name("m"), before[0].name("m"));
    assert_eq!(before[0].part, 0);
    let mut reversed = many_tags(900);
    reversed.entries[0].tags.reverse();
    assert_eq!(children(&reversed), before);
}

#[test]
fn the_rows_of_the_largest_inventory_are_merged_where_all_are_of_one_source() {
    let mut mirror = many_tags(MAX_ROWS / 2);
    mirror.entries.extend(mirror.entries.clone());
    let all = children(&mirror);
    assert_eq!(all.iter().map(|child| child.selected.len()).sum::<usize>(), MAX_ROWS / 2);
    let tags: BTreeSet<_> = all.iter().flat_map(|child| &child.selected).map(Selected::text).collect();
    assert_eq!(tags.len(), MAX_ROWS / 2);
}
