//! What a build begins with.

use std::process::Command;

use imgop_core::build::BuildFailure;
use serde_json::Value;

use crate::pod::Pod;
use crate::registry::{auth_file, busybox, shared};

/// Returns the index of busybox, its digest and its manifest for an architecture.
fn index() -> (Value, String) {
    let raw = Command::new("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false", &format!("docker://{}", busybox())])
        .output()
        .unwrap()
        .stdout;
    let digest = imgop_registry::reference::Digest::of(&raw).to_string();
    (serde_json::from_slice(&raw).unwrap(), digest)
}

fn manifest_of(architecture: &str) -> String {
    let (index, _) = index();
    let entries = index["manifests"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["platform"]["architecture"] == architecture).unwrap();
    entry["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_base_by_digest_is_taken_as_it_is() {
    let repository = format!("{}/base/busybox", shared().address);
    let (_, index) = index();
    for reference in [
        format!("{repository}@{index}"),
        format!("{repository}:1@{index}"),
        format!("{repository}@{}", manifest_of("amd64")),
    ] {
        let pod = Pod::of(&format!("FROM {reference}\nRUN true\n"));
        let report = pod.prepare().succeeded();
        assert_eq!(report.bases[0].image.to_string(), reference);
        pod.build().succeeded();
    }
    let mut pod = Pod::of(&format!("FROM {repository}@{}\n", manifest_of("amd64")));
    pod.input.platform = "linux/arm64".parse().unwrap();
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::PlatformNotFound);
    assert!(message.contains("not there for linux/arm64; it has linux/amd64"), "{message}");
    let absent = format!("{repository}@sha256:{}", "0".repeat(64));
    assert_eq!(Pod::of(&format!("FROM {absent}\n")).fails_early().0, BuildFailure::BaseImageNotFound);
}

#[test]
fn a_base_without_the_platform_is_named_with_what_it_has() {
    let mut pod = Pod::of(&format!("FROM {}\n", busybox()));
    pod.input.platform = "linux/s390x".parse().unwrap();
    let (reason, message) = pod.fails_early();
    assert_eq!(reason, BuildFailure::PlatformNotFound);
    assert!(
        message.contains("base/busybox:1 (line 1") && message.contains("linux/amd64, linux/arm64"),
        "{message}"
    );
}

#[test]
fn the_image_of_another_platform_has_the_files_of_that_platform() {
    let mut pod = Pod::of(&format!(
        "FROM --platform=linux/amd64 {0} AS tools\nRUN true\nFROM {0}\nCOPY --from=tools /bin/busybox /tool\n",
        busybox()
    ));
    pod.input.platform = "linux/arm64".parse().unwrap();
    let image = pod.image();
    assert_eq!(image.config["architecture"], "arm64");
    let arm = std::fs::read(image.root.join("bin/busybox")).unwrap();
    let amd = std::fs::read(image.root.join("tool")).unwrap();
    // The machine that an ELF program is for.
    assert_eq!((arm[18], amd[18]), (183, 62));
}

#[test]
fn digests_that_are_known_are_built_on_and_what_a_tag_shows_is_reported() {
    let (_, index) = index();
    let pod = Pod::of(&format!("FROM {}\n", busybox()));
    assert_eq!(pod.prepare().succeeded().bases[0].digest.to_string(), index);
    let mut pod = Pod::of(&format!("FROM {}\n", busybox()));
    let known = manifest_of("amd64");
    pod.input.bases.insert(busybox().parse().unwrap(), known.parse().unwrap());
    assert_eq!(pod.prepare().succeeded().bases[0].digest.to_string(), known);
}

#[test]
fn triggers_of_a_base_run_with_the_context_of_the_build() {
    let mut base = Pod::of(&format!(
        // Buildah commits what triggers do step by step, and wants a history then that is whole.
        "FROM scratch\nCOPY --from={0} / /\nENV PATH=/bin\nONBUILD COPY app.txt /app.txt\nONBUILD COPY --from={0} /bin/busybox /bb\nONBUILD RUN cat /app.txt > /ran\n",
        busybox()
    ));
    base.input.repository = format!("{}/base/onbuild", shared().address).parse().unwrap();
    base.image();
    let digest = base.push().succeeded().image.unwrap().digest;
    let child = format!("FROM {}@{digest}\n", base.input.repository);
    let pod = Pod::of(&child).with_files(&[("app.txt", "app")]);
    let report = pod.prepare().succeeded();
    assert!(
        report.bases.iter().any(|base| base.image.to_string() == busybox()),
        "the trigger's image is watched"
    );
    let image = pod.image();
    assert_eq!((image.text("ran"), image.root.join("bb").exists()), ("app".into(), true));
    assert!(image.config["config"]["OnBuild"].as_array().is_none_or(Vec::is_empty));
    let failed = Pod::of(&child).with_files(&[("other", "o")]).fails_late();
    assert_eq!(failed.reason, BuildFailure::StepFailed);
    let trigger = format!("ONBUILD of {}@{digest} (COPY app.txt /app.txt)", base.input.repository);
    assert_eq!(failed.step.as_ref().map(|step| step.text.as_str()), Some(trigger.as_str()));
    assert!(
        failed.message.contains("\"/app.txt\": no such file") && failed.message.contains("ONBUILD of "),
        "{failed}"
    );
}

#[test]
fn a_base_that_is_no_index_is_named_with_the_platform_that_it_is_for() {
    let pod = Pod::of(&format!("FROM {}\nRUN true\n", busybox()));
    pod.image();
    let single = format!("{}@{}", pod.input.repository, pod.push().succeeded().image.unwrap().digest);
    let mut other = Pod::of(&format!("FROM {single}\n"));
    other.input.platform = "linux/arm64".parse().unwrap();
    let (reason, message) = other.fails_early();
    assert_eq!(reason, BuildFailure::PlatformNotFound);
    assert!(message.contains("it has linux/amd64"), "{message}");
}

#[test]
fn a_registry_that_asks_for_a_password_gets_the_one_that_is_mounted() {
    let private = crate::registry::Registry::start(Some(("builder", "CANARY-pull")));
    let mut source = Pod::of("FROM scratch\nCOPY tool /tool\n").with_files(&[("tool", "tool")]);
    let auth = auth_file(&private, "builder", "CANARY-pull");
    source.input.repository = format!("{}/base/private", private.address).parse().unwrap();
    source.write("/var/run/imgop/push", "auth.json", &auth);
    source.prepare().succeeded();
    source.build().succeeded();
    let digest = source.push().succeeded().image.unwrap().digest;

    let text = format!("FROM scratch\nCOPY --from={}/base/private@{digest} / /x/\n", private.address);
    let (reason, message) = Pod::of(&text).fails_early();
    assert_eq!(reason, BuildFailure::RegistryUnauthorized);
    assert!(message.contains("(line 2 of the Dockerfile)") && message.contains("registries"), "{message}");
    let pod = Pod::of(&text);
    pod.write("/var/run/imgop/pull", "auth.json", &auth);
    let report = pod.prepare().succeeded();
    assert!(!report.to_message().contains("CANARY"));
    assert_eq!(pod.image().text("x/tool"), "tool", "its files are copied");
}
