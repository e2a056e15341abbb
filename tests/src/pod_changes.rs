//! Policies by which the API server changes the pods of builds, as those of service meshes and other tools do.

use std::time::Duration;

use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::tenant::Tenant;
use crate::wait;

/// The image of the pod that shows whether a policy is in force. It is never run.
const PROBE: &str = "localhost/probe:1";

impl Tenant {
    /// Changes all pods of builds in this namespace that are created while `test` runs. `patch` is a list of JSON
    /// patches in CEL.
    pub async fn with_changed_pods(
        &self,
        patch: &str,
        test: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let result = async {
            self.kubectl.apply(&policy(&self.namespace, patch)).await?.ok()?;
            self.pods_are_changed().await?;
            test().await
        };
        let result = result.await;
        // Neither is in the namespace, with which all else goes.
        let both = ["mutatingadmissionpolicybinding,mutatingadmissionpolicy", &self.namespace];
        self.kubectl.run(["delete"].into_iter().chain(both)).await?.ok()?;
        result
    }

    /// Waits until the API server knows the policy.
    async fn pods_are_changed(&self) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let container = |name: &str| json!({ "name": name, "image": PROBE });
        let probe: Pod = serde_json::from_value(json!({
            "metadata": { "name": "probe", "labels": { MANAGED_BY_LABEL: MANAGED_BY } },
            "spec": { "initContainers": [container("prepare")], "containers": [container("push")] },
        }))?;
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        wait::poll("pods are changed", Duration::from_mins(1), || async {
            let spec = pods.create(&dry_run, &probe).await?.spec.unwrap_or_default();
            let mut images =
                spec.init_containers.iter().flatten().chain(&spec.containers).map(|c| c.image.as_deref());
            let is_changed = spec.containers.len() > 1 || images.any(|image| image != Some(PROBE));
            Ok(is_changed.then_some(()))
        })
        .await
    }
}

fn policy(namespace: &str, patch: &str) -> String {
    format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{ name: {namespace} }}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {{ apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods] }}
  matchConditions:
  - name: of-a-build
    expression: \"has(object.metadata.labels) && '{MANAGED_BY_LABEL}' in object.metadata.labels\"
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        {patch}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{ name: {namespace} }}
spec:
  policyName: {namespace}
  matchResources:
    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {namespace} }} }}
"
    )
}
