//! What the typed answers of the dialog stand for. Pure, but for the search for sources.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use imgop_core::selection::{Filter, TypedVersion, Version, select, typed_version};
use imgop_registry::reference::Tag;

use super::CopyArgs;
use super::context::{UsedImage, repository};
use crate::args::{image_spec, reference_problem};
use crate::output::text::count;
use crate::output::wording::Wording;
use crate::preview::absent::release_line;
use crate::prompts::{Below, Row, Typing};

/// How many rows can be reached; a terminal shows fewer.
const MAX_ROWS: usize = 200;
/// How many patterns are proposed.
const MAX_PATTERNS: usize = 3;
/// How many tags they are made from at most: each is selected for on every key.
const MAX_LINES: usize = 20;
/// How long nothing is typed before registries are searched.
const PAUSE: Duration = Duration::from_millis(300);

/// Searches for repositories by words.
pub trait SearchSources {
    /// Returns what is found; nothing where nothing can be asked.
    fn search<'a>(&'a self, words: &'a str) -> LocalBoxFuture<'a, Vec<Row>>;
}

/// A source: repositories that Images copy already, and those that are found.
pub struct SourceTyping<'a> {
    used: &'a [UsedImage],
    search: &'a dyn SearchSources,
    found: RefCell<Vec<Row>>,
}

impl<'a> SourceTyping<'a> {
    /// Proposes what these Images copy, and what a search finds.
    pub fn new(used: &'a [UsedImage], search: &'a dyn SearchSources) -> Self {
        Self { used, search, found: RefCell::default() }
    }
}

impl Typing for SourceTyping<'_> {
    fn below(&self, typed: &str) -> Below {
        let mut rows: Vec<Row> = Vec::new();
        let used = self.used.iter().map(|image| Row {
            value: image.spec.source.name.clone(),
            note: format!("copied by {}", image.name),
        });
        let found = self.found.borrow();
        for row in used.chain(found.iter().cloned()) {
            let is_new = rows.iter().all(|known| known.value != row.value);
            // A search finds words of descriptions too.
            let fits = [&row.value, &row.note].into_iter().any(|text| text.contains(typed));
            if is_new && fits {
                rows.push(row);
            }
        }
        Below { note: "such as quay.io/argoproj/argocd or nginx:1.27".to_owned(), rows }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        reference_problem(typed).map_or(Ok(()), Err)
    }

    fn look_up<'b>(&'b self, typed: &'b str) -> LocalBoxFuture<'b, ()> {
        async move {
            tokio::time::sleep(PAUSE).await;
            let found = self.search.search(typed).await;
            *self.found.borrow_mut() = found;
        }
        .boxed_local()
    }
}

/// A version, with the tags that it selects.
pub struct VersionTyping {
    /// The tags of the source, if they are known.
    pub tags: Option<Rc<[Tag]>>,
    /// Whether pre-releases are selected too.
    pub candidates: bool,
}

impl Typing for VersionTyping {
    fn below(&self, typed: &str) -> Below {
        let typed = typed.trim();
        let Some(tags) = &self.tags else { return Below::default() };
        let typed_version = typed_version(typed, self.candidates, tags);
        let is_begun = matches!(typed_version, TypedVersion::Begins(_));
        let (selected, note) = match typed_version {
            TypedVersion::Selects(selection) => {
                let number = selection.tags.len();
                (selection.tags, format!("{typed} selects {number} of {}", count(tags.len(), "tag")))
            }
            TypedVersion::Begins(begun) if typed.is_empty() => (
                begun,
                format!("{}; a tag, a pattern (1.2.x) or a range (>=1.2 <2)", count(tags.len(), "tag")),
            ),
            TypedVersion::Begins(begun) => {
                let note = match typed.parse::<Version>() {
                    Ok(version) if version.is_selector() => {
                        format!("{typed} selects none of {}", count(tags.len(), "tag"))
                    }
                    _ => format!("{} of {} begin with {typed}", begun.len(), count(tags.len(), "tag")),
                };
                (begun, note)
            }
        };
        let patterns = if is_begun { self.patterns(&selected, tags) } else { Vec::new() };
        let row = |tag: &Tag| Row { value: tag.to_string(), note: String::new() };
        let rows = patterns.into_iter().chain(selected.iter().map(row));
        Below { note, rows: rows.take(MAX_ROWS).collect() }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        let version: Version =
            typed.parse().map_err(|error: imgop_core::selection::VersionError| error.to_string())?;
        match (&version, &self.tags) {
            (Version::Exact(tag), Some(tags)) if !tags.contains(tag) => {
                Err(format!("the source has no tag {tag}; x stands for any number, as in 1.2.x"))
            }
            _ => Ok(()),
        }
    }

    fn caution(&self, typed: &str) -> Option<String> {
        let (version, tags) = (typed.parse::<Version>().ok()?, self.tags.as_ref()?);
        let selection = select(&version, self.candidates, &Filter::default(), tags, 1);
        if !version.is_selector() || !selection.tags.is_empty() {
            return None;
        }
        let near = selection
            .excluded
            .first()
            .map(|near| format!("; near miss {}: {}", near.tag, Wording::Flags.of(&near.reason.to_string())));
        Some(format!("{typed} selects no tag yet, Enter again takes it{}", near.unwrap_or_default()))
    }
}

impl VersionTyping {
    /// Returns the patterns of the newest release lines among tags, but not those of pre-releases alone.
    fn patterns(&self, begun: &[Tag], all: &[Tag]) -> Vec<Row> {
        let selected = |version: &Version, tags: &[Tag]| {
            select(version, self.candidates, &Filter::default(), tags, 0).tags
        };
        let mut rows: Vec<Row> = Vec::new();
        for tag in selected(&Version::Every, begun).iter().take(MAX_LINES) {
            let Some([_, pattern]) = release_line(tag) else { continue };
            if rows.len() == MAX_PATTERNS || rows.iter().any(|row| row.value == pattern) {
                continue;
            }
            if let Ok(version) = pattern.parse::<Version>() {
                let note = format!("selects {}", count(selected(&version, all).len(), "tag"));
                rows.push(Row { value: pattern, note });
            }
        }
        rows
    }
}

/// A destination: where Images of the namespace copy to, with the path of this source.
pub struct DestinationTyping<'a> {
    /// The arguments so far.
    pub args: &'a CopyArgs,
    /// What is proposed, the best first.
    pub proposed: Vec<Row>,
}

impl<'a> DestinationTyping<'a> {
    /// Proposes by what Images of the namespace do, and first what they do by default.
    pub fn new(args: &'a CopyArgs, used: &[UsedImage], by_default: Option<Row>) -> Self {
        let mut proposed = repository(args.source.as_deref().unwrap_or_default())
            .map(|(source, _)| destinations(source.path(), used))
            .unwrap_or_default();
        if let Some(by_default) = by_default {
            proposed.retain(|row| row.value != by_default.value);
            proposed.insert(0, by_default);
        }
        Self { args, proposed }
    }
}

/// Returns the destinations of a source's path, as the Images would name them: what an Image puts in front of its
/// source's path stands in front of this one.
fn destinations(path: &str, used: &[UsedImage]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for UsedImage { name, spec } in used {
        let (Some((source, _)), Some((destination, _))) =
            (repository(&spec.source.name), repository(&spec.destination.name))
        else {
            continue;
        };
        let whole = destination.to_string();
        let before = match whole.strip_suffix(source.path()) {
            Some(before) if before.ends_with('/') => before.to_owned(),
            _ => format!("{}/", destination.host()),
        };
        let value = format!("{before}{path}");
        if rows.iter().all(|row| row.value != value) {
            rows.push(Row { value, note: format!("as {name}") });
        }
    }
    rows
}

impl Typing for DestinationTyping<'_> {
    fn below(&self, typed: &str) -> Below {
        let rows = self.proposed.iter().filter(|row| row.value.contains(typed) && row.value != typed);
        let note = "such as registry.example.com/team/app; {tag} stands for each tag";
        Below { note: note.to_owned(), rows: rows.cloned().collect() }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        let source = self.args.source.as_deref().unwrap_or_default();
        image_spec(source, typed, &self.args.image).map(drop).map_err(|error| error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(name: &str, source: &str, destination: &str) -> UsedImage {
        let spec = serde_json::from_value(serde_json::json!({ "mode": "OneShot",
            "source": { "name": source, "version": "1" }, "destination": { "name": destination } }));
        UsedImage { name: name.to_owned(), spec: spec.unwrap() }
    }

    struct Nothing;

    impl SearchSources for Nothing {
        fn search<'a>(&'a self, _: &'a str) -> LocalBoxFuture<'a, Vec<Row>> {
            std::future::ready(Vec::new()).boxed_local()
        }
    }

    fn values(below: &Below) -> Vec<&str> {
        below.rows.iter().map(|row| row.value.as_str()).collect()
    }

    #[test]
    fn sources_in_use_are_proposed_once_each() {
        let used = [used("b", "quay.io/a/b", "r.example.com/x"), used("c", "quay.io/a/b", "r.example.com/y")];
        let typing = SourceTyping::new(&used, &Nothing);
        assert_eq!(values(&typing.below("")), ["quay.io/a/b"]);
        assert_eq!(typing.below("a/").rows[0].note, "copied by b");
        assert!(typing.below("nginx").rows.is_empty());
        assert!(typing.check("quay.io/a/b:1.x").is_ok() && typing.check("registry.corp:5000").is_err());
    }

    struct Found;

    impl SearchSources for Found {
        fn search<'a>(&'a self, words: &'a str) -> LocalBoxFuture<'a, Vec<Row>> {
            let row = Row { value: format!("quay.io/{words}/{words}"), note: "official".to_owned() };
            std::future::ready(vec![row]).boxed_local()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_typed_is_searched_for_after_a_pause() {
        let used = [used("b", "quay.io/a/argo", "r.example.com/x")];
        let typing = SourceTyping::new(&used, &Found);
        typing.look_up("argo").await;
        assert_eq!(values(&typing.below("argo")), ["quay.io/a/argo", "quay.io/argo/argo"]);
        assert_eq!(values(&typing.below("argo/argo")), ["quay.io/argo/argo"]);
        // The next key drops a search that has not begun.
        assert!(typing.look_up("nginx").now_or_never().is_none());
        assert!(values(&typing.below("nginx")).is_empty());
    }

    #[test]
    fn destinations_follow_what_images_of_the_namespace_do() {
        let used = [
            used("argocd", "quay.io/argoproj/argocd", "r.example.com/mirror/argoproj/argocd"),
            used("redis", "redis", "s.example.com/cache"),
            used("again", "quay.io/argoproj/argocd", "r.example.com/mirror/argoproj/argocd"),
        ];
        let args = CopyArgs { source: Some("ghcr.io/org/app".to_owned()), ..CopyArgs::default() };
        let typing = DestinationTyping::new(&args, &used, None);
        let by_default = Row { value: "s.example.com/org/app".to_owned(), note: "the default".to_owned() };
        let with_default = DestinationTyping::new(&args, &used, Some(by_default));
        assert_eq!(
            values(&with_default.below("")),
            ["s.example.com/org/app", "r.example.com/mirror/org/app"]
        );
        assert_eq!(values(&typing.below("")), ["r.example.com/mirror/org/app", "s.example.com/org/app"]);
        assert_eq!(values(&typing.below("s.")), ["s.example.com/org/app"]);
    }

    #[test]
    fn a_version_shows_what_it_selects_and_is_checked_as_its_flag() {
        let tags: Vec<Tag> = ["1.0", "1.1", "2.0"].map(|tag| tag.parse().unwrap()).into();
        let typing = VersionTyping { tags: Some(tags.into()), candidates: false };
        let shown = |typed: &str| {
            let below = typing.below(typed);
            format!("{}: {}", below.note, values(&below).join(" "))
        };
        insta::assert_snapshot!(["", "1", "1.", "1.x", "3.x", "1.0"].map(shown).join("\n"), @"
        3 tags; a tag, a pattern (1.2.x) or a range (>=1.2 <2): 2.x 1.x 2.0 1.1 1.0
        2 of 3 tags begin with 1: 1.x 1.1 1.0
        2 of 3 tags begin with 1.: 1.x 1.1 1.0
        1.x selects 2 of 3 tags: 1.1 1.0
        3.x selects none of 3 tags: 
        1.0 selects 1 of 3 tags: 1.0
        ");
        assert_eq!(typing.caution("1.x"), None);
        let caution = typing.caution("1.x.x").unwrap();
        assert_eq!(
            caution,
            "1.x.x selects no tag yet, Enter again takes it; near miss 1.1: it has 2 numbers, the pattern has 3"
        );
        assert!(typing.check("1.x").is_ok() && typing.check("3.x").is_ok() && typing.check("1.0").is_ok());
        insta::assert_snapshot!(["", "3.0", "1.x.y"].map(|typed| typing.check(typed).unwrap_err()).join("\n"), @r#"
        it is empty; give a tag (v2.13.1), a pattern (v2.13.x), a range (>=2.13 <2.15), * for every tag but pre-releases, or a digest (sha256:…)
        the source has no tag 3.0; x stands for any number, as in 1.2.x
        "1.x.y" is not a tag pattern; write dotted numbers with x for any number, such as 2.13.x, v2.x.0 or 2.13.x-alpine
        "#);
    }
}
