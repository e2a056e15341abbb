//! `mirror update`: what is missing of what was announced, listed, written, and proposed with the real git.

use std::path::{Path, PathBuf};

use imgop_fakes::{Background, GitHub, git};

use crate::program::{Program, Run};

const TOKEN: &str = "ghp_secret";
const REPOSITORY: &str = "acme/mirror";

const CONFIG: &str = r#"Artifacts:
- SourceArtifact: quay.io/tools/gadget
  Tags:
  - "3.9"
- SourceArtifact: quay.io/tools/widget
  Tags:
  - v1.9.1
Repositories:
- BaseUrl: registry.corp/mirror
  DefaultTarget: true
  Password: '{{ env "CORP_PASSWORD" }}'
  Registry: registry.corp
  Username: '{{ env "CORP_USERNAME" }}'
"#;

const SOURCES: &str = "\
- GithubRelease:
    Artifacts:
    - SourceArtifact: quay.io/tools/widget
    - SourceArtifact: quay.io/tools/gadget
    Owner: tools
    Repository: widget
    VersionConstraint: '>=1.9'
  Name: tools
  Reviewers:
  - ann
  - acme/mirrors
- GithubRelease:
    Artifacts:
    - SourceArtifact: quay.io/tools/gadget
    LatestOnly: true
    Owner: tools
    Repository: gone
  Name: gone
  Reviewers:
  - ann
";

/// The program in a repository of git with a bare one as its remote, and GitHub.
pub struct Place {
    pub program: Program,
    pub github: Background<GitHub>,
    pub tree: PathBuf,
    remote: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let github = Background::of(GitHub::start(TOKEN));
        for (tag, is_prerelease) in
            [("v1.9.1", false), ("v1.10.0", false), ("v2.0.0", true), ("nightly", false)]
        {
            github.release("tools/widget", tag, is_prerelease, false);
        }
        github.default_branch(REPOSITORY, "trunk");
        github.collaborators(&["ann"]);
        let program = Program::new()
            .variable("GITHUB_TOKEN", TOKEN)
            .variable("GITHUB_REPOSITORY", REPOSITORY)
            .variable("GITHUB_API_URL", &format!("http://{}", github.api.address))
            .variable("GIT_AUTHOR_NAME", "Ann")
            .variable("GIT_AUTHOR_EMAIL", "ann@example.com")
            .variable("GIT_COMMITTER_NAME", "Ann")
            .variable("GIT_COMMITTER_EMAIL", "ann@example.com")
            .variable(
                "PATH",
                &format!("{}/tests/cli/bin:{}", env!("CARGO_MANIFEST_DIR"), std::env::var("PATH").unwrap()),
            );
        let (tree, remote) = (program.home().join("tree"), program.home().join("remote.git"));
        std::fs::create_dir(&tree).unwrap();
        git(program.home(), &["init", "--quiet", "--bare", "--initial-branch=trunk", "remote.git"]);
        git(&tree, &["init", "--quiet", "--initial-branch=trunk"]);
        git(&tree, &["remote", "add", "origin", remote.to_str().unwrap()]);
        program.file("tree/config.yaml", CONFIG);
        program.file("tree/autoupdate.yaml", SOURCES);
        program.file("tree/regsync.yaml", "stale: true\n");
        git(&tree, &["add", "--all"]);
        git(&tree, &["commit", "--quiet", "--message=begin"]);
        git(&tree, &["push", "--quiet", "origin", "trunk"]);
        Self { program, github, tree, remote }
    }

    pub fn update(&self, arguments: &str) -> Run {
        let raw = self.github.raw.address;
        let command = format!(
            "mirror update tree/config.yaml --sources tree/autoupdate.yaml --github-raw http://{raw} {arguments}"
        );
        let run = self.program.run(&command);
        assert!(!run.to_string().contains(TOKEN), "{run}");
        run
    }

    pub fn config(&self) -> String {
        std::fs::read_to_string(self.tree.join("config.yaml")).unwrap()
    }

    /// Commits another file, and pushes it.
    pub fn commit(&self, name: &str, text: &str) {
        self.program.file(&format!("tree/{name}"), text);
        git(&self.tree, &["add", "--all"]);
        git(&self.tree, &["commit", "--quiet", "--message=more"]);
        git(&self.tree, &["push", "--quiet", "origin", "trunk"]);
    }

    /// Adds a commit to the default branch of the remote, by way of another working tree.
    pub fn commit_to_trunk(&self, name: &str, text: &str) {
        let other = self.program.home().join("other");
        git(self.program.home(), &["clone", "--quiet", "remote.git", "other"]);
        std::fs::write(other.join(name), text).unwrap();
        git(&other, &["add", "--all"]);
        git(&other, &["commit", "--quiet", "--message=more"]);
        git(&other, &["push", "--quiet", "origin", "trunk"]);
    }

    /// The only branch that was pushed besides the first one.
    pub fn branch(&self) -> String {
        let branches =
            git(&self.remote, &["for-each-ref", "--format=%(refname:short)", "refs/heads/autoupdate"]);
        assert_eq!(branches.lines().count(), 1, "{branches}");
        branches
    }

    pub fn remote(&self, arguments: &[&str]) -> String {
        git(&self.remote, arguments)
    }
}

#[test]
fn what_is_missing_is_listed_and_an_entry_that_fails_keeps_no_other_away() {
    let place = Place::new();
    insta::assert_snapshot!(place.update(""), @"
    exit code: 1
    ----- stdout -----
    tools: 3 tags (autoupdate/tools/kjbfxb3d)
    + quay.io/tools/gadget:v1.10.0
    + quay.io/tools/gadget:v1.9.1
    + quay.io/tools/widget:v1.10.0
    ----- stderr -----
    warning: tools: not readable as a version: nightly
    error: gone: GitHub has no latest release of tools/gone, or the token must not see it
    error: 1 of 2 entries failed
    ");
    assert_eq!(place.config(), CONFIG);
    let only = place.update("--entry tools --exit-code");
    assert_eq!(only.code, 1, "{only}");
    let failed = place.update("--exit-code");
    assert_eq!(failed.code, 2, "{failed}");
    let unknown = place.update("--entry tool");
    assert_eq!(unknown.code, 2, "{unknown}");
    assert!(unknown.stderr.contains("the nearest name is \"tools\""), "{unknown}");
}

#[test]
fn an_entry_that_the_inventory_has_not_is_said_before_it_is_added() {
    let place = Place::new();
    let sources = SOURCES.replace("quay.io/tools/widget", "quay.io/tools/other");
    place.program.file("tree/autoupdate.yaml", &sources);
    let run = place.update("--entry tools");
    let warning =
        "tools: the inventory has no entry quay.io/tools/other named mirrored-tools-other; one is added";
    assert!(run.code == 0 && run.stderr.contains(warning), "{run}");
    assert!(!run.stderr.contains("quay.io/tools/gadget named"), "{run}");
}

#[test]
fn comments_of_the_inventory_are_lost_only_where_that_is_wanted() {
    let place = Place::new();
    let commented = format!("# ours\n{CONFIG}");
    place.commit("config.yaml", &commented);
    let refused = place.update("--entry tools --write");
    let said = "error: 1 comment would be lost, so tree/config.yaml is left as it is";
    assert!(refused.code == 1 && refused.stderr.contains(said), "{refused}");
    assert_eq!(place.config(), commented);
    let written = place.update("--entry tools --write --force");
    assert!(written.code == 0 && !place.config().contains('#'), "{written}");
}

#[test]
fn what_is_missing_is_written_in_the_canonical_form_with_regsync_yaml_beside_it() {
    let place = Place::new();
    let run = place.update("--entry tools --write");
    assert_eq!(run.code, 0, "{run}");
    let with = CONFIG
        .replace("  - \"3.9\"\n", "  - \"3.9\"\n  - v1.10.0\n  - v1.9.1\n")
        .replace("/widget\n  Tags:\n", "/widget\n  Tags:\n  - v1.10.0\n");
    assert_eq!(place.config(), with);
    let regsync = std::fs::read_to_string(place.tree.join("regsync.yaml")).unwrap();
    let exported = place.program.run("mirror export tree/config.yaml --format regsync");
    assert_eq!(regsync, exported.stdout);
    let dirty = place.update("--entry tools --write");
    assert_eq!(dirty.code, 1, "{dirty}");
    assert!(dirty.stderr.contains("changes that are not committed"), "{dirty}");
    assert_eq!(place.update("--entry tools --diff --exit-code").code, 0);
}

#[test]
fn a_pull_request_has_the_branch_commits_title_and_text_of_ranchers_tool() {
    let place = Place::new();
    let run = place.update("--pull-request");
    assert_eq!(run.code, 1, "the entry gone fails: {run}");
    let branch = place.branch();
    let log = place.remote(&["log", "--reverse", "--format=%an: %s", &format!("trunk..{branch}")]);
    insta::assert_snapshot!(log, @"
    Ann: Add tag(s) v1.10.0, v1.9.1 for artifact quay.io/tools/gadget
    Ann: Add tag(s) v1.10.0 for artifact quay.io/tools/widget
    ");
    assert_eq!(place.remote(&["diff", "--name-only", "trunk", &branch]), "config.yaml\nregsync.yaml");
    let pulls = place.github.pulls();
    let [pull] = &pulls[..] else { panic!("{pulls:?}") };
    assert_eq!((pull.head.as_str(), pull.base.as_str()), (branch.as_str(), "trunk"));
    assert_eq!(pull.title, "[autoupdate] Add 3 tag(s) for `tools`");
    insta::assert_snapshot!(pull.body, @"
    This PR was created by the autoupdate workflow.

    It adds the following artifact tags:
    - `quay.io/tools/gadget:v1.10.0`
    - `quay.io/tools/gadget:v1.9.1`
    - `quay.io/tools/widget:v1.10.0`
    ");
    assert_eq!(
        (&pull.reviewers[..], &pull.team_reviewers[..]),
        (&["ann".to_owned()][..], &["mirrors".to_owned()][..])
    );
    // What the pull request has is what is written.
    place.update("--entry tools --write");
    assert_eq!(place.remote(&["show", &format!("{branch}:config.yaml")]), place.config().trim_end());
    assert_eq!(git(&place.tree, &["branch", "--show-current"]), "trunk");
    assert_eq!(git(&place.tree, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_pull_request_of_the_same_tags_is_left_and_one_that_was_closed_is_made_again_only_if_asked() {
    let place = Place::new();
    place.update("--entry tools --pull-request");
    let again = place.update("--entry tools --pull-request");
    assert_eq!(again.code, 0, "{again}");
    assert!(
        again.stderr.contains("there is a pull request: https://github.com/acme/mirror/pull/1"),
        "{again}"
    );
    place.github.close(1, false);
    assert_eq!(place.update("--entry tools --pull-request").code, 0);
    assert_eq!(place.github.pulls().len(), 1);
    let reopened = place.update("--entry tools --pull-request --reopen closed");
    assert_eq!(reopened.code, 0, "{reopened}");
    let numbers: Vec<usize> = place.github.pulls().iter().map(|pull| pull.number).collect();
    assert_eq!(numbers, [1, 2]);
    place.branch();
}

#[test]
fn reviewers_that_cannot_be_asked_do_not_make_a_pull_request_worthless() {
    let place = Place::new();
    place.github.collaborators(&[]);
    let run = place.update("--entry tools --pull-request");
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stderr.contains("Reviews may only be requested from collaborators"), "{run}");
    place.github.collaborators(&["ann"]);
    // No review was requested yet.
    place.update("--entry tools --pull-request");
    assert_eq!(place.github.pulls()[0].reviewers, ["ann"]);
}

#[test]
fn without_a_token_a_repository_or_a_working_tree_no_pull_request_is_made() {
    let place = Place::new();
    let outside = Program::new();
    outside.file("config.yaml", CONFIG);
    outside.file("autoupdate.yaml", SOURCES);
    let run = outside.run("mirror update config.yaml --sources autoupdate.yaml --pull-request");
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("not in a working tree of git"), "{run}");
    place.program.file("tree/config.yaml", "Artifacts: []\n");
    let dirty = place.update("--pull-request");
    assert!(dirty.stderr.contains("changes that are not committed"), "{dirty}");
    assert!(place.github.pulls().is_empty());
}

#[test]
fn images_of_charts_are_those_that_helm_renders_with_a_configuration_of_its_own() {
    let place = Place::new();
    let charts = |name: &str| {
        format!(
            "- HelmLatest:\n    Artifacts:\n    - SourceArtifact: quay.io/tools/widget\n    Charts:\n      {name}:\n        \
             env: [a=b]\n    HelmRepo: https://charts.example.com\n    ImageDenylist: [quay.io/tools/sidecar]\n  Name: charts\n"
        )
    };
    let helm = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/bin/fake-helm");
    let update = |name: &str| {
        place.program.file("tree/autoupdate.yaml", &charts(name));
        place.update(&format!("--helm {}", helm.display()))
    };
    let run = update("web");
    assert_eq!((run.code, run.stdout.contains("+ quay.io/tools/widget:v3\n")), (0, true), "{run}");
    let broken = update("broken");
    assert_eq!(broken.code, 1);
    assert!(broken.stderr.contains("charts: chart broken: helm: chart \"broken\" not found"), "{broken}");
    let missing = place.update("--helm /nowhere/helm");
    assert!(
        missing.stderr.contains("helm is not installed; install it, or name its program with --helm"),
        "{missing}"
    );
}

#[test]
fn the_older_config_json_says_where_versions_are_too() {
    let place = Place::new();
    let sources = r#"{"tools": {"versionSource": "github-releases:tools/widget", "images": ["quay.io/tools/widget"], "latest": false}}"#;
    place.program.file("tree/autoupdate.yaml", sources);
    let run = place.update("");
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stdout.contains("+ quay.io/tools/widget:v1.10.0\n"), "{run}");
    assert!(run.stderr.contains("latest is false, which the original tool takes for true"), "{run}");
}

#[test]
fn a_program_gets_what_each_entry_lacks_its_branch_and_what_failed() {
    let place = Place::new();
    let run = place.update("-o json");
    assert_eq!(run.code, 1, "{run}");
    insta::assert_snapshot!(run.stdout);
    let made = place.update("--entry tools --pull-request -o json");
    let document: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let pull = &document["changes"][0]["pullRequest"];
    assert_eq!(
        *pull,
        serde_json::json!({ "url": "https://github.com/acme/mirror/pull/1", "created": true }),
        "{made}"
    );
    let written = place.update("--entry tools --write -o json");
    let document: serde_json::Value = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!(document["changes"][0]["written"], true, "{written}");
}
