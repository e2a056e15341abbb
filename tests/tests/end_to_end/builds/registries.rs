//! Registries that are reached in different ways, and what is sent to them.

use imgop_core::api::{
    BuiltImage, Cache, CacheMode, Credentials, ImageBuilderSpec, PullRegistry, Tls, TlsMode,
};
use imgop_tests::tenant::{CA_SECRET, PUSH_SECRET, Tenant, with_tenant};

const PLAIN: Tls = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };

/// Returns a spec that builds on an image of the target registry, which has a CA of its own, and pushes to the source
/// registry, which speaks plain HTTP.
fn to_plain_http(tenant: &Tenant, dockerfile: &str, tls: Tls) -> ImageBuilderSpec {
    let source = &tenant.cluster.source;
    let under_ca = PullRegistry {
        host: tenant.cluster.environment.target_registry.clone(),
        credentials: Some(Credentials { secret_name: PUSH_SECRET.to_owned() }),
        tls: Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.to_owned()) },
    };
    ImageBuilderSpec {
        platforms: vec!["linux/amd64".to_owned()],
        source: Some(dockerfile.to_owned()),
        registries: vec![under_ca],
        ..ImageBuilderSpec::new(BuiltImage {
            tls: Some(tls),
            ..BuiltImage::new(source.repository(&tenant.path("plain")), "1")
        })
    }
}

#[tokio::test]
async fn a_destination_of_plain_http_names_its_field_and_takes_parts_index_and_cache() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        tenant.base_image().await?;
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        target.take(&tenant.path("base"), "1", source, &tenant.path("base"), "1").await?;
        let dockerfile =
            format!("FROM {}:1\nRUN echo text > /text\n", target.repository(&tenant.path("base")));

        tenant.apply_builder("app", &to_plain_http(tenant, &dockerfile, Tls::default())).await?;
        let message = tenant.build_fails("app", "RegistryUnreachable").await?;
        assert!(message.contains("spec.image.tls.mode to PlainHTTP"), "{message}");
        assert!(tenant.pods().await?.is_empty());

        let mut spec = to_plain_http(tenant, &dockerfile, PLAIN);
        if !tenant.cluster.environment.emulated.is_empty() {
            spec.platforms.push("linux/arm64".to_owned());
        }
        spec.cache = Cache {
            mode: CacheMode::Registry,
            repository: Some(source.repository(&tenant.path("cache"))),
            ..Cache::default()
        };
        tenant.apply_builder("app", &spec).await?;
        let built = tenant.built("app").await?;
        let path = tenant.path("plain");
        let at_registry = source.digest(&path, "1").await?.map(|digest| digest.to_string());
        assert_eq!(built.image.map(|image| image.digest), at_registry);
        if spec.platforms.len() > 1 {
            for architecture in ["amd64", "arm64"] {
                let manifest = source.platform(&path, "1", architecture).await?;
                assert!(source.has_blobs_of(&path, &manifest).await?, "{architecture}");
            }
        }
        assert!(!source.tags(&tenant.path("cache")).await?.is_empty(), "layers are kept");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_a_given_time_a_second_build_has_the_same_digest_and_sends_nothing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let target = &tenant.cluster.target;
        let dockerfile = format!("FROM {base}\nRUN echo text > /text; /bin/busybox touch /touched\n");
        let spec = |tag: &str| {
            let mut spec = tenant.builder(&dockerfile, "app", tag);
            spec.image.timestamp = Some("Zero".to_owned());
            spec
        };
        tenant.apply_builder("first", &spec("1")).await?;
        tenant.built("first").await?;
        let path = tenant.path("app");
        let before = target.mark().await?;
        tenant.apply_builder("second", &spec("2")).await?;
        tenant.built("second").await?;
        let after = target.mark().await?;
        assert_eq!(target.digest(&path, "1").await?, target.digest(&path, "2").await?);
        let requests = target.requests(&path, before, after)?;
        let sent =
            |method: &str, path: &str| matches!(method, "PATCH" | "PUT") && path.contains("/blobs/uploads/");
        assert!(!requests.iter().any(|request| sent(&request.method, &request.path)), "{requests:?}");
        Ok(())
    })
    .await
}
