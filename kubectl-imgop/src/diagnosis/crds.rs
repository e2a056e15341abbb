//! The CRDs: whether they are there, and how they differ from this program's.

use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use super::checks::{Check, Verdict};
use crate::cli_error::{CliError, Kind};
use crate::cluster::Cluster;
use crate::manifests::crd_skew::CrdSkew;
use crate::manifests::{Manifest, shipped};

const AREA: &str = "crd";
/// How many fields are named.
const MAX_NAMED: usize = 3;

/// Looks at each CRD.
///
/// # Errors
/// If this program's manifests cannot be read.
pub async fn checks(cluster: &Cluster) -> Result<Vec<Check>, CliError> {
    let mut checks = Vec::new();
    for manifest in shipped()?.iter().filter(|manifest| manifest.is("CustomResourceDefinition")) {
        let check = match cluster.live(manifest).await {
            Ok(Some(live)) => {
                let live = serde_json::to_value(&live).unwrap_or_default();
                judge(&manifest.name, &live, &manifest.body, &cluster.flags)
            }
            Ok(None) => absent(&manifest.name, &cluster.flags),
            // Users may use what they may not look at.
            Err(error) if error.kind == Kind::Forbidden => served(cluster, manifest, &error).await,
            Err(error) => Check::unseen(AREA, &manifest.name, &error),
        };
        checks.push(check);
    }
    Ok(checks)
}

fn absent(name: &str, flags: &str) -> Check {
    Check::fail(AREA, name, "not installed").repaired(format!("kubectl imgop install{flags}"))
}

/// Compares a CRD with that of this program.
fn judge(name: &str, live: &Value, shipped: &Value, flags: &str) -> Check {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let of_type = |type_: &str| conditions.and_then(|all| all.iter().find(|c| c["type"] == type_));
    if of_type("Established").is_none_or(|condition| condition["status"] != "True") {
        let why = of_type("NamesAccepted").or(of_type("Established")).and_then(|c| c["message"].as_str());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        return Check::fail(AREA, name, format!("not served{why}"))
            .repaired(format!("kubectl describe crd {name}{flags}"));
    }
    let skew = CrdSkew::between(live, shipped);
    match (skew.only_live.is_empty(), skew.only_shipped.is_empty()) {
        _ if !skew.differs => Check::ok(AREA, name, "as in this version"),
        (true, true) => Check::new(AREA, name, Verdict::Warn, "its rules differ from those of this version")
            .repaired(format!("kubectl imgop upgrade{flags}")),
        (true, false) => {
            let message = format!("older than this version: it lacks {}", named(&skew.only_shipped));
            Check::new(AREA, name, Verdict::Warn, message).repaired(format!("kubectl imgop upgrade{flags}"))
        }
        (false, _) => {
            let message = format!("newer than this version: it has {}", named(&skew.only_live));
            Check::new(AREA, name, Verdict::Warn, message).repaired("take a newer kubectl-imgop")
        }
    }
}

fn named(fields: &[String]) -> String {
    let shown: Vec<&str> = fields.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = fields.len().saturating_sub(MAX_NAMED);
    if more == 0 { shown.join(", ") } else { format!("{}, and {more} more", shown.join(", ")) }
}

/// Looks whether the objects of a CRD can be listed.
async fn served(cluster: &Cluster, manifest: &Manifest, error: &CliError) -> Check {
    let spec = &manifest.body["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = GroupVersionKind::gvk(
        &text(&spec["group"]),
        &text(&spec["versions"][0]["name"]),
        &text(&spec["names"]["kind"]),
    );
    let resource = ApiResource::from_gvk_with_plural(&kind, &text(&spec["names"]["plural"]));
    let namespace = (spec["scope"] == "Namespaced").then_some(cluster.namespace.as_str());
    let listed = cluster.resources(&resource, namespace).list_metadata(&ListParams::default().limit(1)).await;
    match listed {
        Ok(_) => Check::ok(AREA, &manifest.name, "served; you may not look at its version"),
        Err(kube::Error::Api(status)) if status.code == 404 => absent(&manifest.name, &cluster.flags),
        Err(_) => Check::unseen(AREA, &manifest.name, error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shipped_images() -> Value {
        shipped().unwrap().into_iter().find(|manifest| manifest.name == "images.skopeo.io").unwrap().body
    }

    fn judged(change: impl FnOnce(&mut Value)) -> String {
        let mut live = shipped_images();
        live["status"] = json!({ "conditions": [{ "type": "Established", "status": "True" }] });
        change(&mut live);
        let check = judge("images.skopeo.io", &live, &shipped_images(), " --context x");
        format!("{} {}; {}", check.result.word(), check.message, check.repair.join("; "))
    }

    #[test]
    fn a_crd_is_absent_not_served_older_newer_or_as_it_should_be() {
        const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        assert_eq!(judged(|_| {}), "OK as in this version; ");
        let newer = judged(|crd| crd.pointer_mut(SPEC).unwrap()["color"] = json!({ "type": "string" }));
        insta::assert_snapshot!(newer, @"WARN newer than this version: it has v1alpha1.spec.color; take a newer kubectl-imgop");
        let older = judged(|crd| {
            crd.pointer_mut(SPEC).unwrap().as_object_mut().unwrap().remove("platforms");
        });
        insta::assert_snapshot!(older, @"WARN older than this version: it lacks v1alpha1.spec.platforms; kubectl imgop upgrade --context x");
        let taken = judged(|crd| {
            crd["status"] = json!({ "conditions": [{ "type": "NamesAccepted", "status": "False", "message": "images is taken" }] });
        });
        insta::assert_snapshot!(taken, @"FAIL not served: images is taken; kubectl describe crd images.skopeo.io --context x");
    }
}
