//! Pods that do not start.

use super::*;

#[tokio::test]
async fn a_pod_waits_for_a_node_as_long_as_the_settings_say_and_the_condition_says_why() {
    for (settings, is_given_up) in [(&[][..], false), (&["--job-pending-seconds=60"], true)] {
        let mut stage = Stage::of_a_synced_image().await;
        stage.images = Images::new(fixtures::agent_with(stage.api.client(), settings), Objects::new([]));
        stage.is_reconciling(reasons::PROGRESSING);
        let copy = copy_of("v2.13.1", "{}");
        stage.has_job(&copy);
        let why = "0/3 nodes are available";
        let unscheduled = serde_json::json!({ "type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": why });
        stage.has_pod(&serde_json::json!({ "phase": "Pending", "conditions": [unscheduled] }));
        let mut memory = memory(&[&copy], (now(), observed(&[&copy])));
        let result = stage.pass(&mut memory, now()).await.unwrap();
        assert_eq!(stage.api.bodies("DELETE").len(), usize::from(is_given_up));
        let status = result.report.unwrap().status;
        let message = &find(&status.conditions, READY).unwrap().message;
        assert!(message.contains(why), "{message}");
    }
}
