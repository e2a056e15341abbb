//! What the API server accepts of an Image.

use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::images::{image, images, spec, stored};

/// Fields of a spec and their values.
type Case = Vec<(&'static str, Value)>;

/// Returns a case for each value of a field.
fn each(field: &'static str, values: &[&str]) -> Vec<Case> {
    values.iter().map(|value| vec![(field, (*value).into())]).collect()
}

/// Returns cases of single fields.
fn single_fields() -> Vec<Case> {
    let mut cases = vec![vec![]];
    cases.extend(each("mode", &["OneShot", "OnceByTag", "Recurrent"]));
    cases.extend(each(
        "frequency",
        &["10s", "30s", "5m", "1h30m", "1d12h", "2w3d", "010s", "0d1h", "5s5s", "5200w"],
    ));
    cases.extend(each(
        "schedule",
        &[
            "0 3 * * *",
            "*/15 8-18 * * MON-FRI",
            "5/10 0-6/2,22 1,15 jan-mar,12 sun",
            "00 03 01 01 7",
            "  0\t3 * * *\n",
            "@hourly",
            "@DAILY",
            "@midnight",
            "@weekly",
            "@monthly",
            "@yearly",
            "@annually",
        ],
    ));
    for zone in
        ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"]
    {
        cases.push(vec![("schedule", "@daily".into()), ("timeZone", zone.into())]);
    }
    cases.push(vec![("schedule", "@daily".into()), ("frequency", "5m".into())]);
    cases.extend(each(
        "source.name",
        &[
            "nginx",
            "rancher/rancher",
            "docker.io/library/nginx",
            "localhost/x",
            "localhost:5000/app",
            "registry.corp:5000/a/b/c/d",
            "10.0.0.1:5000/a",
            "[::1]:5000/a",
            "REGISTRY.example.com/a",
            "a--b/c__d/e.f_g",
        ],
    ));
    let digest = format!("sha256:{}", "0".repeat(64));
    let (named, full) =
        (format!("{}@{digest}", "a".repeat(128)), (0..1000).map(|n| format!("v{n}@{digest}")));
    for tags in [json!(["1.27", "8.x", named, digest]), json!(full.collect::<Vec<_>>())] {
        let source = json!({ "name": "quay.io/argoproj/argocd", "tags": tags, "select": { "minAge": "3d" } });
        cases.push(vec![("source", source.clone())]);
        cases.push(vec![("source", source), ("destination.version", "mirrored-{tag}".into())]);
    }
    cases.extend(each(
        "source.version",
        &[
            "latest",
            "v2.13.1",
            "3.20",
            "RELEASE.2024-01-01T00-00-00Z",
            "linux-x",
            "1.2.3-x86",
            "1.2-beta.x",
            "2.x.0",
            "3.1.x",
            "4.x.x",
            "v2.13.x",
            "2.x",
            "x",
            "2.13.X",
            "2.13.*",
            "2.13.x-alpine",
        ],
    ));
    let tags_change = ("destination.version", "mirror-{tag}".into());
    cases.push(vec![("destination.name", "quay.io/argoproj/argocd".into()), tags_change]);
    cases.extend(each("destination.overwrite", &["IfDifferent", "IfMissing"]));
    cases.extend(each("destination.publish", &["Staged", "Direct"]));
    cases.extend([true, false].map(|on| vec![("suspend", on.into())]));
    cases
}

/// Returns cases of what one side may say on how it is reached.
fn reached(side: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let field = |name: &str| -> &'static str { format!("{side}.{name}").leak() };
    cases.push(vec![(field("credentials"), json!({ "secretName": "quay.io-pull-secret" }))]);
    cases.push(vec![(field("credentials"), Value::Null)]);
    cases.push(vec![(field("tls"), json!({ "caSecretName": "ca" }))]);
    cases.push(vec![(field("tls"), json!({ "caSecretName": "ca", "mode": "Verify" }))]);
    cases.push(vec![(field("tls"), json!({ "caSecretName": null, "mode": "SkipVerify" }))]);
    cases.push(vec![(field("tls"), json!({ "mode": "PlainHTTP" }))]);
    cases.push(vec![(field("useAwsIRSA"), true.into())]);
    cases
}

/// Returns cases of a source's version with what the destination makes of it.
fn version_pairs() -> Vec<Case> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let pair = |source: &str, destination: Value| {
        vec![("source.version", source.into()), ("destination.version", destination)]
    };
    let mut cases = vec![
        pair("v2.13.x", "v2.13.x".into()),
        pair("v2.13.x", "".into()),
        pair("v2.13.x", Value::Null),
        pair("v2.13.x", "{tag}".into()),
        pair("v2.13.x", "{tag}-corp".into()),
        pair("v2.13.x", "mirror-{tag}".into()),
        pair("v2.13.x", "{tag}.x".into()),
        pair(">=2.13 <2.15", ">=2.13 <2.15".into()),
        pair(">=2.13 <2.15", "{tag}-corp".into()),
        pair("v2.13.1", "stable".into()),
        pair("v2.13.1", "v2.13.1".into()),
        pair(&digest, "stable".into()),
    ];
    let newest = [("source.select.latest", 1.into()), ("destination.version", "stable".into())];
    cases.push([vec![("source.version", "v2.13.x".into())], newest.to_vec()].concat());
    cases.push(vec![("source.select", json!({ "include": ["v2.*"], "exclude": [".*-debug"], "latest": 3 }))]);
    cases.push(vec![("source.immutableTags", json!(["x.x.x", "*"]))]);
    cases
}

#[tokio::test]
async fn good_images_are_accepted() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let cases = [single_fields(), version_pairs(), reached("source"), reached("destination")].concat();
        let api = images(&client, &namespace);
        let mut wrong = Vec::new();
        for case in &cases {
            if let Err(error) = api.create(&PostParams::default(), &image(&spec(case))).await {
                wrong.push(format!("{case:?}: {error}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(stored(&api).await?, cases.len());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn manifests_of_image_operator_are_stored_unchanged() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let every_field = json!({
            "allowCandidateRelease": true,
            "mode": "OnceByTag",
            "frequency": "15m",
            "source": { "name": "quay.io/nginx/nginx", "version": "v2.13.x", "useAwsIRSA": false },
            "destination": {
                "name": "public.ecr.aws/nginx/nginx", "version": "v2.13.x", "useAwsIRSA": true
            },
        });
        let one_tag = json!({
            "mode": "OneShot",
            "frequency": "1m",
            "source": { "name": "library/nginx", "version": "1.27" },
            "destination": { "name": "registry.example.com/nginx", "version": "stable" },
        });
        let required_only = json!({
            "mode": "Recurrent",
            "source": { "name": "traefik", "version": "3.x.0" },
            "destination": { "name": "registry.example.com/traefik", "version": "3.x.0" },
        });
        let api = images(&client, &namespace);
        for wanted in [every_field, one_tag, required_only] {
            let mut stored = api.create(&PostParams::default(), &image(&wanted)).await?.data["spec"].clone();
            if wanted.get("frequency").is_none() {
                assert_eq!(stored["frequency"], "5m", "the default of image-operator");
                stored.as_object_mut().unwrap().remove("frequency");
            }
            assert_eq!(stored, wanted);
        }
        Ok(())
    })
    .await
}
