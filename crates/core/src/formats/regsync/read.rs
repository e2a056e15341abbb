//! `regsync.yaml` to what an `ImageMirror` says.

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Reference, ReferenceError, Repository, Tag};

use super::defaults::Common;
use crate::api::{Tls, TlsMode};
use crate::formats::pairs::{self, Pair};
use crate::formats::yaml::{self, Fields, Node};
use crate::formats::{Content, FormatError, Problem};
use crate::selection::{SourceRef, Version};

/// Of a registry's credentials.
const OF_CREDS: [(&str, &str); 19] = [
    ("user", SECRET),
    ("pass", SECRET),
    ("token", SECRET),
    ("credHelper", SECRET),
    ("credExpire", "the agent renews tokens by itself"),
    ("credHost", SECRET),
    (
        "regcert",
        "certificates; put ca.crt into a Secret and name it in tls.caSecretName of the target or source",
    ),
    ("clientCert", "certificates of clients; no registry is known to need them"),
    ("clientKey", "certificates of clients; no registry is known to need them"),
    ("hostname", "another address of the registry; write it into the source or target"),
    ("pathPrefix", "mirrors of a registry; write where images really are"),
    ("mirrors", "mirrors of a registry; write where images really are"),
    ("priority", "mirrors of a registry; write where images really are"),
    ("repoAuth", "a token is asked for each repository anyway"),
    ("api", "it has no effect in regsync either"),
    ("apiOpts", "registries are asked as the distribution specification says"),
    ("blobChunk", "how layers are sent is up to the copy"),
    ("blobMax", "how layers are sent is up to the copy"),
    (
        "reqPerSec",
        "the agent adapts to what a registry bears; an administrator's RegistryAccess can limit it",
    ),
];
const SECRET: &str =
    "credentials; put them into a Secret and name it in targets[].credentials or sources[].credentials";
const CONCURRENT: (&str, &str) = (
    "reqConcurrent",
    "the agent adapts to what a registry bears; an administrator's RegistryAccess can limit it",
);

/// Reads it.
///
/// # Errors
/// The first thing that is wrong, with its line and field.
pub(in crate::formats) fn read(text: &str) -> Result<Content, FormatError> {
    let missing = || FormatError { line: 1, field: String::new(), problem: Problem::Missing("sync") };
    let mut file = Fields::of(yaml::read(text)?.ok_or_else(missing)?, "")?;
    if let Some(version) = file.number("version")?.filter(|version| *version > 1) {
        let problem = format!("version {version} is not known; regsync has version 1");
        return Err(file.error(file.line(), "version", Problem::Value(problem)));
    }
    let mut reader = Reader::default();
    if let Some(defaults) = file.object("defaults")? {
        reader.defaults = Common::of_defaults(defaults, &mut reader.notes)?;
    }
    let creds = file.list("creds")?;
    for (at, node) in file.list("sync")?.into_iter().enumerate() {
        reader.step(Fields::of(node, format!("sync[{at}]"))?)?;
    }
    file.finish()?;
    let Reader { pairs, mut notes, steps, defaults } = reader;
    let mut content = pairs::content(pairs);
    content.settings = common(&steps, defaults, &mut notes).settings();
    for (at, node) in creds.into_iter().enumerate() {
        credentials(&mut content, &mut notes, Fields::of(node, format!("creds[{at}]"))?)?;
    }
    content.notes.extend(notes);
    content.notes.sort_by_key(|note| note.line);
    Ok(content)
}

fn credentials(
    content: &mut Content,
    notes: &mut Vec<FormatError>,
    mut fields: Fields,
) -> Result<(), FormatError> {
    let registry = fields.required_registry("registry")?;
    notes.extend(fields.not_carried(&OF_CREDS)?);
    notes.extend(fields.not_carried(&[CONCURRENT])?);
    let tls = fields.text("tls")?;
    let scheme = fields.text("scheme")?;
    let mode = match (tls, scheme) {
        (Some((line, mode)), _) => match mode.as_str() {
            "disabled" => TlsMode::PlainHttp,
            "insecure" => TlsMode::SkipVerify,
            "enabled" | "" => TlsMode::Verify,
            other => {
                let problem = format!("{other:?} is none of enabled, disabled and insecure");
                return Err(fields.error(line, "tls", Problem::Value(problem)));
            }
        },
        (None, Some((_, scheme))) if scheme == "http" => TlsMode::PlainHttp,
        (None, _) => TlsMode::Verify,
    };
    if mode != TlsMode::Verify {
        content.secure(&registry, Tls { mode, ..Tls::default() });
    }
    fields.finish()
}

/// What the steps say together.
fn common(steps: &[(usize, Common)], defaults: Common, notes: &mut Vec<FormatError>) -> Common {
    let Some((_, first)) = steps.first().cloned() else { return defaults };
    if let Some((line, _)) = steps.iter().find(|(_, other)| *other != first) {
        let problem = "steps differ in interval, schedule, platforms or referrers, and an ImageMirror has one of each; the first step's are taken: make several ImageMirrors of it";
        notes.push(FormatError {
            line: *line,
            field: "sync".to_owned(),
            problem: Problem::Changed(problem.to_owned()),
        });
    }
    first
}

#[derive(Default)]
struct Reader {
    pairs: Vec<Pair>,
    notes: Vec<FormatError>,
    steps: Vec<(usize, Common)>,
    defaults: Common,
}

impl Reader {
    fn step(&mut self, mut fields: Fields) -> Result<(), FormatError> {
        let line = fields.line();
        let (source_line, source) = fields.required_text("source")?;
        let (target_line, target) = fields.required_text("target")?;
        let (kind_line, kind) = fields.required_text("type")?;
        let mut common = Common::read(&mut fields, &mut self.notes)?.or(&self.defaults);
        common.platforms = platforms(&mut fields)?;
        let tags = Tags::read(&mut fields)?;
        // Of a whole registry only, which is not carried anyway.
        fields.take("repos")?;
        let mut not_carried = |line, field: &str, problem: &str| {
            self.notes.push(fields.error(line, field, Problem::LeftOut(problem.to_owned())));
        };
        if source.contains("{{") || target.contains("{{") {
            not_carried(source_line, "source", "a template is not evaluated; write the reference");
        } else if source.starts_with("ocidir:") || target.starts_with("ocidir:") {
            not_carried(source_line, "source", "a folder; an ImageMirror copies between registries");
        } else {
            let tags = match kind.as_str() {
                "image" => image(&fields, (source_line, &source), (target_line, &target))?,
                "repository" => {
                    for (field, line, text) in
                        [("source", source_line, &source), ("target", target_line, &target)]
                    {
                        let legal = text.parse::<Repository>();
                        legal
                            .map_err(|error| fields.error(line, field, Problem::Value(error.to_string())))?;
                    }
                    tags.selected().map(|tags| (source, target, tags))
                }
                "registry" => Err("a whole registry; list its repositories as entries"),
                other => {
                    let problem = format!("{other:?} is none of image, repository and registry");
                    return Err(fields.error(kind_line, "type", Problem::Value(problem)));
                }
            };
            match tags {
                Ok((source, target, tags)) => {
                    self.steps.push((line, common));
                    self.pairs.push(Pair { line, source, destination: with_registry(target), tags });
                }
                Err(problem) => not_carried(line, "", problem),
            }
        }
        fields.finish()
    }
}

fn with_registry(repository: String) -> String {
    if Repository::names_registry(&repository) { repository } else { format!("docker.io/{repository}") }
}

fn platforms(fields: &mut Fields) -> Result<Option<Vec<String>>, FormatError> {
    let one = fields.text("platform")?.filter(|(_, text)| !text.is_empty());
    let several = fields.texts("platforms")?;
    let mut all = Vec::new();
    for (field, (line, text)) in
        one.into_iter().map(|one| ("platform", one)).chain(several.into_iter().map(|one| ("platforms", one)))
    {
        text.parse::<PlatformSelector>()
            .map_err(|error| fields.error(line, field, Problem::Value(error.to_string())))?;
        all.push(text);
    }
    Ok((!all.is_empty()).then_some(all))
}

/// Repositories and tags of a step, or why it is not carried.
type Copied = Result<(String, String, Vec<String>), &'static str>;

fn image(
    fields: &Fields,
    (source_line, source): (usize, &str),
    (target_line, target): (usize, &str),
) -> Result<Copied, FormatError> {
    let parse = |field: &str, line, text: &str| {
        let error = |error: ReferenceError| fields.error(line, field, Problem::Value(error.to_string()));
        let parsed = text.parse::<Reference>().map_err(error)?;
        let is_legal = parsed.version.as_deref().map(str::parse::<SourceRef>).transpose();
        is_legal.map_err(error).map(|_| parsed)
    };
    let pinned = pinned(source).map_err(|error| fields.error(source_line, "source", error))?;
    let source = pinned.as_deref().unwrap_or(source);
    let (from, to) = (parse("source", source_line, source)?, parse("target", target_line, target)?);
    let bare = |text: &str, version: &Option<String>| {
        let version = version.as_ref().map_or(0, |version| version.len() + 1);
        text[..text.len() - version].to_owned()
    };
    // Without a tag, regsync takes latest.
    let tag = |version: Option<String>| version.unwrap_or_else(|| "latest".to_owned());
    let (source, target) = (bare(source, &from.version), bare(target, &to.version));
    let (from, to) = (tag(from.version), tag(to.version));
    Ok(if from.contains(':') && !to.contains(':') {
        // A content under a tag of its own.
        Ok((source, target, vec![format!("{to}@{from}")]))
    } else if from == to {
        Ok((source, target, vec![from]))
    } else {
        Err(
            "another tag at the target; an ImageMirror keeps tags as they are. Make an Image of it, whose destination.version names it",
        )
    })
}

/// Returns `REPOSITORY@DIGEST` of `REPOSITORY:TAG@DIGEST`: of both regsync takes the digest.
fn pinned(source: &str) -> Result<Option<String>, Problem> {
    let Some((name, digest)) = source.split_once('@') else { return Ok(None) };
    let Some((repository, tag)) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) else {
        return Ok(None);
    };
    tag.parse::<Tag>().map_err(|error| Problem::Value(error.to_string()))?;
    Ok(Some(format!("{repository}@{digest}")))
}

/// Which tags of a repository.
#[derive(Default)]
struct Tags {
    allowed: Vec<String>,
    denied: Vec<String>,
    ranges: Vec<String>,
    /// How many sets there are.
    sets: usize,
}

impl Tags {
    fn read(fields: &mut Fields) -> Result<Self, FormatError> {
        let mut tags = Self::default();
        let one = fields.object("tags")?;
        let path = fields.path("tagSets");
        let sets = fields.list("tagSets")?.into_iter().enumerate();
        let sets: Vec<Fields> = sets
            .map(|(at, node): (usize, Node)| Fields::of(node, format!("{path}[{at}]")))
            .collect::<Result<_, _>>()?;
        for mut set in one.into_iter().chain(sets) {
            let mut texts = |name| Ok(set.texts(name)?.into_iter().map(|(_, text)| text));
            tags.allowed.extend(texts("allow")?);
            tags.denied.extend(texts("deny")?);
            tags.ranges.extend(texts("semverRange")?);
            set.finish()?;
            tags.sets += 1;
        }
        Ok(tags)
    }

    /// Returns tags and ranges, or why they are not carried: fewer would lose tags, and more would copy what the file does not ask for.
    fn selected(&self) -> Result<Vec<String>, &'static str> {
        if !self.denied.is_empty() {
            return Err(
                "tags.deny; list the tags, or make an Image of it, whose source.select.exclude has expressions",
            );
        }
        match (self.allowed.as_slice(), self.ranges.as_slice()) {
            ([], []) => Ok(vec![Version::Every.to_string()]),
            ([], ranges) => {
                let is_range = |range: &&String| matches!(range.parse(), Ok(Version::Range(_)));
                if ranges.iter().all(|range| is_range(&range)) {
                    Ok(ranges.to_vec())
                } else {
                    Err("tags.semverRange with more than comparisons such as >=1.2 <2")
                }
            }
            (allowed, []) => {
                let tags: Option<Vec<String>> = allowed.iter().map(|text| literal(text)).collect();
                tags.ok_or("tags.allow with an expression; list the tags, or make an Image of it, whose source.select.include has expressions")
            }
            _ if self.sets > 1 => Err("tagSets of tags and of ranges; make several entries of it"),
            _ => Err("tags.allow together with tags.semverRange; list the tags"),
        }
    }
}

/// Returns the tag that an expression stands for; none for one that stands for several. A dot counts as a dot.
fn literal(expression: &str) -> Option<String> {
    let text = expression.strip_prefix('^').unwrap_or(expression);
    let text = text.strip_suffix('$').unwrap_or(text).replace("\\.", ".").replace("\\-", "-");
    text.parse::<imgop_registry::reference::Tag>().is_ok().then_some(text)
}
