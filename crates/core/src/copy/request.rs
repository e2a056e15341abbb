//! A spec, parsed: the edge behind which nothing is a plain string.

use imgop_registry::oci::Platforms;
use imgop_registry::reference::Repository;

use super::Naming;
use super::prune::PruneRequest;
use super::spec_field::{SpecError, SpecField};
use super::spec_limits::check_limits;
use crate::api::{
    EndpointRef, ImageSpec, MinAge, MinAgeError, Mode, Overwrite, Publish, Referrers, Select, Side, Source,
};
use crate::creation::{Creation, CreationFields, creation};
use crate::schedule::{Recurrence, RecurrenceFields};
use crate::selection::{ExactTags, Filter, FilterError, ImmutableTags, Version};
use crate::spec_error::{EndpointFields, Problems, aws_credentials, check_endpoint};

/// What an `Image` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// When tags are copied.
    pub mode: Mode,
    /// When the source is checked again.
    pub recurrence: Recurrence,
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
    /// The repository that is created where the destination has none.
    pub create: Option<Box<Creation>>,
    /// Which tags are deleted at the destination that are no longer selected.
    pub prune: Option<PruneRequest>,
}

impl CopyRequest {
    /// Parses a spec.
    pub fn parse(spec: &ImageSpec) -> Result<Self, SpecError> {
        let mut problems = Problems::default();
        let recurrence = recurrence(spec, &mut problems);
        let source = problems.keep(SpecField::SourceName, spec.source.name.parse::<Repository>());
        let version = version(&spec.source, &mut problems);
        let destination =
            problems.keep(SpecField::DestinationName, spec.destination.name.parse::<Repository>());
        let filter = problems.keep(SpecField::Select, filter(spec.source.select.as_ref()));
        let min_age = problems.keep(SpecField::MinAge, min_age(spec.source.select.as_ref()));
        let immutable =
            problems.keep(SpecField::ImmutableTags, ImmutableTags::new(&spec.source.immutable_tags));
        let platforms = problems.keep(SpecField::Platforms, Platforms::parse(&spec.platforms));
        // As it is written: an expression that cannot be read is a problem of its own.
        let one_tag = spec.source.select.as_ref().is_some_and(|select| select.latest == Some(1));
        let naming = version.as_ref().and_then(|version| {
            problems.keep(SpecField::DestinationVersion, Naming::parse(&spec.destination, version, one_tag))
        });
        check_limits(spec, &mut problems);
        check_endpoints(spec, &mut problems);
        check_aws(spec, source.as_ref(), destination.as_ref(), &mut problems);
        check_change(source.as_ref(), destination.as_ref(), naming.as_ref(), version.as_ref(), &mut problems);
        let create = created(spec, destination.as_ref(), &mut problems);
        let prune = prune(spec, &mut problems);
        // The registry would refuse to replace a tag.
        let keeps_tags = create.as_ref().is_some_and(|create| create.immutable);
        let narrowed = filter.zip(immutable).zip(min_age).zip(platforms);
        match (recurrence, source, version, narrowed, destination, naming) {
            (
                Some(recurrence),
                Some(source),
                Some(version),
                Some((((filter, immutable), min_age), platforms)),
                Some(destination),
                Some(naming),
            ) if problems.0.is_empty() => Ok(Self {
                mode: spec.mode,
                recurrence,
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
                overwrite: if keeps_tags { Overwrite::IfMissing } else { spec.destination.overwrite },
                publish: spec.destination.publish,
                create,
                prune,
            }),
            _ => Err(SpecError { problems: problems.0 }),
        }
    }
}

impl CopyRequest {
    /// Returns between which repositories tags are copied, and how; the outcome of a Job is of no use for
    /// another route.
    pub fn route(&self) -> String {
        format!("{} -> {} ({})", self.source, self.destination, self.publish.as_str())
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

/// Reads `destination.create`.
fn created(
    spec: &ImageSpec,
    destination: Option<&Repository>,
    problems: &mut Problems<SpecField>,
) -> Option<Box<Creation>> {
    let fields = CreationFields {
        create: SpecField::Create("destination.create"),
        lifecycle_policy: SpecField::Create("destination.create.lifecyclePolicy"),
        access_policy: SpecField::Create("destination.create.accessPolicy"),
        tags: SpecField::Create("destination.create.tags"),
        role_arn: SpecField::Create("destination.create.roleArn"),
    };
    let endpoint = spec.endpoint(Side::Destination);
    creation(spec.destination.create.as_deref(), endpoint, destination, fields, problems)
}

/// Reads which tags are selected: `source.version`, or `source.tags` in its place.
fn version(source: &Source, problems: &mut Problems<SpecField>) -> Option<Version> {
    if source.tags.is_empty() {
        return problems.keep(SpecField::SourceVersion, source.version.parse());
    }
    if !source.version.is_empty() {
        problems.report(SpecField::SourceTags, "source.version is given too; leave one of them out");
    }
    let select = source.select.as_ref();
    if select.is_some_and(|s| !s.include.is_empty() || !s.exclude.is_empty() || s.latest.is_some()) {
        problems.report(
            SpecField::Select,
            "include, exclude and latest go with source.version only; leave tags out of source.tags instead",
        );
    }
    problems.keep(SpecField::SourceTags, ExactTags::new(&source.tags)).map(Version::Tags)
}

/// Reads when the source is checked again.
fn recurrence(spec: &ImageSpec, problems: &mut Problems<SpecField>) -> Option<Recurrence> {
    if spec.schedule.is_some() && spec.mode == Mode::OneShot {
        problems.report(
            SpecField::Schedule,
            "it goes with the modes OnceByTag and Recurrent; OneShot copies once, so leave schedule out",
        );
    }
    let fields = RecurrenceFields {
        frequency: SpecField::Frequency,
        schedule: SpecField::Schedule,
        time_zone: SpecField::TimeZone,
    };
    Recurrence::read(spec.recurrence(), fields, problems)
}

/// Reports sides whose fields do not go together, or that name what no Secret can be called.
fn check_endpoints(spec: &ImageSpec, problems: &mut Problems<SpecField>) {
    let (source, destination) = (
        EndpointFields {
            secret: SpecField::SourceSecret,
            ca_secret: SpecField::SourceCaSecret,
            tls: SpecField::SourceTls,
        },
        EndpointFields {
            secret: SpecField::DestinationSecret,
            ca_secret: SpecField::DestinationCaSecret,
            tls: SpecField::DestinationTls,
        },
    );
    check_endpoint(spec.endpoint(Side::Source), source, problems);
    check_endpoint(spec.endpoint(Side::Destination), destination, problems);
}

/// Reports sides that ask for credentials of AWS where those make no sense.
fn check_aws(
    spec: &ImageSpec,
    source: Option<&Repository>,
    destination: Option<&Repository>,
    problems: &mut Problems<SpecField>,
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
    problems: &mut Problems<SpecField>,
) {
    if let (Some(source), Some(destination), Some(naming)) = (source, destination, naming)
        && source.is_same_place(destination)
        && !naming.changes(version)
    {
        problems.report(
            SpecField::DestinationName,
            "source and destination are the same repository and tag; there is nothing to copy",
        );
    }
}

/// Reads `destination.prune`.
fn prune(spec: &ImageSpec, problems: &mut Problems<SpecField>) -> Option<PruneRequest> {
    let written = spec.destination.prune.as_deref()?;
    if spec.mode == Mode::OneShot {
        problems.report(
            SpecField::Prune,
            "it goes with the modes OnceByTag and Recurrent; OneShot copies once, so leave prune out",
        );
    }
    problems.keep(SpecField::PruneMinAge, PruneRequest::read(written))
}

/// Compiles `source.select`.
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
mod tests;
