//! The Images of an inventory, and how this machine reaches their registries.

use futures::StreamExt as _;
use imgop_core::copy::{CopyRequest, Limits};
use imgop_core::inventory::Expansion;
use imgop_registry::Registries;
use jiff::Timestamp;

use super::comparison::{ComparedTag, Comparison, ConflictReport, State};
use super::subject::{Source, Subject};
use crate::cli_error::CliError;
use crate::cluster::{AnsweringCluster, ConnectionArgs};
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

impl Mirrored {
    /// Works out the Images of a file. A cluster is asked only for Secrets that an `ImageMirror` names.
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
        let mut targets = Vec::with_capacity(children.len());
        for child in &children {
            let image = inventory.image_spec(child, &spec);
            let request = CopyRequest::parse(&image).map_err(|error| {
                CliError::failed(format!("{} to {}: {error}", child.source, child.destination))
            })?;
            let mut target = Target::of_references(image, request, true, now);
            target.image = Some(ImageName { namespace: namespace.clone(), name: child.name(&mirror) });
            target.wording = Wording::Fields;
            targets.push(target);
        }
        let needs_cluster = targets.iter().any(Target::names_secrets);
        let cluster = if needs_cluster {
            connection.connect().await.map_err(|error| error.message)
        } else {
            Err("no cluster is needed".to_owned())
        };
        let conflicts = conflicts
            .into_iter()
            .map(|conflict| ConflictReport { destination: conflict.destination, sources: conflict.sources });
        Ok(Self {
            file: subject.file.name(),
            targets,
            conflicts: conflicts.collect(),
            cluster: AnsweringCluster::new(cluster),
            local: access.credentials()?,
            flags: access.of_both_sides(),
            registries: crate::registry::registries(true)?,
            limits: Limits::default(),
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
