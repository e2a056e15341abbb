//! The admission policies: without them the API server takes what the agent then refuses, and more.

use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::ApiResource;

use super::checks::{Check, Verdict};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::manifests::{Manifest, resource_name, shipped};

const AREA: &str = "policies";

/// Looks whether all policies and their bindings are there.
///
/// # Errors
/// If this program's manifests cannot be read.
pub async fn checks(cluster: &Cluster) -> Result<Vec<Check>, CliError> {
    let is_policy = |manifest: &Manifest| manifest.resource.kind.starts_with("ValidatingAdmissionPolicy");
    let policies: Vec<Manifest> = shipped()?.into_iter().filter(is_policy).collect();
    let mut resources: Vec<ApiResource> = Vec::new();
    for policy in &policies {
        if !resources.contains(&policy.resource) {
            resources.push(policy.resource.clone());
        }
    }
    let mut checks = Vec::new();
    for resource in resources {
        let listed = cluster.resources(&resource, None).list_metadata(&ListParams::default()).await;
        let names: Vec<String> = match listed {
            Ok(list) => list.items.iter().map(ResourceExt::name_any).collect(),
            Err(error) => {
                let error = cluster.explain_of_cluster("list", &resource_name(&resource), &error);
                checks.push(Check::unseen(AREA, &resource.plural, &error));
                continue;
            }
        };
        let wanted: Vec<&str> = policies
            .iter()
            .filter(|policy| policy.resource == resource)
            .map(|policy| policy.name.as_str())
            .collect();
        checks.push(judge(&resource.plural, &wanted, &names, &cluster.flags));
    }
    Ok(checks)
}

fn judge(plural: &str, wanted: &[&str], names: &[String], flags: &str) -> Check {
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| !names.iter().any(|found| found == name)).collect();
    if missing.is_empty() {
        return Check::ok(AREA, plural, format!("all {} are there", wanted.len()));
    }
    let message = format!(
        "missing: {}; what they forbid is refused later by the agent, or not at all",
        missing.join(", ")
    );
    Check::new(AREA, plural, Verdict::Warn, message).repaired(format!("kubectl imgop upgrade{flags}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_missing_is_named() {
        let check = judge("policies", &["a", "b"], &["b".to_owned(), "of-others".to_owned()], "");
        assert_eq!(check.result, Verdict::Warn);
        assert!(check.message.starts_with("missing: a; "), "{}", check.message);
        assert_eq!(judge("policies", &["a"], &["a".to_owned()], "").result, Verdict::Ok);
    }
}
