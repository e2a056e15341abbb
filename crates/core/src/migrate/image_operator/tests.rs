use serde_json::json;

use super::*;

fn image(spec: &Value) -> Value {
    json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" }, "spec": spec })
}

fn changes(spec: &Value) -> String {
    let migrated = migrate(&image(spec)).unwrap();
    migrated.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn of(source: &str, destination: &str, frequency: &str) -> Value {
    json!({ "mode": "Recurrent", "frequency": frequency,
        "source": { "name": "quay.io/argoproj/argocd", "version": source },
        "destination": { "name": "registry.example.com/argocd", "version": destination } })
}

#[test]
fn what_means_the_same_here_is_carried_as_it_is() {
    for (source, destination) in
        [("v2.13.x", "v2.13.x"), ("v2.13.1", "v2.13.1"), ("v2.13.1", "stable"), ("2.x", "")]
    {
        let object = image(&of(source, destination, "1h30m"));
        let migrated = migrate(&object).unwrap();
        assert_eq!((migrated.object, migrated.changes), (object, Vec::new()), "{source}");
    }
}

#[test]
fn what_the_api_server_wrote_is_taken_out() {
    let mut object = image(&of("1.0", "1.0", "5m"));
    object["status"] = json!({ "phase": "COMPLETED" });
    object["metadata"] = json!({ "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1",
        "annotations": { LAST_APPLIED: "{}" }, "labels": { "team": "x" } });
    let migrated = migrate(&object).unwrap();
    assert_eq!(
        migrated.object["metadata"],
        json!({ "name": "a", "namespace": "n", "labels": { "team": "x" } })
    );
    assert!(migrated.object.get("status").is_none());
}

#[test]
fn a_frequency_that_was_misread_says_what_it_was_and_is_now() {
    insta::assert_snapshot!(changes(&of("1.0", "1.0", "1d12h")), @r#"spec.frequency carried: "1d12h" is 1d12h here; image-operator took 1d"#);
    insta::assert_snapshot!(changes(&of("1.0", "1.0", "1.5d")), @r#"spec.frequency changed: "1.5d" is no frequency here; image-operator took 5d, so it is 5d now"#);
    insta::assert_snapshot!(changes(&of("1.0", "1.0", "0s")), @r#"spec.frequency changed: "0s" is no frequency here; image-operator took 0s, at every pass, so it is 10s now"#);
}

#[test]
fn b1_a_tag_that_every_version_was_written_to_is_left_out() {
    insta::assert_snapshot!(changes(&of("v2.13.x", "v2.13", "5m")), @r#"spec.destination.version not carried: each tag keeps its name at the destination; image-operator wrote every one to the tag "v2.13""#);
    let migrated = migrate(&image(&of("v2.13.x", "v2.13", "5m"))).unwrap();
    assert!(migrated.object["spec"]["destination"].get("version").is_none());
}

#[test]
fn a_regular_expression_becomes_one_of_select() {
    let migrated = migrate(&image(&of("2.1[23].0", "2.1[23].0", "5m"))).unwrap();
    assert_eq!(
        migrated.object["spec"]["source"],
        json!({ "name": "quay.io/argoproj/argocd", "version": "*", "select": { "include": ["v?2.1[23].0"] } })
    );
    assert!(migrated.object["spec"]["destination"].get("version").is_none());
}

#[test]
fn what_cannot_be_used_is_named_with_its_field() {
    let mut spec = of("1.0", "1.0", "5m");
    spec["source"]["name"] = "https://quay.io/a".into();
    spec["concurrency"] = 3.into();
    insta::assert_snapshot!(changes(&spec));
}

const DOCKERFILE: &str = "FROM alpine";

fn builder(spec: &Value) -> Value {
    json!({ "apiVersion": "buildah.io/v1alpha1", "kind": "ImageBuilder", "metadata": {}, "spec": spec })
}

#[test]
fn builders_are_carried_and_other_objects_are_none_of_ours() {
    let builder = builder(&json!({ "architecture": "both", "source": DOCKERFILE,
        "image": { "name": "registry.example.com/a", "version": "1" },
        "resources": { "limits": { "cpu": "1", "memory": "1Gi" } } }));
    assert_eq!(migrate(&builder), Some(Migrated { object: builder.clone(), changes: Vec::new() }));
    assert_eq!(migrate(&json!({ "apiVersion": "v1", "kind": "Secret" })), None);
}

#[test]
fn what_image_operator_ignored_is_named_below_other_fields_and_in_builders_too() {
    let mut spec = of("1.0", "1.0", "5m");
    spec["source"]["foo"] = 1.into();
    spec["destination"]["bar"] = true.into();
    let migrated = migrate(&image(&spec)).unwrap();
    assert_eq!(migrated.object, image(&of("1.0", "1.0", "5m")));
    let of_builder = builder(&json!({ "architecture": "arm64", "source": DOCKERFILE, "affinity": {},
        "image": { "name": "registry.example.com/a", "version": "1", "tag": "2" } }));
    let of_builder = migrate(&of_builder).unwrap();
    let lines = migrated.changes.iter().chain(&of_builder.changes).map(ToString::to_string);
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    spec.destination.bar not carried: image-operator has no such field, and ignored it
    spec.source.foo not carried: image-operator has no such field, and ignored it
    spec.affinity not carried: image-operator has no such field, and ignored it
    spec.image.tag not carried: image-operator has no such field, and ignored it
    ");
}

#[test]
fn a_builder_that_cannot_be_used_is_named_with_its_field() {
    let spec = json!({ "architecture": "all", "source": DOCKERFILE,
        "image": { "name": "registry.example.com/a", "version": "1" } });
    let mut text = spec.clone();
    text["architecture"] = "both".into();
    text["source"] = 1.into();
    let mut tag = spec.clone();
    tag["architecture"] = "both".into();
    tag["image"]["version"] = "a b".into();
    let lines = [spec, text, tag].map(|spec| {
        let changes = migrate(&builder(&spec)).unwrap().changes;
        assert!(matches!(changes[..], [Change { outcome: Outcome::Unusable, .. }]), "{changes:?}");
        changes[0].to_string()
    });
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_expression_selects_release_candidates_where_they_were_allowed() {
    for (version, allowed, include) in [
        ("2.1[23].x", true, r"v?2.1[23].\d+(-rc\d+)?"),
        ("2.1[23].x", false, r"v?2.1[23].\d+"),
        // Without .x upstream took no candidates either.
        ("2.1[23].0", true, "v?2.1[23].0"),
    ] {
        let mut spec = of(version, "", "5m");
        spec["allowCandidateRelease"] = allowed.into();
        let migrated = migrate(&image(&spec)).unwrap();
        assert_eq!(migrated.object["spec"]["source"]["select"]["include"], json!([include]));
    }
}
