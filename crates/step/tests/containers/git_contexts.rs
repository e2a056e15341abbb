//! Contexts that are commits, from a real git server.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_core::build::step::{GitSource, StepContext, StepReport, place};
use imgop_core::build::{BuildFailure, Timestamp};
use imgop_fakes::{GitBehaviour, GitRepository, GitServer, git};

use crate::pod::Pod;
use crate::registry::folder;

/// Returns a new folder for the repositories of a server.
pub fn root() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let root = folder().join(format!("git-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&root).unwrap();
    root
}

/// Returns a pod that builds a revision.
pub fn pod(url: &str, revision: Option<&str>) -> Pod {
    let mut pod = Pod::of("FROM scratch\nCOPY . /s\n");
    pod.input.context = StepContext::Git(GitSource {
        url: url.to_owned(),
        revision: revision.map(str::to_owned),
        commit: None,
        submodules: false,
        lfs: false,
        depth: 1,
    });
    pod
}

fn edit(pod: &mut Pod, change: impl FnOnce(&mut GitSource)) {
    if let StepContext::Git(source) = &mut pod.input.context {
        change(source);
    }
}

/// Returns the commit that `prepare` reports.
pub fn commit_of(report: &StepReport) -> String {
    report.source.as_ref().unwrap().commit.clone().unwrap()
}

#[test]
fn every_way_to_name_a_revision_gives_the_commit_that_git_means() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    let first = work.commit(&[("f", "first")]);
    git(&work.0, &["tag", "v1"]);
    git(&work.0, &["branch", "main"]);
    let second = work.commit(&[("f", "second")]);
    git(&work.0, &["tag", "--annotate", "--message=m", "v2"]);
    git(&work.0, &["tag", "same"]);
    let third = work.commit(&[("f", "third")]);
    git(&work.0, &["branch", "same"]);
    git(&work.0, &["update-ref", "refs/pull/7/head", &second]);
    git(&work.0, &["checkout", "--quiet", "--detach"]);
    let orphan = work.commit(&[("f", "orphan")]);
    git(&work.0, &["checkout", "--quiet", "trunk"]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    let url = format!("{}/app.git", server.url);
    for (revision, commit) in [
        (None, &third),
        (Some("main"), &first),
        (Some("v1"), &first),
        (Some("v2"), &second),
        (Some("same"), &second),
        (Some("refs/heads/same"), &third),
        (Some("refs/tags/same"), &second),
        (Some(first.as_str()), &first),
        (Some(&second[..9]), &second),
        (Some("refs/pull/7/head"), &second),
        (Some(orphan.as_str()), &orphan),
    ] {
        let before = server.fetches().len();
        let report = pod(&url, revision).prepare().succeeded();
        assert_eq!(&commit_of(&report), commit, "{revision:?}");
        let is_short = revision.is_some_and(|revision| revision == &second[..9]);
        let fetches = server.fetches().split_off(before);
        let is_shallow = fetches.iter().any(|fetch| fetch.contains("deepen 1"));
        assert_eq!((fetches.len(), is_shallow), (1, !is_short), "{revision:?}: {fetches:?}");
    }
    for none in ["none", "refs/heads/none", &"0".repeat(40), "0123456"] {
        let (reason, message) = pod(&url, Some(none)).fails_early();
        assert_eq!(reason, BuildFailure::RevisionNotFound, "{none}: {message}");
    }
    let image = pod(&url, Some("v2")).image();
    assert_eq!(image.text("s/f"), "second");
    assert!(!image.root.join("s/.git").exists());
    let mut timed = pod(&url, Some("v2"));
    timed.input.timestamp = Some(Timestamp::Source);
    assert_eq!(timed.image().config["created"], "2024-01-02T03:04:05Z");
}

#[test]
fn a_commit_that_the_agent_found_is_built_though_the_branch_moved() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    let found = work.commit(&[("f", "found")]);
    work.commit(&[("f", "newer")]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    let mut pod = pod(&format!("{}/app.git", server.url), Some("trunk"));
    edit(&mut pod, |source| source.commit = Some(found.clone()));
    assert_eq!(commit_of(&pod.prepare().succeeded()), found);
}

#[test]
fn submodules_come_with_their_files_and_a_credential_reaches_its_own_host_alone() {
    let (root, other_root) = (root(), root());
    let own = GitServer::start(&root, GitBehaviour::Login("user".into(), "CANARY-git".into()));
    let other = GitServer::start(&other_root, GitBehaviour::Open);
    let (inner, elsewhere) =
        (GitRepository::new(&root, "inner.git"), GitRepository::new(&other_root, "elsewhere.git"));
    let nested = GitRepository::new(&root, "nested.git");
    nested.commit(&[("n", "nested")]);
    inner.commit(&[("i", "inner")]);
    git(&inner.0, &["submodule", "--quiet", "add", nested.0.to_str().unwrap(), "deep"]);
    git(&inner.0, &["config", "--file=.gitmodules", "submodule.deep.url", "../nested.git"]);
    inner.commit(&[]);
    elsewhere.commit(&[("e", "elsewhere")]);
    let app = GitRepository::new(&root, "app.git");
    app.commit(&[("f", "f")]);
    for (path, url) in
        [("lib/inner", "../inner.git".to_owned()), ("lib/elsewhere", format!("{}/elsewhere.git", other.url))]
    {
        let from = if path == "lib/inner" { &inner.0 } else { &elsewhere.0 };
        git(&app.0, &["submodule", "--quiet", "add", from.to_str().unwrap(), path]);
        git(&app.0, &["config", "--file=.gitmodules", &format!("submodule.{path}.url"), &url]);
    }
    app.commit(&[]);
    let url = format!("{}/app.git", own.url);
    let with_secret = |submodules: bool| {
        let mut pod = pod(&url, None);
        edit(&mut pod, |source| source.submodules = submodules);
        pod.write(place::GIT_SECRET, "username", "user");
        pod.write(place::GIT_SECRET, "password", "CANARY-git");
        pod
    };
    let image = with_secret(true).image();
    assert_eq!(
        (image.text("s/lib/inner/i").as_str(), image.text("s/lib/elsewhere/e").as_str()),
        ("inner", "elsewhere")
    );
    assert_eq!(image.text("s/lib/inner/deep/n"), "nested");
    assert!(!image.holds("CANARY-git") && !image.root.join("s/lib/inner/.git").exists());
    assert!(own.credentials().contains(&"user:CANARY-git".to_owned()));
    assert_eq!(other.credentials(), Vec::<String>::new());
    let warnings = with_secret(false).prepare().succeeded().warnings.join("\n");
    assert!(
        warnings.contains("lib/elsewhere, lib/inner are submodules; set context.git.submodules: true"),
        "{warnings}"
    );
    other.set(GitBehaviour::Broken);
    let (reason, message) = with_secret(true).fails_early();
    assert_eq!(reason, BuildFailure::SourceUnreachable, "{message}");
    assert!(message.contains("lib/elsewhere") && !message.contains("CANARY"), "{message}");
}

#[test]
fn pointers_of_lfs_are_said_where_their_content_is_not_wanted() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n", "a".repeat(64));
    work.commit(&[(".gitattributes", "*.bin filter=lfs\n"), ("big.bin", &pointer), ("small.bin", "content")]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    let warnings = pod(&format!("{}/app.git", server.url), None).prepare().succeeded().warnings.join("\n");
    assert!(
        warnings.contains("big.bin is a pointer of Git LFS") && !warnings.contains("small.bin"),
        "{warnings}"
    );
}

#[test]
fn with_lfs_the_content_comes_from_the_server_of_the_url_alone() {
    let (root, other_root) = (root(), root());
    let work = GitRepository::new(&root, "app.git");
    let oid = imgop_registry::reference::Digest::of(b"CONTENT").hex().to_owned();
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 7\n");
    let server = GitServer::start(&root, GitBehaviour::Login("user".into(), "CANARY-lfs".into()));
    let other = GitServer::start(&other_root, GitBehaviour::Open);
    let elsewhere = format!("[lfs]\n\turl = {}/x\n", other.url);
    work.commit(&[
        (".gitattributes", "*.bin filter=lfs\n"),
        (".lfsconfig", &elsewhere),
        ("big.bin", &pointer),
    ]);
    fs::create_dir_all(root.join("lfs")).unwrap();
    fs::write(root.join("lfs").join(&oid), "CONTENT").unwrap();
    let mut pod = pod(&format!("{}/app.git", server.url), None);
    edit(&mut pod, |source| source.lfs = true);
    pod.write(place::GIT_SECRET, "username", "user");
    pod.write(place::GIT_SECRET, "password", "CANARY-lfs");
    let image = pod.image();
    assert_eq!(image.text("s/big.bin"), "CONTENT");
    assert!(!image.holds("CANARY-lfs"));
    assert_eq!(other.requests(), 0);
}

#[test]
fn a_private_repository_needs_the_right_password_and_no_redirect_carries_it_away() {
    const PASSWORD: &str = "CANARY@:/%$ \"x";
    let (root, other_root) = (root(), root());
    GitRepository::new(&root, "app.git").commit(&[("f", "private")]);
    let server = GitServer::start(&root, GitBehaviour::Login("user".into(), PASSWORD.into()));
    let url = format!("{}/app.git", server.url);
    let of = |password: &str| {
        let pod = pod(&url, None);
        pod.write(place::GIT_SECRET, "username", "user");
        pod.write(place::GIT_SECRET, "password", password);
        pod
    };
    let right = of(PASSWORD);
    let image = right.image();
    assert_eq!(image.text("s/f"), "private");
    assert!(!image.holds("CANARY"));
    for (pod, what) in [(of("wrong"), "wrong"), (pod(&url, None), "missing")] {
        let (reason, message) = pod.fails_early();
        assert_eq!(reason, BuildFailure::SourceUnauthorized, "{what}: {message}");
        assert!(message.contains("context.git.credentials") && !message.contains("CANARY"), "{message}");
    }
    let other = GitServer::start(&other_root, GitBehaviour::Login("user".into(), PASSWORD.into()));
    server.set(GitBehaviour::Redirect(other.url.clone()));
    assert_eq!(of(PASSWORD).fails_early().0, BuildFailure::SourceUnauthorized);
    assert_eq!(other.credentials(), Vec::<String>::new(), "the credential stays at home");
}

#[test]
fn a_server_that_is_down_is_unreachable() {
    let root = root();
    GitRepository::new(&root, "app.git").commit(&[("f", "f")]);
    let server = GitServer::start(&root, GitBehaviour::Broken);
    let (reason, message) = pod(&format!("{}/app.git", server.url), None).fails_early();
    assert_eq!(reason, BuildFailure::SourceUnreachable, "{message}");
    assert_eq!(pod("http://127.0.0.1:1/app.git", None).fails_early().0, BuildFailure::SourceUnreachable);
    server.set(GitBehaviour::BreaksOff);
    let (reason, message) = pod(&format!("{}/app.git", server.url), None).fails_early();
    assert_eq!(reason, BuildFailure::SourceUnreachable, "{message}");
    server.set(GitBehaviour::Open);
    pod(&format!("{}/app.git", server.url), None).prepare().succeeded();
    server.set(GitBehaviour::Silent);
    let folder = root.join("silent");
    fs::create_dir_all(folder.join("context")).unwrap();
    fs::create_dir_all(folder.join("tmp")).unwrap();
    let source = GitSource {
        url: format!("{}/app.git", server.url),
        revision: None,
        commit: None,
        submodules: false,
        lfs: false,
        depth: 1,
    };
    let (stall, places) = (std::time::Duration::from_secs(2), imgop_step::Places::below(&folder));
    let failed =
        imgop_step::context::git::fetch(&source, &folder.join("context"), stall, &places).unwrap_err();
    assert_eq!(failed.reason, BuildFailure::SourceUnreachable, "{failed}");
}

#[test]
fn a_sub_path_that_is_a_link_out_of_the_repository_is_refused_with_the_commit() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    std::os::unix::fs::symlink("/etc", work.0.join("out")).unwrap();
    let commit = work.commit(&[("f", "f")]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    let mut pod = pod(&format!("{}/app.git", server.url), None);
    pod.input.sub_path = Some("out".into());
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::ContextInvalid);
    assert!(message.contains(&commit) && message.contains("is a link"), "{message}");
}

#[test]
fn nothing_that_a_repository_brings_along_is_run() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    let ran = root.join("ran");
    let command = format!("touch {}", ran.display());
    work.commit(&[
        (".gitattributes", "* filter=evil\n"),
        (".lfsconfig", "[lfs]\n\turl = file:///etc\n"),
        ("f", "f"),
    ]);
    git(&work.0, &["config", "filter.evil.smudge", &command]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    pod(&format!("{}/app.git", server.url), None).prepare().succeeded();
    // What the API server refuses is refused here too.
    for url in [format!("file://{}", work.0.display()), format!("ext::sh -c touch% {}", ran.display())] {
        assert!(pod(&url, None).prepare().failed.is_some(), "{url}");
    }
    assert!(!ran.exists());
}

#[test]
fn a_link_without_an_end_in_place_of_a_file_of_lfs_holds_nothing_up() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    std::os::unix::fs::symlink("/dev/zero", work.0.join("zero.bin")).unwrap();
    work.commit(&[(".gitattributes", "*.bin filter=lfs\n")]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    let warnings = pod(&format!("{}/app.git", server.url), None).prepare().succeeded().warnings;
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn links_of_a_commit_stay_links_and_lead_nowhere() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    for (link, target) in
        [("rel", "target.txt"), ("dangling", "nowhere"), ("out", "/etc/passwd"), ("d/up", "../target.txt")]
    {
        fs::create_dir_all(work.0.join("d")).unwrap();
        std::os::unix::fs::symlink(target, work.0.join(link)).unwrap();
    }
    work.commit(&[("target.txt", "t")]);
    let server = GitServer::start(&root, GitBehaviour::Open);
    let image = pod(&format!("{}/app.git", server.url), None).image();
    let target = |link: &str| fs::read_link(image.root.join("s").join(link)).unwrap().display().to_string();
    assert_eq!(
        ["rel", "dangling", "out", "d/up"].map(target),
        ["target.txt", "nowhere", "/etc/passwd", "../target.txt"]
    );
}
