//! A spec, parsed: the edge behind which nothing is a plain string.

use std::fmt;

use crate::api::{
    Credentials, Destination, Frequency, ImageSpec, MinAge, MinAgeError, Mode, Overwrite, Publish, Referrers,
    Select,
};
use crate::selection::{Filter, FilterError, ImmutableTags, Pattern, Range, Version, VersionError};
use imgop_registry::oci::Platforms;
use imgop_registry::reference::Tag;
use imgop_registry::reference::{EcrHost, ManifestRef, ReferenceError, Repository};

/// What an `Image` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// When tags are copied.
    pub mode: Mode,
    /// How often the source is looked at.
    pub frequency: Frequency,
    /// Where tags come from.
    pub source: Repository,
    /// Which tags.
    pub version: Version,
    /// Whether release candidates are meant too.
    pub candidates: bool,
    /// What narrows the tags.
    pub filter: Filter,
    /// How long a tag must have shown the same content.
    pub min_age: Option<MinAge>,
    /// Which of them never move.
    pub immutable: ImmutableTags,
    /// Which platforms of them.
    pub platforms: Platforms,
    /// Whether what refers to them is meant too.
    pub referrers: Referrers,
    /// Where tags go to.
    pub destination: Repository,
    /// Which tag each of them becomes there.
    pub naming: Naming,
    /// What happens to tags that exist with other content.
    pub overwrite: Overwrite,
    /// How a tag is written.
    pub publish: Publish,
}

/// Which tag a source tag becomes at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// The same.
    Keep,
    /// This one; only one source tag is meant then.
    Fixed(Tag),
    /// The source's tag between these two texts.
    Template {
        /// What stands before `{tag}`.
        before: String,
        /// What stands behind it.
        after: String,
    },
}

/// What is wrong with a spec: every problem, each with the field and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// At least one.
    pub problems: Vec<SpecProblem>,
}

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// The field.
    pub field: SpecField,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// A field of the spec that something can be wrong with. It is displayed as in the spec: `source.version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecField {
    /// `frequency`
    Frequency,
    /// `platforms`
    Platforms,
    /// `source.name`
    SourceName,
    /// `source.version`
    SourceVersion,
    /// `source.select`
    Select,
    /// `source.select.minAge`
    MinAge,
    /// `source.immutableTags`
    ImmutableTags,
    /// `source.useAwsIRSA`
    SourceAws,
    /// `destination.name`
    DestinationName,
    /// `destination.version`
    DestinationVersion,
    /// `destination.useAwsIRSA`
    DestinationAws,
}

impl fmt::Display for SpecField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frequency => "frequency",
            Self::Platforms => "platforms",
            Self::SourceName => "source.name",
            Self::SourceVersion => "source.version",
            Self::Select => "source.select",
            Self::MinAge => "source.select.minAge",
            Self::ImmutableTags => "source.immutableTags",
            Self::SourceAws => "source.useAwsIRSA",
            Self::DestinationName => "destination.name",
            Self::DestinationVersion => "destination.version",
            Self::DestinationAws => "destination.useAwsIRSA",
        })
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}spec.{}: {}", problem.field, problem.message)?;
        }
        Ok(())
    }
}

/// Collects problems, so that a user sees all of them at once.
#[derive(Default)]
struct Problems(Vec<SpecProblem>);

impl Problems {
    fn keep<T, E: fmt::Display>(&mut self, field: SpecField, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(SpecProblem { field, message: error.to_string() });
                None
            }
        }
    }
}

impl CopyRequest {
    /// Parses a spec.
    pub fn parse(spec: &ImageSpec) -> Result<Self, SpecError> {
        let mut problems = Problems::default();
        let frequency = problems.keep(SpecField::Frequency, spec.frequency.parse::<Frequency>());
        let source = problems.keep(SpecField::SourceName, spec.source.name.parse::<Repository>());
        let version = problems.keep(SpecField::SourceVersion, spec.source.version.parse::<Version>());
        let destination =
            problems.keep(SpecField::DestinationName, spec.destination.name.parse::<Repository>());
        let filter = problems.keep(SpecField::Select, filter(spec.source.select.as_ref()));
        let min_age = problems.keep(SpecField::MinAge, min_age(spec.source.select.as_ref()));
        let immutable =
            problems.keep(SpecField::ImmutableTags, ImmutableTags::new(&spec.source.immutable_tags));
        let platforms = problems.keep(SpecField::Platforms, Platforms::parse(&spec.platforms));
        let one_tag = filter.as_ref().is_some_and(|filter| filter.latest == Some(1));
        let naming = version.as_ref().and_then(|version| {
            problems.keep(SpecField::DestinationVersion, Naming::parse(&spec.destination, version, one_tag))
        });
        let sides = [
            (SpecField::SourceAws, spec.source.use_aws_irsa, &source, &spec.source.credentials),
            (
                SpecField::DestinationAws,
                spec.destination.use_aws_irsa,
                &destination,
                &spec.destination.credentials,
            ),
        ];
        for (field, _, repository, credentials) in sides.into_iter().filter(|(_, wanted, ..)| *wanted) {
            problems.keep(field, aws_credentials(repository.as_ref(), credentials.as_ref()));
        }
        if let (Some(source), Some(destination), Some(naming)) = (&source, &destination, &naming)
            && source.is_same_place(destination)
            && !naming.changes(version.as_ref())
        {
            problems.keep::<(), _>(
                SpecField::DestinationName,
                Err("source and destination are the same repository and tag; there is nothing to copy"),
            );
        }
        let narrowed = filter.zip(immutable).zip(min_age).zip(platforms);
        match (frequency, source, version, narrowed, destination, naming) {
            (
                Some(frequency),
                Some(source),
                Some(version),
                Some((((filter, immutable), min_age), platforms)),
                Some(destination),
                Some(naming),
            ) if problems.0.is_empty() => Ok(Self {
                mode: spec.mode,
                frequency,
                source,
                version,
                candidates: spec.allow_candidate_release,
                filter,
                min_age,
                immutable,
                platforms,
                referrers: spec.referrers,
                destination,
                naming,
                overwrite: spec.destination.overwrite,
                publish: spec.destination.publish,
            }),
            _ => Err(SpecError { problems: problems.0 }),
        }
    }
}

impl CopyRequest {
    /// Between which repositories tags are copied, and how; what a Job came to is of no use for
    /// another route.
    pub fn route(&self) -> String {
        format!("{} -> {} ({:?})", self.source, self.destination, self.publish)
    }

    /// What the tags in `status.tagAlreadySynced` were copied from, to and as: for anything else they
    /// are not synced.
    pub fn synced_from(&self, spec: &ImageSpec) -> String {
        let mut text = self.route();
        if let Some(version) = spec.destination.version.as_deref().filter(|version| !version.is_empty()) {
            text = format!("{text} as {version}");
        }
        if !self.platforms.selects_all() {
            text = format!("{text} for {}", self.platforms);
        }
        text
    }
}

/// Whether credentials of AWS make sense for a side that asks for them.
fn aws_credentials(
    repository: Option<&Repository>,
    credentials: Option<&Credentials>,
) -> Result<(), &'static str> {
    if repository.is_some_and(|repository| EcrHost::of(repository.host()).is_none()) {
        return Err(
            "it goes with registries of Amazon ECR only, such as 123456789012.dkr.ecr.eu-west-3.amazonaws.com; \
             leave it out, or name a Secret in credentials",
        );
    }
    if credentials.is_some() {
        return Err("it does not go with credentials; leave one of them out");
    }
    Ok(())
}

/// Compiles `source.select`. The schema refuses a `latest` of 0; here it means no tag.
fn filter(select: Option<&Select>) -> Result<Filter, FilterError> {
    let Some(select) = select else { return Ok(Filter::default()) };
    let latest = select.latest.map(|latest| usize::try_from(latest).unwrap_or(usize::MAX));
    Filter::new(&select.include, &select.exclude, latest)
}

/// Reads `source.select.minAge`; an empty text is none.
fn min_age(select: Option<&Select>) -> Result<Option<MinAge>, MinAgeError> {
    let text = select.and_then(|select| select.min_age.as_deref()).filter(|text| !text.is_empty());
    text.map(str::parse).transpose()
}

/// Why a `destination.version` cannot be used.
#[derive(Debug, thiserror::Error)]
enum NamingError {
    #[error(transparent)]
    Tag(#[from] ReferenceError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(
        "{0:?} would put every tag that matches {1:?} onto one; leave it out, repeat the pattern, use {{tag}}, or set source.select.latest to 1"
    )]
    FixedForPattern(String, String),
    #[error("{0:?} is a pattern, but source.version is not the same one; leave it out to keep each tag")]
    OtherPattern(String),
    #[error("it is needed when source.version is a digest; give the tag to write")]
    NeededForDigest,
    #[error("{0:?} is no template; {{tag}} may stand in it once, and makes a tag with what is around it")]
    Template(String),
}

impl Naming {
    /// `one_tag` says that the version, which may mean many, is narrowed to one.
    fn parse(destination: &Destination, version: &Version, one_tag: bool) -> Result<Self, NamingError> {
        let text = destination.version.as_deref().unwrap_or_default();
        match version {
            Version::Digest(_) if text.is_empty() || text.contains('{') => Err(NamingError::NeededForDigest),
            _ if text.is_empty() => Ok(Self::Keep),
            _ if version.is_selector() && text == version.to_string() => Ok(Self::Keep),
            _ if text.contains(['{', '}']) => Self::template(text),
            _ if Pattern::looks_like(text) || Range::looks_like(text) => {
                Err(NamingError::OtherPattern(text.to_owned()))
            }
            _ if version.is_selector() && !one_tag => {
                Err(NamingError::FixedForPattern(text.to_owned(), version.to_string()))
            }
            _ => Ok(Self::Fixed(text.parse::<Tag>()?)),
        }
    }

    fn template(text: &str) -> Result<Self, NamingError> {
        let error = || NamingError::Template(text.to_owned());
        let (before, after) = text.split_once("{tag}").ok_or_else(error)?;
        // If it makes a tag of a short one it does of each, but for the length: see `apply`.
        if format!("{before}0{after}").parse::<Tag>().is_err() {
            return Err(error());
        }
        Ok(Self::Template { before: before.to_owned(), after: after.to_owned() })
    }

    /// The tag at the destination for a source tag or digest. An error when a template makes it
    /// too long, or when a digest has no fixed tag.
    pub fn apply(&self, source: &ManifestRef) -> Result<Tag, ReferenceError> {
        match (self, source) {
            (Self::Fixed(fixed), _) => Ok(fixed.clone()),
            (Self::Keep, ManifestRef::Tag(tag)) => Ok(tag.clone()),
            (Self::Template { before, after }, ManifestRef::Tag(tag)) => {
                format!("{before}{tag}{after}").parse()
            }
            (Self::Keep | Self::Template { .. }, ManifestRef::Digest(digest)) => digest.as_str().parse(),
        }
    }

    /// The source tag that a template makes this tag of.
    pub fn original(&self, tag: &Tag) -> Option<Tag> {
        match self {
            Self::Template { before, after } => {
                tag.as_str().strip_prefix(before.as_str())?.strip_suffix(after.as_str())?.parse().ok()
            }
            Self::Keep | Self::Fixed(_) => None,
        }
    }

    /// Whether tags become other tags, so that source and destination may be one repository.
    fn changes(&self, version: Option<&Version>) -> bool {
        match (self, version) {
            (Self::Keep, _) => false,
            (Self::Fixed(fixed), Some(Version::Exact(tag))) => fixed != tag,
            (Self::Template { before, after }, _) => !before.is_empty() || !after.is_empty(),
            (Self::Fixed(_), _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::fixtures::spec;

    fn problem(edit: impl FnOnce(&mut ImageSpec)) -> String {
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        edit(&mut spec);
        CopyRequest::parse(&spec).unwrap_err().to_string()
    }

    fn naming(source: &str, destination: Option<&str>) -> Result<Naming, String> {
        let mut spec = spec("quay.io/a/b", source);
        spec.destination.version = destination.map(str::to_owned);
        CopyRequest::parse(&spec).map(|r| r.naming).map_err(|e| e.to_string())
    }

    #[test]
    fn b1_a_pattern_keeps_each_tag() {
        for destination in [None, Some(""), Some("v2.13.x")] {
            assert_eq!(naming("v2.13.x", destination), Ok(Naming::Keep), "{destination:?}");
        }
        assert_eq!(naming("*", Some("*")), Ok(Naming::Keep));
        let tag = ManifestRef::Tag("v2.13.1".parse().unwrap());
        let name = |source, destination| naming(source, Some(destination)).unwrap().apply(&tag).unwrap();
        assert_eq!(name("v2.13.x", "{tag}").as_str(), "v2.13.1");
        assert_eq!(name("v2.13.x", "{tag}-corp").as_str(), "v2.13.1-corp");
        assert_eq!(name("v2.13.1", "stable").as_str(), "stable");
    }

    #[test]
    fn b1_a_fixed_destination_version_is_fine_when_one_tag_is_meant() {
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        spec.destination.version = Some("stable".into());
        spec.source.select = Some(Select { latest: Some(1), ..Select::default() });
        assert!(matches!(CopyRequest::parse(&spec).unwrap().naming, Naming::Fixed(_)));
        spec.source.select = Some(Select { latest: Some(2), ..Select::default() });
        assert!(CopyRequest::parse(&spec).is_err());
    }

    #[test]
    fn b1_a_fixed_destination_version_is_refused_for_a_pattern() {
        insta::assert_snapshot!(naming("v2.13.x", Some("stable")).unwrap_err(), @r#"spec.destination.version: "stable" would put every tag that matches "v2.13.x" onto one; leave it out, repeat the pattern, use {tag}, or set source.select.latest to 1"#);
        assert!(naming("*", Some("stable")).is_err() && naming("*", Some("2.x")).is_err());
        insta::assert_snapshot!(naming("v2.13.x", Some("2.13.x")).unwrap_err(), @r#"spec.destination.version: "2.13.x" is a pattern, but source.version is not the same one; leave it out to keep each tag"#);
        insta::assert_snapshot!(naming("v2.13.1", Some("2.13.x")).unwrap_err(), @r#"spec.destination.version: "2.13.x" is a pattern, but source.version is not the same one; leave it out to keep each tag"#);
        insta::assert_snapshot!(naming("v2.13.x", Some("{tag}{tag}")).unwrap_err(), @r#"spec.destination.version: "{tag}{tag}" is no template; {tag} may stand in it once, and makes a tag with what is around it"#);
        let digest = imgop_registry::reference::Digest::of(b"").to_string();
        insta::assert_snapshot!(naming(&digest, None).unwrap_err(), @"spec.destination.version: it is needed when source.version is a digest; give the tag to write");
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let all = problem(|s| {
            s.frequency = "1.5d".into();
            s.source.name = "docker://x".into();
            s.source.version = "2.x.y".into();
            s.source.select = Some(Select { min_age: Some("3 days".into()), ..Select::default() });
            s.destination.name = String::new();
        });
        for field in [
            "spec.frequency:",
            "spec.source.name:",
            "spec.source.version:",
            "spec.source.select.minAge:",
            "spec.destination.name:",
        ] {
            assert!(all.contains(field), "{field} in {all}");
        }
    }

    #[test]
    fn aws_credentials_go_with_ecr_and_without_a_secret() {
        let ecr = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/a";
        for name in [ecr, "public.ecr.aws/nginx/nginx"] {
            let mut spec = spec("quay.io/a/b", "v2.13.x");
            (spec.destination.name, spec.destination.use_aws_irsa) = (name.into(), true);
            assert!(CopyRequest::parse(&spec).is_ok(), "{name}");
        }
        insta::assert_snapshot!(problem(|s| s.source.use_aws_irsa = true), @"spec.source.useAwsIRSA: it goes with registries of Amazon ECR only, such as 123456789012.dkr.ecr.eu-west-3.amazonaws.com; leave it out, or name a Secret in credentials");
        insta::assert_snapshot!(problem(|s| {
            (s.destination.name, s.destination.use_aws_irsa) = (ecr.into(), true);
            s.destination.credentials = Some(Credentials { secret_name: "push".into() });
        }), @"spec.destination.useAwsIRSA: it does not go with credentials; leave one of them out");
    }

    #[test]
    fn copying_a_repository_onto_itself_is_refused_unless_tags_change() {
        assert!(problem(|s| s.destination.name = "quay.io/a/b".into()).contains("nothing to copy"));
        assert!(problem(|s| s.destination.name = "quay.io:443/a/b".into()).contains("nothing to copy"));
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        spec.destination.name = "quay.io/a/b".into();
        spec.destination.version = Some("mirror-{tag}".into());
        assert!(CopyRequest::parse(&spec).is_ok());
    }
}
