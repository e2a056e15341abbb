//! A `WorkloadMirror`, parsed: the edge behind which nothing is a plain string.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{ReferenceError, Repository, Tag};

use super::child::PlannedChild;
use super::excluded::Exclusions;
use super::namespaces::NamespaceChoice;
use super::origins::OriginRule;
use super::paths::{PathMap, Prefix};
use crate::access::AccessPolicy;
use crate::api::{
    Destination, DigestUse, EndpointRef, ImageSpec, MinAge, Mode, Overwrite, Tls, UnknownDigest,
    WorkloadKind, WorkloadMirrorSpec, WorkloadPlatformMode, WorkloadTrigger,
};
use crate::build::ImageReference;
use crate::inventory::mirrored_source;
use crate::registry_prefix::RegistryPrefix;
use crate::spec_error::{EndpointFields, Problems, SpecError, check_endpoint};
use crate::time::parse_duration;

/// What is wrong with the spec of a `WorkloadMirror`.
pub type WorkloadSpecError = SpecError<String>;

/// A `WorkloadMirror` whose every field can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRequest {
    /// In which namespaces workloads are looked at.
    pub namespaces: NamespaceChoice,
    /// How long an image stays that no workload names any more.
    pub retention: Duration,
    /// Where images go to: what is there is never mirrored.
    pub destination: RegistryPrefix,
    pub(super) prefix: Prefix,
    pub(super) path_map: PathMap,
    pub(super) exclusions: Exclusions,
    pub(super) platforms: PlatformChoice,
    pub(super) origins: Vec<OriginRule>,
    ignored_tags: BTreeSet<Tag>,
    overwrite_except: BTreeSet<Tag>,
    spec: WorkloadMirrorSpec,
}

/// Which platforms are mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformChoice {
    /// All of them.
    All,
    /// Those of the nodes that run an image.
    Nodes,
    /// These.
    These(BTreeSet<PlatformSelector>),
}

impl WorkloadRequest {
    /// Reads the spec of a `WorkloadMirror` in this namespace.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(spec: &WorkloadMirrorSpec, namespace: &str) -> Result<Self, WorkloadSpecError> {
        let mut problems = Problems::default();
        let given = &spec.destination;
        let destination = problems.keep("destination.repository", root(&given.repository));
        let prefix = problems.keep("destination.prefix", Prefix::parse(&given.prefix));
        let path_map = match PathMap::parse(&given.path_map) {
            Ok(map) => Some(map),
            Err((i, message)) => {
                problems.report(format!("destination.pathMap[{i}].from"), message);
                None
            }
        };
        let namespaces = NamespaceChoice::parse(&spec.namespaces, namespace, &mut problems);
        let exclusions = Exclusions::parse(&spec.exclude, &mut problems);
        let platforms = platforms(spec, &mut problems);
        let origins = origins(spec, destination.as_ref(), &mut problems);
        let ignored_tags = tags("digests.ignoreTags", &spec.digests.ignore_tags, &mut problems);
        let overwrite_except = tags("overwrite.except", &spec.overwrite.except, &mut problems);
        let retention = problems.keep("retention", parse_duration(&spec.retention));
        check_others(spec, &mut problems);
        let read = (destination, prefix, path_map, retention);
        let (Some(destination), Some(prefix), Some(path_map), Some(retention)) = read else {
            return Err(SpecError { problems: problems.0 });
        };
        if !problems.0.is_empty() {
            return Err(SpecError { problems: problems.0 });
        }
        let spec = spec.clone();
        Ok(Self {
            namespaces,
            retention,
            destination,
            prefix,
            path_map,
            exclusions,
            platforms,
            origins,
            ignored_tags,
            overwrite_except,
            spec,
        })
    }

    /// Knows where images go to, and what origins are for, by all names that administrators gave those registries.
    #[must_use]
    pub fn known_by(self, policy: &AccessPolicy) -> Self {
        let destination = self.destination.known_by(policy);
        let rule = |rule: OriginRule| OriginRule { from: rule.from.known_by(policy), ..rule };
        Self { destination, origins: self.origins.into_iter().map(rule).collect(), ..self }
    }

    /// Returns an image under the name that the spec has for its registry: by another one it is the same image.
    pub fn as_named_here(&self, image: ImageReference) -> ImageReference {
        ImageReference { repository: self.repository_named_here(image.repository), ..image }
    }

    /// Returns a repository under the name that the spec has for its registry.
    pub fn repository_named_here(&self, repository: Repository) -> Repository {
        let mut prefixes = [&self.destination].into_iter().chain(self.origins.iter().map(|rule| &rule.from));
        prefixes.find_map(|prefix| prefix.under_own_name(&repository)).unwrap_or(repository)
    }

    /// Returns the spec that it was read from.
    pub fn spec(&self) -> &WorkloadMirrorSpec {
        &self.spec
    }

    /// Whether this calls for an image.
    pub fn has_trigger(&self, trigger: WorkloadTrigger) -> bool {
        self.spec.triggers.contains(&trigger)
    }

    /// Whether workloads of this kind are looked at.
    pub fn looks_at(&self, kind: WorkloadKind) -> bool {
        self.spec.kinds.is_empty() || self.spec.kinds.contains(&kind)
    }

    /// Returns what is worth a look, and keeps nothing from being mirrored.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.prefix.needs_architectures() {
            warnings.push(
                "destination.prefix has $arch: each image's index is read at its source, which counts as a pull, and an \
                 image that gets another platform there moves to another repository"
                    .to_owned(),
            );
        }
        warnings
    }

    /// Returns how a source is reached.
    pub fn source_endpoint<'a>(&'a self, source: &'a str) -> EndpointRef<'a> {
        crate::inventory::endpoint_among(&self.spec.sources, source)
    }

    /// Whether the content of a tag is that of the pods.
    pub(super) fn takes_running(&self, tag: &Tag) -> bool {
        self.spec.digests.taken == DigestUse::Running && !self.ignored_tags.contains(tag)
    }

    /// Whether the source says what no pod does.
    pub(super) fn resolves_unknown(&self) -> bool {
        self.spec.digests.if_unknown == UnknownDigest::Resolve
    }

    /// Whether a tag is excepted from the overwrite policy where the destination has it.
    pub(super) fn is_exception(&self, tag: &Tag) -> bool {
        self.spec.overwrite.policy == Overwrite::IfMissing && self.overwrite_except.contains(tag)
    }

    /// Returns the spec of one of its Images. What it does not say stays as others have set it.
    pub fn image_spec(&self, child: &PlannedChild) -> ImageSpec {
        let overwrite = self.overwrite(child);
        let source = child.source.to_string();
        let min_age = self.spec.min_age.as_deref().filter(|_| !child.is_on_the_fly);
        let mut source = mirrored_source(&source, &self.spec.sources, min_age, overwrite);
        source.tags = child.tags.iter().map(ToString::to_string).collect();
        let mode = if child.is_on_the_fly { Mode::OneShot } else { Mode::Recurrent };
        let mut image = ImageSpec::new(mode, source, self.destination_of(&child.destination, overwrite));
        if mode == Mode::Recurrent {
            image.frequency.clone_from(&self.spec.frequency);
        }
        image.suspend = self.spec.suspend;
        image.platforms = child.platforms.iter().map(ToString::to_string).collect();
        image.referrers = self.spec.referrers;
        image.engine = self.spec.engine;
        image.job_template.clone_from(&self.spec.job_template);
        image
    }

    fn overwrite(&self, child: &PlannedChild) -> Overwrite {
        if child.is_on_the_fly {
            return Overwrite::IfMissing;
        }
        if child.is_exception { Overwrite::IfDifferent } else { self.spec.overwrite.policy }
    }

    /// What is said of the destination's registry holds for that registry alone: origins may lie elsewhere.
    fn destination_of(&self, repository: &Repository, overwrite: Overwrite) -> Destination {
        let given = &self.spec.destination;
        let name = repository.to_string();
        if !self.destination.has_host(repository.host()) {
            return Destination { name, overwrite, ..Destination::default() };
        }
        Destination {
            name,
            overwrite,
            version: None,
            publish: given.publish,
            use_aws_irsa: given.use_aws_irsa,
            credentials: given.credentials.clone(),
            tls: given.tls.clone().filter(|tls| *tls != Tls::DEFAULT),
            create: given.create.clone(),
            prune: None,
        }
    }
}

/// Reads a registry that images go to.
fn root(text: &str) -> Result<RegistryPrefix, ReferenceError> {
    let prefix: RegistryPrefix = text.parse()?;
    // A registry behind a star is many.
    prefix.below("name")?;
    Ok(prefix)
}

fn platforms(spec: &WorkloadMirrorSpec, problems: &mut Problems<String>) -> PlatformChoice {
    match spec.platforms.mode {
        WorkloadPlatformMode::All => PlatformChoice::All,
        WorkloadPlatformMode::Nodes => PlatformChoice::Nodes,
        WorkloadPlatformMode::List => {
            let list = spec.platforms.list.iter().map(|text| text.parse::<PlatformSelector>());
            let list = problems.keep("platforms.list", list.collect::<Result<BTreeSet<_>, _>>());
            PlatformChoice::These(list.unwrap_or_default())
        }
    }
}

fn origins(
    spec: &WorkloadMirrorSpec,
    destination: Option<&RegistryPrefix>,
    problems: &mut Problems<String>,
) -> Vec<OriginRule> {
    if spec.origins.is_empty() {
        return destination.map(OriginRule::docker_hub).into_iter().collect();
    }
    let mut rules = Vec::new();
    for (i, origin) in spec.origins.iter().enumerate() {
        let from = problems.keep(format!("origins[{i}].from"), root(&origin.from));
        let to = origin
            .to
            .iter()
            .enumerate()
            .filter_map(|(j, to)| problems.keep(format!("origins[{i}].to[{j}]"), root(to)));
        let to = to.collect();
        rules.extend(from.map(|from| OriginRule { from, to }));
    }
    rules
}

fn tags(field: &str, texts: &[String], problems: &mut Problems<String>) -> BTreeSet<Tag> {
    let tags = texts.iter().enumerate();
    tags.filter_map(|(i, text)| problems.keep(format!("{field}[{i}]"), text.parse::<Tag>())).collect()
}

/// What the Images would be refused for, and what stands in no other place.
fn check_others(spec: &WorkloadMirrorSpec, problems: &mut Problems<String>) {
    problems.keep("frequency", spec.frequency.parse::<crate::api::Frequency>());
    if let Some(age) = &spec.min_age {
        problems.keep("minAge", age.parse::<MinAge>());
    }
    let mut check = |field: String, endpoint: EndpointRef<'_>| {
        let fields = EndpointFields {
            secret: format!("{field}.credentials.secretName"),
            ca_secret: format!("{field}.tls.caSecretName"),
            tls: format!("{field}.tls"),
        };
        check_endpoint(endpoint, fields, problems);
    };
    let given = &spec.destination;
    let tls = given.tls.as_ref().unwrap_or(&Tls::DEFAULT);
    let credentials = given.credentials.as_ref();
    let use_aws_irsa = given.use_aws_irsa;
    check("destination".to_owned(), EndpointRef { name: &given.repository, credentials, use_aws_irsa, tls });
    for (i, source) in spec.sources.iter().enumerate() {
        let (credentials, use_aws_irsa) = (source.credentials.as_ref(), source.use_aws_irsa);
        let endpoint = EndpointRef { name: &source.registry, credentials, use_aws_irsa, tls: &source.tls };
        check(format!("sources[{i}]"), endpoint);
    }
    for (i, source) in spec.sources.iter().enumerate() {
        problems.keep(format!("sources[{i}].registry"), source.registry.parse::<RegistryPrefix>());
    }
    check_limits(spec, problems);
}

fn check_limits(spec: &WorkloadMirrorSpec, problems: &mut Problems<String>) {
    let limits = BTreeMap::from([
        ("limits.images", spec.limits.images),
        ("limits.perNamespacePerHour", spec.limits.per_namespace_per_hour),
    ]);
    for (field, limit) in limits {
        if limit == 0 {
            problems.report(field, "it must be at least 1");
        }
    }
    if spec.triggers.is_empty() {
        problems.report("triggers", "there is none; give Running, PullFailure or both");
    }
}
