//! Which copies are looked for at the destination before there are places for their Jobs.

use imgop_core::api::{COPIES_ANNOTATION, NATIVE_CONTAINER};

use super::*;

/// An Image that may have one Job at a time, with these settings besides.
async fn with_one_place(settings: &[&str]) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let settings = [&["--max-jobs-per-image=1"][..], settings].concat();
    stage.images = Images::new(fixtures::agent_with(stage.api.client(), &settings), Objects::new([]));
    stage
}

/// The Jobs that were created, each with its first container and with what it copies.
fn jobs(stage: &Stage) -> Vec<(String, String)> {
    let bodies = stage.api.bodies("POST");
    let jobs = bodies.iter().filter(|body| body["kind"] == "Job");
    let of = |job: &serde_json::Value| {
        let container = &job["spec"]["template"]["spec"]["containers"][0]["name"];
        let copies = &job["metadata"]["annotations"][COPIES_ANNOTATION];
        (container.as_str().unwrap().to_owned(), copies.as_str().unwrap().to_owned())
    };
    jobs.map(of).collect()
}

/// The manifest of a cache of `BuildKit`.
fn cache(of: &str) -> String {
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    let digest = Digest::of(of.as_bytes());
    let entry = format!(r#"{{"mediaType":"{layer}","digest":"{digest}","size":1}}"#);
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#)
}

#[tokio::test]
async fn the_copies_of_the_first_job_are_probed_also_where_one_before_them_waits_for_another_engine() {
    let stage = with_one_place(&["--copy-engine-fallback=true"]).await;
    let (large, a, b) = (copy_of("v2.13.9", "large"), copy_of("v2.13.2", "a"), copy_of("v2.13.1", "b"));
    let mut observed = observed(&[&large, &a, &b]);
    let parts = (0..33_u8).map(|number| Digest::of(&[number])).collect();
    let of = MadeOf { origin: Origin::PlatformsOf(large.digest.clone()), parts };
    let made = MadeIndex { digest: Digest::of(b"made"), of, platforms: Vec::new() };
    observed.tags[0].content = Content::Made(made);
    stage.pass(&mut memory(&[], (now(), observed)), now()).await.unwrap();
    let jobs = jobs(&stage);
    let copies = |tag: &str| jobs.len() == 1 && jobs[0].1.contains(tag);
    assert!(copies("v2.13.1") && copies("v2.13.2") && !copies("v2.13.9"), "{jobs:?}");
    let requests = stage.registry.requests();
    let is_asked_for = |tag: &str| requests.contains(&format!("HEAD /v2/target/manifests/{tag}"));
    assert!(is_asked_for("v2.13.1") && is_asked_for("v2.13.2"), "{requests:?}");
}

#[tokio::test]
async fn a_copy_that_moves_up_because_native_copies_the_one_before_it_is_probed_before_it_has_a_job() {
    let stage = with_one_place(&["--copy-engine-fallback=true", "--tags-per-job=1"]).await;
    let caches = ["one", "two"].map(cache);
    for cache in &caches {
        stage.registry.hold_content("source", cache);
    }
    let copies = [copy_of("v2.13.2", &caches[0]), copy_of("v2.13.1", &caches[1])];
    let observed = observed(&[&copies[0], &copies[1]]);
    stage.pass(&mut memory(&[], (now(), observed)), now()).await.unwrap();
    let jobs = jobs(&stage);
    let [(container, both)] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert_eq!(container, NATIVE_CONTAINER, "Skopeo would fail with it");
    assert!(both.contains("v2.13.2") && both.contains("v2.13.1"), "{both}");
}

#[tokio::test]
async fn what_is_at_the_destination_takes_no_place_from_what_comes_after_it() {
    let stage = with_one_place(&["--tags-per-job=1"]).await;
    let (there, also_there, absent) =
        (copy_of("v2.13.3", "{}"), copy_of("v2.13.2", "{ }"), copy_of("v2.13.1", "{  }"));
    for content in ["{}", "{ }"] {
        stage.registry.hold_content("target", content);
    }
    let observed = observed(&[&there, &also_there, &absent]);
    stage.pass(&mut memory(&[], (now(), observed)), now()).await.unwrap();
    for tag in ["v2.13.3", "v2.13.2"] {
        assert!(stage.registry.manifest("target", tag).is_some(), "{tag}");
    }
    let jobs = jobs(&stage);
    assert!(jobs.len() == 1 && jobs[0].1.contains("v2.13.1"), "{jobs:?}");
}
