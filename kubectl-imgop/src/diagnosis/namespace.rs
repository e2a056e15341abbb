//! What the namespace is enabled for, compared with what its resources need.

use imgop_core::api::{EndpointRef, Image, ImageBuilder, Side};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use super::checks::{Check, Verdict};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;
use crate::installation::enabled::{Account, Feature, bindings, copies_images, reads_secrets};
use crate::kinds::{Erased, read};
use crate::output::text::count;

const AREA: &str = "namespace";

/// How many resources need a feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Needs {
    images: usize,
    secrets: usize,
    builds: usize,
    aws: usize,
}

impl Needs {
    fn of(objects: &[FoundObject]) -> Self {
        let of_kind = |kind| objects.iter().filter(move |found| found.kind == kind && !found.is_suspended());
        let uses_aws = |found: &&FoundObject| {
            let flag = |side: &str| {
                found.object.data.pointer(&format!("/spec/{side}/useAwsIRSA")) == Some(&Value::Bool(true))
            };
            flag("source") || flag("destination")
        };
        let names_secret = |found: &&FoundObject| {
            read::<Image>(&found.object).is_ok_and(|image| {
                [Side::Source, Side::Destination].into_iter().any(|side| {
                    let EndpointRef { credentials, tls, .. } = image.spec.endpoint(side);
                    credentials.is_some() || tls.ca_secret_name.is_some()
                })
            })
        };
        Self {
            images: of_kind(Erased::<Image>::REF).count(),
            secrets: of_kind(Erased::<Image>::REF).filter(names_secret).count(),
            builds: of_kind(Erased::<ImageBuilder>::REF).count(),
            aws: of_kind(Erased::<Image>::REF).filter(uses_aws).count(),
        }
    }

    fn of_feature(self, feature: Feature) -> (usize, &'static str) {
        match feature {
            Feature::Images | Feature::ImagesWithoutSecrets => (self.images, "Image"),
            Feature::Secrets => (self.secrets, "Image with a Secret"),
            Feature::Builds => (self.builds, "ImageBuilder"),
            Feature::Aws => (self.aws, "Image with useAwsIRSA"),
        }
    }
}

/// Looks what the agent may do in the namespace.
pub async fn checks(cluster: &Cluster, account: &Account, objects: &[FoundObject]) -> Vec<Check> {
    let needs = Needs::of(objects);
    let enabled: Result<Vec<Feature>, CliError> =
        match bindings(cluster, account, Some(&cluster.namespace)).await {
            Ok(bindings) => Ok(bindings.iter().map(|binding| binding.feature).collect()),
            Err(error) => reviewed(cluster, account).await.map_err(|_| error),
        };
    match enabled {
        Ok(enabled) => judge((&cluster.namespace, &cluster.flags), needs, &enabled),
        // The agent says so itself, where there is a resource.
        Err(_) if objects.iter().any(FoundObject::is_in_namespace_not_enabled) => {
            vec![not_enabled((&cluster.namespace, &cluster.flags), Feature::Images, needs)]
        }
        Err(error) => vec![Check::unseen(AREA, &cluster.namespace, &error)],
    }
}

/// Asks the API server what the agent may do, which needs a right of its own.
async fn reviewed(cluster: &Cluster, account: &Account) -> kube::Result<Vec<Feature>> {
    let mut enabled = Vec::new();
    for (feature, verb, group, resource) in [
        (Feature::ImagesWithoutSecrets, "create", "batch", "jobs"),
        (Feature::Secrets, "get", "", "secrets"),
        (Feature::Builds, "build", "buildah.io", "imagebuilders"),
        (Feature::Aws, "use-aws", "imgop.io", "registryaccesses"),
    ] {
        let attributes = ResourceAttributes {
            namespace: Some(cluster.namespace.clone()),
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            user: Some(account.user()),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = Api::all(cluster.client.clone()).create(&PostParams::default(), &review).await?;
        enabled.extend(answer.status.filter(|status| status.allowed).map(|_| feature));
    }
    Ok(enabled)
}

fn judge(place: (&str, &str), needs: Needs, enabled: &[Feature]) -> Vec<Check> {
    let mut checks = Vec::new();
    let is_enabled = |feature: Feature| match feature {
        Feature::Images => copies_images(enabled),
        Feature::Secrets => reads_secrets(enabled),
        feature => enabled.contains(&feature),
    };
    for feature in [Feature::Images, Feature::Secrets, Feature::Builds, Feature::Aws] {
        let (number, _) = needs.of_feature(feature);
        match (is_enabled(feature), feature) {
            // What was said of Images says this too.
            (true, Feature::Secrets) => {}
            (true, Feature::Images) if !reads_secrets(enabled) => {
                let title = Feature::ImagesWithoutSecrets.title();
                checks.push(Check::ok(AREA, place.0, format!("enabled for {title}")));
            }
            (true, _) => checks.push(Check::ok(AREA, place.0, format!("enabled for {}", feature.title()))),
            (false, Feature::Images) if number > 0 || enabled.is_empty() => {
                checks.push(not_enabled(place, feature, needs));
            }
            // Nothing is copied there at all.
            (false, Feature::Secrets) if !copies_images(enabled) => {}
            (false, _) if number > 0 => checks.push(not_enabled(place, feature, needs)),
            (false, _) => {}
        }
    }
    // What is wrong comes first.
    checks.sort_by_key(|check| std::cmp::Reverse(check.result));
    checks
}

fn not_enabled((namespace, flags): (&str, &str), feature: Feature, needs: Needs) -> Check {
    let (number, what) = needs.of_feature(feature);
    let message = format!("not enabled for {}", feature.title());
    let repair =
        format!("an administrator's command: kubectl imgop enable {namespace}{}{flags}", feature.flag());
    match number {
        0 => Check::new(AREA, namespace, Verdict::Warn, message).repaired(repair),
        _ => Check::fail(AREA, namespace, format!("{message}: {} waiting", count(number, what)))
            .repaired(repair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(needs: Needs, enabled: &[Feature]) -> String {
        let checks = judge(("ci", " --context x"), needs, enabled);
        let line =
            |check: &Check| format!("{} {}; {}", check.result.word(), check.message, check.repair.join("; "));
        checks.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_namespace_needs_what_its_resources_need() {
        let needs = Needs { images: 2, builds: 1, ..Needs::default() };
        insta::assert_snapshot!(judged(needs, &[Feature::Images]), @"
        FAIL not enabled for builds of ImageBuilders: 1 ImageBuilder waiting; an administrator's command: kubectl imgop enable ci --builds --context x
        OK enabled for copies of Images; 
        ");
        let nothing = judged(Needs::default(), &[]);
        assert!(
            nothing.starts_with("WARN not enabled for copies of Images") && nothing.lines().count() == 1,
            "{nothing}"
        );
        assert_eq!(
            judged(Needs { builds: 1, ..Needs::default() }, &[Feature::Builds]),
            "OK enabled for builds of ImageBuilders; "
        );
    }

    #[test]
    fn images_with_secrets_wait_where_the_agent_may_read_none() {
        let needs = Needs { images: 2, secrets: 1, ..Needs::default() };
        insta::assert_snapshot!(judged(needs, &[Feature::ImagesWithoutSecrets]), @"
        FAIL not enabled for Secrets that Images name: 1 Image with a Secret waiting; an administrator's command: kubectl imgop enable ci --context x
        OK enabled for copies of Images without Secrets; 
        ");
        for enough in [Feature::Images, Feature::Secrets] {
            let said = judged(needs, &[Feature::ImagesWithoutSecrets, enough]);
            assert_eq!(said, "OK enabled for copies of Images; ");
        }
    }
}
