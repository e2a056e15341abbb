//! Contents that Skopeo cannot copy.

use imgop_core::api::{Engine, NATIVE_CONTAINER};

use super::*;

#[tokio::test]
async fn what_skopeo_cannot_copy_native_copies_where_the_setting_allows_it_and_a_condition_names_it_otherwise()
 {
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    let entry = format!(r#"{{"mediaType":"{layer}","digest":"{}","size":1}}"#, Digest::of(b"layer"));
    let cache = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#);
    let copy = copy_of("v2.13.1", &cache);
    for (falls_back, named) in [(true, None), (false, None), (true, Some(Engine::Skopeo))] {
        let mut stage = Stage::of_a_synced_image().await;
        stage.is_reconciling(reasons::PROGRESSING);
        stage.registry.hold_content("source", &cache);
        let agent = Arc::get_mut(&mut stage.images.agent).unwrap();
        agent.config.copies.copy_engine_fallback = falls_back;
        stage.image.spec.engine = named;
        let mut memory = memory(&[], (now(), observed(&[&copy])));
        let result = stage.pass(&mut memory, now()).await.unwrap();
        let bodies = stage.api.bodies("POST");
        let job = bodies.iter().find(|body| body["kind"] == "Job");
        if falls_back && named.is_none() {
            let container = &job.unwrap()["spec"]["template"]["spec"]["containers"][0];
            assert_eq!(container["name"], NATIVE_CONTAINER);
        } else {
            assert_eq!((job, reason(&result)), (None, reasons::FORMAT_UNSUPPORTED));
            let said = &result.report.as_ref().unwrap().status.failures[0].message;
            assert!(said.contains("(spec.engine"), "{said}");
            assert_eq!(said.contains("COPY_ENGINE_FALLBACK"), named.is_none(), "{said}");
        }
    }
}
