//! Pull requests: what is at the remote, and in the user's own tree, stays as it is.

use imgop_fakes::git;

use crate::mirror_update::Place;

fn head(place: &Place, branch: &str) -> String {
    place.remote(&["rev-parse", branch])
}

#[test]
fn a_branch_with_the_commits_of_others_stays_as_it_is_at_the_remote_and_here() {
    let place = Place::new();
    place.update("--entry tools --pull-request");
    let branch = place.branch();
    place.github.close(1, false);
    git(&place.tree, &["fetch", "--quiet", "origin", &branch]);
    git(&place.tree, &["checkout", "--quiet", "-b", &branch, "FETCH_HEAD"]);
    std::fs::write(place.tree.join("notes.txt"), "theirs\n").unwrap();
    git(&place.tree, &["add", "--all"]);
    git(&place.tree, &["commit", "--quiet", "--message=fix"]);
    git(&place.tree, &["push", "--quiet", "origin", &branch]);
    let theirs = head(&place, &branch);
    let refused = place.update("--entry tools --pull-request --reopen closed");
    assert_eq!(refused.code, 1, "{refused}");
    let message =
        format!("the branch {branch} at origin has commits that were not made here, and is left as it is");
    assert!(refused.stderr.contains(&message), "{refused}");
    assert_eq!(head(&place, &branch), theirs);
    assert_eq!(git(&place.tree, &["rev-parse", &branch]), theirs);
    assert_eq!(git(&place.tree, &["status", "--porcelain"]), "");
    assert_eq!(place.github.pulls().len(), 1);
    // Without theirs it is one that was left from before, and a local branch of its name does not move.
    git(&place.tree, &["push", "--quiet", "--force", "origin", &format!("HEAD~1:refs/heads/{branch}")]);
    place.commit_to_trunk("other.txt", "newer\n");
    let made = place.update("--entry tools --pull-request --reopen closed");
    assert_eq!((made.code, place.github.pulls().len()), (0, 2), "{made}");
    assert_eq!(place.remote(&["merge-base", "trunk", &branch]), head(&place, "trunk"));
    assert_eq!(git(&place.tree, &["rev-parse", &branch]), theirs);
    assert_eq!(git(&place.tree, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn of_a_link_the_file_is_proposed_that_it_stands_for() {
    let place = Place::new();
    std::os::unix::fs::symlink("tree/config.yaml", place.program.home().join("link.yaml")).unwrap();
    let run = place.program.run("mirror add link.yaml --no-check --pull-request quay.io/tools/widget:v3");
    assert_eq!(run.code, 0, "{run}");
    let branch = &place.github.pulls()[0].head;
    assert_eq!(place.remote(&["diff", "--name-only", "trunk", branch]), "config.yaml\nregsync.yaml");
}

#[test]
fn a_file_that_the_default_branch_has_not_is_named_with_that_branch() {
    let place = Place::new();
    place.program.file("tree/new.yaml", &place.config());
    let run = place.program.run("mirror add tree/new.yaml --no-check --pull-request quay.io/tools/widget:v3");
    insta::assert_snapshot!(run);
}

#[test]
fn a_key_of_which_no_branch_can_be_made_is_refused_before_anything_is_asked() {
    let place = Place::new();
    let sources =
        r#"{"a b": {"versionSource": "github-releases:tools/widget", "images": ["quay.io/tools/widget"]}}"#;
    place.commit("autoupdate.yaml", sources);
    let run = place.update("--pull-request");
    insta::assert_snapshot!(run);
}
