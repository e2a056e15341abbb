//! `mirror export --format hosts.toml`, as containerd reads it.

use std::process::Command;

use anyhow::Context as _;
use imgop_tests::environment::Environment;
use imgop_tests::tenant::with_tenant;
use serde_json::json;

/// Runs `ctr` of the cluster's containerd.
fn ctr(arguments: &[&str]) -> anyhow::Result<String> {
    let Environment { bin, folder, .. } = Environment::load()?;
    let output = Command::new(bin.context("the cluster has no folder of programs")?.join("ctr"))
        .arg("--address")
        .arg(folder.join("containerd/containerd.sock"))
        .args(["--namespace", "imgop-test-hosts"])
        .args(arguments)
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    anyhow::ensure!(output.status.success(), "ctr {}: {said}", arguments.join(" "));
    Ok(said)
}

#[tokio::test]
async fn a_node_pulls_an_image_by_its_own_name_from_where_it_is_mirrored_to() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        let path = tenant.path("mirror");
        // No registry answers by this name here.
        let image = format!("registry.example.invalid/{}/widget", tenant.namespace);
        let pushed = source.fill(&format!("{path}/{image}"), &["1.0"], "").await?;
        let mirror = json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "ImageMirror", "metadata": { "name": "nodes" },
            "spec": {
                "targets": [{ "repository": source.repository(&path), "default": true,
                    "tls": { "mode": "PlainHTTP" } }],
                "entries": [{ "source": image, "tags": ["1.0"] }],
                "naming": { "template": "{registry}/{path}" },
            },
        });
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("mirror.json");
        std::fs::write(&file, mirror.to_string())?;
        let hosts = folder.path().join("certs.d");
        let arguments = ["mirror", "export", "--format=hosts.toml"].map(str::to_owned).into_iter();
        let paths = [file.display().to_string(), format!("--output-dir={}", hosts.display())];
        tenant.kubectl.imgop(arguments.chain(paths).collect::<Vec<_>>()).await?.ok()?;

        let reference = format!("{image}:1.0");
        ctr(&["images", "pull", "--local", "--hosts-dir", &hosts.display().to_string(), &reference])?;
        let listed = ctr(&["images", "list"])?;
        ctr(&["images", "remove", &reference])?;
        let line = listed.lines().find(|line| line.starts_with(&reference)).context("it is not there")?;
        anyhow::ensure!(line.contains(pushed["1.0"].as_str()), "{line}");
        Ok(())
    })
    .await
}
