//! The repositories of one account of ECR, in all regions together.
//!
//! Source: Amazon ECR API Reference; the codes and the spelling of the fields are those of its examples.

use std::collections::{BTreeMap, HashMap};

use axum::response::Response;
use serde_json::{Value, json};

use crate::json as reply;

/// A repository, as `CreateRepository` was asked for it and policies were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrRepository {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether images are scanned when they are pushed.
    pub scans: bool,
    /// Whether tags are immutable.
    pub is_immutable: bool,
    /// The text of its lifecycle policy.
    pub lifecycle: Option<String>,
    /// The text of its access policy.
    pub access: Option<String>,
    /// The key that created it.
    pub created_by: String,
}

#[derive(Default)]
pub(super) struct Repositories {
    by_name: BTreeMap<String, EcrRepository>,
    denied: HashMap<String, String>,
}

impl Repositories {
    pub(super) fn hold(&mut self, name: &str, repository: EcrRepository) {
        self.by_name.insert(name.to_owned(), repository);
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    pub(super) fn get(&self, name: &str) -> Option<EcrRepository> {
        self.by_name.get(name).cloned()
    }

    pub(super) fn deny(&mut self, operation: &str, code: Option<&str>) {
        match code {
            Some(code) => _ = self.denied.insert(operation.to_owned(), code.to_owned()),
            None => _ = self.denied.remove(operation),
        }
    }

    pub(super) fn answer(&mut self, operation: &str, key: &str, region: &str, body: &Value) -> Response {
        if let Some(code) = self.denied.get(operation) {
            return refused(code, &format!("not authorized to perform: ecr:{operation}"));
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (account, name) = (text("registryId"), text("repositoryName"));
        match operation {
            "DescribeRepositories" => {
                let name = body["repositoryNames"][0].as_str().unwrap();
                return match self.by_name.get(name) {
                    Some(_) => found(&json!({ "repositories": [described(&account, region, name)] })),
                    None => missing(),
                };
            }
            "CreateRepository" => return self.create(&account, region, key, body),
            "ListTagsForResource" => {
                let arn = text("resourceArn");
                let name = arn.split_once(":repository/").unwrap().1;
                let tags = self.by_name[name].tags.iter();
                let tags: Vec<Value> =
                    tags.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
                return found(&json!({ "tags": tags }));
            }
            _ => {}
        }
        let Some(repository) = self.by_name.get_mut(&name) else { return missing() };
        let (field, none, policy) = match operation {
            "GetLifecyclePolicy" | "PutLifecyclePolicy" => {
                ("lifecyclePolicyText", "LifecyclePolicyNotFoundException", &mut repository.lifecycle)
            }
            "GetRepositoryPolicy" | "SetRepositoryPolicy" => {
                ("policyText", "RepositoryPolicyNotFoundException", &mut repository.access)
            }
            _ => return refused("UnknownOperationException", operation),
        };
        if !operation.starts_with("Get") {
            *policy = Some(text(field));
        }
        match policy {
            Some(text) => found(&json!({ "registryId": account, "repositoryName": name, field: text })),
            None => refused(none, "there is none"),
        }
    }

    fn create(&mut self, account: &str, region: &str, key: &str, body: &Value) -> Response {
        let name = body["repositoryName"].as_str().unwrap();
        if self.by_name.contains_key(name) {
            return refused("RepositoryAlreadyExistsException", "it exists already");
        }
        let tags = body["tags"].as_array().into_iter().flatten();
        let text = |tag: &Value, field: &str| tag[field].as_str().unwrap().to_owned();
        let repository = EcrRepository {
            tags: tags.map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect(),
            scans: body["imageScanningConfiguration"]["scanOnPush"] == true,
            is_immutable: body["imageTagMutability"] == "IMMUTABLE",
            created_by: key.to_owned(),
            ..EcrRepository::default()
        };
        self.by_name.insert(name.to_owned(), repository);
        found(&json!({ "repository": described(account, region, name) }))
    }
}

fn described(account: &str, region: &str, name: &str) -> Value {
    json!({
        "repositoryArn": format!("arn:aws:ecr:{region}:{account}:repository/{name}"), "registryId": account,
        "repositoryName": name, "repositoryUri": format!("{account}.dkr.ecr.{region}.amazonaws.com/{name}"),
        "createdAt": 1.7e9,
    })
}

fn missing() -> Response {
    refused("RepositoryNotFoundException", "The repository does not exist in the registry")
}

fn refused(code: &str, message: &str) -> Response {
    reply(400, json!({ "__type": code, "message": message }).to_string())
}

fn found(body: &Value) -> Response {
    reply(200, body.to_string())
}
