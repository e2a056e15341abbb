//! Labels and annotations that administrators let no template give.

use super::*;
use crate::config::refused_keys::RefusedKeys;

#[tokio::test]
async fn a_template_that_gives_pods_an_identity_stalls_and_asks_nothing_unless_an_administrator_allows_it() {
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    stage.image.spec.job_template.annotations = [("iam.amazonaws.com/role".into(), "admin".into())].into();
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut due_now(), now()).await.unwrap();
    assert_eq!((reason(&result), result.next), (reasons::INVALID_SPEC, None));
    let status = result.report.unwrap().status;
    let message = &find(&status.conditions, READY).unwrap().message;
    assert!(message.contains("spec.jobTemplate.annotations: iam.amazonaws.com/role"), "{message}");
    assert_eq!(stage.registry.requests().len(), 0);
    // An administrator takes it out of the setting: a new process begins.
    let agent = Arc::get_mut(&mut stage.images.agent).unwrap();
    agent.config.jobs.job_refused_keys = RefusedKeys::default();
    let result = stage.pass(&mut due_now(), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::SUCCEEDED);
}
