//! Specs that name Secrets and ConfigMaps in every field that can.

use serde_json::{Value, json};

use super::Kind;
use super::references::THEIRS;

pub(super) fn image_with_secrets() -> Value {
    let side = json!({ "credentials": { "secretName": THEIRS }, "tls": { "caSecretName": THEIRS } });
    let mut spec = Kind::Image.spec();
    for name in ["source", "destination"] {
        for (key, value) in side.as_object().into_iter().flatten() {
            spec[name][key] = value.clone();
        }
    }
    spec
}

pub(super) fn mirror_with_secrets() -> Value {
    let side = json!({ "credentials": { "secretName": THEIRS }, "tls": { "caSecretName": THEIRS } });
    let mut spec = Kind::ImageMirror.spec();
    for (list, key, host) in [("targets", "repository", "r.example.com"), ("sources", "registry", "quay.io")]
    {
        spec[list] = json!([{ key: host, "credentials": side["credentials"], "tls": side["tls"] }]);
    }
    spec["targets"][0]["default"] = true.into();
    spec
}

pub(super) fn workloads_with_secrets() -> Value {
    let (credentials, tls) = (json!({ "secretName": THEIRS }), json!({ "caSecretName": THEIRS }));
    let mut spec = Kind::WorkloadMirror.spec();
    (spec["destination"]["credentials"], spec["destination"]["tls"]) = (credentials.clone(), tls.clone());
    spec["sources"] = json!([{ "registry": "quay.io", "credentials": credentials, "tls": tls }]);
    spec
}

pub(super) fn builder_with_secrets() -> Value {
    let login = json!({ "secretName": THEIRS });
    let mut spec = Kind::ImageBuilder.spec();
    spec["image"]["credentials"] = login.clone();
    spec["context"]["git"] = json!({ "url": "https://git.example.com/a/b", "credentials": login });
    spec["cache"] =
        json!({ "mode": "Registry", "repository": "r.example.com/cache", "credentials": login, "ttl": "7d" });
    spec["registries"] =
        json!([{ "host": "quay.io", "credentials": login, "tls": { "caSecretName": THEIRS } }]);
    spec["secrets"] = json!([{ "id": "token", "secretName": THEIRS }]);
    spec["buildArgs"] =
        json!([{ "name": "B", "valueFrom": { "configMapKeyRef": { "name": THEIRS, "key": "k" } } }]);
    spec
}

/// An ImageBuilder with this number of registries and secrets, each with a Secret of its own.
pub(super) fn builder_with_many(registries: usize, secrets: usize, name: impl Fn(usize) -> String) -> Value {
    let registries = (0..registries).map(|n| {
        json!({ "host": format!("r{n}.example.com"), "credentials": { "secretName": name(n) },
            "tls": { "caSecretName": name(100 + n) } })
    });
    let secrets = (0..secrets).map(|n| json!({ "id": format!("id{n}"), "secretName": name(200 + n) }));
    let arguments = (0..64).map(|n| {
        json!({ "name": format!("A{n}"), "valueFrom": { "configMapKeyRef": { "name": name(300 + n), "key": "k" } } })
    });
    let mut spec = Kind::ImageBuilder.spec();
    spec["registries"] = registries.collect();
    spec["secrets"] = secrets.collect();
    if name(300) != name(301) {
        spec["buildArgs"] = arguments.collect();
    }
    spec
}
