//! Whoever may not read a Secret or a ConfigMap may not name it.

use imgop_core::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

use super::specs_with_secrets::{
    builder_with_many, builder_with_secrets, image_with_secrets, mirror_with_secrets, workloads_with_secrets,
};
use super::{Case, KINDS, Kind, refusal, refused, try_create, try_patch, with_case};

/// What the user may get, and what not.
pub(super) const MINE: &str = "mine";
pub(super) const THEIRS: &str = "theirs";

/// Every right on imgop's resources, and to get one Secret and one ConfigMap.
pub(super) fn tenant() -> Value {
    json!([
        { "apiGroups": ["skopeo.io", "buildah.io"], "resources": ["*"], "verbs": ["*"] },
        { "apiGroups": [""], "resources": ["secrets"], "resourceNames": [MINE], "verbs": ["get"] },
        { "apiGroups": [""], "resources": ["configmaps"], "resourceNames": [MINE], "verbs": ["get"] },
    ])
}

/// A field that names a Secret or a ConfigMap.
struct Reference {
    kind: Kind,
    /// Below `spec`, with `[]` behind lists: `registries[].tls.caSecretName`.
    path: String,
    resource: &'static str,
}

/// What a spec needs beside a field, by what the field is in.
fn needed() -> [(&'static str, Value); 14] {
    [
        ("registries[]", json!({ "host": "r.example.com" })),
        ("secrets[]", json!({ "id": "token" })),
        ("buildArgs[]", json!({ "name": "B" })),
        ("buildArgs[].valueFrom.configMapKeyRef", json!({ "key": "k" })),
        ("context.git", json!({ "url": "https://git.example.com/a/b" })),
        ("context.image", json!({ "name": "r.example.com/a:1" })),
        ("targets[]", json!({ "repository": "r.example.com" })),
        ("sources[]", json!({ "registry": "r.example.com" })),
        ("from[]", json!({ "format": "Rancher" })),
        ("from[].configMap", json!({ "key": "config.yaml" })),
        ("updates[]", json!({ "name": "u", "entries": [{ "source": "quay.io/a/b" }] })),
        ("updates[].from.githubRelease", json!({ "owner": "a", "repository": "b" })),
        ("updates[].from.githubFile", json!({ "owner": "a", "repository": "b", "path": "c" })),
        ("cache", json!({ "mode": "Registry", "repository": "r.example.com/cache" })),
    ]
}

/// Returns the place of a path; lists have one entry.
pub(super) fn place<'a>(spec: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(spec, |place, key| match key.strip_suffix("[]") {
        Some(list) => {
            if !place[list].is_array() {
                place[list] = json!([{}]);
            }
            &mut place[list][0]
        }
        None => &mut place[key],
    })
}

impl Reference {
    /// Returns a spec in which it names this.
    fn spec(&self, name: &str) -> Value {
        let mut spec = self.kind.spec();
        for (within, fields) in needed() {
            if self.path.strip_prefix(within).is_some_and(|rest| rest.starts_with('.')) {
                for (key, value) in fields.as_object().into_iter().flatten() {
                    place(&mut spec, within)[key] = value.clone();
                }
            }
        }
        *place(&mut spec, &self.path) = name.into();
        spec
    }

    /// Returns it as messages name it.
    fn field(&self) -> String {
        format!("spec.{}", self.path.replace("[]", "[0]"))
    }
}

/// Every field of a schema by its path, the innermost ones last.
fn fields(path: &str, schema: &JSONSchemaProps, all: &mut Vec<String>) {
    for (name, property) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        all.push(path.clone());
        fields(&path, property, all);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &property.items {
            fields(&format!("{path}[]"), items, all);
        }
    }
}

/// Every field of a spec.
pub(super) fn fields_of(kind: Kind) -> Vec<String> {
    let mut all = Vec::new();
    for crd in crds().iter().filter(|crd| crd.spec.names.kind == kind.resource().kind) {
        let schemas = crd.spec.versions.iter().filter_map(|version| version.schema.as_ref());
        let schemas = schemas.filter_map(|schema| schema.open_api_v3_schema.as_ref()?.properties.as_ref());
        for spec in schemas.filter_map(|properties| properties.get("spec")) {
            fields("", spec, &mut all);
        }
    }
    all
}

/// Every field that names a Secret or a ConfigMap, by the schemas.
fn references() -> Vec<Reference> {
    let mut references = Vec::new();
    for kind in KINDS {
        for path in fields_of(kind) {
            let resource = match path.rsplit('.').collect::<Vec<_>>().as_slice() {
                ["secretName" | "caSecretName" | "tokenSecretName", ..]
                | ["name", "imagePullSecrets[]", ..] => "secrets",
                ["name", "configMap" | "configMapKeyRef", ..] => "configmaps",
                _ => continue,
            };
            references.push(Reference { kind, path, resource });
        }
    }
    references
}

#[test]
fn no_reference_has_a_namespace_and_each_field_that_names_something_is_known_here() {
    let references = references();
    assert!(references.len() >= 15);
    for kind in KINDS {
        for path in fields_of(kind) {
            let last = path.rsplit('.').next().unwrap_or_default();
            // What is excluded is no reference.
            assert!(last != "namespace" || path == "exclude.workloads[].namespace", "{path}");
            let names_something =
                ["secret", "configmap"].iter().any(|word| last.to_lowercase().contains(word));
            let is_known = references.iter().any(|known| known.kind == kind && known.path.starts_with(&path));
            assert!(is_known || !names_something, "{kind:?}: {path}");
        }
    }
}

#[tokio::test]
async fn who_may_not_get_a_secret_or_a_config_map_names_it_in_no_field() -> anyhow::Result<()> {
    with_case(async |case| {
        let alice = case.user("alice", tenant()).await?;
        for reference in references() {
            let (kind, field) = (reference.kind, reference.field());
            let api = case.objects(&alice, kind);
            let object = |name: &str| kind.object("app", &reference.spec(name));
            let who = format!("{}-alice", case.namespace);
            let words = format!("{field}: {who} may not get {}/{THEIRS}", reference.resource);
            refused(&words, || async { try_create(&api, &object(THEIRS)).await }).await?;
            let answer = refusal(try_create(&api, &object(MINE)).await)?;
            anyhow::ensure!(answer.is_none(), "{field}: {answer:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_reference_is_refused_in_a_change_too_and_by_whichever_way_it_is_made() -> anyhow::Result<()> {
    with_case(async |case| {
        let alice = case.user("alice", tenant()).await?;
        for reference in references() {
            let (kind, field) = (reference.kind, reference.field());
            let (api, name) = (case.objects(&alice, kind), format!("{kind:?}").to_lowercase());
            let object = kind.object(&name, &kind.spec());
            api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await?;
            let words = format!("may not get {}/{THEIRS}", reference.resource);
            let change = json!({ "spec": reference.spec(THEIRS) });
            refused(&words, || async { try_patch(&api, &name, &change).await }).await?;
            let applied = kind.object(&name, &reference.spec(THEIRS));
            let params = PatchParams { dry_run: true, ..PatchParams::apply("test") };
            refused(&words, || async { api.patch(&name, &params, &Patch::Apply(&applied)).await.map(drop) })
                .await?;
            let answer = refusal(try_patch(&api, &name, &json!({ "spec": reference.spec(MINE) })).await)?;
            anyhow::ensure!(answer.is_none(), "{field}: {answer:?}");
        }
        Ok(())
    })
    .await
}

/// An object whose references only an administrator may name.
async fn given(case: &Case, kind: Kind, spec: &Value) -> anyhow::Result<()> {
    case.objects(&case.admin, kind).create(&PostParams::default(), &kind.object("given", spec)).await?;
    Ok(())
}

#[tokio::test]
async fn who_changes_something_else_needs_no_right_to_what_is_named_already() -> anyhow::Result<()> {
    with_case(async |case| {
        given(case, Kind::Image, &image_with_secrets()).await?;
        given(case, Kind::ImageBuilder, &builder_with_secrets()).await?;
        given(case, Kind::ImageMirror, &mirror_with_secrets()).await?;
        given(case, Kind::WorkloadMirror, &workloads_with_secrets()).await?;
        let alice = case.user("alice", tenant()).await?;
        let mirrors = case.objects(&alice, Kind::ImageMirror);
        // The policy holds.
        let (images, builders) =
            (case.objects(&alice, Kind::Image), case.objects(&alice, Kind::ImageBuilder));
        refused("may not get", || async {
            try_create(&images, &Kind::Image.object("new", &image_with_secrets())).await
        })
        .await?;
        let anything = json!({ "metadata": { "annotations": { "imgop.skopeo.io/requested-at": "1" },
            "labels": { "a": "b" }, "finalizers": ["example.com/a"] } });
        for change in [
            anything.clone(),
            json!({ "spec": { "suspend": true, "frequency": "5m", "source": { "version": "v2.14.x" } } }),
            json!({ "spec": { "destination": { "overwrite": "IfMissing", "credentials": null } } }),
        ] {
            let answer = refusal(try_patch(&images, "given", &change).await)?;
            anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
        }
        for change in [
            anything.clone(),
            json!({ "spec": { "suspend": true, "sync": "Follow", "entries": [{ "source": "quay.io/a/b", "tags": ["2"] }] } }),
            json!({ "spec": { "targets": [{ "repository": "r.example.com", "default": true }] } }),
        ] {
            let answer = refusal(try_patch(&mirrors, "given", &change).await)?;
            anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
        }
        let workloads = case.objects(&alice, Kind::WorkloadMirror);
        for change in [
            anything.clone(),
            json!({ "spec": { "suspend": true, "frequency": "1h", "retention": "1d", "mode": "Observe" } }),
            json!({ "spec": { "exclude": { "registries": ["quay.io"] }, "sources": [] } }),
        ] {
            let answer = refusal(try_patch(&workloads, "given", &change).await)?;
            anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
        }
        for change in [
            anything,
            json!({ "spec": { "suspend": true, "timeout": "5m", "retries": 2,
                "image": { "version": "v2", "labels": { "a": "b" }, "additionalTags": ["latest"] },
                "secrets": [], "registries": [{ "host": "quay.io", "tls": { "caSecretName": THEIRS } }] } }),
            json!({ "spec": { "image": { "credentials": null }, "cache": null, "registries": null } }),
        ] {
            let answer = refusal(try_patch(&builders, "given", &change).await)?;
            anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_named_already_is_sent_nowhere_else_by_who_may_not_get_it() -> anyhow::Result<()> {
    with_case(async |case| {
        given(case, Kind::Image, &image_with_secrets()).await?;
        given(case, Kind::ImageBuilder, &builder_with_secrets()).await?;
        given(case, Kind::ImageMirror, &mirror_with_secrets()).await?;
        given(case, Kind::WorkloadMirror, &workloads_with_secrets()).await?;
        let alice = case.user("alice", tenant()).await?;
        for (kind, field, change) in [
            (
                Kind::ImageMirror,
                "targets[0].credentials",
                json!({ "targets": [{ "repository": "evil.example.com", "credentials": { "secretName": THEIRS } }] }),
            ),
            // What a source keeps to itself would be at a target that everyone reads.
            (
                Kind::ImageMirror,
                "targets[0].credentials",
                json!({ "entries": [{ "source": "quay.io/private/app", "tags": ["1"] }] }),
            ),
            (
                Kind::ImageMirror,
                "sources[0].credentials",
                json!({ "sources": [{ "registry": "evil.example.com", "credentials": { "secretName": THEIRS } }] }),
            ),
            (
                Kind::WorkloadMirror,
                "destination.credentials",
                json!({ "destination": { "repository": "evil.example.com" } }),
            ),
            // Images of other workloads would be where everyone reads.
            (
                Kind::WorkloadMirror,
                "destination.credentials",
                json!({ "namespaces": { "include": ["other"] }, "sources": [] }),
            ),
            (
                Kind::WorkloadMirror,
                "sources[0].credentials",
                json!({ "destination": { "credentials": null, "tls": null },
                    "origins": [{ "from": "r.example.com", "to": ["quay.io/private"] }] }),
            ),
            (Kind::Image, "source.credentials", json!({ "source": { "name": "evil.example.com/a" } })),
            (
                Kind::Image,
                "source.credentials",
                json!({ "source": { "tls": { "mode": "SkipVerify", "caSecretName": null } } }),
            ),
            (Kind::Image, "destination.credentials", json!({ "destination": { "name": "evil.example.com/a" } })),
            (Kind::ImageBuilder, "image.credentials", json!({ "image": { "name": "evil.example.com/a" } })),
            (
                Kind::ImageBuilder,
                "image.credentials",
                json!({ "image": { "additionalTags": ["registry.example.com/other/app"] } }),
            ),
            (
                Kind::ImageBuilder,
                "context.git.credentials",
                json!({ "context": { "git": { "url": "https://evil.example.com/a/b" } } }),
            ),
            (Kind::ImageBuilder, "cache.credentials", json!({ "cache": { "repository": "evil.example.com/a" } })),
            (
                Kind::ImageBuilder,
                "registries[0].credentials",
                json!({ "registries": [{ "host": "evil.example.com", "credentials": { "secretName": THEIRS } }] }),
            ),
            // A RUN could print the secrets.
            (Kind::ImageBuilder, "cache.credentials", json!({ "source": "FROM scratch\nRUN cat /run/secrets/token" })),
            (
                Kind::ImageBuilder,
                "secrets[0].secretName",
                json!({ "cache": { "credentials": null }, "buildArgs": [], "target": "other" }),
            ),
        ] {
            let api = case.objects(&alice, kind);
            let change = json!({ "spec": change });
            let words = format!("spec.{field}");
            refused(&words, || async { try_patch(&api, "given", &change).await }).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_may_get_all_names_as_many_as_fit_and_who_may_get_some_eight_at_once() -> anyhow::Result<()> {
    with_case(async |case| {
        let everything =
            json!({ "apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"] });
        let with_rights = |rule: Value| {
            let mut rules = tenant();
            rules.as_array_mut().into_iter().for_each(|rules| rules.push(rule.clone()));
            rules
        };
        let named: Vec<String> = (0..40).map(|n| format!("s{n}")).collect();
        let some =
            json!({ "apiGroups": [""], "resources": ["secrets"], "resourceNames": named, "verbs": ["get"] });
        let bob = case.user("bob", with_rights(everything)).await?;
        let carol = case.user("carol", with_rights(some)).await?;
        let create = async |client: &Client, spec: &Value| -> Result<(), Error> {
            let api: Api<_> = case.objects(client, Kind::ImageBuilder);
            try_create(&api, &Kind::ImageBuilder.object("many", spec)).await
        };
        let most = builder_with_many(16, 16, |n| format!("name-{n:0>200}"));
        let answer = refusal(create(&bob, &most).await)?;
        anyhow::ensure!(answer.is_none(), "{answer:?}");
        // Of sixteen secrets with one name, one is asked for.
        let few =
            builder_with_many(3, 16, |n| format!("s{}", if n >= 200 { 0 } else { n % 100 + n / 100 * 20 }));
        let answer = refusal(create(&carol, &few).await)?;
        anyhow::ensure!(answer.is_none(), "{answer:?}");
        let many =
            builder_with_many(5, 0, |n| format!("s{}", if n >= 300 { 0 } else { n % 100 + n / 100 * 20 }));
        refused("and 8 at most can then be named at once, not 10", || create(&carol, &many)).await
    })
    .await
}
