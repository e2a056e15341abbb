//! Contexts that are commits, fetched over ssh from a real sshd.

use imgop_core::build::BuildFailure;
use imgop_core::build::step::place;
use imgop_fakes::GitRepository;

use crate::git_contexts::{commit_of, pod, root};
use crate::pod::Pod;
use crate::ssh_server::SshServer;

/// A pod that builds this revision with these keys of its Secret.
fn pod_with(url: &str, revision: &str, keys: &[(&str, &str)]) -> Pod {
    let pod = pod(url, Some(revision));
    for (name, value) in keys {
        pod.write(place::GIT_SECRET, name, value);
    }
    pod
}

#[test]
fn a_branch_is_fetched_with_the_key_of_the_secret_and_each_build_is_of_its_newest_commit() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    let server = SshServer::start(&root.join("ssh"));
    let url = server.url(&root.join("app.git"));
    let (key, hosts) = (server.key("user"), server.known_hosts("host"));
    let keys = [("ssh-privatekey", key.as_str()), ("known_hosts", hosts.as_str())];
    for content in ["first", "second"] {
        let commit = work.commit(&[("f", content)]);
        let pod = pod_with(&url, "trunk", &keys);
        let report = pod.prepare().succeeded();
        assert_eq!((commit_of(&report), report.warnings), (commit, Vec::new()));
        assert_eq!(std::fs::read_to_string(pod.path("/work/context/f")).unwrap(), content);
    }
    let image = pod_with(&url, "trunk", &keys[..1]).image();
    assert_eq!(image.text("s/f"), "second");
    let report = pod_with(&url, "trunk", &keys[..1]).prepare().succeeded();
    assert!(report.warnings[0].contains("the key of the git server is not checked"), "{:?}", report.warnings);
}

#[test]
fn a_wrong_key_of_the_user_or_of_the_server_is_refused_and_not_shown() {
    let root = root();
    let work = GitRepository::new(&root, "app.git");
    work.commit(&[("f", "f")]);
    let server = SshServer::start(&root.join("ssh"));
    let url = server.url(&root.join("app.git"));
    let (user, other) = (server.key("user"), server.key("other"));
    let (own, foreign) = (server.known_hosts("host"), server.known_hosts("other"));
    for (key, hosts) in [(&other, &own), (&user, &foreign)] {
        let pod = pod_with(&url, "trunk", &[("ssh-privatekey", key), ("known_hosts", hosts)]);
        let (reason, message) = pod.fails_early();
        assert_eq!(reason, BuildFailure::SourceUnauthorized, "{message}");
        let secret = key.lines().nth(1).unwrap();
        assert!(!message.contains(secret), "{message}");
    }
    let (reason, message) = pod_with(&url, "none", &[("ssh-privatekey", &user)]).fails_early();
    assert_eq!(reason, BuildFailure::RevisionNotFound, "{message}");
}
