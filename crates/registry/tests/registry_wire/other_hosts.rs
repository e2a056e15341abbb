//! Registries that want to send us, or our credentials, somewhere else.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use axum::response::Response;
use imgop_registry::reference::Repository;
use imgop_registry::{
    Access, Allowances, LoopbackAddresses, Reason, Registries, RepositoryClient, Settings, Tls, Unreachable,
};

use imgop_fakes::{ScriptedRegistry, Seen, json, reply};
use imgop_fakes::{basic, client, names, plain, settings};

/// A server that must never be asked anything.
async fn canary() -> ScriptedRegistry {
    ScriptedRegistry::start(|_| json(200, r#"{"token":"t","tags":["evil"]}"#)).await
}

/// A client that finds these names at these addresses and speaks plain HTTP, with a password.
fn at(hosts: &[(&str, SocketAddr)], repository: &str, settings: Settings) -> RepositoryClient {
    let addresses: HashMap<_, _> =
        hosts.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
    let registries = Registries::new(Settings { addresses, ..settings });
    registries.repository(&repository.parse().unwrap(), &plain(basic("user", "hunter2")))
}

/// The same behind TLS, with whatever certificates.
fn behind_tls(hosts: &[(&str, SocketAddr)], repository: &str, settings: Settings) -> RepositoryClient {
    let addresses = hosts.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
    let access = Access { tls: Tls::SkipVerify, ..basic("user", "hunter2") };
    Registries::new(Settings { addresses, ..settings }).repository(&repository.parse().unwrap(), &access)
}

/// A registry that names this token server.
async fn naming(realm: &str) -> ScriptedRegistry {
    let challenge = format!(r#"Bearer realm="{realm}",service="s""#);
    ScriptedRegistry::start(move |seen| challenged(seen, &challenge)).await
}

/// The same behind TLS.
async fn tls_naming(realm: &str) -> ScriptedRegistry {
    let challenge = format!(r#"Bearer realm="{realm}",service="s""#);
    let names = ["registry.corp.test"];
    ScriptedRegistry::start_tls(&names, move |seen| challenged(seen, &challenge)).await.0
}

fn challenged(seen: &Seen, challenge: &str) -> Response {
    match seen.header("authorization") {
        Some("Bearer t") => json(200, r#"{"tags":["v1"]}"#),
        _ => reply(401, &[("www-authenticate", challenge)], ""),
    }
}

#[tokio::test]
async fn a_token_server_on_a_foreign_domain_gets_nothing() {
    let canary = canary().await;
    let registry = naming("http://token.evil.example/token?a=b").await;
    let hosts = [("registry.corp.test", registry.address), ("token.evil.example", canary.address)];
    let error = at(&hosts, "registry.corp.test/a", settings()).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Refused);
    let text = error.to_string();
    assert!(text.contains("registry.corp.test") && text.contains("token.evil.example"), "{text}");
    assert!(!text.contains("a=b"), "{text}");
    assert!(canary.seen().is_empty());
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn a_token_server_on_the_same_domain_or_one_that_was_allowed_gets_the_password() {
    let listed =
        |server: &str| BTreeMap::from([("registry.corp.test".parse().unwrap(), vec![server.to_owned()])]);
    for (name, has_port, is_listed) in [
        ("auth.corp.test", false, false),
        ("sso.other.example", false, true),
        ("sso.other.example", true, true),
    ] {
        let (tokens, _) = ScriptedRegistry::start_tls(&[name], |_| json(200, r#"{"token":"t"}"#)).await;
        let port = if has_port { format!(":{}", tokens.address.port()) } else { String::new() };
        let allowed = if is_listed { listed(&format!("{name}{port}")) } else { BTreeMap::new() };
        let registry = tls_naming(&format!("https://{name}{port}/token")).await;
        let hosts = [("registry.corp.test", registry.address), (name, tokens.address)];
        let settings = Settings { token_servers: allowed, ..settings() };
        let tags = behind_tls(&hosts, "registry.corp.test/a", settings).tags().await.unwrap();
        assert_eq!(names(&tags), ["v1"]);
        assert_eq!(tokens.lines(), ["GET /token?service=s&scope=repository%3Aa%3Apull"]);
        assert!(tokens.seen()[0].header("authorization").unwrap().starts_with("Basic "));
    }
}

#[tokio::test]
async fn a_token_server_on_another_port_gets_nothing() {
    let canary = canary().await;
    for realm in [
        format!("http://127.0.0.1:{}/any/path", canary.address.port()),
        format!("http://localhost:{}/any/path", canary.address.port()),
        format!("http://registry.corp.test:{}/any/path", canary.address.port()),
        "http://auth.corp.test/token".to_owned(),
    ] {
        let registry = naming(&realm).await;
        let hosts = [("registry.corp.test", registry.address), ("auth.corp.test", canary.address)];
        let named = at(&hosts, "registry.corp.test/a", settings());
        let here =
            Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "hunter2"));
        for client in [named, here] {
            let error = client.tags().await.unwrap_err();
            assert_eq!(*error.reason(), Reason::Refused, "{realm}: {error}");
        }
    }
    assert!(canary.seen().is_empty());
}

#[tokio::test]
async fn one_text_is_told_of_every_foreign_host_that_gives_no_answer() {
    let plain_http = canary().await;
    let mut texts = Vec::new();
    for (name, address) in [
        ("absent.invalid", None),
        ("refused.example", Some("127.0.0.1:1".parse().unwrap())),
        ("no-tls.example", Some(plain_http.address)),
    ] {
        let registry = naming(&format!("https://{name}/token")).await;
        let mut hosts = vec![("registry.corp.test", registry.address)];
        hosts.extend(address.map(|address| (name, address)));
        let addresses = hosts.into_iter().map(|(name, address)| (name.to_owned(), address)).collect();
        let registries = Registries::new(Settings { addresses, retries: 0, ..settings() });
        let repository = "registry.corp.test/a".parse().unwrap();
        let error = registries.repository(&repository, &plain(Access::default())).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Connect), "{error}");
        texts.push(error.to_string().replace(name, "HOST"));
    }
    texts.dedup();
    insta::assert_snapshot!(texts.join("\n"), @"cannot list the tags of registry.corp.test/a: HOST, which the registry names, gives no answer or has an address that is not allowed for it (REGISTRY_PRIVATE_ADDRESSES says which hosts may have private ones)");
}

#[tokio::test]
async fn where_others_name_registries_nothing_on_this_machine_is_asked_unless_its_addresses_are_allowed() {
    let server = canary().await;
    let port = server.address.port();
    let registries = Registries::new(Settings { loopback: LoopbackAddresses::Nowhere, ..settings() });
    let of_registry = async |host: &str, allowances: Allowances| {
        let repository = format!("{host}:{port}/a").parse().unwrap();
        let access = plain(Access { allowances, ..Access::default() });
        registries.repository(&repository, &access).tags().await
    };
    for host in ["127.0.0.1", "localhost"] {
        let error = of_registry(host, Allowances::default()).await.unwrap_err();
        assert!(error.to_string().contains("REGISTRY_LOOPBACK"), "{error}");
        let url = format!("http://{host}:{port}/team/app.git");
        let error = registries.git_commit(&url, None, None).await.unwrap_err();
        assert!(error.to_string().contains("REGISTRY_LOOPBACK"), "{error}");
    }
    // A registry elsewhere names it.
    let registry = naming(&format!("http://127.0.0.1:{port}/token")).await;
    let hosts = [("registry.corp.test", registry.address)];
    let settings = Settings { loopback: LoopbackAddresses::Nowhere, ..settings() };
    assert!(at(&hosts, "registry.corp.test/a", settings).tags().await.is_err());
    assert!(server.seen().is_empty());
    let allowances = Allowances::new(Vec::new(), vec!["127.0.0.1/32".parse().unwrap()]);
    assert!(of_registry("127.0.0.1", allowances).await.is_ok());
}

#[tokio::test]
async fn a_refused_address_is_not_tried_again_and_is_no_failure_of_a_host() {
    let registry = naming("https://blobs.example/token").await;
    let hosts =
        [("registry.corp.test", registry.address), ("blobs.example", "169.254.169.254:443".parse().unwrap())];
    let addresses = hosts.map(|(name, address)| (name.to_owned(), address)).into();
    let registries = Registries::new(Settings { addresses, retries: 3, ..settings() });
    let repository = "registry.corp.test/a".parse().unwrap();
    let client = registries.repository(&repository, &plain(Access::default()));
    for attempt in 1..=8 {
        let error = client.tags().await.unwrap_err();
        assert!(error.to_string().contains("REGISTRY_PRIVATE_ADDRESSES"), "{error}");
        let requests = registries.requests();
        let to_blobs = requests.iter().filter(|request| request.host == "blobs.example");
        assert_eq!(to_blobs.map(|request| request.count).sum::<u64>(), attempt, "{error}");
    }
}

#[tokio::test]
async fn odd_token_servers_get_nothing() {
    for realm in [
        "http://user:pw@registry.corp.test/token",
        "http://169.254.169.254/latest/meta-data",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "ftp://registry.corp.test/token",
        "http://127.0.0.1:1/token",
    ] {
        let registry = naming(realm).await;
        let hosts = [("registry.corp.test", registry.address)];
        let error = at(&hosts, "registry.corp.test/a", settings()).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Refused, "{realm}: {error}");
        assert_eq!(registry.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_token_server_that_redirects_is_not_followed() {
    let canary = canary().await;
    let address = canary.address;
    let registry = ScriptedRegistry::start(move |seen| {
        let host = seen.header("host").unwrap();
        if seen.target.starts_with("/token") {
            return reply(307, &[("location", &format!("http://{address}/token"))], "");
        }
        reply(401, &[("www-authenticate", &format!(r#"Bearer realm="http://{host}/token""#))], "")
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "hunter2"));
    assert_eq!(*client.tags().await.unwrap_err().reason(), Reason::Refused);
    assert!(canary.seen().is_empty());
}

#[tokio::test]
async fn a_token_server_that_redirects_to_itself_is_not_followed_either() {
    let registry = ScriptedRegistry::start(move |seen| {
        if seen.target.starts_with("/token") {
            return reply(307, &[("location", "/elsewhere")], "");
        }
        let host = seen.header("host").unwrap();
        reply(401, &[("www-authenticate", &format!(r#"Bearer realm="http://{host}/token""#))], "")
    })
    .await;
    let client = Registries::new(settings()).repository(&registry.repository("a"), &basic("user", "hunter2"));
    assert!(client.tags().await.is_err());
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let canary = canary().await;
    let target = format!("http://{}/v2/a/tags/list?secret=1", canary.address);
    let registry = ScriptedRegistry::start(move |_| reply(307, &[("location", &target)], "")).await;
    let error = client(&registry.repository("a")).tags().await.unwrap_err();
    assert_eq!((error.reason(), error.status()), (&Reason::Refused, Some(307)));
    assert!(error.to_string().contains(&canary.address.to_string()), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(canary.seen().is_empty());
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn redirects_within_the_registry_are_followed_three_times() {
    let registry = ScriptedRegistry::start(|seen| match seen.target.as_str() {
        "/v2/a/tags/list?n=1000" => reply(308, &[("location", "/one")], ""),
        "/one" => reply(302, &[("location", "two")], ""),
        "/two" => json(200, r#"{"tags":["v1"]}"#),
        _ => reply(307, &[("location", "/v2/loop/tags/list")], ""),
    })
    .await;
    assert_eq!(names(&client(&registry.repository("a")).tags().await.unwrap()), ["v1"]);
    let error = client(&registry.repository("loop")).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Protocol);
    assert_eq!(registry.seen().len(), 3 + 4);
}

#[tokio::test]
async fn metadata_addresses_are_never_connected_to() {
    let settings = Settings { retries: 0, ..settings() };
    let registries = Registries::new(settings.clone());
    for host in ["169.254.169.254", "100.100.100.200", "[fe80::1]", "[fd00:ec2::254]", "2852039166:80"] {
        let repository: Repository = format!("{host}/a").parse().unwrap();
        let error = registries.repository(&repository, &plain(Access::default())).tags().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Refused, "{host}: {error}");
    }
    let hosts = [("rebind.example", "169.254.169.254:80".parse().unwrap())];
    let error = at(&hosts, "rebind.example/a", settings).tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Refused, "{error}");
    assert!(error.to_string().contains("169.254.169.254 is a link-local or metadata address"), "{error}");
    assert!(registries.requests().is_empty());
}

#[tokio::test]
async fn b8_a_name_without_an_address_is_an_error_value() {
    let registries = Registries::new(Settings { retries: 0, ..settings() });
    let client = registries.repository(&"registry.invalid/a".parse().unwrap(), &plain(Access::default()));
    let error = client.tags().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Dns));
    assert!(error.is_retryable());
}
