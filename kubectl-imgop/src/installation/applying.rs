//! Objects applied one after the other, and waited for.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::Condition as _;
use tokio::time::{Instant, sleep};

use super::plan::{Change, Plan, Step, done, patch};
use crate::cli_error::CliError;
use crate::cluster::{Cluster, TimeLimit};
use crate::manifests::Manifest;
use crate::output::Ui;

/// How often something is looked at that is waited for.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a CRD may take until it is served.
const UNTIL_ESTABLISHED: Duration = Duration::from_mins(1);

/// Does what a plan says. What is done is printed at once, so that a failure leaves no doubt how far it went.
pub async fn apply(ui: Ui, cluster: &Cluster, plan: &Plan) -> Result<(), CliError> {
    let mut are_served = true;
    for Step { manifest, change, .. } in &plan.steps {
        let is_crd = manifest.is("CustomResourceDefinition");
        if !is_crd && !are_served {
            wait_for_crds(cluster, plan).await?;
            are_served = true;
        }
        let what = match change {
            Change::Unchanged => continue,
            Change::Create => "created",
            Change::Configure(_) => "configured",
        };
        patch(cluster, manifest, false).await?;
        are_served &= !is_crd;
        ui.data(&done(manifest, what, ""))?;
    }
    for object in &plan.obsolete {
        delete(cluster, object).await?;
        ui.data(&done(object, "deleted", ""))?;
    }
    Ok(())
}

/// Deletes an object, and does not wait. One that is gone already is deleted.
pub async fn delete(cluster: &Cluster, object: &Manifest) -> Result<(), CliError> {
    let objects = cluster.resources(&object.resource, object.namespace.as_deref());
    match objects.delete(&object.name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => deleted.map(drop).map_err(|error| cluster.explain_manifest("delete", object, &error)),
    }
}

/// Waits until all CRDs of a plan are served.
async fn wait_for_crds(cluster: &Cluster, plan: &Plan) -> Result<(), CliError> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let began = Instant::now();
    for step in plan.steps.iter().filter(|step| step.manifest.is("CustomResourceDefinition")) {
        loop {
            let found = api.get_opt(&step.manifest.name).await;
            let found = found.map_err(|error| cluster.explain_manifest("get", &step.manifest, &error))?;
            if is_crd_established().matches_object(found.as_ref()) {
                break;
            }
            if began.elapsed() > UNTIL_ESTABLISHED {
                return Err(CliError::failed(format!(
                    "{} is not served after a minute",
                    step.manifest.qualified()
                ))
                .hinted(format!(
                    "kubectl describe {}{}",
                    step.manifest.qualified(),
                    cluster.flags
                )));
            }
            sleep(INTERVAL).await;
        }
    }
    Ok(())
}

/// Waits until the agent is available as it was applied.
pub async fn wait_until_available(
    ui: Ui,
    cluster: &Cluster,
    (namespace, name): (&str, &str),
    limit: TimeLimit,
) -> Result<(), CliError> {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
    let began = Instant::now();
    ui.progress(&format!(
        "waiting until the agent is available (deployment {name} in namespace {namespace})"
    ));
    loop {
        let found = api.get(name).await.map_err(|error| {
            cluster.in_namespace(Some(namespace)).explain_in_namespace("get", "deployments.apps", &error)
        })?;
        match unavailable(&found) {
            None => return Ok(()),
            Some(why) if limit.limit().is_some_and(|limit| began.elapsed() > limit) => {
                return Err(CliError::failed(format!("the agent is not available after {limit}: {why}"))
                    .hinted(format!("to see why: kubectl imgop doctor{}", cluster.flags)));
            }
            Some(_) => sleep(INTERVAL).await,
        }
    }
}

/// Returns why a Deployment is not available as it was applied; none if it is.
pub fn unavailable(deployment: &Deployment) -> Option<String> {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let count = |number: Option<i32>| number.unwrap_or(0);
    let (updated, available) = (count(status.updated_replicas), count(status.available_replicas));
    if status.observed_generation < deployment.metadata.generation {
        return Some("Kubernetes has not seen it yet".to_owned());
    }
    // Pods of the version before count as available until they are gone.
    if available >= wanted && updated >= wanted && count(status.replicas) <= updated {
        return None;
    }
    let conditions = status.conditions.unwrap_or_default();
    let failed = conditions.iter().find(|c| {
        (c.type_ == "ReplicaFailure" && c.status == "True")
            || (c.type_ == "Progressing" && c.status == "False")
    });
    let why = failed.and_then(|condition| condition.message.clone()).map(|why| format!(": {why}"));
    Some(format!(
        "{available} of {wanted} pods are ready, {updated} of them of this version{}",
        why.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(status: &serde_json::Value) -> Option<String> {
        let deployment = json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 2, "selector": {},
            "template": {} }, "status": status });
        unavailable(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn an_agent_is_available_once_every_pod_is_of_its_version_and_ready() {
        let state = |seen: i64, updated: i32, available: i32| {
            why(
                &json!({ "observedGeneration": seen, "updatedReplicas": updated, "availableReplicas": available }),
            )
        };
        assert_eq!(state(2, 2, 2), None);
        assert_eq!(state(1, 2, 2).as_deref(), Some("Kubernetes has not seen it yet"));
        assert_eq!(state(2, 1, 2).as_deref(), Some("2 of 2 pods are ready, 1 of them of this version"));
        let failed = json!({ "observedGeneration": 2, "conditions": [{ "type": "ReplicaFailure", "status": "True",
            "message": "exceeded quota" }] });
        assert!(
            why(&failed)
                .unwrap()
                .ends_with("0 of 2 pods are ready, 0 of them of this version: exceeded quota")
        );
    }
}
