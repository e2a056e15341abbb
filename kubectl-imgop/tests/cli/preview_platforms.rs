//! `preview` of some platforms, and of what refers to tags.

use imgop_registry::reference::Digest;

use imgop_fakes::{Background, Catalog, CatalogRegistry};

use crate::program::{Program, Run};

fn index(tag: &str, architectures: &[&str]) -> String {
    let entries: Vec<serde_json::Value> = architectures
        .iter()
        .map(|architecture| {
            serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
                "digest": Digest::of(format!("{tag} {architecture}").as_bytes()),
                "platform": {"os": "linux", "architecture": architecture}})
        })
        .collect();
    serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string()
}

fn registries() -> (Background<CatalogRegistry>, Background<CatalogRegistry>) {
    let (both, none) = (index("1.0.0", &["amd64", "arm64"]), index("1.0.1", &["s390x"]));
    let signature = format!("sha256-{}.sig", Digest::of(both.as_bytes()).hex());
    let tags = [("1.0.0", both.as_str()), ("1.0.1", none.as_str()), (signature.as_str(), "signature")];
    let source = Catalog::default().with("app", &tags).start_in_background();
    (source, Catalog::default().with("mirror", &tags[..1]).start_in_background())
}

fn preview(more: &str) -> Run {
    let (source, destination) = registries();
    let (from, to) = (&source.address, &destination.address);
    let run = Program::new().run(&format!("preview {from}/app:1.0.x {to}/mirror{more}"));
    run.naming(from, "source").naming(to, "mirror")
}

#[test]
fn a_preview_shows_the_platforms_that_are_taken() {
    insta::assert_snapshot!(preview(" --platforms linux/arm64,linux/ppc64le -o wide"));
}

#[test]
fn a_document_has_the_platforms_and_what_the_destination_should_have() {
    insta::assert_snapshot!(preview(" --platforms linux/arm64 --platforms linux/arm/v7 -o json"));
}

#[test]
fn a_preview_marks_what_refers_to_tags() {
    insta::assert_snapshot!(preview(" --referrers All"));
}

#[test]
fn an_unreadable_platform_is_reported_with_its_flag() {
    insta::assert_snapshot!(preview(" --platforms amd64"));
}

#[test]
fn a_platform_that_no_tag_has_is_a_failure_and_one_that_some_lack_only_of_a_comparison() {
    let code = |more: &str| preview(more).code;
    assert_eq!((code(" --platforms linux/riscv64"), code(" --platforms linux/riscv64 --exit-code")), (1, 2));
    assert_eq!(code(" --platforms linux/amd64"), 0);
    insta::assert_snapshot!(preview(" --platforms linux/riscv64"));
}

#[test]
fn an_index_that_cannot_be_read_is_not_checked_and_a_failure_also_without_a_destination() {
    let broken = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"nonsense"}]}"#;
    let source = Catalog::default().with("app", &[("1.0.0", broken)]).start_in_background();
    let run = Program::new().run(&format!("preview {}/app:1.0.0 --platforms linux/amd64", source.address));
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stdout.contains("not-checked") && !run.stdout.contains("at-source"), "{run}");
    assert!(run.stderr.contains("cannot be read"), "{run}");
}
