use std::time::Duration;

use imgop_registry::reference::Digest;
use jiff::Timestamp;

use super::*;
use crate::api::{
    Architecture, BuildReason, BuiltImage, ConcurrencyPolicy, Context, GitContext, ImageBuilderSpec,
    RebuildOn,
};
use crate::build::{BuildFailure, BuildKey, BuildRequest, DestinationKey, ObservedInputs};

mod parts;
mod publish;
mod start;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(seconds: u64) -> Timestamp {
    now() - Duration::from_secs(seconds)
}

fn spec() -> ImageBuilderSpec {
    let mut spec = ImageBuilderSpec::new(BuiltImage::new("registry.example.com/team/app", "v1"));
    spec.architecture = Some(Architecture::Both);
    spec.context =
        Some(Context { git: Some(GitContext::new("https://git.example.com/a")), ..Context::default() });
    spec.rebuild_on = vec![RebuildOn::Source, RebuildOn::BaseImage];
    spec
}

fn request(edit: impl FnOnce(&mut ImageBuilderSpec)) -> BuildRequest {
    let mut spec = spec();
    edit(&mut spec);
    BuildRequest::parse(&spec).unwrap()
}

fn inputs(commit: &str, base: &str) -> ObservedInputs {
    ObservedInputs {
        commit: Some(commit.to_owned()),
        dockerfile: Some(Digest::of(b"FROM busybox:1")),
        context: None,
        arguments: None,
        bases: [("busybox:1".parse().unwrap(), Digest::of(base.as_bytes()))].into(),
    }
}

#[test]
fn the_key_is_the_same_for_the_same_and_another_for_anything_else() {
    let key = |request: &BuildRequest, inputs: &ObservedInputs| BuildKey::new(request, inputs);
    let (same, base) = (request(|_| {}), inputs("c1", "b1"));
    assert_eq!(key(&same, &base), key(&request(|spec| spec.timeout = "2h".into()), &base), "how, not what");
    let mut all = vec![key(&same, &base)];
    all.extend([inputs("c2", "b1"), inputs("c1", "b2")].iter().map(|inputs| key(&same, inputs)));
    let edits: [fn(&mut ImageBuilderSpec); 9] = [
        |spec| spec.architecture = Some(Architecture::Arm64),
        |spec| spec.target = Some("final".into()),
        |spec| spec.build_args = serde_json::from_str(r#"[{"name": "A", "value": ""}]"#).unwrap(),
        |spec| spec.build_args = serde_json::from_str(r#"[{"name": "A", "value": "1"}]"#).unwrap(),
        |spec| spec.image.labels = [("a".into(), "b".into())].into(),
        |spec| spec.image.annotations = [("a".into(), "b".into())].into(),
        |spec| spec.image.timestamp = Some("Zero".into()),
        |spec| spec.secrets = serde_json::from_str(r#"[{"id": "a", "secretName": "s"}]"#).unwrap(),
        |spec| spec.context.as_mut().unwrap().sub_path = Some("a".into()),
    ];
    all.extend(edits.map(|edit| key(&request(edit), &base)));
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
    assert_eq!(all[0].to_string().parse::<BuildKey>().unwrap(), all[0]);
}

#[test]
fn what_another_version_of_the_agent_wrote_is_of_no_other_inputs() {
    let key = BuildKey::new(&request(|_| {}), &inputs("c1", "b1"));
    // Where this digest changes, so must the version: Jobs of an earlier agent would be ended.
    insta::assert_snapshot!(key, @"v2-sha256:ca3abafc8a9362cbf8093c303c18d69d9cfdb3f7f2bc084ccf6657171f986acf");
    let parsed = |text: String| text.parse::<BuildKey>().unwrap();
    let other = parsed(format!("v2-{}", Digest::of(b"x")));
    assert!(key.is_of_others_than(&other) && !key.is_of_others_than(&key));
    assert!(!key.is_of_others_than(&parsed(Digest::of(b"x").to_string())));
    assert!(!key.is_of_others_than(&parsed(format!("v1-{}", Digest::of(b"x")))));
}
