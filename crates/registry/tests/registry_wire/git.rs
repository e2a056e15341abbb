//! Commits of revisions, asked of git servers.

use imgop_fakes::{ScriptedRegistry, reply, settings};
use imgop_registry::git::GitError;
use imgop_registry::{Credential, Registries, Unreachable};

fn oid(digit: &str) -> String {
    digit.repeat(40)
}

fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

/// A server of protocol 2 that has the branches `main` and `same`, and a tag `same`.
async fn server() -> ScriptedRegistry {
    ScriptedRegistry::start(|seen| match (seen.method.as_str(), seen.header("git-protocol")) {
        ("GET", Some("version=2")) => {
            let first = [
                line("# service=git-upload-pack"),
                "0000".into(),
                line("version 2"),
                line("ls-refs"),
                "0000".into(),
            ];
            reply(200, &[("content-type", "application/x-git-upload-pack-advertisement")], first.concat())
        }
        ("POST", Some("version=2")) => {
            let asked = String::from_utf8(seen.body.to_vec()).unwrap();
            let refs = [
                (oid("a"), "HEAD"),
                (oid("a"), "refs/heads/main"),
                (oid("b"), "refs/heads/same"),
                (oid("c"), "refs/tags/same"),
            ];
            let sent = refs.iter().filter(|(_, name)| asked.contains(&format!("ref-prefix {name}\n")));
            let lines: String = sent.map(|(oid, name)| line(&format!("{oid} {name}"))).collect();
            reply(200, &[], lines + "0000")
        }
        _ => reply(500, &[], ""),
    })
    .await
}

fn url(server: &ScriptedRegistry) -> String {
    format!("http://{}/team/app.git", server.address)
}

#[tokio::test]
async fn a_revision_is_found_as_git_finds_it_with_two_requests() {
    let server = server().await;
    let (registries, url) = (Registries::new(settings()), url(&server));
    for (revision, commit) in [
        (None, oid("a")),
        (Some("main"), oid("a")),
        (Some("same"), oid("c")),
        (Some("refs/heads/same"), oid("b")),
    ] {
        assert_eq!(registries.git_commit(&url, revision, None).await, Ok(commit), "{revision:?}");
    }
    let lines = server.lines();
    assert_eq!(lines.len(), 8, "two for each: {lines:?}");
    assert_eq!(lines[0], "GET /team/app.git/info/refs?service=git-upload-pack");
    assert_eq!(lines[1], "POST /team/app.git/git-upload-pack");
    let missing = registries.git_commit(&url, Some("nope"), None).await;
    assert_eq!(missing, Err(GitError::RevisionNotFound { url, revision: "nope".into() }));
}

#[tokio::test]
async fn the_credential_is_sent_to_the_server_and_its_refusal_is_told_apart() {
    let server = ScriptedRegistry::start(|seen| {
        let status = if seen.header("authorization") == Some("Basic dTpw") { 404 } else { 401 };
        reply(status, &[], "")
    })
    .await;
    let (registries, url) = (Registries::new(settings()), url(&server));
    assert_eq!(registries.git_commit(&url, None, None).await, Err(GitError::Unauthorized(url.clone())));
    let credential = Credential::Basic { username: "u".into(), password: "p".into() };
    let unknown = registries.git_commit(&url, None, Some(&credential)).await;
    assert_eq!(unknown, Err(GitError::RepositoryNotFound(url)));
}

#[tokio::test]
async fn a_server_that_is_down_or_no_git_server_is_unreachable() {
    for answer in ["", "<html>", "0007ab"] {
        let server = ScriptedRegistry::start(move |_| reply(200, &[], answer)).await;
        let asked = Registries::new(settings()).git_commit(&url(&server), None, None).await;
        assert!(matches!(asked, Err(GitError::Unreachable { .. })), "{answer}: {asked:?}");
    }
    let server = ScriptedRegistry::start(|_| reply(500, &[], "")).await;
    let asked = Registries::new(settings()).git_commit(&url(&server), None, None).await;
    assert!(matches!(asked, Err(GitError::Unreachable { .. })), "{asked:?}");
}

#[tokio::test]
async fn a_host_without_an_address_is_no_registry() {
    let url = "https://git.invalid/app.git";
    let error = Registries::new(settings()).git_commit(url, None, None).await.unwrap_err();
    let start = "https://git.invalid/app.git: the name of the host cannot be resolved: ";
    assert!(error.to_string().starts_with(start), "{error}");
    let dns = |connection: &Option<Unreachable>| *connection == Some(Unreachable::Dns);
    assert!(matches!(&error, GitError::Unreachable { connection, .. } if dns(connection)), "{error:?}");
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_credential() {
    let other = server().await;
    let elsewhere =
        format!("{}/info/refs?service=git-upload-pack", url(&other).replace("127.0.0.1", "localhost")).leak();
    let server = ScriptedRegistry::start(|_| reply(302, &[("location", elsewhere)], "")).await;
    let credential = Credential::Basic { username: "u".into(), password: "p".into() };
    let asked = Registries::new(settings()).git_commit(&url(&server), None, Some(&credential)).await;
    assert!(asked.is_err());
    assert!(other.seen().iter().all(|seen| seen.header("authorization").is_none()));
}
