//! Writes objects of any kind: a whole manifest (server-side apply), or one field (merge patch).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::{DynamicObject, Status};
use serde_json::Value;

use super::connection::Cluster;
use crate::cli_error::CliError;
use crate::kinds::ObjectRef;

/// The manager of the fields that this program sets.
pub(super) const FIELD_MANAGER: &str = "imgop-cli";

/// How a manifest is applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplyOptions {
    /// The API server checks it and stores nothing.
    pub dry_run: bool,
    /// Fields of other managers are taken over.
    pub force: bool,
    /// Whether the object exists; a refusal then names the verb `patch`, else `create`.
    pub exists: bool,
}

impl Cluster {
    /// Applies a manifest.
    pub async fn apply(
        &self,
        object: &ObjectRef,
        manifest: &Value,
        options: ApplyOptions,
    ) -> Result<DynamicObject, CliError> {
        let params = PatchParams {
            dry_run: options.dry_run,
            force: options.force,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let (objects, patch) = (self.objects(object.kind, false), Patch::Apply(manifest));
        let applied = match objects.patch(&object.name, &params, &patch).await {
            Err(kube::Error::Api(status)) if is_with_ourselves(&status) => {
                objects.patch(&object.name, &PatchParams { force: true, ..params }, &patch).await
            }
            applied => applied,
        };
        let verb = if options.exists { "patch" } else { "create" };
        applied.map_err(|error| self.explain(verb, object, &error))
    }

    /// Sets some fields. A merge patch, not an apply: an apply of these fields alone would give up those
    /// that [`Cluster::apply`] set under the same name.
    pub async fn merge(&self, object: &ObjectRef, fields: &Value) -> Result<(), CliError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let objects = self.objects(object.kind, false);
        let patched = objects.patch(&object.name, &params, &Patch::Merge(fields)).await;
        patched.map(drop).map_err(|error| self.explain("patch", object, &error))
    }
}

/// Returns what an apply did with an object, as kubectl names it.
pub fn done(before: Option<&ObjectMeta>, after: &DynamicObject) -> &'static str {
    match before {
        None => "created",
        Some(before) if before.generation == after.metadata.generation => "unchanged",
        Some(_) => "configured",
    }
}

/// Returns whether a refusal is a conflict with nothing but this program. A merge patch counts as a manager
/// of its own, though under the same name.
fn is_with_ourselves(refusal: &Status) -> bool {
    let ours = format!("conflict with {FIELD_MANAGER:?}");
    let mut causes = refusal.details.iter().flat_map(|details| &details.causes).peekable();
    refusal.code == 409
        && causes.peek().is_some()
        && causes.all(|cause| {
            let rest = (cause.reason == "FieldManagerConflict").then(|| cause.message.strip_prefix(&ours));
            // What follows tells how the field was set: `using skopeo.io/v1alpha1 at …`.
            rest.flatten().is_some_and(|rest| rest.is_empty() || rest.starts_with(" using "))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conflict(messages: &[&str]) -> Status {
        let cause = |message: &&str| json!({ "reason": "FieldManagerConflict", "message": message, "field": ".spec.suspend" });
        let causes: Vec<_> = messages.iter().map(cause).collect();
        serde_json::from_value(json!({ "code": 409, "reason": "Conflict", "message": "Apply failed",
            "details": { "causes": causes } }))
        .unwrap()
    }

    #[test]
    fn only_a_conflict_with_this_program_alone_is_none() {
        let own = r#"conflict with "imgop-cli" using skopeo.io/v1alpha1"#;
        let dated = r#"conflict with "imgop-cli" using skopeo.io/v1alpha1 at 2026-01-01T00:00:00Z"#;
        assert!(is_with_ourselves(&conflict(&[own])));
        assert!(is_with_ourselves(&conflict(&[own, dated, r#"conflict with "imgop-cli""#])));
        for other in ["argocd", "imgop-cli2", "imgop-cli\" using \"x"] {
            let other = format!("conflict with {other:?} using skopeo.io/v1alpha1");
            assert!(!is_with_ourselves(&conflict(&[&other])), "{other}");
            assert!(!is_with_ourselves(&conflict(&[own, &other])), "{other}");
        }
        let subresource = r#"conflict with "imgop-cli" with subresource "status" using skopeo.io/v1alpha1"#;
        assert!(!is_with_ourselves(&conflict(&[subresource])));
        assert!(!is_with_ourselves(&conflict(&[])), "a conflict of another kind, such as a name taken");
        assert!(!is_with_ourselves(&Status { code: 403, ..conflict(&[own]) }));
    }
}
