//! The configuration of dregsy: tasks, each with mappings from one registry to another.

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Repository, Tag};

use super::pairs::{self, Pair};
use super::yaml::{self, Fields, Node};
use super::{Content, FormatError, Problem};
use crate::api::{Tls, TlsMode};
use crate::selection::Version;

/// Of the file.
const OF_FILE: [(&str, &str); 7] = [
    ("relay", "how dregsy copies"),
    ("skopeo", "how dregsy copies"),
    ("docker", "how dregsy copies"),
    ("lister", "how repositories are found; list them"),
    ("watch", "it is for dregsy's own file"),
    ("dockerhost", "how dregsy copies"),
    ("api-version", "how dregsy copies"),
];

const OF_ENDPOINT: [(&str, &str); 2] = [
    (
        "auth",
        "user and password; put them into a Secret and name it in targets[].credentials or sources[].credentials",
    ),
    ("auth-refresh", "AWS gives new passwords by itself; set useAwsIRSA of the target or source"),
];

/// Reads it.
///
/// # Errors
/// The first thing that is wrong, with its line and field.
pub(super) fn read(text: &str) -> Result<Content, FormatError> {
    let missing = || FormatError { line: 1, field: String::new(), problem: Problem::Missing("tasks") };
    let mut file = Fields::of(yaml::read(text)?.ok_or_else(missing)?, "")?;
    let mut reader = Reader { notes: file.not_carried(&OF_FILE)?, ..Reader::default() };
    for (at, node) in file.list("tasks")?.into_iter().enumerate() {
        reader.task(node, &format!("tasks[{at}]"))?;
    }
    file.finish()?;
    let Reader { pairs, mut notes, insecure, intervals, platforms } = reader;
    let mut content = pairs::content(pairs);
    for registry in insecure {
        content.secure(&registry, Tls { mode: TlsMode::SkipVerify, ..Tls::default() });
    }
    match common_platform(platforms) {
        Ok(platform) => content.settings.platforms.extend(platform),
        Err(problems) => notes.extend(problems),
    }
    match intervals.as_slice() {
        [first, rest @ ..]
            if rest.iter().all(|other| other.seconds == first.seconds) && first.seconds > 0 =>
        {
            content.settings.frequency = Some(format!("{}s", first.seconds));
        }
        intervals => notes.extend(intervals.iter().filter(|interval| interval.seconds > 0).map(|interval| {
            let problem = "tasks have different intervals, and an ImageMirror has one; make several of it";
            FormatError {
                line: interval.line,
                field: interval.field.clone(),
                problem: Problem::NotCarried(problem.to_owned()),
            }
        })),
    }
    content.notes.extend(notes);
    Ok(content)
}

#[derive(Default)]
struct Reader {
    pairs: Vec<Pair>,
    notes: Vec<FormatError>,
    /// Registries whose certificates are not checked.
    insecure: Vec<String>,
    intervals: Vec<Interval>,
    platforms: Vec<OfMapping>,
}

/// What a mapping says of platforms.
struct OfMapping {
    line: usize,
    field: String,
    platform: Option<String>,
}

struct Interval {
    line: usize,
    field: String,
    seconds: u64,
}

impl Reader {
    fn task(&mut self, node: Node, path: &str) -> Result<(), FormatError> {
        let mut task = Fields::of(node, path)?;
        self.notes.extend(task.not_carried(&[("verbose", "what dregsy logs")])?);
        task.text("name")?;
        let line = task.line();
        let seconds = task.number("interval")?.unwrap_or(0);
        self.intervals.push(Interval { line, field: task.path("interval"), seconds });
        let source = self.registry(task.object("source")?, &task, "source")?;
        let target = self.registry(task.object("target")?, &task, "target")?;
        for (at, node) in task.list("mappings")?.into_iter().enumerate() {
            let path = format!("{path}.mappings[{at}]");
            self.mapping(Fields::of(node, path)?, &source, &target)?;
        }
        task.finish()
    }

    fn registry(&mut self, fields: Option<Fields>, task: &Fields, name: &str) -> Result<String, FormatError> {
        let missing = Problem::Missing("registry");
        let Some(mut fields) = fields else { return Err(task.error(task.line(), name, missing)) };
        let registry = fields.required_registry("registry")?;
        if fields.bool("skip-tls-verify")? == Some(true) && !self.insecure.contains(&registry) {
            self.insecure.push(registry.clone());
        }
        self.notes.extend(fields.not_carried(&OF_ENDPOINT)?);
        fields.finish()?;
        Ok(registry)
    }

    fn mapping(&mut self, mut fields: Fields, source: &str, target: &str) -> Result<(), FormatError> {
        let (line, from) = fields.required_text("from")?;
        let to = fields.text("to")?.map_or_else(|| from.clone(), |(_, to)| to);
        let tags = fields.texts("tags")?;
        let platform = platform(&mut fields)?;
        if from.starts_with("regex:") || to.starts_with("regex:") {
            let problem = "repositories by a regular expression; list them as entries";
            self.notes.push(fields.error(line, "from", Problem::LeftOut(problem.to_owned())));
            return fields.finish();
        }
        let [source, destination] = [(source, &from), (target, &to)]
            .map(|(registry, path)| format!("{registry}/{}", path.trim_start_matches('/')));
        for (field, repository) in [("from", &source), ("to", &destination)] {
            repository
                .parse::<Repository>()
                .map_err(|error| fields.error(line, field, Problem::Value(error.to_string())))?;
        }
        let is_all = tags.is_empty();
        let mut taken: Vec<String> = Vec::new();
        for (at, (line, tag)) in tags.into_iter().enumerate() {
            match selected(&tag) {
                Ok(tag) => taken.push(tag),
                Err(problem @ Problem::Value(_)) => {
                    return Err(fields.error(line, &format!("tags[{at}]"), problem));
                }
                Err(problem) => self.notes.push(fields.error(line, &format!("tags[{at}]"), problem)),
            }
        }
        if is_all {
            taken.push(Version::Every.to_string());
        }
        if !taken.is_empty() {
            self.pairs.push(Pair { line, source, destination, tags: taken });
            let (line, platform) = platform.map_or((line, None), |(line, platform)| (line, Some(platform)));
            self.platforms.push(OfMapping { line, field: fields.path("platform"), platform });
        }
        fields.finish()
    }
}

/// Returns the one platform of a mapping, where it does not have all.
fn platform(fields: &mut Fields) -> Result<Option<(usize, String)>, FormatError> {
    let platform = fields.text("platform")?.filter(|(_, text)| !text.is_empty() && text != "all");
    if let Some((line, text)) = &platform {
        text.parse::<PlatformSelector>()
            .map_err(|error| fields.error(*line, "platform", Problem::Value(error.to_string())))?;
    }
    Ok(platform)
}

/// Returns the platform that all mappings have; else a note for each that has one.
fn common_platform(mappings: Vec<OfMapping>) -> Result<Option<String>, Vec<FormatError>> {
    let first = mappings.first().and_then(|first| first.platform.clone());
    if mappings.iter().all(|mapping| mapping.platform == first) {
        return Ok(first);
    }
    let problem = "mappings differ in their platforms, and an ImageMirror has the same for all its entries; make several of it";
    let notes = mappings.into_iter().filter(|mapping| mapping.platform.is_some());
    let note = |OfMapping { line, field, .. }| FormatError {
        line,
        field,
        problem: Problem::NotCarried(problem.to_owned()),
    };
    Err(notes.map(note).collect())
}

/// Returns the tag or the range of an item of `tags`.
fn selected(item: &str) -> Result<String, Problem> {
    if let Some(range) = item.strip_prefix("semver:") {
        let range = range.trim().to_owned();
        return match range.parse::<Version>() {
            Ok(Version::Range(_)) => Ok(range),
            _ => {
                Err(Problem::LeftOut(format!("{range:?}, which is no range of comparisons such as >=1.2 <2")))
            }
        };
    }
    if item.starts_with("regex:") || item.starts_with("keep:") {
        let problem =
            "tags by a regular expression or by their number; list the tags, or write a pattern or a range";
        return Err(Problem::LeftOut(problem.to_owned()));
    }
    match item.parse::<Tag>() {
        Ok(_) => Ok(item.to_owned()),
        Err(error) => Err(Problem::Value(error.to_string())),
    }
}
