//! A spec, parsed: the edge behind which nothing is a plain string.

use std::fmt;

use imgop_registry::oci::Platforms;
use imgop_registry::reference::{EcrHost, Repository};

use super::Naming;
use crate::api::{
    Credentials, EndpointRef, Frequency, ImageSpec, MinAge, MinAgeError, Mode, Overwrite, Publish, Referrers,
    Select, Side,
};
use crate::selection::{Filter, FilterError, ImmutableTags, Version};

/// What an `Image` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// When tags are copied.
    pub mode: Mode,
    /// How often the source is checked.
    pub frequency: Frequency,
    /// Where tags come from.
    pub source: Repository,
    /// Which tags.
    pub version: Version,
    /// Whether pre-releases are selected too.
    pub candidates: bool,
    /// What narrows the tags.
    pub filter: Filter,
    /// How long a tag must have shown the same content.
    pub min_age: Option<MinAge>,
    /// Which of them never move.
    pub immutable: ImmutableTags,
    /// Which platforms of them.
    pub platforms: Platforms,
    /// Whether what refers to them is copied too.
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

/// A field of the spec that can be wrong. It is displayed as in the spec: `source.version`.
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
        check_aws(spec, source.as_ref(), destination.as_ref(), &mut problems);
        check_change(source.as_ref(), destination.as_ref(), naming.as_ref(), version.as_ref(), &mut problems);
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
    /// Returns between which repositories tags are copied, and how; the outcome of a Job is of no use for
    /// another route.
    pub fn route(&self) -> String {
        format!("{} -> {} ({:?})", self.source, self.destination, self.publish)
    }

    /// Returns whether Jobs of this route put tags by themselves, and not the agent for them.
    pub fn is_direct(route: &str) -> bool {
        route.ends_with(&format!("({:?})", Publish::Direct))
    }

    /// Returns what the tags in `status.tagAlreadySynced` were copied from, to and as: for anything else
    /// they are not synced.
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

/// Reports sides that ask for credentials of AWS where those make no sense.
fn check_aws(
    spec: &ImageSpec,
    source: Option<&Repository>,
    destination: Option<&Repository>,
    problems: &mut Problems,
) {
    let sides = [
        (SpecField::SourceAws, Side::Source, source),
        (SpecField::DestinationAws, Side::Destination, destination),
    ];
    for (field, side, repository) in sides {
        let EndpointRef { credentials, use_aws_irsa, .. } = spec.endpoint(side);
        if use_aws_irsa {
            problems.keep(field, aws_credentials(repository, credentials));
        }
    }
}

/// Reports a request that changes neither the repository nor the tag.
fn check_change(
    source: Option<&Repository>,
    destination: Option<&Repository>,
    naming: Option<&Naming>,
    version: Option<&Version>,
    problems: &mut Problems,
) {
    if let (Some(source), Some(destination), Some(naming)) = (source, destination, naming)
        && source.is_same_place(destination)
        && !naming.changes(version)
    {
        problems.keep::<(), _>(
            SpecField::DestinationName,
            Err("source and destination are the same repository and tag; there is nothing to copy"),
        );
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

/// Compiles `source.select`. The schema refuses a `latest` of 0; here it selects no tag.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::fixtures::spec;

    fn problem(edit: impl FnOnce(&mut ImageSpec)) -> String {
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        edit(&mut spec);
        CopyRequest::parse(&spec).unwrap_err().to_string()
    }

    #[test]
    fn every_problem_is_reported_at_once() {
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
