//! Policies of a repository for which another object of the namespace asks, where AWS does not set them.

use super::*;

const ACCESS_POLICY: &str = r#"{"Statement":[]}"#;

/// An Image without a policy beside an older one, whose policies are these.
async fn beside_policies(lifecycle: Option<&str>, access: Option<&str>) -> Ecr {
    let mut ecr = Ecr::lending(&creating(), create()).await;
    let (_, mut older) = ages(&mut ecr);
    let of_older = older.spec.destination.create.as_mut().unwrap();
    of_older.lifecycle_policy = lifecycle.map(str::to_owned);
    of_older.access_policy = access.map(str::to_owned);
    ecr.stage.image.spec.destination.create.as_mut().unwrap().lifecycle_policy = None;
    beside(&mut ecr, &older);
    ecr
}

/// How often AWS was asked about the repository.
fn asked(ecr: &Ecr) -> usize {
    ecr.aws.operations().iter().filter(|operation| *operation != "GetAuthorizationToken").count()
}

#[tokio::test]
async fn nothing_is_copied_before_an_access_policy_is_set_that_aws_throttles_and_that_is_tried_again() {
    let ecr = beside_policies(None, Some(ACCESS_POLICY)).await;
    ecr.aws.deny("SetRepositoryPolicy", Some("ThrottlingException"));
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::REGISTRY_UNREACHABLE, 0), "{}", message(&result));
    assert!(result.next.is_some());
    let created = [format!("repository {REPOSITORY} is created")];
    assert_eq!(ecr.events(reasons::REPOSITORY_CREATED), created, "that was done");

    ecr.aws.deny("SetRepositoryPolicy", None);
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::PROGRESSING, 1), "{}", message(&result));
    assert_eq!(ecr.aws.repository("mirror/argocd").unwrap().access.as_deref(), Some(ACCESS_POLICY));
    let given = [format!("repository {REPOSITORY} is given its access policy")];
    assert_eq!(ecr.events(reasons::REPOSITORY_POLICY_SET), given);
    assert_eq!(ecr.events(reasons::REPOSITORY_CREATED), created, "once");
}

#[tokio::test]
async fn an_access_policy_that_aws_refuses_stops_all_that_copy_there_and_the_object_that_has_it_is_named() {
    let ecr = beside_policies(None, Some(ACCESS_POLICY)).await;
    ecr.aws.deny("SetRepositoryPolicy", Some("AccessDeniedException"));
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::REPOSITORY_NOT_READY, 0));
    let said = message(&result);
    assert!(said.contains("ecr:SetRepositoryPolicy"), "{said}");
    assert!(said.contains(r#"; the access policy is that of Image "older""#), "{said}");
}

#[tokio::test]
async fn a_lifecycle_policy_of_another_image_that_aws_refuses_stops_no_copy_and_is_tried_once_a_day() {
    let ecr = beside_policies(Some(OLDER_POLICY), None).await;
    ecr.aws.deny("PutLifecyclePolicy", Some("AccessDeniedException"));
    let result = ecr.pass().await;
    assert_eq!((reason(&result), ecr.jobs()), (reasons::PROGRESSING, 1), "{}", message(&result));
    assert_eq!(ecr.events(reasons::REPOSITORY_CREATED), [format!("repository {REPOSITORY} is created")]);
    let once = asked(&ecr);
    assert_eq!(ecr.aws.operations().iter().filter(|name| *name == "PutLifecyclePolicy").count(), 1);
    pass_of_nothing(&ecr).await;
    assert_eq!(asked(&ecr), once);
}
