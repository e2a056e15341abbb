//! `verify`: both sides are asked, down to layers.

use imgop_fakes::{Background, Catalog, Content, ContentRegistry};
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use crate::preview::{destination, source};
use crate::preview_details::{push, start};
use crate::program::{Program, Run};

fn content(tags: &[&str]) -> Content {
    let mut content = Content::default();
    for tag in tags {
        push(&mut content, tag);
    }
    content
}

fn verify(from: &ContentRegistry, to: &ContentRegistry, more: &str) -> Run {
    let (from, to) = (&from.http.address, &to.http.address);
    let run = Program::new().run(&format!("verify {from}/app:1.0.x {to}/app{more}"));
    run.naming(&from.to_string(), "source").naming(&to.to_string(), "mirror")
}

fn both(source: Content, destination: Content) -> (Background<ContentRegistry>, Background<ContentRegistry>) {
    (start(source), start(destination))
}

#[test]
fn a_whole_copy_is_verified_for_each_platform() {
    let (from, to) = both(content(&["1.0.0", "1.0.1"]), content(&["1.0.0", "1.0.1"]));
    insta::assert_snapshot!(verify(&from, &to, ""));
    let layers = verify(&from, &to, " --layers");
    let summary = "2 tags: 2 verified. 10 configurations and layers checked.\n";
    assert!(layers.code == 0 && layers.stdout.ends_with(summary), "{layers}");
    let document: Value = serde_json::from_str(&verify(&from, &to, " -o json").stdout).unwrap();
    assert_eq!(document["apiVersion"], "imgop.verify/v1");
    assert_eq!(document["tags"][0]["platforms"][1]["platform"], "linux/arm64");
}

#[test]
fn a_tag_that_is_missing_or_differs_is_exit_code_1() {
    let mut other = content(&["1.0.0", "other"]);
    let bytes = other.bytes("other");
    other.put("1.0.1", bytes);
    let (from, to) = both(content(&["1.0.0", "1.0.1", "1.0.2"]), other);
    insta::assert_snapshot!(verify(&from, &to, ""));
}

#[test]
fn an_image_whose_platform_is_gone_is_incomplete_although_its_tag_is_right() {
    let whole = content(&["1.0.0"]);
    let mut torn = Content::default();
    torn.put("1.0.0", whole.bytes("1.0.0"));
    torn.put("amd64", whole.bytes("amd64-of-1.0.0"));
    let (from, to) = both(whole, torn);
    let run = verify(&from, &to, "");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stdout.contains("!   1.0.0   incomplete   1/2"), "{run}");
    assert!(run.stdout.contains("the destination lacks linux/arm64"), "{run}");
}

#[test]
fn a_layer_that_is_gone_is_found_where_layers_are_asked_for() {
    let whole = content(&["1.0.0"]);
    let mut torn = Content::default();
    for tag in ["1.0.0", "amd64-of-1.0.0", "arm64-of-1.0.0"] {
        torn.put(tag, whole.bytes(tag));
    }
    let (from, to) = both(whole, torn);
    assert_eq!(verify(&from, &to, "").code, 0);
    let run = verify(&from, &to, " --layers");
    assert!(run.code == 1 && run.stdout.contains("incomplete"), "{run}");
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Content whose tag `1.0.0` is an index of an index of two images.
fn nested() -> Content {
    let mut content = Content::default();
    push(&mut content, "inner");
    let inner = Digest::of(content.bytes("inner").as_bytes());
    let entry = json!({ "mediaType": INDEX, "digest": inner, "size": 1 });
    content.put("1.0.0", json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }).to_string());
    content
}

#[test]
fn the_images_of_an_index_within_an_index_are_verified_with_their_layers() {
    let (from, to) = both(nested(), nested());
    for more in ["", " --layers"] {
        let run = verify(&from, &to, more);
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stdout.contains("=   1.0.0   verified   2/2"), "{run}");
    }
    let (whole, mut torn) = (nested(), Content::default());
    for tag in ["1.0.0", "inner", "amd64-of-inner"] {
        torn.put(tag, whole.bytes(tag));
    }
    let (from, to) = both(whole.clone(), torn.clone());
    let run = verify(&from, &to, "");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stdout.contains("!   1.0.0   incomplete   1/2"), "{run}");
    assert!(run.stdout.contains("the destination lacks linux/arm64"), "{run}");
    // All manifests, and not one layer.
    torn.put("arm64-of-inner", whole.bytes("arm64-of-inner"));
    let (from, to) = both(whole, torn);
    assert_eq!(verify(&from, &to, "").code, 0);
    let run = verify(&from, &to, " --layers");
    assert!(run.code == 1 && run.stdout.contains("incomplete   0/2"), "{run}");
}

#[test]
fn what_cannot_be_read_is_not_checked_with_the_reason_and_never_verified() {
    let entry = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
        "digest": Digest::of(b"image"), "platform": { "os": "linux", "architecture": "amd64" } });
    let many = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": vec![entry; 201] });
    let no_list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": 5 });
    let no_config = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [] });
    for (manifest, more, reason) in [
        (&many, "", "201 entries; at most 200 are read"),
        (&no_list, "", "the answer is no manifest"),
        (&no_config, " --layers", "cannot be read"),
    ] {
        let mut content = Content::default();
        content.put("1.0.0", manifest.to_string());
        let (from, to) = both(content.clone(), content);
        let run = verify(&from, &to, more);
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stdout.contains("?   1.0.0   not-checked"), "{run}");
        assert!(run.stderr.contains(reason) && run.stdout.contains(reason), "{run}");
    }
}

#[test]
fn indexes_without_end_are_not_checked() {
    let mut content = Content::default();
    let mut inner = json!({ "mediaType": INDEX, "digest": Digest::of(b"no more"), "size": 1 });
    for tag in ["e", "d", "c", "b", "a", "1.0.0"] {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [inner] });
        inner = json!({ "mediaType": INDEX, "digest": content.put(tag, index.to_string()), "size": 1 });
    }
    let (from, to) = both(content.clone(), content);
    let run = verify(&from, &to, "");
    assert!(run.code == 2 && run.stdout.contains("indexes stand in indexes"), "{run}");
}

#[test]
fn what_was_copied_once_or_never_changes_is_compared_all_the_same() {
    let (source, destination) = (source(), destination());
    let arguments = format!(
        "verify {}/argoproj/argocd:v2.13.1 {}/mirror/argocd --immutable-tags *",
        source.address, destination.address
    );
    let run = Program::new().run(&arguments);
    assert!(run.code == 1 && run.stdout.contains("differs"), "{run}");
}

#[test]
fn signatures_are_verified_where_they_are_copied() {
    let signature = format!("sha256-{}.sig", Digest::of(b"one").hex());
    let registry = |repository: &str, tags: &[(&str, &str)]| {
        Catalog::default().with(repository, tags).start_in_background()
    };
    let source = registry("app", &[("1.0", "one"), (&signature, "signed")]);
    let destination = registry("mirror", &[("1.0", "one")]);
    let run = |more: &str| {
        let (from, to) = (&source.address, &destination.address);
        Program::new().run(&format!("verify {from}/app:1.0 {to}/mirror --referrers {more}"))
    };
    let run = run("All");
    assert!(run.code == 1 && run.stdout.contains("missing"), "{run}");
}

#[test]
fn a_tag_that_could_not_be_checked_is_exit_code_2() {
    let from = Catalog::default().with("app", &[("1.0.0", "one")]).start_in_background();
    let to = Catalog::default().with("app", &[("1.0.0", "one")]).failing("1.0.0", 429).start_in_background();
    let run = Program::new().run(&format!("verify {}/app:1.0.x {}/app", from.address, to.address));
    assert_eq!(run.code, 2, "{run}");
}
