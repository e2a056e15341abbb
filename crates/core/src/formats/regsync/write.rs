//! Rows to `regsync.yaml`.

use crate::formats::yaml::Out;
use crate::inventory::Row;
use crate::selection::Version;

/// What the original of rancher puts before `regsync.yaml`.
const GENERATED: &str = "\
##################################################
# THIS FILE IS AUTO-GENERATED. DO NOT MODIFY IT.
##################################################
";

/// One step of regsync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    source: String,
    target: String,
    /// Which tags, where it is not one image: a regular expression, or a range.
    tags: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    All,
    Matching(String),
    Within(String),
}

impl Step {
    /// Returns the step that copies one image.
    pub(in crate::formats) fn image(source: String, target: String) -> Self {
        Self { source, target, tags: None }
    }

    /// Returns the step for a row of an inventory.
    pub fn of(row: Row) -> Self {
        let Row { source, destination: target } = row;
        let parsed = source.rsplit_once(':').map(|(repository, text)| (repository, text.parse::<Version>()));
        let tags = match parsed {
            Some((repository, Ok(Version::Every))) => Some((repository, Tags::All)),
            Some((repository, Ok(Version::Range(range)))) => {
                Some((repository, Tags::Within(range.to_string())))
            }
            Some((repository, Ok(Version::Pattern(pattern)))) => {
                Some((repository, Tags::Matching(expression(&pattern.to_string()))))
            }
            _ => None,
        };
        // A tag that looks like a pattern has a tag at its destination as well.
        let is_one_image = target.rsplit('/').next().is_some_and(|name| name.contains(':'));
        match tags.filter(|_| !is_one_image) {
            Some((repository, tags)) => Self { source: repository.to_owned(), tags: Some(tags), target },
            None => Self::image(source, target),
        }
    }

    fn out(self) -> Out {
        let kind = if self.tags.is_some() { "repository" } else { "image" };
        let mut fields = vec![
            ("source", Out::Text(self.source)),
            ("target", Out::Text(self.target)),
            ("type", Out::Text(kind.to_owned())),
        ];
        let tags = self.tags.and_then(|tags| match tags {
            Tags::All => None,
            Tags::Matching(text) => Some(("allow", text)),
            Tags::Within(text) => Some(("semverRange", text)),
        });
        fields.extend(tags.map(|(key, text)| ("tags", Out::fields([(key, Out::texts(&[text]))]))));
        Out::fields(fields)
    }
}

/// Returns the regular expression of a pattern such as `v2.13.x-alpine`: an x between dots is a number.
fn expression(pattern: &str) -> String {
    let (numbers, suffix) = pattern.split_once('-').map_or((pattern, None), |(a, b)| (a, Some(b)));
    let parts = numbers.split('.').map(|part| match part {
        "x" | "*" => "[0-9]+".to_owned(),
        "vx" | "v*" => "v[0-9]+".to_owned(),
        other => other.to_owned(),
    });
    let numbers = parts.collect::<Vec<_>>().join("\\.");
    suffix.map_or_else(|| numbers.clone(), |suffix| format!("{numbers}-{}", suffix.replace('.', "\\.")))
}

/// Returns `regsync.yaml` of these rows.
pub fn written(rows: Vec<Row>, user_agent: &str) -> String {
    document(Vec::new(), user_agent, rows.into_iter().map(Step::of))
}

/// Returns `regsync.yaml`.
pub(in crate::formats) fn document(
    creds: Vec<Out>,
    user_agent: &str,
    steps: impl Iterator<Item = Step>,
) -> String {
    let document = Out::fields([
        ("creds", Out::List(creds)),
        ("defaults", Out::fields([("userAgent", Out::Text(user_agent.to_owned()))])),
        ("sync", Out::List(steps.map(Step::out).collect())),
    ]);
    format!("{GENERATED}{}", document.document())
}
