//! Builds of commits.

use std::path::Path;
use std::time::Duration;

use imgop_core::api::{BuildReason, RebuildOn};
use imgop_core::build::BuildFailure;
use imgop_core::build::step::{SourceReport, StepReport};
use imgop_fakes::{GitBehaviour, GitRepository, GitServer, git};

use super::stage::Stage;
use crate::image_builder::git::Commits;

/// A build of a revision that has succeeded.
async fn built(root: &Path, revision: Option<&str>) -> (Stage, GitServer) {
    let server = GitServer::start(root, GitBehaviour::Open);
    let context =
        serde_json::json!({ "git": { "url": format!("{}/app.git", server.url), "revision": revision } });
    let mut stage = Stage::new(|spec, _| {
        spec.source = None;
        spec.context = serde_json::from_value(context).unwrap();
        spec.rebuild_on = vec![RebuildOn::Source];
        (spec.frequency, spec.min_interval) = ("1m".into(), "10s".into());
    })
    .await;
    let status = stage.passes(2).await;
    let commit = status.source.unwrap().commit;
    ends_well(&mut stage, 0, commit).await;
    (stage, server)
}

async fn ends_well(stage: &mut Stage, nth: usize, commit: Option<String>) {
    let digest = stage.pushed("linux/amd64", &nth.to_string());
    let source = Some(SourceReport { commit, ..SourceReport::default() });
    stage.end_well_after(nth, &digest, &StepReport { source, ..StepReport::default() });
    stage.pass().await;
    assert_eq!(stage.ready().0, "Succeeded", "{}", stage.ready().1);
}

/// The period of what is watched is over. Answers are as old as it by the clock of the process, which is not the test's.
async fn is_checked(stage: &mut Stage) {
    stage.builders.commits = Commits::default();
    stage.now += Duration::from_mins(2);
    stage.pass().await;
}

#[tokio::test]
async fn a_branch_that_moves_is_built_once_and_a_tag_or_a_commit_never_again() {
    let root = tempfile::tempdir().unwrap();
    let work = GitRepository::new(root.path(), "app.git");
    let first = work.commit(&[("Dockerfile", "FROM scratch\nCOPY . /\n")]);
    git(&work.0, &["tag", "v1"]);
    git(&work.0, &["tag", "--annotate", "--message=m", "v2"]);
    for revision in [None, Some("trunk"), Some("v1"), Some("v2"), Some(first.as_str())] {
        git(&work.0, &["reset", "--quiet", "--hard", &first]);
        let (mut stage, _server) = built(root.path(), revision).await;
        assert_eq!(
            stage.builder.status.as_ref().unwrap().source.as_ref().unwrap().commit,
            Some(first.clone())
        );
        let second = work.commit(&[("f", "second")]);
        is_checked(&mut stage).await;
        let status = stage.builder.status.clone().unwrap();
        let is_branch = matches!(revision, None | Some("trunk"));
        let reason = status.build.map(|build| build.reason);
        assert_eq!(reason, is_branch.then_some(BuildReason::SourceChanged), "{revision:?}");
        if is_branch {
            stage.pass().await;
            ends_well(&mut stage, 1, Some(second)).await;
        }
        for _ in 0..3 {
            is_checked(&mut stage).await;
        }
        assert_eq!(stage.parts().len(), if is_branch { 2 } else { 1 }, "{revision:?}");
    }
}

#[tokio::test]
async fn a_git_server_that_is_down_leaves_the_image_as_it_is_and_counts_no_failed_try() {
    let root = tempfile::tempdir().unwrap();
    let work = GitRepository::new(root.path(), "app.git");
    work.commit(&[("Dockerfile", "FROM scratch\nCOPY . /\n")]);
    let (mut stage, server) = built(root.path(), Some("trunk")).await;
    let image = stage.registry.manifest("app", "v1");
    work.commit(&[("f", "second")]);
    server.set(GitBehaviour::Broken);
    is_checked(&mut stage).await;
    assert_eq!((stage.ready().0.as_str(), stage.jobs().len()), ("Succeeded", 1), "{}", stage.ready().1);
    server.set(GitBehaviour::Open);
    is_checked(&mut stage).await;
    stage.pass().await;
    // The pod finds it down; by default no try of a RUN is made again.
    for (nth, minutes) in [(1, 1), (2, 2), (3, 4)] {
        assert_eq!(stage.jobs().len(), nth + 1);
        stage.end_badly(nth, BuildFailure::SourceUnreachable);
        stage.pass().await;
        assert_eq!(stage.ready().0, "SourceUnreachable", "{}", stage.ready().1);
        assert_eq!(stage.registry.manifest("app", "v1"), image);
        stage.now += Duration::from_mins(minutes);
        stage.pass().await;
    }
    ends_well(&mut stage, 4, Some(work.head())).await;
    let history = stage.builder.status.clone().unwrap().history;
    assert_eq!(history.len(), 2, "{history:?}");
}

#[tokio::test]
async fn a_git_host_that_has_no_address_is_named_with_the_field_to_correct() {
    let context = serde_json::json!({ "git": { "url": "https://git.invalid/app.git" } });
    let mut stage = Stage::new(|spec, _| {
        spec.source = None;
        spec.context = serde_json::from_value(context).unwrap();
    })
    .await;
    stage.pass().await;
    let (reason, message) = stage.ready();
    assert_eq!(reason, "SourceUnreachable");
    let start = "spec.context.git: https://git.invalid/app.git: the name of the host cannot be resolved";
    assert!(message.starts_with(start), "{message}");
    assert!(
        message.ends_with("; check the name of the host in spec.context.git.url, and the DNS of the cluster"),
        "{message}"
    );
}
