//! What is pushed, and how.

use std::thread;
use std::time::Duration;

use imgop_core::api::Format;
use imgop_core::build::step::LayerCache;
use imgop_core::build::{BuildFailure, Timestamp};

use crate::built_image::BuiltImage;
use crate::flaky_proxy;
use crate::pod::Pod;
use crate::registry::{Registry, auth_file, busybox, shared};

#[test]
fn a_push_that_is_refused_says_what_to_give() {
    let private = Registry::start(Some(("builder", "CANARY-push")));
    let mut pod = Pod::of("FROM scratch\nLABEL a=b\n");
    pod.input.repository = format!("{}/team/app", private.address).parse().unwrap();
    pod.prepare().succeeded();
    pod.build().succeeded();
    let failed = pod.push().failed();
    assert_eq!(failed.reason, BuildFailure::RegistryUnauthorized, "{failed}");
    assert!(failed.message.contains("image.credentials"), "{failed}");
    let auth = auth_file(&private, "builder", "CANARY-push");
    pod.write("/var/run/imgop/push", "auth.json", &auth);
    let report = pod.push().succeeded();
    assert!(report.image.is_some() && !report.to_message().contains("CANARY"));
}

#[test]
fn with_a_given_time_the_same_inputs_give_the_same_digest_twice() {
    for format in [Format::Docker, Format::Oci] {
        let digest = || {
            let mut pod = Pod::of(&format!("FROM {}\nCOPY f /f\nRUN echo x > /x\n", busybox()))
                .with_files(&[("f", "f")]);
            pod.input.repository = format!("{}/built/same", shared().address).parse().unwrap();
            (pod.input.format, pod.input.timestamp) = (format, Some(Timestamp::Seconds(0)));
            pod.image();
            pod.push().succeeded().image.unwrap().digest
        };
        let first = digest();
        // Files and containers have other times in another second.
        thread::sleep(Duration::from_millis(1100));
        let uploads = shared().requests("PUT", "/built/same/blobs/uploads/");
        assert_eq!(digest(), first, "{format:?}");
        assert_eq!(shared().requests("PUT", "/built/same/blobs/uploads/"), uploads, "nothing is sent again");
    }
}

#[test]
fn the_layers_of_a_base_of_the_same_registry_are_not_sent() {
    let mut pod = Pod::of(&format!("FROM {}\nRUN echo x > /x\n", busybox()));
    pod.input.repository = format!("{}/built/mounted", shared().address).parse().unwrap();
    let image = pod.image();
    let base = BuiltImage::read(&busybox(), None);
    let (layers, of_base) =
        (image.manifest["layers"].as_array().unwrap(), base.manifest["layers"].as_array().unwrap());
    assert_eq!(layers.len(), of_base.len() + 1);
    assert!(layers.iter().zip(of_base).all(|(layer, of_base)| layer["digest"] == of_base["digest"]));
    // One layer of its own and the configuration.
    assert_eq!(shared().requests("PUT", "/built/mounted/blobs/uploads/"), 2);
}

#[test]
fn the_layers_of_a_base_of_another_registry_are_sent_as_they_are_there() {
    let destination = Registry::start(None);
    let mut pod = Pod::of(&format!("FROM {}\nRUN echo x > /x\n", busybox()));
    pod.input.repository = format!("{}/built/sent", destination.address).parse().unwrap();
    pod.prepare().succeeded();
    pod.build().succeeded();
    let pushed = pod.push().succeeded().image.unwrap();
    let image = BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None);
    let base = BuiltImage::read(&busybox(), None);
    let first = |image: &BuiltImage| image.manifest["layers"][0]["digest"].clone();
    assert_eq!(first(&image), first(&base));
    assert_eq!(image.text("x"), "x\n");
}

#[test]
fn layers_of_an_earlier_build_are_used_again_from_a_repository() {
    let build = |name: &str| {
        let text = format!(
            "FROM scratch AS base\nCOPY --from={} / /\nENV PATH=/bin\nFROM base\nRUN cat /proc/sys/kernel/random/uuid > /once\nCOPY f /f\n",
            busybox()
        );
        let mut pod = Pod::of(&text).with_files(&[("f", name)]);
        let repository = format!("{}/built/cache", shared().address).parse().unwrap();
        pod.input.cache = Some(LayerCache { repository, ttl_seconds: None });
        let image = pod.image();
        assert_eq!(image.text("f"), name);
        image.text("once")
    };
    assert_eq!(build("one"), build("two"), "the RUN ran once");
}

#[test]
fn a_registry_that_is_not_there_is_unreachable_and_not_a_failed_build() {
    let mut pod = Pod::of("FROM nowhere.invalid/a/b:1\n");
    assert_eq!(pod.fails_early().0, BuildFailure::RegistryUnreachable);
    pod = Pod::of("FROM scratch\nLABEL a=b\n");
    pod.prepare().succeeded();
}

#[test]
fn a_push_that_breaks_at_its_end_is_tried_again_and_nothing_is_built_again() {
    let registry = Registry::start(None);
    let answers = ["429 Too Many Requests", "500 Internal Server Error", "500 Internal Server Error"];
    let address = flaky_proxy::start(&registry.address, &answers);
    let mut pod = Pod::of("FROM scratch\nCOPY f /f\n").with_files(&[("f", "f")]);
    pod.input.repository = format!("{address}/team/app").parse().unwrap();
    let image = pod.image();
    assert_eq!(image.text("f"), "f");
}
