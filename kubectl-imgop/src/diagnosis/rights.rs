//! What the user may do in the namespace.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

use super::checks::{Check, Verdict};
use crate::cluster::Cluster;

const AREA: &str = "your rights";

/// Rights that go together.
struct Rights {
    group: &'static str,
    resource: &'static str,
    /// Without these nothing works.
    needed: &'static [&'static str],
    /// Without these some verbs do not.
    wanted: &'static [&'static str],
    /// What does not work without those.
    without: &'static str,
}

const READ: &[&str] = &["get", "list", "watch"];
const CHANGE: &[&str] = &["create", "patch", "delete"];

const ALL: [Rights; 5] = [
    Rights {
        group: "skopeo.io",
        resource: "images",
        needed: READ,
        wanted: CHANGE,
        without: "you can only look",
    },
    Rights {
        group: "buildah.io",
        resource: "imagebuilders",
        needed: READ,
        wanted: CHANGE,
        without: "you can only look",
    },
    Rights {
        group: "batch",
        resource: "jobs",
        needed: &[],
        wanted: &["list"],
        without: "describe and logs do not show what runs",
    },
    Rights { group: "", resource: "pods", needed: &[], wanted: &["list"], without: "logs does not work" },
    Rights {
        group: "",
        resource: "secrets",
        needed: &[],
        wanted: &["get"],
        without: "you cannot name one in an Image, and previews use the logins of this machine",
    },
];

/// Asks what the user may do.
pub async fn checks(cluster: &Cluster) -> Vec<Check> {
    let mut checks = Vec::new();
    for rights in &ALL {
        let verbs: Vec<&str> = rights.needed.iter().chain(rights.wanted).copied().collect();
        let asked = verbs.iter().map(|verb| may(cluster, verb, rights));
        let check = match try_join_all(asked).await {
            Ok(answers) => {
                let denied: Vec<&str> =
                    verbs.into_iter().zip(answers).filter(|(_, may)| !may).map(|(verb, _)| verb).collect();
                judge(rights, &denied, &cluster.namespace)
            }
            Err(error) => {
                let resource = "selfsubjectaccessreviews.authorization.k8s.io";
                Check::unseen(AREA, rights.name(), &cluster.explain_of_cluster("create", resource, &error))
            }
        };
        checks.push(check);
    }
    checks
}

async fn may(cluster: &Cluster, verb: &str, rights: &Rights) -> kube::Result<bool> {
    let attributes = ResourceAttributes {
        namespace: Some(cluster.namespace.clone()),
        verb: Some(verb.to_owned()),
        group: Some(rights.group.to_owned()),
        resource: Some(rights.resource.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::all(cluster.client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

impl Rights {
    fn name(&self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }
}

fn judge(rights: &Rights, denied: &[&str], namespace: &str) -> Check {
    let name = rights.name();
    if denied.is_empty() {
        let verbs: Vec<&str> = rights.needed.iter().chain(rights.wanted).copied().collect();
        return Check::ok(AREA, name, format!("you may {}", verbs.join(", ")));
    }
    let is_needed = denied.iter().any(|verb| rights.needed.contains(verb));
    let message = format!("you may not {}", denied.join(", "));
    let role = if is_needed { "view" } else { "edit" };
    let repair = format!(
        "an administrator's command: kubectl create rolebinding imgop-{role} -n {namespace} --clusterrole={role} --user=NAME"
    );
    if is_needed {
        Check::fail(AREA, name, message).repaired(repair)
    } else {
        Check::new(AREA, name, Verdict::Warn, format!("{message}: {}", rights.without)).repaired(repair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_not_do_counts_by_what_does_not_work_then() {
        let judged = |denied: &[&'static str]| judge(&ALL[0], denied, "ci");
        assert_eq!(judged(&[]).result, Verdict::Ok);
        let looks_only = judged(&["create", "patch"]);
        assert_eq!(looks_only.result, Verdict::Warn);
        assert_eq!(looks_only.message, "you may not create, patch: you can only look");
        assert!(looks_only.repair[0].contains("--clusterrole=edit"));
        assert_eq!(judged(&["list"]).result, Verdict::Fail);
    }
}
