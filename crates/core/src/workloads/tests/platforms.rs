//! Which platforms are mirrored.

use super::*;
use crate::api::{DigestUse, WorkloadPlatformMode, WorkloadPlatforms};

fn of_nodes() -> Stage {
    Stage::with(|spec| spec.platforms.mode = WorkloadPlatformMode::Nodes)
}

fn platforms(stage: &Stage) -> Vec<String> {
    stage.plan(|plan| {
        let all = plan.children.iter().map(|child| {
            let platforms: Vec<String> = child.platforms.iter().map(ToString::to_string).collect();
            platforms.join(",")
        });
        all.collect()
    })
}

#[test]
fn all_platforms_are_mirrored_unless_the_spec_says_otherwise() {
    let mut stage = Stage::new();
    stage.runs("nginx:1", None, "web-1", 1, "linux/amd64");
    assert_eq!(platforms(&stage), [""]);
    stage.spec.platforms =
        WorkloadPlatforms { mode: WorkloadPlatformMode::List, list: vec!["linux/arm64".to_owned()] };
    assert_eq!(platforms(&stage), ["linux/arm64"]);
}

#[test]
fn the_platforms_of_all_nodes_that_run_an_image_are_mirrored_whichever_came_first() {
    for order in [["linux/amd64", "linux/arm64"], ["linux/arm64", "linux/amd64"]] {
        let mut stage = of_nodes();
        for (i, platform) in order.into_iter().enumerate() {
            stage.runs("nginx:1", None, &format!("web-{i}"), 1, platform);
            stage.act();
        }
        assert_eq!(platforms(&stage), ["linux/amd64,linux/arm64"]);
        // The second look changes nothing.
        let before = stage.children.clone();
        stage.act();
        assert_eq!(stage.children, before);
    }
}

#[test]
fn one_platform_written_in_two_ways_is_one() {
    let mut stage = of_nodes();
    for platform in ["linux/arm64/v8", "linux/arm64"] {
        stage.runs("nginx:1", None, platform, 1, platform);
    }
    assert_eq!(platforms(&stage), ["linux/arm64"]);
}

#[test]
fn platforms_shrink_only_after_the_retention() {
    let mut stage = of_nodes();
    stage.runs("nginx:1", None, "web-1", 1, "linux/amd64");
    stage.runs("nginx:1", None, "web-2", 1, "linux/arm64");
    stage.act();
    stage.usage = Usage::default();
    stage.runs("nginx:1", None, "web-1", 1, "linux/amd64");
    stage.act();
    stage.now += 6 * DAY;
    stage.act();
    assert_eq!(platforms(&stage), ["linux/amd64,linux/arm64"]);
    stage.now += DAY;
    assert_eq!(platforms(&stage), ["linux/amd64"]);
    stage.is_complete = false;
    assert_eq!(platforms(&stage), ["linux/amd64,linux/arm64"]);
}

#[test]
fn an_image_that_no_pod_runs_yet_has_the_platforms_of_all_nodes() {
    let mut stage = of_nodes();
    stage.names("nginx:1");
    assert_eq!(platforms(&stage), [""], "no node is known");
    stage.nodes = ["linux/amd64", "linux/arm64"].map(|text| text.parse().unwrap()).into();
    assert_eq!(platforms(&stage), ["linux/amd64,linux/arm64"]);
}

#[test]
fn what_is_mirrored_by_its_digest_has_all_platforms_in_an_image_of_its_own() {
    let mut stage = of_nodes();
    stage.runs("nginx:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    stage.runs(&format!("nginx@{}", content("B")), None, "web-2", 1, "linux/amd64");
    let children = stage.plan(|plan| plan.children.clone());
    let of = |is_whole: bool| {
        let child = children.iter().find(|child| child.name.ends_with("-w") == is_whole).unwrap();
        (short(&child.tags[0].to_string()), child.platforms.len(), child.tags.len())
    };
    assert_eq!((of(false), of(true)), (("1".to_owned(), 1, 1), ("sha256:B".to_owned(), 0, 1)));
    stage.spec.digests.taken = DigestUse::Running;
    assert_eq!(platforms(&stage), [""]);
}
