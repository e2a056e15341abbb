//! The Images of an inventory, and how this machine reaches their registries.

use futures::StreamExt as _;
use imgop_core::api::Image;
use imgop_core::copy::{CopyRequest, Limits, MaxParts};
use imgop_core::inventory::Expansion;
use imgop_registry::Registries;
use jiff::Timestamp;

use super::comparison::{ComparedTag, Comparison, ConflictReport, State};
use super::subject::{Source, Subject};
use crate::cli_error::CliError;
use crate::cluster::{AnsweringCluster, Cluster, ConnectionArgs};
use crate::output::Ui;
use crate::output::wording::Wording;
use crate::preview::targets::{ImageName, Target};
use crate::registry::credentials::LocalCredentials;
use crate::registry::local_access::{AccessSources, LocalAccessArgs};
use crate::registry::one_repository::OneRepositoryArgs;

/// Images that are asked about at once.
const AT_ONCE: usize = 8;

/// What is needed to ask about all Images of an inventory.
pub struct Mirrored {
    /// The file.
    pub file: String,
    /// Each Image.
    pub targets: Vec<Target>,
    conflicts: Vec<ConflictReport>,
    cluster: AnsweringCluster,
    local: LocalCredentials,
    flags: LocalAccessArgs,
    /// Connections and limits of requests.
    pub registries: Registries,
    /// How many tags may be observed of each Image.
    pub limits: Limits,
}

/// Where what makes the Images was read.
#[derive(Clone, Copy)]
pub enum ReadFrom<'a> {
    /// In a file; the cluster is the one that these arguments name.
    File(&'a ConnectionArgs),
    /// In this cluster.
    Cluster(&'a Cluster),
}

impl Mirrored {
    /// Works out the Images of a subject. Of a file, a cluster is asked only for Secrets that an `ImageMirror` names.
    pub async fn read(
        subject: &Subject,
        access: &OneRepositoryArgs,
        connection: &ConnectionArgs,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        let inventory = subject.inventory()?;
        let Expansion { children, conflicts } =
            inventory.expand().map_err(|error| subject.unusable(&error))?;
        let (spec, _) = subject.spec();
        let (mirror, namespace) = (subject.name(), subject.namespace());
        let images = children.iter().map(|child| {
            let mut image = Image::new(&child.name(&mirror), inventory.image_spec(child, &spec));
            image.metadata.namespace.clone_from(&namespace);
            image
        });
        let conflicts = conflicts
            .into_iter()
            .map(|conflict| ConflictReport { destination: conflict.destination, sources: conflict.sources });
        let (images, conflicts) = (images.collect(), conflicts.collect());
        let from =
            subject.live.as_ref().map_or(ReadFrom::File(connection), |live| ReadFrom::Cluster(&live.cluster));
        Self::of_images(subject.file.name(), images, conflicts, access, from, now).await
    }

    /// Returns Images that are asked about. A cluster is asked only for Secrets that they name.
    pub async fn of_images(
        file: String,
        images: Vec<Image>,
        conflicts: Vec<ConflictReport>,
        access: &OneRepositoryArgs,
        from: ReadFrom<'_>,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        let mut targets = Vec::with_capacity(images.len());
        for image in images {
            let name = ImageName::of(&image);
            let request = CopyRequest::parse(&image.spec).map_err(|error| {
                let (source, destination) = (&image.spec.source.name, &image.spec.destination.name);
                CliError::failed(format!("{source} to {destination}: {error}"))
            })?;
            let mut target = Target::of_references(image.spec, request, true, now);
            target.image = Some(name);
            target.wording = Wording::Fields;
            target.is_of_cluster = matches!(from, ReadFrom::Cluster(_));
            targets.push(target);
        }
        let needs_cluster = targets.iter().any(Target::names_secrets);
        let cluster = match from {
            ReadFrom::Cluster(cluster) => Ok(cluster.clone()),
            ReadFrom::File(connection) if needs_cluster => {
                connection.connect().await.map_err(|error| error.message)
            }
            ReadFrom::File(_) => Err("no cluster is needed".to_owned()),
        };
        Ok(Self {
            file,
            targets,
            conflicts,
            cluster: AnsweringCluster::new(cluster),
            local: access.credentials()?,
            flags: access.of_both_sides(),
            registries: crate::registry::registries(true)?,
            // What is compared may have been copied by any engine.
            limits: Limits { max_parts: MaxParts::NoJob, ..Limits::default() },
        })
    }

    /// Returns the cluster where Secrets are.
    pub fn cluster(&self) -> &AnsweringCluster {
        &self.cluster
    }

    /// Returns where access comes from.
    pub fn sources(&self, ui: Ui) -> AccessSources<'_> {
        AccessSources { ui, cluster: &self.cluster, local: &self.local, flags: &self.flags }
    }

    /// Asks about each Image, several at once, and returns what was found in their order. An Image that cannot be asked about
    /// does not keep the others from it.
    pub async fn compared<'a, F>(&'a self, ask: impl Fn(&'a Target) -> F) -> Comparison
    where
        F: Future<Output = Result<Vec<ComparedTag>, CliError>> + 'a,
    {
        let asked = self.targets.iter().map(|target| {
            let asked = ask(target);
            async move { asked.await.unwrap_or_else(|error| not_checked(target, &error)) }
        });
        let tags: Vec<Vec<ComparedTag>> = futures::stream::iter(asked).buffered(AT_ONCE).collect().await;
        Comparison::new(self.file.clone(), tags.concat(), self.conflicts.clone())
    }
}

/// Returns that nothing is known of the tags of an Image.
fn not_checked(target: &Target, error: &CliError) -> Vec<ComparedTag> {
    let (source, destination) = (&target.request.source, &target.request.destination);
    let exact = &target.spec.source.tags;
    let versions = if exact.is_empty() { std::slice::from_ref(&target.spec.source.version) } else { exact };
    let tag = |text: &String| ComparedTag {
        source: format!("{source}:{text}"),
        destination: format!("{destination}:{text}"),
        state: State::NotChecked,
        source_digest: None,
        destination_digest: None,
        reason: Some(error.message.clone()),
    };
    versions.iter().map(tag).collect()
}

impl Subject {
    /// Returns the namespace of its `ImageMirror`, if it says one.
    fn namespace(&self) -> Option<String> {
        match &self.source {
            Source::Mirror(mirror, _) => mirror.metadata.namespace.clone(),
            Source::File(..) => None,
        }
    }
}
