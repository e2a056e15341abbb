//! What is pushed, and how.

use std::thread;
use std::time::Duration;

use imgop_core::api::Format;
use imgop_core::build::step::LayerCache;
use imgop_core::build::{BuildFailure, Timestamp};

use crate::built_image::BuiltImage;
use crate::flaky_proxy;
use crate::pod::Pod;
use crate::registry::{Registry, auth_file, busybox, new_repository, shared};

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
fn a_cache_that_cannot_be_used_is_a_warning_and_the_image_is_built_without_it() {
    let private = Registry::start(Some(("u", "p")));
    let of_shared = format!("{}/built/cache", shared().address);
    let mount = "RUN --mount=type=bind,source=f,target=/g /bin/busybox cat /g";
    let from = format!("FROM scratch\nCOPY --from={} / /\nENV PATH=/bin", busybox());
    for (repository, run, problem) in [
        ("127.0.0.1:1/a/cache".to_owned(), "RUN true", "no connection to the host"),
        (format!("{}/a/cache", private.address), "RUN true", "cache.credentials"),
        (of_shared, mount, "Buildah 1.28 does not see that files of RUN --mount changed"),
    ] {
        let mut pod = Pod::of(&format!("{from}\n{run}\n")).with_files(&[("f", "f")]);
        pod.input.cache = Some(LayerCache { repository: repository.parse().unwrap(), ttl_seconds: None });
        pod.prepare().succeeded();
        let warnings = pod.build().succeeded().warnings.join("\n");
        assert!(warnings.starts_with("built without the cache ") && warnings.contains(problem), "{warnings}");
        pod.push().succeeded();
    }
}

#[test]
fn a_cache_that_breaks_off_during_the_build_is_a_warning_and_the_image_is_built_without_it() {
    let registry = Registry::start(None);
    let address = flaky_proxy::start(&registry.address, &[("PUT", "413 Payload Too Large", ""); 40]);
    let from = format!("FROM scratch\nCOPY --from={} / /\nENV PATH=/bin", busybox());
    let mut pod = Pod::of(&format!("{from}\nRUN echo x > /x\n"));
    let repository = format!("{address}/a/cache").parse().unwrap();
    pod.input.cache = Some(LayerCache { repository, ttl_seconds: None });
    pod.prepare().succeeded();
    let warnings = pod.build().succeeded().warnings.join("\n");
    assert!(warnings.contains("cannot be kept in cache.repository"), "{warnings}");
    let pushed = pod.push().succeeded().image.unwrap();
    let image = BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None);
    assert_eq!(image.text("x"), "x\n");
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
    // The repository comes a little later, from another controller.
    let unknown = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#;
    let broken = ("PUT", "500 Internal Server Error", "");
    let answers = [("PUT", "429 Too Many Requests", ""), broken, broken, ("POST", "404 Not Found", unknown)];
    let address = flaky_proxy::start(&registry.address, &answers);
    let text =
        "FROM scratch\nCOPY --from=BB / /\nENV PATH=/bin\nRUN cat /proc/sys/kernel/random/uuid > /once\n";
    let mut pod = Pod::of(&text.replace("BB", &busybox()));
    pod.input.repository = format!("{address}/team/app").parse().unwrap();
    pod.prepare().succeeded();
    pod.build().succeeded();
    let pushed = pod.push().succeeded().image.unwrap();
    let image = BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None);
    assert_eq!(image.text("once").len(), 37);
}

#[test]
fn a_base_whose_history_is_not_whole_is_built_on_without_the_cache() {
    // Layers that no history lists, as some builders push them.
    let repository = new_repository(shared());
    let scratch = Pod::of("FROM scratch\nCOPY f /f\n").with_files(&[("f", "f")]);
    scratch.prepare().succeeded();
    scratch.build().succeeded();
    let folder = scratch.path("/work/out");
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let mut document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join(&config)).unwrap()).unwrap();
    document["history"] = serde_json::json!([]);
    let bytes = document.to_string();
    let digest = imgop_registry::reference::Digest::of(bytes.as_bytes());
    std::fs::write(folder.join(digest.hex()), &bytes).unwrap();
    manifest["config"]["digest"] = serde_json::json!(digest);
    manifest["config"]["size"] = serde_json::json!(bytes.len());
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let pushed = std::process::Command::new("skopeo")
        .args(["copy", "--quiet", "--dest-tls-verify=false", &format!("dir:{}", folder.display())])
        .arg(format!("docker://{repository}:1"))
        .status();
    assert!(pushed.unwrap().success());
    let mut pod = Pod::of(&format!("FROM {repository}:1\nCOPY f /g\n")).with_files(&[("f", "f")]);
    let cache = format!("{}/built/cache-of-history", shared().address).parse().unwrap();
    pod.input.cache = Some(LayerCache { repository: cache, ttl_seconds: None });
    pod.prepare().succeeded();
    let warnings = pod.build().succeeded().warnings.join("\n");
    assert!(warnings.contains(&format!("the history of {repository}:1")), "{warnings}");
}
