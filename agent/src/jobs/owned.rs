//! Which object a Job belongs to. Most Jobs run in the namespace of their owner, which is their controller. Those that
//! use what administrators lend run in a namespace of the agent's, where no reference to an owner of another namespace
//! may stand, and name it in an annotation: only the agent may write there.

use imgop_core::api::{OWNER_ANNOTATION, OWNER_UID_LABEL};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};

use super::view::JobView;
use crate::cluster::owner::{Owner, controller_of};

/// An owner as the annotation has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
}

/// Moves a Job that was made for its owner's namespace to the one in which Jobs use what is lent.
pub fn place_in(mut job: Job, owner: &Owner, namespace: &str) -> Job {
    let Owner { api_version, kind, name, uid, .. } = owner.clone();
    let (api_version, kind) = (api_version.into_owned(), kind.into_owned());
    let named = Named { api_version, kind, namespace: owner.namespace.clone(), name, uid };
    let named = serde_json::to_string(&named).unwrap_or_default();
    job.metadata.namespace = Some(namespace.to_owned());
    job.metadata.owner_references = None;
    job.annotations_mut().insert(OWNER_ANNOTATION.to_owned(), named);
    // What the name in a tenant's object means there is not his to choose. Its pull secrets are those of the settings
    // alone: of a template for Jobs elsewhere nothing is left that names an object.
    if let Some(pod) = job.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()) {
        (pod.service_account_name, pod.service_account) = (None, None);
    }
    job
}

impl JobView {
    /// Returns the owner of a Job. `lent` is the namespace of the Jobs that use what is lent.
    pub(super) fn owner(&self, lent: &str) -> Option<Owner> {
        if let Some(owner) = controller_of(self) {
            return Some(Owner {
                api_version: owner.api_version.clone().into(),
                kind: owner.kind.clone().into(),
                namespace: self.namespace().unwrap_or_default(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            });
        }
        self.lent_to(lent)
    }

    /// Returns the owner of a Job that uses what is lent.
    pub(super) fn lent_to(&self, lent: &str) -> Option<Owner> {
        if self.namespace().as_deref() != Some(lent) || controller_of(self).is_some() {
            return None;
        }
        let Named { api_version, kind, namespace, name, uid } =
            serde_json::from_str(self.annotations().get(OWNER_ANNOTATION)?).ok()?;
        Some(Owner { api_version: api_version.into(), kind: kind.into(), namespace, name, uid })
    }

    /// Returns the namespace and the UID for which a Job counts.
    pub(super) fn counted_for(&self, lent: &str) -> Option<(String, String)> {
        if let Some(owner) = self.owner(lent) {
            return Some((owner.namespace, owner.uid));
        }
        let uid = self.labels().get(OWNER_UID_LABEL).cloned()?;
        Some((self.namespace().unwrap_or_default(), uid))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(job: serde_json::Value) -> JobView {
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn a_job_is_lent_to_whom_it_names_only_where_the_agent_alone_writes() {
        let named = r#"{ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "namespace": "team-b", "name": "x", "uid": "u" }"#;
        let in_namespace = |namespace: &str| {
            let job = view(json!({ "metadata": { "name": "j", "namespace": namespace,
                "annotations": { OWNER_ANNOTATION: named }, "labels": { OWNER_UID_LABEL: "u" } } }));
            let owner = job.owner("imgop-system").map(|owner| owner.namespace);
            (owner, job.counted_for("imgop-system"))
        };
        let counted = |namespace: &str| Some((namespace.to_owned(), "u".to_owned()));
        assert_eq!(in_namespace("imgop-system"), (Some("team-b".to_owned()), counted("team-b")));
        assert_eq!(
            in_namespace("team-a"),
            (None, counted("team-a")),
            "it takes a place of its own namespace alone"
        );
    }

    #[test]
    fn a_job_elsewhere_keeps_the_pull_secrets_of_the_settings_and_no_service_account() {
        let job = json!({ "metadata": { "name": "j", "namespace": "team-a", "ownerReferences": [] },
            "spec": { "template": { "spec": { "containers": [], "serviceAccountName": "tenants",
                "imagePullSecrets": [{ "name": "of-settings" }] } } } });
        let owner = Owner {
            api_version: "v1".into(),
            kind: "Kind".into(),
            namespace: "team-a".into(),
            name: "x".into(),
            uid: "uid".into(),
        };
        let job = place_in(serde_json::from_value(job).unwrap(), &owner, "imgop-system");
        assert_eq!(
            (job.namespace().as_deref(), &job.metadata.owner_references),
            (Some("imgop-system"), &None)
        );
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!((pod.service_account_name, pod.image_pull_secrets.unwrap().len()), (None, 1));
    }
}
