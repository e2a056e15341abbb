use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::build::BuildRequest;

/// A spec in which every field is given, with other values than its default.
fn whole() -> Value {
    json!({
        "platforms": ["linux/amd64", "linux/arm/v7"],
        "image": {
            "name": "registry.example.com/team/app",
            "version": "v1.2.0",
            "additionalTags": ["latest", "registry.example.com/team/other:v1"],
            "credentials": {"secretName": "push"},
            "tls": {"caSecretName": "ca"},
            "publish": "Direct",
            "labels": {"org.example/one": "He said \"50%\" & 'x'", "empty": ""},
            "annotations": {"org.opencontainers.image.url": "https://example.com/${"},
            "format": "OCI",
            "timestamp": "SourceTimestamp",
        },
        "dockerfile": "build/Dockerfile",
        "context": {
            "git": {
                "url": "https://git.example.com/team/app.git",
                "revision": "refs/pull/7/head",
                "submodules": true,
                "lfs": true,
                "depth": 0,
                "credentials": {"secretName": "git"},
            },
            "subPath": "services/api",
        },
        "target": "final",
        "buildArgs": [
            {"name": "X", "value": "b\"a'z $HOME $(id) `id` a,b=c \\ --label=evil\nsecond"},
            {"name": "EMPTY", "value": ""},
            {"name": "Z", "valueFrom": {"configMapKeyRef": {"name": "args", "key": "z"}}},
        ],
        "secrets": [{"id": ".npmrc", "secretName": "npm", "key": "token"}, {"id": "token", "secretName": "npm"}],
        "registries": [{
            "host": "quay.io",
            "credentials": {"secretName": "pull"},
            "tls": {"mode": "SkipVerify"},
        }],
        "cache": {
            "mode": "Registry",
            "repository": "registry.example.com/team/cache",
            "credentials": {"secretName": "cache"},
            "ttl": "7d",
        },
        "rebuildOn": ["Source", "BaseImage"],
        "frequency": "5m",
        "schedule": "0 3 * * *",
        "timeZone": "Europe/Berlin",
        "minInterval": "30s",
        "suspend": true,
        "concurrencyPolicy": "Forbid",
        "timeout": "2h",
        "retries": 2,
        "successfulBuildsHistoryLimit": 2,
        "failedBuildsHistoryLimit": 0,
        "resources": {"limits": {"cpu": "2", "memory": "8Gi"}, "requests": {"cpu": "500m", "memory": "512Mi"}},
        "jobTemplate": {"nodeSelector": {"pool": "builds"}, "labels": {"team": "a"}, "backoffLimit": 1},
        "storage": {"sizeLimit": "50Gi", "medium": "Memory"},
    })
}

fn spec(value: Value) -> ImageBuilderSpec {
    serde_json::from_value(value).unwrap()
}

fn schema() -> Value {
    let crd = serde_json::to_value(crate::api::crds()).unwrap();
    let builder = crd.as_array().unwrap().iter().find(|crd| crd["spec"]["names"]["kind"] == "ImageBuilder");
    builder.unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn every_field_is_read_and_written_back() {
    let whole = whole();
    let read = spec(whole.clone());
    assert_eq!(serde_json::to_value(&read).unwrap(), whole);
    BuildRequest::parse(&read).unwrap();
    let other_context = json!({"configMap": {"name": "files", "items": [
        {"key": "conf.d__a", "path": "conf.d/a", "mode": 0o755}
    ]}});
    let context: Context = serde_json::from_value(other_context.clone()).unwrap();
    assert_eq!(serde_json::to_value(&context).unwrap(), other_context);
    let volume = json!({"mode": "Volume", "volume": {"size": "20Gi", "storageClassName": "fast"}});
    let cache: Cache = serde_json::from_value(volume.clone()).unwrap();
    assert_eq!(serde_json::to_value(&cache).unwrap(), volume);
}

#[test]
fn every_field_of_the_schema_is_in_the_whole_spec() {
    let properties = schema()["properties"]["spec"]["properties"].clone();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut given = names(&whole());
    // What does not go with platforms and with a path of a Dockerfile.
    given.extend(["architecture".into(), "source".into()]);
    given.sort();
    assert_eq!(names(&properties), given);
}

/// The ways of image-operator's README to write an ImageBuilder.
fn documented_manifest(architecture: &str, version: &str) -> String {
    format!(
        r#"
apiVersion: buildah.io/v1alpha1
kind: ImageBuilder
metadata:
  name: toolbox
spec:
  architecture: {architecture}
  image:
    name: registry.example.com/tools/toolbox
    version: {version}
    useAwsIRSA: false
  resources:
    limits:
      cpu: "2"
      memory: 4Gi
    requests:
      cpu: 250m
      memory: 512Mi
  source: |
    FROM alpine:3.20
    RUN apk add --no-cache curl
    ENTRYPOINT ["curl"]
"#
    )
}

#[test]
fn manifests_as_in_image_operators_readme_are_accepted() {
    for (architecture, platforms) in [
        ("amd64", vec!["linux/amd64"]),
        ("arm64", vec!["linux/arm64"]),
        ("both", vec!["linux/amd64", "linux/arm64"]),
    ] {
        let builder: ImageBuilder =
            serde_saphyr::from_str(&documented_manifest(architecture, "\"1.0\"")).unwrap();
        let request = BuildRequest::parse(&builder.spec).unwrap();
        let built: Vec<String> = request.platforms.iter().map(ToString::to_string).collect();
        assert_eq!(built, platforms);
        assert_eq!(request.format, Format::Docker, "as image-operator's BUILDAH_FORMAT");
    }
    let least = serde_saphyr::from_str::<ImageBuilder>(
        "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {name: a}\nspec: {architecture: arm64, \
         image: {name: quay.io/a/b, version: v1}, source: FROM scratch}\n",
    );
    BuildRequest::parse(&least.unwrap().spec).unwrap();
}

#[test]
fn b12_one_architecture_gets_the_plain_tag() {
    for architecture in ["amd64", "arm64", "both"] {
        let builder: ImageBuilder = serde_saphyr::from_str(&documented_manifest(architecture, "v1")).unwrap();
        let destination = BuildRequest::parse(&builder.spec).unwrap().destination;
        let tags: Vec<String> = destination.tags.iter().map(|(to, tag)| format!("{to}:{tag}")).collect();
        assert_eq!(tags, ["registry.example.com/tools/toolbox:v1"], "{architecture}");
    }
}

#[test]
fn b12_resources_are_the_jobs_as_they_are_written_and_never_0() {
    let builder: ImageBuilder = serde_saphyr::from_str(&documented_manifest("both", "v1")).unwrap();
    let container = serde_json::to_value(builder.spec.resources.requirements()).unwrap();
    assert_eq!(
        container,
        json!({"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}})
    );
    assert_eq!(serde_json::to_value(Resources::default().requirements()).unwrap(), json!({}));
    let mut spec = builder.spec;
    spec.resources.limits.memory = Some("0".into());
    assert!(BuildRequest::parse(&spec).unwrap_err().to_string().contains("resources.limits.memory"));
}

#[test]
fn b13_no_field_names_a_namespace() {
    fn names(schema: &Value, all: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            all.push(name.to_lowercase());
            names(property, all);
        }
        if schema["items"].is_object() {
            names(&schema["items"], all);
        }
    }
    let mut all = Vec::new();
    names(&schema()["properties"]["spec"], &mut all);
    assert!(all.len() > 60 && all.iter().all(|name| !name.contains("namespace")), "{all:?}");
}

#[test]
fn a_status_with_words_of_another_version_is_read() {
    let status: ImageBuilderStatus = serde_json::from_value(json!({
        "phase": "PAUSED",
        "build": {"number": 3, "reason": "MoonPhase", "startedAt": "2026-11-21T12:00:00Z"},
        "platforms": [{"platform": "linux/amd64", "state": "SIGNED"}],
        "history": [{"number": 2, "reason": "Created", "result": "Vanished"}],
        "fieldOfTheFuture": true,
    }))
    .unwrap();
    assert_eq!(status.phase, Some(crate::api::Phase::Unknown));
    assert_eq!(status.build.unwrap().reason, BuildReason::Unknown);
    assert_eq!(status.platforms[0].state, PlatformState::Unknown);
    assert_eq!(status.history[0].result, BuildResult::Unknown);
    let status = &schema()["properties"]["status"]["properties"];
    for closed in [
        &status["phase"],
        &status["build"]["properties"]["reason"],
        &status["platforms"]["items"]["properties"]["state"],
        &status["history"]["items"]["properties"]["result"],
    ] {
        assert!(closed["type"] == "string" && closed["enum"].is_null(), "{closed}");
    }
}

/// Paths of values that a spec may be without.
fn optional_paths() -> Vec<&'static str> {
    vec![
        "/image/additionalTags",
        "/image/credentials",
        "/image/tls",
        "/image/publish",
        "/image/labels",
        "/image/annotations",
        "/image/format",
        "/image/timestamp",
        "/dockerfile",
        "/context/git/revision",
        "/context/git/submodules",
        "/context/git/depth",
        "/context/git/credentials",
        "/context/subPath",
        "/target",
        "/buildArgs",
        "/secrets",
        "/registries",
        "/cache",
        "/rebuildOn",
        "/frequency",
        "/timeZone",
        "/minInterval",
        "/suspend",
        "/concurrencyPolicy",
        "/timeout",
        "/retries",
        "/successfulBuildsHistoryLimit",
        "/failedBuildsHistoryLimit",
        "/resources/limits",
        "/resources/requests/cpu",
        "/storage",
    ]
}

proptest! {
    #[test]
    fn any_part_of_a_spec_survives_being_read_and_written(
        left_out in proptest::sample::subsequence(optional_paths(), 0..32)
    ) {
        let mut value = whole();
        for path in left_out {
            let (parent, name) = path.rsplit_once('/').unwrap();
            value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        }
        let read = spec(value);
        let again = spec(serde_json::to_value(&read).unwrap());
        prop_assert!(BuildRequest::parse(&read).is_ok());
        prop_assert_eq!(again, read);
    }
}

#[test]
fn reasons_and_results_are_written_as_they_are_read() {
    use BuildReason::{
        BaseImageMoved, Created, Requested, Retry, SourceChanged, SpecChanged, TagLost, Unknown,
    };
    use BuildResult::{Cancelled, Failed, Succeeded, Superseded};
    for reason in [Created, SpecChanged, Requested, SourceChanged, BaseImageMoved, Retry, TagLost, Unknown] {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
    for result in [Succeeded, Failed, Cancelled, Superseded, BuildResult::Unknown] {
        assert_eq!(serde_json::to_value(result).unwrap(), result.as_str());
    }
}
