//! What a repository is to be that is created where it is missing, for every kind that pushes.

mod policies;
mod rights;

use std::collections::BTreeMap;

use imgop_registry::reference::{EcrHost, Repository};
use regex::Regex;
use serde_json::Value;

use crate::api::repository_creation::{
    MAX_POLICY_LENGTHS, MAX_REPOSITORY_TAG_LENGTH, MAX_REPOSITORY_TAGS, ROLE_ARN,
};
use crate::api::{EndpointRef, MANAGED_REPOSITORY_TAG, RepositoryCreation};
use crate::spec_error::Problems;
pub use policies::{CreateField, OtherCreation, PolicyField, YieldedPolicy};
pub use rights::CreationRefusal;

/// A repository that is created where it is missing, and whose policies are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Its tags, in AWS's sense of the word, beside [`MANAGED_REPOSITORY_TAG`].
    pub tags: BTreeMap<String, String>,
    /// Whether images are scanned when they are pushed.
    pub scan_on_push: bool,
    /// Whether tags are immutable.
    pub immutable: bool,
    /// Which images ECR deletes by itself.
    pub lifecycle_policy: Option<Value>,
    /// Who else may pull and push.
    pub access_policy: Option<Value>,
    /// Whether a repository gets the policies too that was not created here.
    pub adopt: bool,
    /// The role that is assumed.
    pub role_arn: Option<String>,
}

/// The fields of `create` that can be wrong.
pub(crate) struct CreationFields<F> {
    /// `create`
    pub(crate) create: F,
    /// `create.lifecyclePolicy`
    pub(crate) lifecycle_policy: F,
    /// `create.accessPolicy`
    pub(crate) access_policy: F,
    /// `create.tags`
    pub(crate) tags: F,
    /// `create.roleArn`
    pub(crate) role_arn: F,
}

/// Reads `create`, and reports what is wrong with it. None where nothing is created. `endpoint` is how the spec reaches
/// the repository.
pub(crate) fn creation<F>(
    written: Option<&RepositoryCreation>,
    endpoint: EndpointRef<'_>,
    repository: Option<&Repository>,
    fields: CreationFields<F>,
    problems: &mut Problems<F>,
) -> Option<Box<Creation>> {
    let create = written.filter(|create| create.is_wanted())?;
    if let Some(message) = refused_place(endpoint, repository) {
        problems.report(fields.create, message);
    }
    let [lifecycle, access] = MAX_POLICY_LENGTHS;
    let lifecycle_policy = create.lifecycle_policy.as_deref();
    let lifecycle_policy =
        lifecycle_policy.and_then(|text| problems.keep(fields.lifecycle_policy, policy(text, lifecycle)));
    let access_policy = create.access_policy.as_deref();
    let access_policy =
        access_policy.and_then(|text| problems.keep(fields.access_policy, policy(text, access)));
    problems.keep(fields.tags, check_tags(create));
    problems.keep(fields.role_arn, check_role(create));
    Some(Box::new(Creation {
        tags: create.tags.clone(),
        scan_on_push: create.scan_on_push,
        immutable: create.immutable,
        lifecycle_policy,
        access_policy,
        adopt: create.adopt,
        role_arn: create.role_arn.clone(),
    }))
}

/// Returns why nothing can be created there.
fn refused_place(endpoint: EndpointRef<'_>, repository: Option<&Repository>) -> Option<&'static str> {
    if endpoint.credentials.is_some() || !endpoint.use_aws_irsa {
        return Some(
            "it needs the AWS identity (useAwsIRSA) in place of credentials; set it, or leave create out",
        );
    }
    match EcrHost::of(repository?.host()) {
        Some(ecr) if ecr.is_public() => {
            Some("repositories of ECR Public are not created; create it there by hand, and leave create out")
        }
        Some(_) => None,
        None => Some(
            "it goes with private registries of Amazon ECR only; others create repositories when something is pushed, \
             so leave create out",
        ),
    }
}

fn policy(text: &str, max: usize) -> Result<Value, String> {
    let length = text.chars().count();
    if length > max {
        return Err(format!("it has {length} characters; at most {max} are taken"));
    }
    match serde_json::from_str(text) {
        Ok(policy @ Value::Object(_)) => Ok(policy),
        Ok(_) => Err("it must be a policy as JSON, which is an object".to_owned()),
        Err(error) => Err(format!("it must be a policy as JSON: {error}")),
    }
}

fn check_tags(create: &RepositoryCreation) -> Result<(), String> {
    let is_kept = |key: &String| key.is_empty() || key.starts_with("aws:") || key == MANAGED_REPOSITORY_TAG;
    if create.tags.keys().any(is_kept) {
        return Err(format!(
            "tags must have no empty key, none that begins with aws:, and not {MANAGED_REPOSITORY_TAG}"
        ));
    }
    if create.tags.len() > MAX_REPOSITORY_TAGS {
        return Err(format!(
            "tags has {} entries; at most {MAX_REPOSITORY_TAGS} are taken",
            create.tags.len()
        ));
    }
    let is_long = |value: &String| value.chars().count() > MAX_REPOSITORY_TAG_LENGTH;
    if create.tags.values().any(is_long) {
        return Err(format!("a value has more than {MAX_REPOSITORY_TAG_LENGTH} characters"));
    }
    Ok(())
}

fn check_role(create: &RepositoryCreation) -> Result<(), &'static str> {
    let is_role = |role: &str| Regex::new(ROLE_ARN).is_ok_and(|expression| expression.is_match(role));
    match &create.role_arn {
        Some(role) if !is_role(role) => {
            Err("it must be the ARN of a role, such as arn:aws:iam::123456789012:role/imgop-create")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{BuiltImage, Credentials, Destination, ImageBuilderSpec, ImageSpec};
    use crate::build::BuildRequest;
    use crate::copy::CopyRequest;
    use crate::copy::fixtures::spec;

    use super::*;
    use crate::api::{CreationPolicy, Overwrite};

    const ECR: &str = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/mirror/app";

    fn with(edit: impl FnOnce(&mut RepositoryCreation, &mut Destination)) -> ImageSpec {
        let mut create = RepositoryCreation { policy: CreationPolicy::IfMissing, ..Default::default() };
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        (spec.destination.name, spec.destination.use_aws_irsa) = (ECR.into(), true);
        edit(&mut create, &mut spec.destination);
        spec.destination.create = Some(Box::new(create));
        spec
    }

    fn problem(edit: impl FnOnce(&mut RepositoryCreation, &mut Destination)) -> String {
        CopyRequest::parse(&with(edit)).unwrap_err().to_string()
    }

    #[test]
    fn a_repository_is_created_at_private_registries_of_ecr_with_the_identity_of_aws_alone() {
        let credentials = || Some(Credentials { secret_name: "push".into() });
        let said = [
            problem(|_, to| to.name = "registry.example.com/app".into()).replacen(
                "spec.destination.useAwsIRSA",
                "…",
                1,
            ),
            problem(|_, to| to.name = "public.ecr.aws/alias/app".into()),
            problem(|_, to| to.use_aws_irsa = false),
            problem(|_, to| (to.credentials, to.use_aws_irsa) = (credentials(), false)),
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        …: it goes with registries of Amazon ECR only, such as 123456789012.dkr.ecr.eu-west-3.amazonaws.com; leave it out, or name a Secret in credentials; spec.destination.create: it goes with private registries of Amazon ECR only; others create repositories when something is pushed, so leave create out
        spec.destination.create: repositories of ECR Public are not created; create it there by hand, and leave create out
        spec.destination.create: it needs the AWS identity (useAwsIRSA) in place of credentials; set it, or leave create out
        spec.destination.create: it needs the AWS identity (useAwsIRSA) in place of credentials; set it, or leave create out
        ");
        let never = with(|create, to| {
            (create.policy, to.use_aws_irsa) = (CreationPolicy::Never, false);
        });
        assert_eq!(CopyRequest::parse(&never).unwrap().create, None);
    }

    #[test]
    fn a_build_asks_for_the_same_and_is_refused_the_same_with_its_own_fields() {
        let parsed = |name: &str, edit: fn(&mut RepositoryCreation)| {
            let mut create = RepositoryCreation { policy: CreationPolicy::IfMissing, ..Default::default() };
            edit(&mut create);
            let image = BuiltImage {
                use_aws_irsa: true,
                create: Some(Box::new(create)),
                ..BuiltImage::new(name, "1.0")
            };
            let spec = ImageBuilderSpec {
                platforms: vec!["linux/amd64".into()],
                source: Some("FROM scratch".into()),
                ..ImageBuilderSpec::new(image)
            };
            BuildRequest::parse(&spec)
        };
        let created = parsed(ECR, |create| create.scan_on_push = true).unwrap().destination.create.unwrap();
        assert!(created.scan_on_push && !created.adopt);
        let said = [
            parsed("public.ecr.aws/alias/app", |_| ()).unwrap_err(),
            parsed(ECR, |create| create.lifecycle_policy = Some("[]".into())).unwrap_err(),
        ];
        insta::assert_snapshot!(said.map(|error| error.to_string()).join("\n"), @"
        spec.image.create: repositories of ECR Public are not created; create it there by hand, and leave create out
        spec.image.create.lifecyclePolicy: it must be a policy as JSON, which is an object
        ");
    }

    #[test]
    fn a_policy_that_is_no_json_and_tags_that_aws_does_not_take_are_reported_with_their_fields() {
        let tags = |key: &str| [(key.to_owned(), String::new())].into();
        let said = [
            problem(|create, _| create.lifecycle_policy = Some("{rules: []}".into())),
            problem(|create, _| create.access_policy = Some("[]".into())),
            problem(|create, _| create.access_policy = Some(format!("{{\"a\":\"{}\"}}", "x".repeat(10_240)))),
            problem(|create, _| create.tags = tags("aws:x")),
            problem(|create, _| create.tags = tags("imgop.io/managed")),
            problem(|create, _| create.role_arn = Some("arn:aws:iam::1:user/x".into())),
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        spec.destination.create.lifecyclePolicy: it must be a policy as JSON: key must be a string at line 1 column 2
        spec.destination.create.accessPolicy: it must be a policy as JSON, which is an object
        spec.destination.create.accessPolicy: it has 10248 characters; at most 10240 are taken
        spec.destination.create.tags: tags must have no empty key, none that begins with aws:, and not imgop.io/managed
        spec.destination.create.tags: tags must have no empty key, none that begins with aws:, and not imgop.io/managed
        spec.destination.create.roleArn: it must be the ARN of a role, such as arn:aws:iam::123456789012:role/imgop-create
        ");
    }

    #[test]
    fn what_is_created_has_its_tags_and_policies_and_immutable_tags_are_kept() {
        let spec = with(|create, _| {
            (create.immutable, create.lifecycle_policy) = (true, Some(" {\"rules\": []}".into()));
            create.tags = [("team".to_owned(), "a".to_owned())].into();
        });
        let request = CopyRequest::parse(&spec).unwrap();
        let create = request.create.unwrap();
        assert_eq!(create.tags.keys().collect::<Vec<_>>(), ["team"]);
        assert_eq!(create.lifecycle_policy, Some(serde_json::json!({ "rules": [] })));
        assert_eq!(request.overwrite, Overwrite::IfMissing);
    }
}
