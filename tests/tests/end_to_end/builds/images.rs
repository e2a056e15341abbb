//! Images that hold little or nothing of their own, run by containerd.

use imgop_core::api::{Context, ImageContext, Tls, TlsMode};
use imgop_tests::tenant::with_tenant;
use serde_json::Value;

fn layers(manifest: &Value) -> Vec<&str> {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.filter_map(|layer| layer["digest"].as_str()).collect()
}

#[tokio::test]
async fn an_image_that_adds_nothing_has_the_layers_of_its_base_and_runs() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let of_base = tenant.cluster.source.platform(&tenant.path("base"), "1", "amd64").await?;
        let empty =
            [("alone", format!("FROM {base}\n")), ("run", format!("FROM {base}\nRUN true\nLABEL a=b\n"))];
        for (name, dockerfile) in &empty {
            tenant.apply_builder(name, &tenant.builder(dockerfile, name, "1")).await?;
        }
        for (name, _) in &empty {
            tenant.built(name).await?;
            let manifest = tenant.cluster.target.manifest(&tenant.path(name), "1").await?;
            assert!(layers(&manifest).starts_with(&layers(&of_base)), "{name}: {manifest}");
            if *name == "alone" {
                assert_eq!(layers(&manifest), layers(&of_base), "{name}");
            }
            let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path(name)));
            assert_eq!(tenant.run_image(&image, &["cat", "/etc/imgop-version"]).await?, "1", "{name}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_image_from_nothing_runs_what_its_entrypoint_names() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        // A program that is linked statically, named as one of its applets.
        let dockerfile = "FROM scratch\nCOPY bin/busybox /echo\nENTRYPOINT [\"/echo\"]\nCMD [\"it runs\"]\n";
        let mut spec = tenant.builder(dockerfile, "app", "1");
        let tls = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        let image = ImageContext { name: base, credentials: None, tls };
        spec.context = Some(Context { image: Some(image), ..Context::default() });
        tenant.apply_builder("app", &spec).await?;
        tenant.built("app").await?;
        let manifest = tenant.cluster.target.manifest(&tenant.path("app"), "1").await?;
        assert_eq!(layers(&manifest).len(), 1, "{manifest}");
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        assert_eq!(tenant.run_image(&image, &[]).await?, "it runs");
        Ok(())
    })
    .await
}
