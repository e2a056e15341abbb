//! The referrers API: which registries have it, and what their answers say of others.

use std::sync::atomic::{AtomicBool, Ordering};

use imgop_fakes::{INDEX, ScriptedRegistry, client, json, reply, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Credential, Registries};

#[tokio::test]
async fn a_repository_without_the_api_says_nothing_of_others_and_is_asked_again_on_request() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/v2/odd/") {
            json(400, "{}")
        } else {
            reply(200, &[("content-type", INDEX)], r#"{"manifests":[]}"#)
        }
    })
    .await;
    let registries = Registries::new(settings());
    let client = |name: &str| registries.repository(&registry.repository(name), &Access::default());
    let digest = Digest::of(b"x");
    for _ in 0..2 {
        assert_eq!(client("odd").referrers(&digest).await.unwrap(), None);
        assert_eq!(client("app").referrers(&digest).await.unwrap(), Some(Vec::new()));
    }
    let asked = || registry.lines().iter().filter(|line| line.contains("/odd/")).count();
    assert_eq!(asked(), 1);
    client("odd").invalidate_tag_lists();
    assert_eq!(client("odd").referrers(&digest).await.unwrap(), None);
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn that_there_is_no_api_holds_for_one_credential_and_for_none_that_was_answered() {
    let registry = ScriptedRegistry::start(|seen| match seen.header("authorization") {
        Some("Bearer partner") => reply(200, &[("content-type", INDEX)], r#"{"manifests":[]}"#),
        None => reply(401, &[("www-authenticate", r#"Bearer realm="https://127.0.0.1/""#)], ""),
        Some(_) => json(404, "{}"),
    })
    .await;
    let registries = Registries::new(settings());
    let client = |token: &str| {
        let credential = Some(Credential::RegistryToken(token.into()));
        registries.repository(&registry.repository("app"), &Access { credential, ..Access::default() })
    };
    let digest = Digest::of(b"x");
    assert_eq!(client("other").referrers(&digest).await.unwrap(), None);
    assert_eq!(client("partner").referrers(&digest).await.unwrap(), Some(Vec::new()));
    assert_eq!(client("other").referrers(&digest).await.unwrap(), None);
}

#[tokio::test]
async fn that_a_manifest_is_unknown_says_nothing_of_the_api() {
    for code in ["NAME_UNKNOWN", "MANIFEST_UNKNOWN"] {
        let body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
        let registry = ScriptedRegistry::start(move |_| json(404, body.clone())).await;
        let client = client(&registry.repository("app"));
        for _ in 0..2 {
            assert_eq!(client.referrers(&Digest::of(b"x")).await.unwrap(), Some(Vec::new()), "{code}");
        }
        assert_eq!(registry.seen().len(), 2, "nothing is remembered");
    }
}

#[tokio::test]
async fn what_the_api_cannot_say_is_not_taken_for_nothing() {
    let digest = Digest::of(b"x");
    let absent = ScriptedRegistry::start(|_| reply(200, &[("content-type", "text/html")], "<html>")).await;
    assert_eq!(client(&absent.repository("app")).referrers(&digest).await.unwrap(), None);
    let forbidden = ScriptedRegistry::start(|_| json(403, "{}")).await;
    assert!(client(&forbidden.repository("app")).referrers(&digest).await.is_err());
    let circle = ScriptedRegistry::start(|seen| {
        let link = format!("<{}>; rel=\"next\"", seen.target);
        let headers = [("content-type", INDEX), ("link", link.as_str())];
        reply(200, &headers, r#"{"manifests":[]}"#)
    })
    .await;
    let error = client(&circle.repository("app")).referrers(&digest).await.unwrap_err();
    assert!(error.to_string().contains("circles"), "{error}");
}

#[tokio::test]
async fn a_bare_404_of_an_api_that_has_answered_means_no_referrers_where_the_manifest_is_gone() {
    let (there, gone) = (Digest::of(b"there"), Digest::of(b"gone"));
    let present = there.to_string();
    let registry = ScriptedRegistry::start(move |seen| {
        let is_there = seen.target.ends_with(&present);
        match seen.target.contains("/referrers/") {
            true if is_there && seen.header("authorization").is_none() => {
                reply(200, &[("content-type", INDEX)], r#"{"manifests":[]}"#)
            }
            false if is_there => reply(200, &[("docker-content-digest", &present)], ""),
            _ => reply(404, &[], ""),
        }
    })
    .await;
    let client = client(&registry.repository("app"));
    assert_eq!(client.referrers(&there).await.unwrap(), Some(Vec::new()));
    assert_eq!(client.referrers(&gone).await.unwrap(), Some(Vec::new()));
    assert_eq!(client.referrers(&there).await.unwrap(), Some(Vec::new()), "the API is not absent since");
}

#[tokio::test]
async fn a_bare_404_of_an_api_that_has_answered_is_an_error_where_the_manifest_is_there() {
    let answered = AtomicBool::new(false);
    let registry = ScriptedRegistry::start(move |seen| {
        let digest = Digest::of(b"there").to_string();
        match seen.target.contains("/referrers/") {
            true if !answered.swap(true, Ordering::Relaxed) => {
                reply(200, &[("content-type", INDEX)], r#"{"manifests":[]}"#)
            }
            true => reply(404, &[], ""),
            false => reply(200, &[("docker-content-digest", &digest)], ""),
        }
    })
    .await;
    let client = client(&registry.repository("app"));
    client.referrers(&Digest::of(b"there")).await.unwrap();
    let error = client.referrers(&Digest::of(b"there")).await.unwrap_err();
    assert!(error.to_string().contains("has answered before"), "{error}");
}
