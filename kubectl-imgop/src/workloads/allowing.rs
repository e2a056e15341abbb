//! Which namespaces let WorkloadMirrors of another one see their workloads: asked as the agent asks, where the user may ask.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _};
use imgop_core::workloads::{MirrorRight, service_accounts_of};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;

use super::forbidden::unless_forbidden;
use crate::cli_error::CliError;
use crate::cluster::Cluster;

/// Reviews that are asked for at once.
const CONCURRENT_REVIEWS: usize = 8;
/// What stands for all namespaces.
const EVERYWHERE: &str = "";

/// Returns which of these namespaces let the mirrors of `own` see their workloads; none where the user may not ask.
pub async fn allowing(
    cluster: &Cluster,
    own: &str,
    namespaces: &BTreeSet<String>,
) -> Result<Option<BTreeSet<String>>, CliError> {
    match allows(cluster, own, EVERYWHERE).await? {
        None => return Ok(None),
        Some(true) => return Ok(Some(namespaces.clone())),
        Some(false) => {}
    }
    let asked = namespaces.iter().map(|namespace| async move {
        let allows = *namespace == own || allows(cluster, own, namespace).await? == Some(true);
        Ok::<_, CliError>((namespace.clone(), allows))
    });
    let asked: Vec<_> = asked.collect();
    let answers: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENT_REVIEWS).collect().await;
    let mut allowing = BTreeSet::new();
    for answer in answers {
        let (namespace, allows) = answer?;
        allowing.extend(allows.then_some(namespace));
    }
    Ok(Some(allowing))
}

/// Returns the command by which a NAMESPACE lets the mirrors of `own` see its workloads.
pub fn how_to_let(own: &str) -> String {
    format!(
        "kubectl create rolebinding imgop-workload-mirror-{own} -n NAMESPACE --clusterrole=imgop-workload-mirror --group={}",
        service_accounts_of(own)
    )
}

/// Asks of one namespace.
async fn allows(cluster: &Cluster, own: &str, namespace: &str) -> Result<Option<bool>, CliError> {
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(MirrorRight::VERB.to_owned()),
        group: Some(MirrorRight::GROUP.to_owned()),
        resource: Some(MirrorRight::RESOURCE.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        groups: Some(vec![service_accounts_of(own)]),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = unless_forbidden(reviews.create(&PostParams::default(), &review).await);
    let answer =
        answer.map_err(|error| cluster.explain_of_cluster("create", "subjectaccessreviews", &error))?;
    Ok(answer.map(|answer| answer.status.is_some_and(|status| status.allowed)))
}
