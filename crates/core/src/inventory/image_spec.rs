//! The spec of an Image that an inventory becomes.

use imgop_registry::reference::Repository;

use super::child::Child;
use super::read::Inventory;
use crate::api::{
    Destination, EndpointRef, ImageMirrorSpec, ImageSpec, MirrorSource, Mode, Overwrite, Select, Source, Tls,
};
use crate::registry_prefix::RegistryPrefix;

/// Tags that a destination has are never asked for at the source.
const ALL_TAGS: &str = "*";

impl Inventory {
    /// Returns the spec of one of its Images. What it does not say stays as others have set it.
    pub fn image_spec(&self, child: &Child, mirror: &ImageMirrorSpec) -> ImageSpec {
        let mut spec = ImageSpec::new(Mode::Recurrent, self.source(child, mirror), self.destination(child));
        spec.frequency.clone_from(&mirror.frequency);
        spec.schedule.clone_from(&mirror.schedule);
        spec.time_zone.clone_from(&mirror.time_zone);
        spec.suspend = mirror.suspend;
        spec.platforms.clone_from(&mirror.platforms);
        spec.referrers = mirror.referrers;
        spec.engine = mirror.engine;
        spec.job_template.clone_from(&mirror.job_template);
        spec
    }

    fn source(&self, child: &Child, mirror: &ImageMirrorSpec) -> Source {
        let min_age = mirror.min_age.as_deref();
        let mut source = mirrored_source(&child.source, &mirror.sources, min_age, self.overwrite(child));
        match child.version() {
            Some(version) => source.version = version.to_string(),
            None => source.tags = child.selected.iter().map(super::Selected::text).collect(),
        }
        if !child.left_out.is_empty() {
            source.select.get_or_insert_default().exclude.clone_from(&child.left_out);
        }
        source
    }

    fn destination(&self, child: &Child) -> Destination {
        let overwrite = self.overwrite(child);
        let name = child.destination.clone();
        let Some(target) = self.targets.get(child.target) else {
            return Destination { name, overwrite, ..Destination::default() };
        };
        Destination {
            name,
            overwrite,
            version: None,
            publish: target.publish,
            use_aws_irsa: target.use_aws_irsa,
            credentials: target.credentials.clone(),
            tls: target.tls.clone().filter(|tls| *tls != Tls::DEFAULT),
            create: target.create.clone(),
            prune: None,
        }
    }

    /// A tag that vanished is copied again in either case, which mode OnceByTag would not do.
    fn overwrite(&self, child: &Child) -> Overwrite {
        let of_target = self.targets.get(child.target).and_then(|target| target.overwrite);
        let of_sync = if child.follows { Overwrite::IfDifferent } else { Overwrite::IfMissing };
        of_target.unwrap_or(of_sync)
    }
}

/// Returns the source of an Image that a mirror makes, without its tags.
pub(crate) fn mirrored_source(
    name: &str,
    sources: &[MirrorSource],
    min_age: Option<&str>,
    overwrite: Overwrite,
) -> Source {
    let mut source = Source { name: name.to_owned(), ..Source::default() };
    source.select = min_age.map(|age| Select { min_age: Some(age.to_owned()), ..Select::default() });
    if overwrite == Overwrite::IfMissing {
        source.immutable_tags = vec![ALL_TAGS.to_owned()];
    }
    if let Some(reached) = reached(sources, name) {
        source.use_aws_irsa = reached.use_aws_irsa;
        source.credentials.clone_from(&reached.credentials);
        source.tls = reached.tls.clone();
    }
    source
}

/// Returns how a source is reached, as a mirror says it.
pub fn source_endpoint<'a>(mirror: &'a ImageMirrorSpec, source: &'a str) -> EndpointRef<'a> {
    endpoint_among(&mirror.sources, source)
}

/// Returns how a source is reached, as some of these say it.
pub(crate) fn endpoint_among<'a>(sources: &'a [MirrorSource], source: &'a str) -> EndpointRef<'a> {
    match reached(sources, source) {
        Some(MirrorSource { use_aws_irsa, credentials, tls, .. }) => {
            EndpointRef { name: source, credentials: credentials.as_ref(), use_aws_irsa: *use_aws_irsa, tls }
        }
        None => EndpointRef { name: source, credentials: None, use_aws_irsa: false, tls: &Tls::DEFAULT },
    }
}

/// Returns how a source is reached: a registry written in full before one behind a star, then the longest, and of equals
/// the first.
fn reached<'a>(sources: &'a [MirrorSource], repository: &str) -> Option<&'a MirrorSource> {
    let place = repository.parse::<Repository>().ok()?;
    let fit = |source: &'a MirrorSource| {
        let prefix: RegistryPrefix = source.registry.parse().ok()?;
        Some((prefix.fit(&place)?, source))
    };
    let found = sources.iter().rev().filter_map(fit).max_by_key(|(fit, _)| *fit);
    found.map(|(_, source)| source)
}
