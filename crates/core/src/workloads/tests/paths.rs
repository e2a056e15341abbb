//! Where images go to.

use super::*;
use crate::api::PathRule;

fn rule(from: &str, to: &str, regex: bool) -> PathRule {
    PathRule { from: from.to_owned(), to: to.to_owned(), regex }
}

fn map(rules: &[(&str, &str, bool)]) -> PathMap {
    let rules: Vec<PathRule> = rules.iter().map(|(from, to, regex)| rule(from, to, *regex)).collect();
    PathMap::parse(&rules).unwrap()
}

#[test]
fn c7_a_path_map_ends_where_a_part_of_a_path_does() {
    let map = map(&[("group/project", "prod/project", false)]);
    for (path, expected) in [
        ("group/project/app", "prod/project/app"),
        ("group/project", "prod/project"),
        ("group/projects/app", "group/projects/app"),
        ("other/group/project", "other/group/project"),
    ] {
        assert_eq!(map.apply(path), expected);
    }
}

#[test]
fn a_path_map_reads_the_same_with_slashes_at_its_ends_and_takes_the_first_rule_that_fits() {
    for (from, to) in [("group/app/", "x/"), ("group/app", "x"), ("/group/app/", "/x/")] {
        let map = map(&[(from, to, false), ("group", "y", false)]);
        assert_eq!(map.apply("group/app/a"), "x/a");
        assert_eq!(map.apply("group/apps"), "y/apps");
    }
    let stripped = map(&[("library", "", false)]);
    assert_eq!(stripped.apply("library/nginx"), "nginx");
}

#[test]
fn an_expression_replaces_what_it_finds_and_knows_its_groups() {
    let map = map(&[("^([^/]+)/charts-(.+)$", "charts/$1/$2", true), ("a", "b", true)]);
    assert_eq!(map.apply("acme/charts-web"), "charts/acme/web");
    assert_eq!(map.apply("banana"), "bbnbnb");
    assert_eq!(map.apply("xyz"), "xyz");
}

#[test]
fn an_expression_that_cannot_be_read_is_refused_with_its_place() {
    let (place, message) = PathMap::parse(&[rule("a", "b", false), rule("(", "", true)]).unwrap_err();
    assert_eq!(place, 1);
    assert!(message.starts_with("\"(\" is no regular expression: "), "{message}");
    assert!(PathMap::parse(&[rule("(a{1000}){1000}", "", true)]).is_err(), "it would take too much memory");
}

#[test]
fn the_prefix_is_made_of_namespace_workload_container_and_registry() {
    let mut stage = Stage::with(|spec| {
        spec.destination.prefix = "x/$namespace/$podname/$container_name/$registry".to_owned();
    });
    stage.names("nginx:1.27");
    stage.names("r.corp:5000/a/b:1");
    assert_eq!(
        stage.copies(),
        [
            "docker.io/library/nginx 1.27 -> registry.corp:5000/mirror/x/team-a/web/main/docker.io/library/nginx:1.27",
            "r.corp:5000/a/b 1 -> registry.corp:5000/mirror/x/team-a/web/main/r.corp-5000/a/b:1",
        ]
    );
}

#[test]
fn the_registry_of_a_prefix_is_docker_io_for_docker_hub_and_legal_for_every_other() {
    for (image, part) in [
        ("nginx", "docker.io"),
        ("index.docker.io/a/b", "docker.io"),
        ("localhost:5000/a", "localhost-5000"),
        ("[fd00::1]:5000/a", "fd00-1-5000"),
    ] {
        let mut stage = Stage::with(|spec| spec.destination.prefix = "$registry/$namespace".to_owned());
        stage.names(image);
        let copies = stage.copies();
        assert!(copies[0].contains(&format!(" -> registry.corp:5000/mirror/{part}/team-a/")), "{copies:?}");
    }
}

#[test]
fn the_name_in_a_prefix_is_that_of_what_made_the_pods_and_not_of_each_pod() {
    let mut stage = Stage::with(|spec| spec.destination.prefix = "$podname".to_owned());
    for (pod, started) in [("web-7-a", 1), ("web-7-b", 2)] {
        stage.runs("nginx:1", Some(&content("A")), pod, started, "linux/amd64");
    }
    assert_eq!(
        stage.copies(),
        ["docker.io/library/nginx 1 -> registry.corp:5000/mirror/web/library/nginx:1"]
    );
}

#[test]
fn a_word_that_stands_for_nothing_is_refused() {
    for (prefix, word) in
        [("$namespaces", "namespaces"), ("$archive", "archive"), ("a/$", ""), ("$arch64", "arch64")]
    {
        assert_eq!(Prefix::parse(prefix), Err(PrefixError::UnknownToken(word.to_owned())), "{prefix}");
    }
    for bad in ["A", "a b", "${arch}", "é"] {
        assert!(Prefix::parse(bad).is_err(), "{bad}");
    }
    for good in ["", "a/b", "$arch", "$registry/$namespace", "$namespace-$podname.x"] {
        assert!(Prefix::parse(good).is_ok(), "{good}");
    }
}

#[test]
fn architectures_are_part_of_a_path_once_they_are_known() {
    let mut stage = Stage::with(|spec| spec.destination.prefix = "$arch".to_owned());
    stage.names("nginx:1");
    assert!(stage.copies().is_empty());
    assert_eq!(
        stage.outcomes(),
        ["docker.io/library/nginx:1: its platforms are not known yet, and destination.prefix has $arch"]
    );
    let (findings, without) = stage.plan(|plan| (plan.findings.clone(), plan.counts.without_architectures));
    assert_eq!((findings, without), (Vec::new(), 1), "it is known in time, and no user can help it");
    stage.architectures.insert("nginx:1".parse().unwrap(), "amd64-arm64".to_owned());
    assert_eq!(
        stage.copies(),
        ["docker.io/library/nginx 1 -> registry.corp:5000/mirror/amd64-arm64/library/nginx:1"]
    );
    assert!(stage.request().warnings()[0].contains("$arch"));
}

#[test]
fn an_image_whose_architectures_are_not_known_any_more_stays_where_it_was_brought() {
    let mut stage = Stage::with(|spec| spec.destination.prefix = "$arch/$namespace/x-$arch".to_owned());
    let of_team_b = |stage: &mut Stage| {
        stage.named_by("quay.io/a/b:1", ImageUser { namespace: "team-b".to_owned(), ..user("Pod", "p") });
    };
    stage.names("quay.io/a/b:1");
    stage.names("quay.io/a/b:2");
    stage.architectures.insert("quay.io/a/b:1".parse().unwrap(), "amd64".to_owned());
    stage.architectures.insert("quay.io/a/b:2".parse().unwrap(), "amd64-arm64".to_owned());
    stage.act();
    let before = stage.children.clone();
    let copied = stage.copies();
    // As after a start, or where the source is gone.
    stage.architectures.clear();
    for days in [0, 8] {
        stage.now += days * DAY;
        assert!(stage.act().is_empty());
        assert_eq!((&stage.children, stage.copies()), (&before, copied.clone()), "after {days} days");
    }
    assert_eq!(stage.plan(|plan| plan.counts.without_architectures), 0);
    // Where another namespace has it is another place.
    of_team_b(&mut stage);
    assert_eq!(stage.copies(), copied);
    // It moves once it is known that it has others, and of both places the new one is its own.
    stage.architectures.insert("quay.io/a/b:1".parse().unwrap(), "arm64".to_owned());
    stage.now += DAY;
    stage.usage = Usage::default();
    stage.names("quay.io/a/b:1");
    stage.names("quay.io/a/b:2");
    stage.act();
    stage.architectures.clear();
    let outcomes = stage.outcomes();
    assert_eq!(outcomes[0], "quay.io/a/b:1: registry.corp:5000/mirror/arm64/team-a/x-arm64/a/b 1");
}

#[test]
fn a_path_that_no_registry_takes_is_reported_with_the_image() {
    let mut stage = Stage::with(|spec| spec.destination.path_map = vec![rule("a", "A", true)]);
    stage.names("r.corp/a:1");
    assert!(stage.copies().is_empty());
    assert!(stage.plan(|plan| plan.findings[0].to_string()).contains("change destination.pathMap"));
}

proptest::proptest! {
    #[test]
    fn any_prefix_is_read_or_refused_and_one_that_is_read_makes_a_repository_or_says_why(
        prefix in "([a-z./_-]|[$]namespace|[$]registry|[$]podname|[$]x|[A-Z]){0,12}",
        path in "[a-z]{1,3}(/[a-z]{1,3}){0,3}",
    ) {
        let mut stage = Stage::new();
        stage.spec.destination.prefix.clone_from(&prefix);
        let Ok(request) = WorkloadRequest::parse(&stage.spec, NAMESPACE) else {
            proptest::prop_assert!(Prefix::parse(&prefix).is_err(), "{}", prefix);
            return Ok(());
        };
        stage.names(&format!("quay.io/{path}:1"));
        let (copies, findings) = (stage.copies().len(), stage.plan(|plan| plan.findings.len()));
        proptest::prop_assert_eq!((copies, findings), if copies == 1 { (1, 0) } else { (0, 1) });
        proptest::prop_assert!(request.warnings().is_empty());
    }

    #[test]
    fn a_path_map_of_paths_changes_whole_parts_alone(
        from in "[ab]{1,2}(/[ab]{1,2})?",
        to in "[cd]{0,2}",
        path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
    ) {
        let changed = map(&[(&from, &to, false)]).apply(&path).into_owned();
        let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        if path == from || path.starts_with(&format!("{from}/")) {
            let mut expected = if to.is_empty() { Vec::new() } else { vec![to] };
            expected.extend(parts(&path).into_iter().skip(parts(&from).len()));
            proptest::prop_assert_eq!(changed, expected.join("/"));
        } else {
            proptest::prop_assert_eq!(changed, path);
        }
    }
}
