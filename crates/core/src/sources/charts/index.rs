//! The index of a Helm repository: of the charts that are asked for, and only what matters of them. It may be large, and no
//! tree of it is made. Pure.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser};

use super::rendered::ChartImages;
use super::values::{ANNOTATIONS, images_listed};

/// Versions of all charts that are asked for. The largest public repositories have some thousand.
const MAX_VERSIONS: usize = 20_000;
/// Names that an index may give its values: the parser holds them.
const MAX_ANCHORS: usize = 10_000;

/// What a repository says of charts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sources) struct Index(BTreeMap<String, Vec<IndexedChart>>);

/// A version of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sources) struct IndexedChart {
    /// The version.
    pub version: String,
    /// Where its archive is: an address, or a path in the repository. Of several it is the first.
    pub url: Option<String>,
    /// The annotations that list images.
    pub annotations: Vec<String>,
}

impl Index {
    /// Reads what an index says of these charts. What an alias repeats is not read.
    ///
    /// # Errors
    /// Where it is no YAML, or no index, or has more than is held.
    pub fn read(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut walk =
            Walk { names, open: Vec::new(), has_entries: false, versions: 0, index: Self::default() };
        for next in Parser::new_from_str(text) {
            let (event, _) =
                next.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
            if anchor(&event) > MAX_ANCHORS {
                return Err(format!("it has more than {MAX_ANCHORS} anchors"));
            }
            walk.take(event);
            if walk.versions > MAX_VERSIONS {
                return Err(format!(
                    "it has more than {MAX_VERSIONS} versions of the charts that are asked for"
                ));
            }
        }
        if walk.has_entries { Ok(walk.index) } else { Err("it has no field entries".to_owned()) }
    }

    /// Returns the versions of a chart.
    pub fn versions(&self, name: &str) -> &[IndexedChart] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

impl IndexedChart {
    /// Returns the images that its annotations list.
    ///
    /// # Errors
    /// Where one of them is no YAML.
    pub fn images(&self) -> Result<ChartImages, String> {
        let mut found = ChartImages::default();
        self.annotations.iter().try_for_each(|text| images_listed(text, &mut found))?;
        Ok(found)
    }
}

/// A list or an object whose end was not reached.
enum Open {
    List,
    /// With the field whose value comes next; none where a name comes next.
    Map(Option<String>),
}

struct Walk<'n> {
    names: &'n [&'n str],
    open: Vec<Open>,
    has_entries: bool,
    versions: usize,
    index: Index,
}

impl Walk<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Scalar(text, ..) => self.scalar(&text),
            Event::Alias(_) => self.complete(),
            Event::SequenceStart(..) => self.open.push(Open::List),
            Event::MappingStart(..) => self.begin_map(),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.complete();
            }
            _ => {}
        }
    }

    fn begin_map(&mut self) {
        self.has_entries |= matches!(&self.open[..], [Open::Map(Some(field))] if field == "entries");
        if let [Open::Map(Some(entries)), Open::Map(Some(name)), Open::List] = &self.open[..]
            && entries == "entries"
            && self.names.contains(&name.as_str())
        {
            self.versions += 1;
            self.index.0.entry(name.clone()).or_default().push(IndexedChart::default());
        }
        self.open.push(Open::Map(None));
    }

    fn scalar(&mut self, text: &str) {
        match self.open.last_mut() {
            Some(Open::Map(field @ None)) => *field = Some(text.to_owned()),
            Some(_) => {
                self.value(text);
                self.complete();
            }
            None => {}
        }
    }

    /// Takes a value, if it is one of a chart that is asked for.
    fn value(&mut self, text: &str) {
        let [Open::Map(Some(entries)), Open::Map(Some(name)), Open::List, Open::Map(Some(field)), below @ ..] =
            &self.open[..]
        else {
            return;
        };
        if entries != "entries" {
            return;
        }
        let Some(chart) = self.index.0.get_mut(name).and_then(|versions| versions.last_mut()) else { return };
        match (field.as_str(), below) {
            ("version", []) => text.clone_into(&mut chart.version),
            ("urls", [Open::List]) if chart.url.is_none() => chart.url = Some(text.to_owned()),
            ("annotations", [Open::Map(Some(name))])
                if ANNOTATIONS.contains(&name.as_str()) && chart.annotations.len() < ANNOTATIONS.len() =>
            {
                chart.annotations.push(text.to_owned());
            }
            _ => {}
        }
    }

    /// A value is complete: the name of a field comes next. An object as a name is not looked at.
    fn complete(&mut self) {
        if let Some(Open::Map(field)) = self.open.last_mut() {
            *field = if field.is_none() { Some(String::new()) } else { None };
        }
    }
}

/// Returns the number of the anchor of a value, counted from 1 on.
fn anchor(event: &Event<'_>) -> usize {
    match event {
        Event::Scalar(_, _, anchor, _)
        | Event::SequenceStart(_, anchor, _)
        | Event::MappingStart(_, anchor, _) => *anchor,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
apiVersion: v1
entries:
  other:
  - version: 9.9.9
    urls: [other.tgz]
  web:
  - annotations:
      artifacthub.io/images: |
        - {name: web, image: ghcr.io/a/web:2}
      x/y: '- image: no/such:1'
    dependencies:
    - {name: db, version: 1.0.0}
    maintainers: [{name: urls}]
    name: web
    urls:
    - charts/web-1.2.3.tgz
    - https://mirror.example.com/web-1.2.3.tgz
    version: 1.2.3
  - {version: 1.2.2, urls: []}
generated: '2026-11-01T00:00:00Z'
";

    #[test]
    fn the_index_has_versions_places_and_listed_images_of_the_charts_that_are_asked_for() {
        let index = Index::read(INDEX, &["web", "none"]).unwrap();
        let [newest, older] = index.versions("web") else { panic!("{index:?}") };
        assert_eq!((newest.version.as_str(), older.version.as_str()), ("1.2.3", "1.2.2"));
        assert_eq!(newest.url.as_deref(), Some("charts/web-1.2.3.tgz"));
        assert_eq!(newest.images().unwrap().images, [("ghcr.io/a/web".to_owned(), "2".to_owned())]);
        assert_eq!(older.images(), Ok(ChartImages::default()));
        assert!(index.versions("other").is_empty() && index.versions("none").is_empty());
    }

    #[test]
    fn an_index_may_be_json() {
        let json = r#"{"apiVersion":"v1","entries":{"web":[{"version":"1.0.0","urls":["a.tgz"]}]}}"#;
        assert_eq!(Index::read(json, &["web"]).unwrap().versions("web")[0].url.as_deref(), Some("a.tgz"));
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        assert!(Index::read("a: [\n", &[]).unwrap_err().starts_with("line "));
        assert_eq!(Index::read("<html></html>", &[]), Err("it has no field entries".to_owned()));
        assert_eq!(Index::read("entries: 5", &[]), Err("it has no field entries".to_owned()));
        assert_eq!(Index::read("entries: {}", &["web"]), Ok(Index::default()));
    }

    #[test]
    fn what_a_hostile_index_makes_of_few_bytes_is_bounded() {
        let of = |versions: String| Index::read(&format!("entries: {{web: [{versions}]}}"), &["web"]);
        assert_eq!(of("{},".repeat(MAX_VERSIONS)).unwrap().versions("web").len(), MAX_VERSIONS);
        let many = of("{},".repeat(MAX_VERSIONS + 1)).unwrap_err();
        assert_eq!(many, "it has more than 20000 versions of the charts that are asked for");
        let twice = format!("entries: {{web: [{0}], db: [{0}]}}", "{},".repeat(MAX_VERSIONS / 2 + 1));
        assert!(Index::read(&twice, &["web", "db"]).is_err(), "of all charts together");
        let urls = of(format!("{{urls: [{}]}}", "a,".repeat(9))).unwrap();
        assert_eq!(urls.versions("web")[0].url.as_deref(), Some("a"));
        let listed = format!("{{annotations: {{{}}}}}", "artifacthub.io/images: a,".repeat(9));
        assert!(of(listed).unwrap().versions("web")[0].annotations.len() <= ANNOTATIONS.len());
        let anchors: Vec<String> = (0..=MAX_ANCHORS).map(|number| format!("&a{number} x,")).collect();
        assert_eq!(of(anchors.concat()).unwrap_err(), "it has more than 10000 anchors");
        assert!(of("[".repeat(1 << 20)).is_err() && of("- ".repeat(1 << 20)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_ends_in_a_panic(text in "[-:&*entriswbul \\n\\[\\]{}'.0]{0,120}") {
            let _ = Index::read(&format!("entries:\n  web:\n  - {text}"), &["web"]);
            let _ = Index::read(&text, &["web"]);
        }
    }
}
