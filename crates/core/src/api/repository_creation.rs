//! Repositories that are created where they are missing, for every kind with destinations.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::endpoint::is_default;

/// The key of the tag that says which repositories imgop has created, in AWS's sense of the word.
pub const MANAGED_REPOSITORY_TAG: &str = "imgop.io/managed";

/// Characters of a lifecycle policy, and of an access policy, that ECR takes.
pub(crate) const MAX_POLICY_LENGTHS: [usize; 2] = [30_720, 10_240];
/// Tags that a repository may have beside [`MANAGED_REPOSITORY_TAG`]; ECR takes 50 in all.
pub(crate) const MAX_REPOSITORY_TAGS: usize = 40;
/// Characters of a tag's value.
pub(crate) const MAX_REPOSITORY_TAG_LENGTH: usize = 256;
/// The ARN of a role.
pub(crate) const ROLE_ARN: &str = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$";

/// Whether and how a repository is created that the destination does not have, right before something is first pushed
/// there. Private registries of Amazon ECR need it, and no others have it. It needs useAwsIRSA, and a RegistryAccess that
/// lends the identity with aws.createRepositories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryCreation {
    /// IfMissing creates the repository and keeps its policies as they are said here; Never does nothing.
    pub policy: CreationPolicy,

    /// Which images ECR deletes by itself: a lifecycle policy, as JSON. Also a repository that imgop created before gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_POLICY_LENGTHS[0]))]
    #[x_kube(validation = json_object("create.lifecyclePolicy"))]
    pub lifecycle_policy: Option<String>,

    /// Who else may pull and push: an IAM policy for the repository, as JSON. Also a repository that imgop created before
    /// gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_POLICY_LENGTHS[1]))]
    #[x_kube(validation = json_object("create.accessPolicy"))]
    pub access_policy: Option<String>,

    /// Tags of the repository that is created, in AWS's sense of the word, beside imgop.io/managed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "repository_tags")]
    #[x_kube(validation = repository_tag_keys())]
    pub tags: BTreeMap<String, String>,

    /// Whether images are scanned when they are pushed, of a repository that is created.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scan_on_push: bool,

    /// Whether tags are immutable, of a repository that is created. Tags that exist are then kept, as by overwrite IfMissing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub immutable: bool,

    /// The role that the agent's identity assumes to create the repository. The RegistryAccess must name it in aws.roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600), pattern(ROLE_ARN))]
    pub role_arn: Option<String>,

    /// Whether a repository that exists gets the policies too although imgop did not create it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub adopt: bool,
}

/// Whether a repository is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CreationPolicy {
    /// It is not.
    #[default]
    Never,
    /// If it is missing.
    IfMissing,
}

impl RepositoryCreation {
    /// Whether a repository is created.
    pub fn is_wanted(&self) -> bool {
        self.policy == CreationPolicy::IfMissing
    }
}

/// A policy is an object; whether it can be read is more than a rule can say.
fn json_object(field: &str) -> Rule {
    Rule::new(r"self.matches('^[ \\t\\r\\n]*[{]')")
        .message(&*format!("{field} must be a policy as JSON, which begins with a brace"))
}

/// Keys that AWS and imgop keep for themselves.
fn repository_tag_keys() -> Rule {
    Rule::new(format!("self.all(k, k != '' && !k.startsWith('aws:') && k != '{MANAGED_REPOSITORY_TAG}')"))
        .message(&*format!(
            "create.tags must have no empty key, none that begins with aws:, and not {MANAGED_REPOSITORY_TAG}"
        ))
}

/// A repository is created by an identity of AWS, which goes with no Secret.
pub(super) fn creation_without_credentials(field: &str) -> Rule {
    Rule::new("!has(self.create) || self.create.policy != 'IfMissing' || !has(self.credentials)")
        .message(&*format!(
            "{field}.create needs the AWS identity (useAwsIRSA) in place of credentials; leave one of them out"
        ))
        .field_path(".create")
}

fn repository_tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_REPOSITORY_TAGS,
        "additionalProperties": {"type": "string", "maxLength": MAX_REPOSITORY_TAG_LENGTH},
    })
}
