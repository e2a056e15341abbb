//! `preview --details`: ages, sizes, platforms, and what is sent.

use imgop_fakes::{Background, Content, ContentRegistry};
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use crate::program::{Program, Run};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Puts an image of one platform with its configuration, a layer of its own and one that all share; its entry in
/// an index.
fn image(content: &mut Content, tag: &str, architecture: &str) -> Value {
    let config = json!({ "os": "linux", "architecture": architecture, "created": "2024-05-06T07:08:09Z" });
    let config = content.put_blob(&config.to_string());
    let layer = |text: &str, digest: Digest, size: u64| {
        json!({ "digest": digest, "size": size,
        "mediaType": format!("application/vnd.oci.image.layer.v1.tar+gzip{text}") })
    };
    let (shared, own) = (content.put_blob("shared"), content.put_blob(&format!("{tag} {architecture}")));
    let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 1024 },
        "layers": [layer("", shared, 3 << 20), layer("", own, 1 << 20)] });
    let digest = content.put(&format!("{architecture}-of-{tag}"), manifest.to_string());
    json!({ "mediaType": IMAGE, "digest": digest, "size": 1, "platform": { "os": "linux", "architecture": architecture } })
}

/// Puts a whole image of two platforms under a tag.
pub fn push(content: &mut Content, tag: &str) {
    let entries = [image(content, tag, "amd64"), image(content, tag, "arm64")];
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries });
    content.put(tag, index.to_string());
}

pub fn start(content: Content) -> Background<ContentRegistry> {
    Background::of(content.start())
}

fn stage() -> (Background<ContentRegistry>, Background<ContentRegistry>) {
    let (mut source, mut destination) = (Content::default(), Content::default());
    push(&mut source, "1.0.0");
    destination.put_blob("shared");
    (start(source), start(destination))
}

fn preview(from: &ContentRegistry, to: &ContentRegistry, more: &str) -> Run {
    let (from, to) = (&from.http.address, &to.http.address);
    let run = Program::new().run(&format!("preview {from}/app:1.0.x {to}/app{more}"));
    run.naming(&from.to_string(), "source").naming(&to.to_string(), "mirror")
}

#[test]
fn details_are_the_age_the_size_the_platforms_and_what_is_sent() {
    let (from, to) = stage();
    let run = preview(&from, &to, " --details");
    assert_eq!(run.code, 0, "{run}");
    for text in ["AGE", "SIZE", "PLATFORMS", "5.0 MiB", "amd64,arm64"] {
        assert!(run.stdout.contains(text), "{text}: {run}");
    }
    assert!(
        run.stdout.contains("To send: 2.0 MiB; the destination has 3.0 MiB of the layers already."),
        "{run}"
    );
    let document: Value = serde_json::from_str(&preview(&from, &to, " --details -o json").stdout).unwrap();
    let (tag, transfer) = (&document["tags"][0], &document["transfer"]);
    assert_eq!((&tag["created"], &tag["size"]), (&json!("2024-05-06T07:08:09Z"), &json!((5 << 20) + 2048)));
    assert_eq!(
        (&transfer["sentBytes"], &transfer["presentBytes"]),
        (&json!((2 << 20) + 2048), &json!(3 << 20))
    );
}

#[test]
fn the_size_is_that_of_the_platforms_that_are_taken() {
    let (from, to) = stage();
    let run = preview(&from, &to, " --details --platforms linux/arm64 -o json");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["tags"][0]["size"], (4 << 20) + 1024, "{run}");
}

#[test]
fn without_the_flag_no_manifest_is_read_where_no_terminal_shows_it() {
    let (from, to) = stage();
    let run = preview(&from, &to, "");
    assert!(run.code == 0 && !run.stdout.contains("SIZE"), "{run}");
    assert_eq!(from.count("GET /v2/app/manifests"), 0);
}

#[test]
fn a_reference_that_would_be_written_is_a_line_of_output_name() {
    let (from, to) = stage();
    let run = preview(&from, &to, " -o name");
    assert_eq!((run.code, run.stdout.as_str()), (0, "mirror........./app:1.0.0\n"), "{run}");
}
