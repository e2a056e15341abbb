//! When an image was created: what its configuration says, who is asked for that, and how often.

use std::net::SocketAddr;

use imgop_fakes::{DatedImages, IMAGE, ScriptedRegistry, basic, plain, reply, settings};
use imgop_registry::{Access, Reason, Registries, RepositoryClient, Settings, Tls};
use jiff::Timestamp;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn client(registry: &ScriptedRegistry) -> RepositoryClient {
    Registries::new(settings()).repository(&registry.repository("app"), &Access::default())
}

/// A registry that wants a password and sends whoever asks for a blob to `target`.
async fn redirecting(content: DatedImages, target: String) -> ScriptedRegistry {
    ScriptedRegistry::start(move |seen| match seen.header("authorization") {
        None => reply(401, &[("www-authenticate", r#"Basic realm="r""#)], ""),
        Some(_) if seen.target.contains("/blobs/") => {
            let path = seen.target.trim_start_matches('/');
            reply(307, &[("location", &format!("{target}/{path}?X-Amz-Signature=s"))], "")
        }
        Some(_) => content.answer(seen),
    })
    .await
}

/// A client of `registry.corp.test` that has a password and knows where `storage.example` is.
fn with_password(registry: SocketAddr, storage: SocketAddr) -> RepositoryClient {
    let addresses = [("registry.corp.test", registry), ("storage.example", storage)];
    let addresses = addresses.into_iter().map(|(name, address)| (name.to_owned(), address)).collect();
    let registries = Registries::new(Settings { addresses, retries: 0, ..settings() });
    let repository = "registry.corp.test/app".parse().unwrap();
    registries.repository(&repository, &plain(basic("user", "hunter2")))
}

#[tokio::test]
async fn a_configuration_comes_from_another_host_that_sees_no_credential_and_is_asked_once() {
    let mut content = DatedImages::default();
    let digest = content.image("a", r#""2024-05-06T07:08:09.5Z""#);
    let storage = content.clone().start().await;
    let registry = redirecting(content, "http://storage.example".to_owned()).await;
    let client = with_password(registry.address, storage.address);
    for _ in 0..2 {
        assert_eq!(client.created(&digest).await.unwrap(), Some(time("2024-05-06T07:08:09.5Z")));
    }
    let (at_registry, at_storage) = (registry.seen(), storage.seen());
    let shown: Vec<bool> = at_registry.iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(shown, [false, true, true], "a challenge, a manifest, a blob: {at_registry:?}");
    assert_eq!(at_storage.len(), 1);
    assert!(at_storage[0].target.ends_with("?X-Amz-Signature=s"));
    for header in ["authorization", "cookie", "proxy-authorization"] {
        assert_eq!(at_storage[0].header(header), None, "{header}");
    }
}

#[tokio::test]
async fn a_blob_is_not_fetched_from_where_no_registry_is() {
    for target in [
        "http://169.254.169.254",
        "http://[fd00:ec2::254]",
        "http://127.0.0.1:1",
        "http://10.0.0.1",
        "ftp://cdn.example",
        "file:///etc",
    ] {
        let mut content = DatedImages::default();
        let digest = content.image("a", r#""2024-05-06T07:08:09Z""#);
        let registry = redirecting(content, target.to_owned()).await;
        let error = with_password(registry.address, registry.address).created(&digest).await.unwrap_err();
        assert_eq!(*error.reason(), Reason::Refused, "{target}: {error}");
        assert!(!error.to_string().contains("Signature"), "{error}");
    }
}

#[tokio::test]
async fn a_blob_of_a_registry_with_tls_is_not_fetched_without() {
    let mut content = DatedImages::default();
    let digest = content.image("a", r#""2024-05-06T07:08:09Z""#);
    let storage = content.clone().start().await;
    let target = format!("http://{}/", storage.address);
    let (registry, pem) = ScriptedRegistry::start_tls(&["127.0.0.1"], move |seen| {
        if seen.target.contains("/blobs/") {
            return reply(307, &[("location", &target)], "");
        }
        content.answer(seen)
    })
    .await;
    let access = Access { tls: Tls::Verify { extra_ca_pem: Some(pem) }, ..Access::default() };
    let client = Registries::new(settings()).repository(&registry.repository("app"), &access);
    assert_eq!(*client.created(&digest).await.unwrap_err().reason(), Reason::Refused);
    assert!(storage.seen().is_empty());
}

#[tokio::test]
async fn other_bytes_than_the_manifest_names_and_too_many_are_errors() {
    let mut content = DatedImages::default();
    let digest = content.image("a", r#""2024-05-06T07:08:09Z""#);
    for (body, reason) in [
        (r#"{"created":"2014-01-01T00:00:00Z"}"#.to_owned(), Reason::Protocol),
        ("x".repeat((4 << 20) + 1), Reason::TooLarge { limit: 4 << 20 }),
    ] {
        let mut lying = content.clone();
        lying.blobs.values_mut().for_each(|blob| blob.clone_from(&body));
        let registry = lying.start().await;
        let client = client(&registry);
        assert_eq!(*client.created(&digest).await.unwrap_err().reason(), reason);
        // The caller does without, and does not ask a second time.
        assert_eq!(client.created(&digest).await.unwrap(), None);
        assert_eq!(registry.seen().len(), 2);
    }
}

#[tokio::test]
async fn what_one_tenant_cannot_read_or_is_lied_to_about_is_not_unknown_to_another() {
    let mut content = DatedImages::default();
    let image = content.image("a", r#""2024-05-06T07:08:09Z""#);
    let index = content.index(std::slice::from_ref(&image));
    let honest = content.clone().start().await;
    // One without the blobs, and one that calls an index an image.
    let (mut poor, mut lying) = (content.clone(), content);
    poor.blobs.clear();
    if let Some((media_type, _)) = lying.manifests.get_mut(&index) {
        *media_type = IMAGE;
    }
    let registries = Registries::new(settings());
    let client =
        |registry: &ScriptedRegistry| registries.repository(&registry.repository("app"), &Access::default());
    for hostile in [poor.start().await, lying.start().await] {
        assert!(client(&hostile).created(&index).await.is_err());
        let asked = hostile.seen().len();
        assert_eq!(client(&hostile).created(&index).await.unwrap(), None);
        assert_eq!(hostile.seen().len(), asked, "and it is not asked again");
    }
    let told = Some(time("2024-05-06T07:08:09Z"));
    assert_eq!(client(&honest).created(&index).await.unwrap(), told);
    assert_eq!(client(&honest).created(&image).await.unwrap(), told);
}

#[tokio::test]
async fn of_an_index_the_newest_image_counts_and_each_is_asked_once() {
    let mut content = DatedImages::default();
    let (old, new) =
        (content.image("a", r#""2024-01-01T00:00:00Z""#), content.image("b", r#""2025-01-01T00:00:00Z""#));
    let reproducible = content.image("c", r#""1970-01-01T00:00:00Z""#);
    let annotated = content.manifest(
        IMAGE,
        r#"{"annotations":{"org.opencontainers.image.created":"2026-01-01T00:00:00Z"},"layers":[]}"#
            .to_owned(),
    );
    let both = content.index(&[old.clone(), new.clone()]);
    let three = content.index(&[old.clone(), new.clone(), annotated]);
    let undated = content.index(&[old, new, reproducible]);
    let registry = content.start().await;
    let client = client(&registry);
    assert_eq!(client.created(&both).await.unwrap(), Some(time("2025-01-01T00:00:00Z")));
    assert_eq!(registry.seen().len(), 5, "one index, two manifests, two configurations");
    assert_eq!(client.created(&both).await.unwrap(), Some(time("2025-01-01T00:00:00Z")));
    assert_eq!(registry.seen().len(), 5);
    assert_eq!(client.created(&three).await.unwrap(), Some(time("2026-01-01T00:00:00Z")));
    assert_eq!(registry.seen().len(), 11, "the images of an index take no place from others");
    assert_eq!(client.created(&undated).await.unwrap(), None);
}
