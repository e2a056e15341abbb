//! Repositories of ECR that are created and kept as they are wanted, against a fake that checks signatures.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_types::os_shim_internal::{Env, Fs};
use futures::future::join_all;
use imgop_fakes::FakeAws;
use imgop_fakes::aws::{EcrRepository, ROLE};
use imgop_registry::ecr::{
    EcrRepositories, EcrSettings, RepositoryCheck, RepositoryPolicy, WantedRepository,
};
use imgop_registry::reference::Repository;
use jiff::Timestamp;
use serde_json::{Value, json};

const OWNER_TAG: &str = "imgop.io/managed";

fn repositories(aws: &FakeAws) -> EcrRepositories {
    let address = aws.address();
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL_STS", address.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIASTATIC"),
        ("AWS_SECRET_ACCESS_KEY", "static-secret"),
    ];
    let (env, fs) = (Env::from_slice(&variables), Fs::from_slice(&[]));
    EcrRepositories::new(EcrSettings {
        system_proxy: false,
        endpoint: Some(address.clone()),
        chain: Arc::new(move |loader| loader.env(env.clone()).fs(fs.clone())),
        ..EcrSettings::of_environment("test", |_| None)
    })
}

fn repository() -> Repository {
    "222222222222.dkr.ecr.ap-southeast-2.amazonaws.com/mirror/argocd".parse().unwrap()
}

fn wanted(policies: &[(RepositoryPolicy, Value)]) -> WantedRepository {
    WantedRepository {
        tags: [(OWNER_TAG, "true"), ("team", "a")].map(|(key, value)| (key.into(), value.into())).into(),
        owner_tag: OWNER_TAG.to_owned(),
        scan_on_push: true,
        immutable: true,
        policies: policies.iter().cloned().collect(),
        ..WantedRepository::default()
    }
}

/// What another owner wants, also of a repository that it did not create.
fn adopting(owner: &str, policies: &[(RepositoryPolicy, Value)]) -> WantedRepository {
    let mut wanted = WantedRepository { adopt: true, ..wanted(policies) };
    wanted.tags.insert(OWNER_TAG.to_owned(), owner.to_owned());
    wanted
}

fn lifecycle() -> (RepositoryPolicy, Value) {
    (RepositoryPolicy::Lifecycle, json!({ "rules": [{ "rulePriority": 1 }] }))
}

fn access() -> (RepositoryPolicy, Value) {
    (RepositoryPolicy::Access, json!({ "Version": "2012-10-17", "Statement": [] }))
}

/// A repository that we created, with this lifecycle policy.
fn ours(lifecycle: &str) -> EcrRepository {
    let tags = [(OWNER_TAG.to_owned(), "true".to_owned())].into();
    EcrRepository { tags, lifecycle: Some(lifecycle.to_owned()), ..EcrRepository::default() }
}

async fn aws() -> FakeAws {
    FakeAws::start(Timestamp::now()).await
}

#[tokio::test]
async fn a_missing_repository_is_created_with_its_tags_in_one_call_and_its_policies() {
    let aws = aws().await;
    let ecr = repositories(&aws);
    let done = ecr.ensure(&repository(), &wanted(&[lifecycle(), access()]), false).await.unwrap();
    let set = vec![RepositoryPolicy::Lifecycle, RepositoryPolicy::Access];
    assert_eq!(done, Some(RepositoryCheck { is_created: true, set, ..RepositoryCheck::default() }));
    let made = aws.repository("mirror/argocd").unwrap();
    assert_eq!((made.scans, made.is_immutable, made.created_by.as_str()), (true, true, "AKIASTATIC"));
    assert_eq!(made.tags.len(), 2);
    assert_eq!(made.lifecycle.as_deref(), Some(r#"{"rules":[{"rulePriority":1}]}"#));
    assert!(made.access.is_some() && !aws.operations().contains(&"TagResource".to_owned()));
}

#[tokio::test]
async fn a_repository_is_described_once_a_day_however_many_ask_and_again_where_that_is_asked_for() {
    let aws = aws().await;
    let (ecr, repository, wanted) = (repositories(&aws), repository(), wanted(&[]));
    let all = join_all((0..8).map(|_| ecr.ensure(&repository, &wanted, false))).await;
    assert_eq!(all.into_iter().filter(|done| matches!(done, Ok(Some(_)))).count(), 1, "one tells of it");
    assert_eq!(ecr.ensure(&repository, &wanted, false).await.unwrap(), None);
    assert_eq!(aws.operations(), ["DescribeRepositories", "CreateRepository"]);
    ecr.ensure(&repository, &wanted, true).await.unwrap();
    assert_eq!(aws.operations().len(), 3);
    let mut other = wanted.clone();
    other.policies.extend([lifecycle()]);
    ecr.ensure(&repository, &other, false).await.unwrap();
    assert!(aws.operations().len() > 3, "another wish is another check");
}

#[tokio::test]
async fn policies_of_an_existing_repository_that_is_ours_are_compared_as_values_and_set_where_they_differ() {
    let aws = aws().await;
    aws.hold("mirror/argocd", ours("{ \"rules\" : [ {\"rulePriority\":1} ] }"));
    let ecr = repositories(&aws);
    let done = ecr.ensure(&repository(), &wanted(&[lifecycle()]), false).await.unwrap();
    assert_eq!(done, Some(RepositoryCheck::default()), "another spelling is no difference");
    aws.hold("mirror/argocd", ours(r#"{"rules":[]}"#));
    let done = ecr.ensure(&repository(), &wanted(&[lifecycle()]), true).await.unwrap();
    assert_eq!(done.unwrap().set, [RepositoryPolicy::Lifecycle]);
    assert_eq!(aws.repository("mirror/argocd").unwrap().lifecycle.unwrap(), lifecycle().1.to_string());
}

#[tokio::test]
async fn once_another_policy_was_set_a_repository_is_not_believed_to_be_as_it_was_wanted_before() {
    let aws = aws().await;
    aws.hold("mirror/argocd", ours(r#"{"rules":[]}"#));
    let ecr = repositories(&aws);
    let other = wanted(&[(RepositoryPolicy::Lifecycle, json!({ "rules": [{ "rulePriority": 2 }] }))]);
    for wanted in [wanted(&[lifecycle()]), other, wanted(&[lifecycle()])] {
        let done = ecr.ensure(&repository(), &wanted, false).await.unwrap();
        assert_eq!(done.unwrap().set, [RepositoryPolicy::Lifecycle]);
        assert_eq!(ecr.ensure(&repository(), &wanted, false).await.unwrap(), None);
    }
}

#[tokio::test]
async fn owners_that_adopt_one_repository_do_not_write_their_policies_in_turn_whenever_they_look() {
    let aws = aws().await;
    aws.hold("mirror/argocd", EcrRepository::default());
    let repositories = repositories(&aws);
    let one = adopting("a", &[lifecycle()]);
    let other = adopting("b", &[(RepositoryPolicy::Lifecycle, json!({ "rules": [] }))]);
    for _ in 0..3 {
        for wanted in [&one, &other] {
            repositories.ensure(&repository(), wanted, false).await.unwrap();
        }
    }
    let operations = aws.operations();
    let sets = operations.iter().filter(|operation| *operation == "PutLifecyclePolicy").count();
    assert_eq!(sets, 2);
}

#[tokio::test]
async fn of_a_repository_that_is_created_anew_no_owners_policy_is_believed_to_be_set() {
    let aws = aws().await;
    let repositories = repositories(&aws);
    let (one, other) = (adopting("a", &[lifecycle()]), adopting("b", &[access()]));
    for wanted in [&one, &other] {
        repositories.ensure(&repository(), wanted, false).await.unwrap();
    }
    aws.forget("mirror/argocd");
    repositories.ensure(&repository(), &one, true).await.unwrap();
    assert_eq!(aws.repository("mirror/argocd").unwrap().access, None);
    let done = repositories.ensure(&repository(), &other, false).await.unwrap();
    assert_eq!(done.unwrap().set, [RepositoryPolicy::Access]);
}

#[tokio::test]
async fn a_policy_that_was_set_before_another_one_was_refused_counts_as_set() {
    let aws = aws().await;
    aws.hold("mirror/argocd", ours(r#"{"rules":[]}"#));
    let ecr = repositories(&aws);
    ecr.ensure(&repository(), &wanted(&[lifecycle()]), false).await.unwrap();
    aws.deny("SetRepositoryPolicy", Some("AccessDeniedException"));
    let other = (RepositoryPolicy::Lifecycle, json!({ "rules": [{ "rulePriority": 2 }] }));
    ecr.ensure(&repository(), &wanted(&[other, access()]), false).await.unwrap_err();
    let done = ecr.ensure(&repository(), &wanted(&[lifecycle()]), false).await.unwrap();
    assert_eq!(done.unwrap().set, [RepositoryPolicy::Lifecycle], "it is not believed to have it still");
}

#[tokio::test]
async fn a_repository_of_others_keeps_its_policies_unless_it_is_adopted() {
    let aws = aws().await;
    aws.hold("mirror/argocd", EcrRepository::default());
    let ecr = repositories(&aws);
    let done = ecr.ensure(&repository(), &wanted(&[access()]), false).await.unwrap();
    assert_eq!(done, Some(RepositoryCheck { is_foreign: true, ..RepositoryCheck::default() }));
    assert_eq!(aws.repository("mirror/argocd").unwrap().access, None);
    let adopted = WantedRepository { adopt: true, ..wanted(&[access()]) };
    let done = ecr.ensure(&repository(), &adopted, false).await.unwrap();
    assert_eq!(done.unwrap().set, [RepositoryPolicy::Access]);
    assert!(aws.repository("mirror/argocd").unwrap().access.is_some());
}

#[tokio::test]
async fn a_policy_that_was_refused_is_tried_again_the_next_time() {
    let aws = aws().await;
    aws.deny("PutLifecyclePolicy", Some("AccessDeniedException"));
    let (ecr, wanted) = (repositories(&aws), wanted(&[lifecycle()]));
    let refused = ecr.ensure(&repository(), &wanted, false).await.unwrap_err();
    assert!(!refused.is_transient());
    insta::assert_snapshot!(refused, @"222222222222.dkr.ecr.ap-southeast-2.amazonaws.com/mirror/argocd (account 222222222222, region ap-southeast-2): AWS refuses PutLifecyclePolicy (HTTP 400): AccessDeniedException: not authorized to perform: ecr:PutLifecyclePolicy");
    aws.deny("PutLifecyclePolicy", None);
    let done = ecr.ensure(&repository(), &wanted, false).await.unwrap();
    assert_eq!(done.unwrap().set, [RepositoryPolicy::Lifecycle]);
}

#[tokio::test]
async fn what_was_done_before_a_policy_was_refused_is_told_with_the_refusal() {
    let aws = aws().await;
    aws.deny("SetRepositoryPolicy", Some("AccessDeniedException"));
    let ecr = repositories(&aws);
    let refused = ecr.ensure(&repository(), &wanted(&[lifecycle(), access()]), false).await.unwrap_err();
    assert_eq!((refused.done.is_created, refused.done.set), (true, vec![RepositoryPolicy::Lifecycle]));
    assert!(refused.problem.refuses(RepositoryPolicy::Access));
    assert!(!refused.problem.refuses(RepositoryPolicy::Lifecycle));
}

#[tokio::test]
async fn a_refusal_leaves_it_known_that_the_repository_is_as_others_of_the_owner_want_it() {
    let aws = aws().await;
    let (ecr, of_other) = (repositories(&aws), wanted(&[access()]));
    ecr.ensure(&repository(), &of_other, false).await.unwrap();
    aws.deny("PutLifecyclePolicy", Some("AccessDeniedException"));
    ecr.ensure(&repository(), &wanted(&[lifecycle(), access()]), false).await.unwrap_err();
    let asked = aws.operations().len();
    assert_eq!(ecr.ensure(&repository(), &of_other, false).await.unwrap(), None);
    assert_eq!(aws.operations().len(), asked);
}

#[tokio::test]
async fn an_optional_policy_that_is_refused_is_told_once_and_aws_is_not_asked_again_the_same_day() {
    let aws = aws().await;
    aws.deny("PutLifecyclePolicy", Some("AccessDeniedException"));
    let ecr = repositories(&aws);
    let optional = BTreeSet::from([RepositoryPolicy::Lifecycle]);
    let wanted = WantedRepository { optional, ..wanted(&[lifecycle(), access()]) };
    let done = ecr.ensure(&repository(), &wanted, false).await.unwrap().unwrap();
    assert_eq!((done.is_created, done.set), (true, vec![RepositoryPolicy::Access]), "the others are set");
    assert!(done.refused.len() == 1 && done.refused[0].refuses(RepositoryPolicy::Lifecycle));
    let asked = aws.operations().len();
    assert_eq!(ecr.ensure(&repository(), &wanted, false).await.unwrap(), None);
    assert_eq!(aws.operations().len(), asked);
}

#[tokio::test]
async fn an_optional_policy_is_waited_for_where_aws_is_only_asked_too_often() {
    let aws = aws().await;
    aws.deny("PutLifecyclePolicy", Some("ThrottlingException"));
    let ecr = repositories(&aws);
    let optional = BTreeSet::from([RepositoryPolicy::Lifecycle]);
    let wanted = WantedRepository { optional, ..wanted(&[lifecycle()]) };
    assert!(ecr.ensure(&repository(), &wanted, false).await.unwrap_err().is_transient());
    aws.deny("PutLifecyclePolicy", None);
    let done = ecr.ensure(&repository(), &wanted, false).await.unwrap();
    assert_eq!(done.unwrap().set, [RepositoryPolicy::Lifecycle]);
}

#[tokio::test]
async fn whose_a_repository_is_need_not_be_known_where_all_policies_are_optional() {
    let aws = aws().await;
    aws.hold("mirror/argocd", ours(r#"{"rules":[]}"#));
    aws.deny("ListTagsForResource", Some("AccessDeniedException"));
    let ecr = repositories(&aws);
    let optional = BTreeSet::from([RepositoryPolicy::Lifecycle]);
    let only = WantedRepository { optional: optional.clone(), ..wanted(&[lifecycle()]) };
    assert_eq!(ecr.ensure(&repository(), &only, false).await.unwrap().unwrap().refused.len(), 1);
    let both = WantedRepository { optional, ..wanted(&[lifecycle(), access()]) };
    let refused = ecr.ensure(&repository(), &both, false).await.unwrap_err();
    assert!(refused.problem.refuses(RepositoryPolicy::Access), "{refused}");
}

#[tokio::test]
async fn a_role_is_assumed_by_the_identity_of_the_chain_and_a_refused_one_is_named() {
    let aws = aws().await;
    let ecr = repositories(&aws);
    let role = |arn: &str| WantedRepository { role_arn: Some(arn.to_owned()), ..wanted(&[]) };
    ecr.ensure(&repository(), &role(ROLE), false).await.unwrap();
    assert_eq!(aws.repository("mirror/argocd").unwrap().created_by, "ASIAROLE");
    let refused = ecr.ensure(&repository(), &role("arn:aws:iam::222222222222:role/other"), false).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("the role arn:aws:iam::222222222222:role/other cannot be assumed"), "{refused}");
    assert!(refused.contains("sts:AssumeRole"), "{refused}");
}

#[tokio::test]
async fn nothing_is_created_where_it_is_no_private_registry_of_ecr() {
    let aws = aws().await;
    let ecr = repositories(&aws);
    let of = |name: &str| name.parse::<Repository>().unwrap();
    assert_eq!(ecr.ensure(&of("registry.example.com/a/b"), &wanted(&[]), false).await.unwrap(), None);
    let refused = ecr.ensure(&of("public.ecr.aws/alias/b"), &wanted(&[]), false).await.unwrap_err();
    assert!(refused.to_string().contains("ECR Public"), "{refused}");
    assert!(aws.operations().is_empty());
}
