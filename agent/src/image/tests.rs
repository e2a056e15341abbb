//! Whole looks, and the status that is written after them.

use imgop_core::api::conditions::STALLED;

use super::*;
use crate::image::fixtures::now;
use crate::image::schedule::later;
use crate::image::stage::Stage;

#[tokio::test]
async fn a_status_that_could_not_be_written_is_written_later_without_asking_any_registry() {
    let stage = Stage::of_a_synced_image().await;
    stage.registry.refuse(401);
    stage.api.fail("PATCH", true);
    let mut memory = memory::Remembered { next_look: Some(now()), ..memory::Remembered::default() };
    assert!(look(&stage.context, &stage.image, &mut memory, now()).await.is_err());
    let asked = stage.registry.requests().len();
    assert!(asked > 0 && stage.api.bodies("PATCH").len() == 1);

    stage.api.fail("PATCH", false);
    for seconds in [1, 2] {
        let at = later(now(), Duration::from_secs(seconds));
        look(&stage.context, &stage.image, &mut memory, at).await.unwrap();
    }
    let written = stage.api.bodies("PATCH");
    assert_eq!(written.len(), 2, "once more, and then it is said");
    let status: ImageStatus = serde_json::from_value(written[1]["status"].clone()).unwrap();
    assert_eq!(find(&status.conditions, STALLED).unwrap().reason, reasons::REGISTRY_UNAUTHORIZED);
    assert_eq!(stage.registry.requests().len(), asked);
}

#[tokio::test]
async fn what_was_copied_is_history_and_counted_once_also_when_its_status_is_written_late() {
    let stage = Stage::of_a_synced_image().await;
    stage.registry.hold("/v2/source/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold("/v2/target/tags/list", r#"{"tags":["v2.13.1"]}"#);
    stage.registry.hold_manifest("source", "v2.13.1", "{}");
    stage.registry.hold_manifest("target", "v2.13.1", "{}");
    stage.api.fail("PATCH", true);
    let mut memory =
        memory::Remembered { next_look: Some(now()), published: 1, ..memory::Remembered::default() };
    let copied = || stage.context.metrics.tags_copied.get();
    assert!(look(&stage.context, &stage.image, &mut memory, now()).await.is_err());
    assert_eq!(copied(), 0, "nothing is counted that may be counted again");

    stage.api.fail("PATCH", false);
    look(&stage.context, &stage.image, &mut memory, later(now(), Duration::from_secs(1))).await.unwrap();
    let written = stage.api.bodies("PATCH");
    let status: ImageStatus = serde_json::from_value(written[1]["status"].clone()).unwrap();
    assert_eq!(status.history[0].copied, Some(1));
    assert_eq!((copied(), memory.published), (1, 0));
}
