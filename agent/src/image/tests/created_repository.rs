//! Repositories of ECR that are created before something is copied there.

mod policies_of_others;

use imgop_core::api::{CreationPolicy, ImageSpec, RepositoryCreation};
use imgop_fakes::FakeAws;
use imgop_fakes::aws::EcrRepository;
use serde_json::{Value, json};

use super::*;
use crate::registry_access::testing::{fake_aws, lent_ecr};

const REPOSITORY: &str = "222222222222.dkr.ecr.ap-southeast-2.amazonaws.com/mirror/argocd";

/// An Image with a tag that is yet to be copied to ECR, and whose namespace is lent an identity that may do this there.
struct Ecr {
    stage: Stage,
    aws: FakeAws,
    copy: Copy,
}

impl Ecr {
    async fn lending(aws: &Value, create: RepositoryCreation) -> Self {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING);
        let (fake, settings) = fake_aws().await;
        let agent = Arc::into_inner(fixtures::agent(stage.api.client())).unwrap().at_aws(settings);
        stage.images = Images::new(Arc::new(agent), Objects::new([]));
        stage.images.agent.policies.show(&[lent_ecr(aws)]);
        let namespace = json!({ "metadata": { "name": "team-a", "labels": { "team": "a" } } });
        stage.api.hold("/api/v1/namespaces/team-a", namespace);
        let destination = &mut stage.image.spec.destination;
        (destination.name, destination.tls, destination.use_aws_irsa) = (REPOSITORY.to_owned(), None, true);
        destination.create = Some(Box::new(create));
        Self { stage, aws: fake, copy: copy_of("v2.13.1", "{}") }
    }

    /// A pass that begins the copy; whether ECR has its content is known.
    async fn pass(&self) -> PassResult<ImageStatus> {
        let mut memory = memory(&[], (now(), observed(&[&self.copy])));
        memory.sync().probed.insert(self.copy.clone());
        self.stage.pass(&mut memory, now()).await.unwrap()
    }

    fn jobs(&self) -> usize {
        self.stage.api.bodies("POST").iter().filter(|body| body["kind"] == "Job").count()
    }

    /// The notes of events with this reason.
    fn events(&self, reason: &str) -> Vec<String> {
        let bodies = self.stage.api.bodies("POST");
        let notes = bodies.iter().filter(|body| body["reason"] == reason);
        notes.map(|body| body["note"].as_str().unwrap().to_owned()).collect()
    }
}

fn creating() -> Value {
    json!({ "identity": "Agent", "createRepositories": true })
}

fn create() -> RepositoryCreation {
    RepositoryCreation {
        policy: CreationPolicy::IfMissing,
        lifecycle_policy: Some(r#"{"rules":[]}"#.to_owned()),
        ..RepositoryCreation::default()
    }
}

fn message(result: &PassResult<ImageStatus>) -> String {
    let conditions = &result.report.as_ref().unwrap().status.conditions;
    find(conditions, READY).unwrap().message.clone()
}

#[tokio::test]
async fn a_missing_repository_is_created_before_the_first_job_and_an_event_says_so() {
    let ecr = Ecr::lending(&creating(), create()).await;
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::PROGRESSING, 1), "{}", message(&result));
    let made = ecr.aws.repository("mirror/argocd").unwrap();
    assert_eq!(made.tags.get("imgop.io/managed").map(String::as_str), Some("team-a"));
    assert_eq!(made.lifecycle.as_deref(), Some(r#"{"rules":[]}"#));
    let note = format!("repository {REPOSITORY} is created with its lifecycle policy");
    assert_eq!(ecr.events(reasons::REPOSITORY_CREATED), [note]);
}

#[tokio::test]
async fn nothing_is_created_where_the_identity_is_lent_without_that_or_without_the_role() {
    let role = "arn:aws:iam::222222222222:role/create";
    let with_role = RepositoryCreation { role_arn: Some(role.to_owned()), ..create() };
    let lending = json!({ "identity": "Agent" });
    for (aws, create, words) in [
        (lending, create(), "aws.createRepositories"),
        (creating(), with_role, "arn:aws:iam::222222222222:role/create"),
    ] {
        let ecr = Ecr::lending(&aws, create).await;
        let result = ecr.pass().await;
        assert_eq!((reason(&result), ecr.jobs()), (reasons::DESTINATION_NOT_ALLOWED, 0));
        let said = message(&result);
        assert!(said.starts_with("spec.destination.create: ") && said.contains(words), "{said}");
        assert!(ecr.aws.repository("mirror/argocd").is_none());
        assert_eq!(ecr.aws.operations(), ["GetAuthorizationToken"], "a token to look what is there");
    }
}

#[tokio::test]
async fn a_repository_that_aws_refuses_to_create_begins_no_job_and_is_tried_again_in_its_words() {
    let ecr = Ecr::lending(&creating(), create()).await;
    ecr.aws.deny("CreateRepository", Some("AccessDeniedException"));
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::REPOSITORY_NOT_READY, 0));
    assert!(message(&result).contains("ecr:CreateRepository"), "{}", message(&result));
    assert!(result.next.is_some());
    ecr.aws.deny("CreateRepository", None);
    assert_eq!((reason(&ecr.pass().await), ecr.jobs()), (reasons::PROGRESSING, 1));
}

#[tokio::test]
async fn a_repository_of_others_keeps_its_policies_which_an_event_says_once_and_is_copied_to() {
    let ecr = Ecr::lending(&creating(), create()).await;
    ecr.aws.hold("mirror/argocd", EcrRepository::default());
    assert_eq!((reason(&ecr.pass().await), ecr.jobs()), (reasons::PROGRESSING, 1));
    ecr.pass().await;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle, None);
    let notes = ecr.events(reasons::REPOSITORY_NOT_ADOPTED);
    assert!(notes.len() == 1 && notes[0].ends_with("set adopt there"), "{notes:?}");
}

#[tokio::test]
async fn what_was_created_for_another_namespace_keeps_its_policies_and_to_adopt_it_takes_an_administrator() {
    let of = |namespace: &str| EcrRepository {
        tags: [("imgop.io/managed".to_owned(), namespace.to_owned())].into(),
        ..EcrRepository::default()
    };
    let ecr = Ecr::lending(&creating(), create()).await;
    ecr.aws.hold("mirror/argocd", of("team-b"));
    ecr.pass().await;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle, None, "it could have images deleted");
    let ecr = Ecr::lending(&creating(), create()).await;
    ecr.aws.hold("mirror/argocd", of("team-a"));
    ecr.pass().await;
    assert!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle.is_some());

    let adopting = || RepositoryCreation { adopt: true, ..create() };
    let ecr = Ecr::lending(&creating(), adopting()).await;
    ecr.aws.hold("mirror/argocd", of("team-b"));
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::DESTINATION_NOT_ALLOWED, 0));
    assert!(message(&result).contains("aws.adoptRepositories"), "{}", message(&result));
    let lending = json!({ "identity": "Agent", "createRepositories": true, "adoptRepositories": true });
    let ecr = Ecr::lending(&lending, adopting()).await;
    ecr.aws.hold("mirror/argocd", of("team-b"));
    ecr.pass().await;
    assert!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle.is_some());
}

#[tokio::test]
async fn a_repository_that_was_deleted_is_created_again_before_a_copy_that_failed_is_tried_again() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    ecr.pass().await;
    let asked = ecr.aws.operations().len();
    ecr.stage.images.agent.jobs.delete_lent::<Image>(|_| true).await;
    ecr.aws.forget("mirror/argocd");
    ecr.copy.attempt = 2;
    let mut memory = memory(&[], (now(), observed(&[&ecr.copy])));
    let failed = Outcome::Failed {
        reason: FailureReason::CopyFailed,
        message: "name unknown".to_owned(),
        at: now() - Duration::from_hours(1),
    };
    memory.outcomes.insert(Copy { attempt: 1, ..ecr.copy.clone() }, failed);
    memory.sync().probed.insert(ecr.copy.clone());
    ecr.stage.pass(&mut memory, now()).await.unwrap();
    assert!(ecr.aws.repository("mirror/argocd").is_some(), "{:?}", &ecr.aws.operations()[asked..]);
}

/// A pass in which the destination shows all that is selected.
async fn pass_of_nothing(ecr: &Ecr) -> PassResult<ImageStatus> {
    let mut observed = observed(&[&ecr.copy]);
    observed.record(&ecr.copy.destination_tag, &ecr.copy.digest);
    ecr.stage.pass(&mut memory(&[], (now(), observed)), now()).await.unwrap()
}

#[tokio::test]
async fn a_policy_that_has_changed_is_set_also_where_nothing_is_to_be_copied() {
    let ecr = Ecr::lending(&creating(), create()).await;
    let managed = ("imgop.io/managed".to_owned(), "team-a".to_owned());
    let before = Some(r#"{"rules":["old"]}"#.to_owned());
    ecr.aws.hold(
        "mirror/argocd",
        EcrRepository { tags: [managed].into(), lifecycle: before, ..Default::default() },
    );
    ecr.aws.deny("PutLifecyclePolicy", Some("AccessDeniedException"));
    let refused = pass_of_nothing(&ecr).await;
    assert_eq!(reason(&refused), reasons::REPOSITORY_NOT_READY, "{}", message(&refused));
    ecr.aws.deny("PutLifecyclePolicy", None);
    pass_of_nothing(&ecr).await;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle.as_deref(), Some(r#"{"rules":[]}"#));
    let note = format!("repository {REPOSITORY} is given its lifecycle policy");
    assert_eq!((ecr.jobs(), ecr.events(reasons::REPOSITORY_POLICY_SET)), (0, vec![note]));
    let asked = ecr.aws.operations().len();
    pass_of_nothing(&ecr).await;
    assert!(ecr.aws.operations()[asked..].iter().all(|operation| operation != "DescribeRepositories"));
}

/// The same agent beside another Image.
fn beside(ecr: &mut Ecr, other: &Image) {
    ecr.stage.images = Images::new(ecr.stage.images.agent.clone(), Objects::listed([other.clone()]));
}

const OLDER_POLICY: &str = r#"{"rules":["older"]}"#;

/// The Image, which is an hour old from now on, and one that is older and wants [`OLDER_POLICY`].
fn ages(ecr: &mut Ecr) -> (Image, Image) {
    let made = |hours: u64| Some(Time(now() - Duration::from_hours(hours)));
    ecr.stage.image.metadata.creation_timestamp = made(1);
    let mut older = ecr.stage.image.clone();
    (older.metadata.name, older.metadata.uid) = (Some("older".into()), Some("older".into()));
    older.metadata.creation_timestamp = made(2);
    older.spec.destination.create.as_mut().unwrap().lifecycle_policy = Some(OLDER_POLICY.to_owned());
    (ecr.stage.image.clone(), older)
}

#[tokio::test]
async fn of_two_images_with_different_policies_both_set_the_older_one_s_and_the_other_one_says_so() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    let managed = ("imgop.io/managed".to_owned(), "team-a".to_owned());
    ecr.aws.hold("mirror/argocd", EcrRepository { tags: [managed].into(), ..Default::default() });
    let (younger, mut older) = ages(&mut ecr);
    let policy = OLDER_POLICY;
    let lifecycle = |ecr: &Ecr| ecr.aws.repository("mirror/argocd").unwrap().lifecycle;
    let sets = |ecr: &Ecr| {
        let operations = ecr.aws.operations();
        operations.into_iter().filter(|operation| operation == "PutLifecyclePolicy").count()
    };
    for _ in 0..3 {
        beside(&mut ecr, &older);
        let result = pass_of_nothing(&ecr).await;
        assert_eq!((lifecycle(&ecr).as_deref(), sets(&ecr)), (Some(policy), 1), "set by whoever comes first");
        assert_eq!(reason(&result), reasons::SUCCEEDED);
        let said = "spec.destination.create.lifecyclePolicy is not set: Image \"older\", which is older, has another one";
        assert!(message(&result).contains(said), "{}", message(&result));
        ecr.stage.image = older.clone();
        beside(&mut ecr, &younger);
        let result = pass_of_nothing(&ecr).await;
        assert!(!message(&result).contains("is not set"), "{}", message(&result));
        ecr.stage.image = younger.clone();
        assert_eq!((lifecycle(&ecr).as_deref(), sets(&ecr)), (Some(policy), 1));
    }
    // Only a decision of its users ends that.
    older.spec.suspend = true;
    beside(&mut ecr, &older);
    pass_of_nothing(&ecr).await;
    assert_eq!((lifecycle(&ecr).as_deref(), sets(&ecr)), (Some(r#"{"rules":[]}"#), 2));
    // The older one goes on.
    ecr.stage.image = Image { spec: ImageSpec { suspend: false, ..older.spec }, ..older };
    beside(&mut ecr, &younger);
    pass_of_nothing(&ecr).await;
    assert_eq!(
        (lifecycle(&ecr).as_deref(), sets(&ecr)),
        (Some(policy), 3),
        "it is not believed to have its own"
    );
}

#[tokio::test]
async fn an_image_that_adopts_a_repository_sets_its_policy_where_an_older_one_without_adopt_cannot() {
    let lending = json!({ "identity": "Agent", "createRepositories": true, "adoptRepositories": true });
    let mut ecr = Ecr::lending(&lending, RepositoryCreation { adopt: true, ..create() }).await;
    ecr.aws.hold("mirror/argocd", EcrRepository::default());
    let (adopting, mut older) = ages(&mut ecr);
    older.spec.destination.create.as_mut().unwrap().adopt = false;
    beside(&mut ecr, &older);
    let result = pass_of_nothing(&ecr).await;
    assert!(!message(&result).contains("is not set"), "{}", message(&result));
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle.as_deref(), Some(r#"{"rules":[]}"#));
    ecr.stage.image = older;
    beside(&mut ecr, &adopting);
    let result = pass_of_nothing(&ecr).await;
    let said = "lifecyclePolicy is not set: Image \"argocd\", which adopts the repository, has another one";
    assert!(message(&result).contains(said), "{}", message(&result));
}

#[tokio::test]
async fn an_image_that_may_not_adopt_takes_no_policy_from_one_that_does_not_ask_for_that() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    let (own, mut adopting) = ages(&mut ecr);
    adopting.spec.destination.create.as_mut().unwrap().adopt = true;
    beside(&mut ecr, &adopting);
    let result = ecr.pass().await;
    assert!(!message(&result).contains("is not set"), "{}", message(&result));
    let policy = own.spec.destination.create.unwrap().lifecycle_policy;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle, policy);
}

#[tokio::test]
async fn a_repository_that_a_younger_image_creates_has_the_policy_of_the_older_one() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    let (_, older) = ages(&mut ecr);
    beside(&mut ecr, &older);
    ecr.pass().await;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle.as_deref(), Some(OLDER_POLICY));
}

#[tokio::test]
async fn an_image_without_a_policy_creates_the_repository_with_that_of_another_one_and_says_nothing() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    let (_, older) = ages(&mut ecr);
    ecr.stage.image.spec.destination.create.as_mut().unwrap().lifecycle_policy = None;
    beside(&mut ecr, &older);
    let result = ecr.pass().await;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle.as_deref(), Some(OLDER_POLICY));
    assert!(!message(&result).contains("is not set"), "{}", message(&result));
}

#[tokio::test]
async fn an_image_without_a_policy_is_told_nothing_of_those_of_a_repository_of_others() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    ecr.aws.hold("mirror/argocd", EcrRepository::default());
    let (_, older) = ages(&mut ecr);
    ecr.stage.image.spec.destination.create.as_mut().unwrap().lifecycle_policy = None;
    beside(&mut ecr, &older);
    ecr.pass().await;
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().lifecycle, None);
    assert_eq!(ecr.events(reasons::REPOSITORY_NOT_ADOPTED), [] as [&str; 0]);
}

#[tokio::test]
async fn where_nothing_is_to_be_copied_no_repository_is_created() {
    let ecr = Ecr::lending(&creating(), create()).await;
    ecr.stage.pass(&mut memory(&[], (now(), Observed::default())), now()).await.unwrap();
    assert!(ecr.aws.repository("mirror/argocd").is_none());
}

#[tokio::test]
async fn of_a_suspended_image_aws_is_not_asked_about_the_repository() {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    ecr.stage.image.spec.suspend = true;
    ecr.pass().await;
    assert!(!ecr.aws.operations().iter().any(|operation| operation != "GetAuthorizationToken"));
}

#[tokio::test]
async fn an_immutable_tag_is_kept_and_not_tried_again() {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    // A Job has pushed the content that the source has by now.
    let copy = copy_of("v2.13.1", "{ }");
    stage.has_job(&copy);
    stage.end_job();
    stage.registry.hold_content("target", "{ }");
    stage.registry.hold_manifest("source", "v2.13.1", "{ }");
    stage.registry.hold_manifest("target", "v2.13.1", "{}");
    for repository in ["source", "target"] {
        stage.registry.hold(&format!("/v2/{repository}/tags/list"), r#"{"tags":["v2.13.1"]}"#);
    }
    let words = "The image tag 'v2.13.1' already exists in the 'target' repository and cannot be overwritten because \
                 the tag is immutable.";
    stage.registry.refuse_put_to("/v2/target/manifests/v2.13.1", Some(("TAG_INVALID", words)));
    let mut memory = memory(&[], (now(), observed(&[&copy])));
    for minutes in [0, 5, 10] {
        let at = now() + Duration::from_mins(minutes);
        memory.schedule.next = Some(at);
        let Some(report) = stage.pass(&mut memory, at).await.unwrap().report else { continue };
        assert_eq!((report.status.counts.unwrap().kept, report.status.failures.len()), (1, 0), "{minutes}");
        let said = &find(&report.status.conditions, READY).unwrap().message;
        assert!(said.contains("1 kept with other content (its registry's tags are immutable)"), "{said}");
        stage.image.status = Some(report.status);
    }
    assert_eq!(stage.registry.count("PUT"), 1, "{:?}", stage.registry.requests());
    assert!(stage.api.bodies("POST").iter().all(|body| body["kind"] != "Job"));
}
