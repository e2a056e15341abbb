//! What is asked about tags that a spec names one by one.

use std::collections::HashMap;

use imgop_core::api::ImageSpec;
use imgop_core::copy::{CopyRequest, Known, Limits, Observed, Sides, TagState, observe};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries};

use imgop_fakes::{ScriptedRegistry, settings};

use crate::observing::{registry, spec};

struct Case {
    source: ScriptedRegistry,
    destination: ScriptedRegistry,
    request: CopyRequest,
    sides: Sides,
}

async fn case(tags: &[&str], destination: &[(&str, &str)], edit: impl FnOnce(&mut ImageSpec)) -> Case {
    let (source, destination) = (registry(&SOURCE).await, registry(destination).await);
    let mut spec = spec(&source, &destination, "");
    spec.source.tags = tags.iter().map(ToString::to_string).collect();
    edit(&mut spec);
    let request = CopyRequest::parse(&spec).unwrap();
    let registries = Registries::new(settings());
    let sides = Sides {
        source: registries.repository(&request.source, &Access::default()),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    Case { source, destination, request, sides }
}

impl Case {
    async fn observe(&self, known: &Known) -> Observed {
        observe(&self.sides, &self.request, known, Limits::default()).await.unwrap()
    }
}

/// A source that answers by digest too, as registries do.
const SOURCE: [(&str, &str); 4] = [("1.0", "a"), ("1.1", "b"), ("1.2", "c"), ("latest", "c")];

fn digest(content: &str) -> Digest {
    Digest::of(content.as_bytes())
}

fn states(observed: &Observed) -> Vec<(String, String, TagState)> {
    let of = |tag: &imgop_core::copy::ObservedTag| {
        (tag.source_ref.to_string(), tag.destination_tag.to_string(), tag.state())
    };
    observed.tags.iter().map(of).collect()
}

#[tokio::test]
async fn tags_that_are_named_are_never_listed_at_the_source() {
    let case = case(&["1.0", "latest", "1.1", "9.9"], &[("1.0", "a"), ("1.1", "old")], |_| {}).await;
    let observed = case.observe(&Known::default()).await;
    let mut states: Vec<_> = states(&observed).into_iter().map(|(tag, _, state)| (tag, state)).collect();
    states.sort();
    assert_eq!(
        states,
        [
            ("1.0".to_owned(), TagState::UpToDate),
            ("1.1".to_owned(), TagState::Differs),
            ("9.9".to_owned(), TagState::NotFound),
            ("latest".to_owned(), TagState::Missing),
        ]
    );
    assert!(case.source.lines().iter().all(|line| line.starts_with("HEAD ")), "{:?}", case.source.lines());
    let lists = case.destination.lines().iter().filter(|line| line.contains("/tags/list")).count();
    assert_eq!(lists, 1, "one list says which of several are there");
}

#[tokio::test]
async fn a_tag_that_never_moves_and_is_there_is_not_asked_for_at_the_source_and_another_content_under_it_is_seen()
 {
    let pinned = format!("1.2@{}", digest("c"));
    let tags = ["1.0", "1.1", pinned.as_str()];
    let immutable = |spec: &mut ImageSpec| spec.source.immutable_tags = vec!["*".into()];
    let case = case(&tags, &[("1.0", "a"), ("1.2", "other")], immutable).await;
    let observed = case.observe(&Known::default()).await;
    let mut asked: Vec<String> = case.source.lines();
    asked.sort();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("/manifests/1.1") && asked[1].contains(&digest("c").to_string()), "{asked:?}");
    let of_content = states(&observed).into_iter().find(|(_, tag, _)| tag == "1.2");
    assert_eq!(of_content.map(|(_, _, state)| state), Some(TagState::Differs));
}

#[tokio::test]
async fn a_content_is_asked_for_by_its_digest_and_only_where_the_destination_lacks_it() {
    let (there, missing) = (digest("a"), digest("b"));
    let pin = format!("pin-sha256-{}", there.hex());
    let tags = [format!("1.1@{missing}"), there.to_string()];
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let case = case(&tags, &[(&pin, "a")], |_| {}).await;
    let observed = case.observe(&Known::default()).await;
    let asked = case.source.lines();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains(&format!("/manifests/{missing}")), "never by tag: {asked:?}");
    let found = states(&observed);
    assert!(found.contains(&(there.to_string(), pin, TagState::UpToDate)), "{found:?}");
}

#[tokio::test]
async fn a_template_names_each_of_them_at_the_destination() {
    let tags = ["1.0", "1.1", "1.2"];
    let named = |spec: &mut ImageSpec| spec.destination.version = Some("corp-{tag}".into());
    let case = case(&tags, &[("corp-1.0", "a")], named).await;
    let observed = case.observe(&Known::default()).await;
    let there: HashMap<String, TagState> =
        states(&observed).into_iter().map(|(_, tag, state)| (tag, state)).collect();
    assert_eq!(there["corp-1.0"], TagState::UpToDate);
    assert_eq!(there["corp-1.2"], TagState::Missing);
}

#[tokio::test]
async fn more_of_them_than_one_image_may_copy_are_refused() {
    let case = case(&["1.0", "1.1", "1.2"], &[], |_| {}).await;
    let limits = Limits { max_tags: 2, ..Limits::default() };
    let error = observe(&case.sides, &case.request, &Known::default(), limits).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "source.tags has 3 tags, and at most 2 are copied; spread them over several Images, or an administrator raises \
         MAX_TAGS_PER_IMAGE of the agent"
    );
}
