//! Registries whose tokens, realms and challenges differ from the specification.

use std::collections::{BTreeMap, HashMap};

use axum::response::Response;
use imgop_registry::reference::ManifestRef;
use imgop_registry::{Access, Credential, Reason, Registries, Settings, Tls};

use imgop_fakes::{ScriptedRegistry, Seen, json, reply};
use imgop_fakes::{basic, names, settings};

/// Returns a 401 with a Bearer challenge; `rest` follows the realm.
fn challenge(realm: &str, rest: &str) -> Response {
    reply(401, &[("www-authenticate", &format!(r#"Bearer realm="{realm}"{rest}"#))], "")
}

/// Returns a token that says for which scopes it is.
fn token_for_its_scopes(seen: &Seen) -> Response {
    json(200, format!(r#"{{"token":"{}"}}"#, seen.query("scope").unwrap_or_default()))
}

fn realm(seen: &Seen) -> String {
    format!("http://{}/token", seen.header("host").unwrap())
}

#[tokio::test]
async fn a_token_with_the_scope_of_the_challenge_is_fetched_where_the_registry_names_another() {
    for (path, named) in [
        ("nginx", "repository:library/nginx:pull"),
        ("app", "repository:app:metadata_read"),
        ("team/app", "repository:mirror/team/app:pull"),
    ] {
        let registry = ScriptedRegistry::start(move |seen| {
            if seen.target.starts_with("/token") {
                return token_for_its_scopes(seen);
            }
            let wanted = named.replace(':', "%3A").replace('/', "%2F");
            if seen.header("authorization") == Some(&format!("Bearer {wanted}")) {
                return json(200, r#"{"tags":["v1"]}"#);
            }
            challenge(&realm(seen), &format!(r#",scope="{named}",error="insufficient_scope""#))
        })
        .await;
        let client = Registries::new(settings()).repository(&registry.repository(path), &basic("u", "p"));
        assert_eq!(names(&client.tags().await.unwrap()), ["v1"], "{named}");
        let before = registry.seen().len();
        assert_eq!(names(&client.tags().await.unwrap()), ["v1"], "{named}");
        assert_eq!(registry.seen().len() - before, 1, "the scope is remembered: {:?}", registry.lines());
    }
}

#[tokio::test]
async fn a_scope_for_a_repository_of_another_name_is_not_asked_for() {
    for named in ["repository:user/image:pull", "repository:other:pull,push", "registry:catalog:*"] {
        let registry = ScriptedRegistry::start(move |seen| {
            if seen.target.starts_with("/token") {
                return token_for_its_scopes(seen);
            }
            challenge(&realm(seen), &format!(r#",scope="{named}""#))
        })
        .await;
        let client =
            Registries::new(settings()).repository(&registry.repository("team/app"), &basic("u", "p"));
        assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unauthorized);
        let tokens = registry.lines().into_iter().filter(|line| line.starts_with("GET /token"));
        assert!(tokens.into_iter().all(|line| line.contains("team%2Fapp%3Apull")), "{named}");
    }
}

/// A registry with robots that may create repositories: who may only pull learns nothing of absent ones.
async fn with_robots() -> ScriptedRegistry {
    ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return token_for_its_scopes(seen);
        }
        let may_push = seen.header("authorization").is_some_and(|shown| shown.contains("pull%2Cpush"));
        if may_push {
            return json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#);
        }
        challenge(&realm(seen), r#",scope="repository:new:pull",error="insufficient_scope""#)
    })
    .await
}

#[tokio::test]
async fn a_repository_that_only_a_token_for_pushes_may_see_is_absent_and_not_refused() {
    let registry = with_robots().await;
    let client = Registries::new(settings()).push_target(&registry.repository("new"), &basic("robot", "p"));
    let found = client.head(&ManifestRef::Tag("v1".parse().unwrap())).await.unwrap();
    assert!(found.is_none());
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::RepositoryNotFound);
}

#[tokio::test]
async fn a_scope_for_pushes_that_one_credential_was_given_is_not_asked_for_by_others() {
    let registry = with_robots().await;
    let registries = Registries::new(settings());
    let tags = async |access: &Access| {
        registries.push_target(&registry.repository("new"), access).tags().await.unwrap_err()
    };
    tags(&basic("robot", "p")).await;
    let before = registry.lines().len();
    assert_eq!(*tags(&Access::default()).await.reason(), Reason::Unauthorized);
    let since = &registry.lines()[before..];
    assert!(since.iter().all(|line| !line.contains("push")), "{since:?}");
}

#[tokio::test]
async fn without_a_credential_no_token_for_pushes_is_asked_for() {
    let registry = with_robots().await;
    let client = Registries::new(settings()).push_target(&registry.repository("new"), &Access::default());
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Unauthorized);
    assert!(registry.lines().iter().all(|line| !line.contains("push")), "{:?}", registry.lines());
}

#[tokio::test]
async fn two_repositories_of_one_host_may_have_two_token_servers() {
    let registry = ScriptedRegistry::start(|seen| {
        let mine =
            if seen.target.contains("/one/") || seen.target.contains("%3Aone%3A") { "one" } else { "two" };
        if seen.target.starts_with("/token") {
            let is_mine = seen.target.starts_with(&format!("/token-{mine}"));
            return if is_mine { token_for_its_scopes(seen) } else { json(403, "{}") };
        }
        if seen.header("authorization").is_some() {
            return json(200, r#"{"tags":["v1"]}"#);
        }
        challenge(&format!("{}-{mine}", realm(seen)), "")
    })
    .await;
    let registries = Registries::new(settings());
    let listed = async |path: &str| {
        let client = registries.repository(&registry.repository(path), &basic("u", "p"));
        names(&client.tags().await.unwrap()).join(",")
    };
    for path in ["one", "two", "one", "two"] {
        assert_eq!(listed(path).await, "v1", "{path}");
    }
    let before = registry.seen().len();
    assert_eq!((listed("one").await, listed("two").await), ("v1".to_owned(), "v1".to_owned()));
    assert_eq!(registry.seen().len() - before, 2, "each is remembered: {:?}", registry.lines());
    // Their tokens run out, and which server gives them is still known of each.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_mins(10)).await;
    tokio::time::resume();
    let before = registry.seen().len();
    assert_eq!((listed("one").await, listed("two").await), ("v1".to_owned(), "v1".to_owned()));
    assert_eq!(registry.seen().len() - before, 4, "a token and a list each: {:?}", registry.lines());
}

#[tokio::test]
async fn a_token_server_that_refuses_a_credential_is_asked_once_a_call() {
    let registry = ScriptedRegistry::start(|seen| {
        if seen.target.starts_with("/token") {
            return json(401, "{}");
        }
        challenge(&realm(seen), "")
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("u", "wrong"));
    for _ in 0..2 {
        let before = registry.lines().len();
        let error = client.tags().await.unwrap_err();
        assert!(error.to_string().contains("does not accept the credential"), "{error}");
        let lines = registry.lines().split_off(before);
        let tokens = lines.iter().filter(|line| line.contains("/token")).count();
        assert_eq!((tokens, lines.len()), (1, 2), "one request is without authorization: {lines:?}");
    }
}

/// A registry behind TLS whose token server is on a domain of its own, and that token server.
async fn vendor() -> (ScriptedRegistry, ScriptedRegistry, Settings) {
    let (tokens, _) =
        ScriptedRegistry::start_tls(&["auth.other.example"], |_| json(200, r#"{"token":"t"}"#)).await;
    let (registry, _) =
        ScriptedRegistry::start_tls(&["registry.vendor.test"], |seen| match seen.header("authorization") {
            Some("Bearer t") => json(200, r#"{"tags":["v1"]}"#),
            _ => challenge("https://auth.other.example/token", r#",service="s""#),
        })
        .await;
    let addresses = HashMap::from([
        ("registry.vendor.test".to_owned(), registry.address),
        ("auth.other.example".to_owned(), tokens.address),
    ]);
    (registry, tokens, Settings { addresses, ..settings() })
}

fn skip_verify(access: Access) -> Access {
    Access { tls: Tls::SkipVerify, ..access }
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_from_a_token_server_on_any_domain() {
    let (_registry, tokens, settings) = vendor().await;
    let registries = Registries::new(settings);
    let repository = "registry.vendor.test/a".parse().unwrap();
    let anonymous = registries.repository(&repository, &skip_verify(Access::default()));
    assert_eq!(names(&anonymous.tags().await.unwrap()), ["v1"]);
    assert_eq!(tokens.seen().len(), 1);

    let user = registries.repository(&repository, &skip_verify(basic("user", "hunter2")));
    let error = user.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Refused, "{error}");
    assert_eq!(tokens.seen().len(), 1, "also once its address is known, it gets no credential");
    assert!(
        error.to_string().contains("REGISTRY_TOKEN_SERVERS=registry.vendor.test=auth.other.example"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_server_that_the_settings_name_gets_the_credential() {
    let (_registry, tokens, settings) = vendor().await;
    let token_servers =
        BTreeMap::from([("registry.vendor.test".parse().unwrap(), vec!["auth.other.example".to_owned()])]);
    let registries = Registries::new(Settings { token_servers, ..settings });
    let repository = "registry.vendor.test/a".parse().unwrap();
    let user = registries.repository(&repository, &skip_verify(basic("user", "hunter2")));
    assert_eq!(names(&user.tags().await.unwrap()), ["v1"]);
    assert!(tokens.seen()[0].header("authorization").unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn an_anonymous_token_is_not_fetched_over_plain_http_or_from_a_private_name() {
    for realm in [
        "http://auth.other.example/token",
        "https://127.0.0.1:1/token",
        "https://10.0.0.1/token",
        "https://localhost/token",
        "https://vault.svc.cluster.local/v1/token",
        "https://metadata.google.internal/token",
        "https://vault/token",
    ] {
        let registry = ScriptedRegistry::start(move |_| challenge(realm, "")).await;
        let addresses = HashMap::from([("registry.corp.test".to_owned(), registry.address)]);
        let registries = Registries::new(Settings { addresses, ..settings() });
        let access = Access { tls: Tls::PlainHttp, ..Access::default() };
        let client = registries.repository(&"registry.corp.test/a".parse().unwrap(), &access);
        let error = client.tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Refused, "{realm}: {error}");
    }
}

#[tokio::test]
async fn a_credential_is_used_where_only_the_base_of_the_api_asks_for_it() {
    for hidden in
        [|| json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#), || json(403, ""), || json(401, "")]
    {
        let registry = ScriptedRegistry::start(move |seen| {
            if seen.header("authorization").is_some() {
                return json(200, r#"{"tags":["v1"]}"#);
            }
            match seen.target.as_str() {
                "/v2/" => reply(401, &[("www-authenticate", r#"Basic realm="x""#)], ""),
                _ => hidden(),
            }
        })
        .await;
        let registries = Registries::new(settings());
        let user = registries.repository(&registry.repository("team/app"), &basic("u", "p"));
        assert_eq!(names(&user.tags().await.unwrap()), ["v1"]);
        let before = registry.seen().len();
        user.tags().await.unwrap();
        assert_eq!(registry.seen().len() - before, 1, "the challenge is remembered");
        let fresh = Registries::new(settings());
        let anonymous = fresh.repository(&registry.repository("team/app"), &Access::default());
        assert!(anonymous.tags().await.is_err());
        assert_eq!(registry.seen().len() - before, 2, "without a credential there is nothing to try");
    }
}

#[tokio::test]
async fn a_redirect_within_a_family_of_registries_takes_the_token_along() {
    let answer = |seen: &Seen| {
        if seen.target.starts_with("/token") {
            return json(200, r#"{"token":"t"}"#);
        }
        match (seen.header("host"), seen.header("authorization")) {
            (Some("lscr.io"), _) => {
                reply(307, &[("location", &format!("https://ghcr.io{}", seen.target))], "")
            }
            (_, Some("Bearer t")) => json(200, r#"{"tags":["v1"]}"#),
            _ => challenge("https://ghcr.io/token", r#",service="ghcr.io""#),
        }
    };
    let (registry, _) = ScriptedRegistry::start_tls(&["lscr.io", "ghcr.io"], answer).await;
    let addresses = ["lscr.io", "ghcr.io"].map(|name| (name.to_owned(), registry.address));
    let registries = Registries::new(Settings { addresses: HashMap::from(addresses), ..settings() });
    let repository = "lscr.io/linuxserver/app".parse().unwrap();
    let client = registries.repository(&repository, &skip_verify(Access::default()));
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
}

#[tokio::test]
async fn a_credential_that_is_a_token_stays_with_its_registry() {
    let answer = |seen: &Seen| match (seen.header("host"), seen.header("authorization")) {
        (Some("lscr.io"), Some("Bearer secret")) => {
            reply(307, &[("location", &format!("https://ghcr.io{}", seen.target))], "")
        }
        (Some("lscr.io"), _) => challenge("https://ghcr.io/token", r#",service="ghcr.io""#),
        _ => json(200, r#"{"tags":["v1"]}"#),
    };
    let (registry, _) = ScriptedRegistry::start_tls(&["lscr.io", "ghcr.io"], answer).await;
    let addresses = ["lscr.io", "ghcr.io"].map(|name| (name.to_owned(), registry.address));
    let registries = Registries::new(Settings { addresses: HashMap::from(addresses), ..settings() });
    let access = Access { credential: Some(Credential::RegistryToken("secret".into())), ..Access::default() };
    let client = registries.repository(&"lscr.io/linuxserver/app".parse().unwrap(), &skip_verify(access));
    assert_eq!(names(&client.tags().await.unwrap()), ["v1"]);
    let shown: Vec<_> = registry
        .seen()
        .iter()
        .filter(|seen| seen.header("host") == Some("ghcr.io"))
        .map(|seen| seen.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(shown, [None]);
}
