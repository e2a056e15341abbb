//! What a dialog proposes: from the Images and Secrets of the namespace, and from the registries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use imgop_core::api::{CA_KEY, Image, ImageSpec, Side};
use imgop_core::copy::ObserveError;
use imgop_core::default_destination::{Defaults, as_reported};
use imgop_registry::oci::Manifest;
use imgop_registry::reference::{Reference, RegistryHost, Repository, Tag};
use imgop_registry::{Reason, Registries, RegistryError, RepositoryClient, Unreachable};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::api::{ListParams, Request};
use kube::{Resource as _, ResourceExt as _};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::CopyArgs;
use crate::args::{ImageArgs, image_spec};
use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, Cluster};
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::output::wording::Wording;
use crate::preview::default_destination::NOWHERE;
use crate::registry::credentials::LocalCredentials;
use crate::registry::errors::{ErrorContext, explain};
use crate::registry::local_access::{AccessSources, Endpoint, LocalAccessArgs, Origin, Reached};
use crate::registry::{registries, settings};

/// How many Secrets are looked at.
const MAX_SECRETS: u32 = 500;
/// How many Secrets are read with one request.
const SECRETS_AT_ONCE: u32 = 20;

/// An Image of the namespace.
pub struct UsedImage {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: ImageSpec,
}

/// The tags of a repository, or why they are not known.
pub type Tags = Result<Rc<[Tag]>, Unread>;

/// Why a registry was not read.
#[derive(Debug, Clone)]
pub struct Unread {
    /// Why, with hints.
    pub error: CliError,
    /// What is wrong with how the connection is secured, if that is the reason.
    pub tls: Option<Unreachable>,
}

impl From<CliError> for Unread {
    fn from(error: CliError) -> Self {
        Self { error, tls: None }
    }
}

/// Everything that proposals come from.
pub struct Context {
    /// Prints.
    pub ui: Ui,
    /// Where Images and Secrets are, unless nothing is submitted.
    pub cluster: Option<Cluster>,
    /// The same, for what is only looked up.
    pub answering: AnsweringCluster,
    /// The Images of the namespace, the newest first.
    pub used: Vec<UsedImage>,
    /// Where images of the namespace go by default.
    pub defaults: Option<Defaults>,
    /// The Secrets of the namespace that hold credentials for registries.
    pub secrets: Vec<String>,
    /// The connections to registries.
    pub registries: Registries,
    /// The registries that can be searched.
    pub searched: Vec<RegistryHost>,
    /// The credentials of this machine.
    pub local: LocalCredentials,
    /// No flags override those.
    pub flags: LocalAccessArgs,
    /// The tags that were read, each with the side of the copy and how that is reached.
    tags: RefCell<Vec<(String, Tags)>>,
}

impl Context {
    /// Begins without proposals.
    pub fn new(ui: Ui, cluster: Result<Cluster, String>) -> Result<Self, CliError> {
        let flags = LocalAccessArgs::of_a_submission();
        Ok(Self {
            ui,
            cluster: cluster.clone().ok(),
            answering: AnsweringCluster::new(cluster),
            used: Vec::new(),
            defaults: None,
            secrets: Vec::new(),
            searched: settings()?.bulk_apis.into_keys().collect(),
            registries: registries(false)?,
            local: flags.credentials.read()?,
            flags,
            tags: RefCell::default(),
        })
    }

    /// Reads what the cluster has. What may not be read is not proposed.
    pub async fn with_proposals(mut self) -> Self {
        if let Some(cluster) = &self.cluster {
            let accesses = RegistryAccesses::new(&self.answering);
            let defaults = accesses.default_destination(None);
            let (used, secrets, defaults) =
                futures::join!(used_images(cluster), cluster.credential_secrets(), defaults);
            (self.used, self.secrets, self.defaults) = (used, secrets, defaults.unwrap_or_default());
        }
        self
    }

    /// Returns the tags of a side. They are read once for each way to reach it.
    pub async fn tags(&self, args: &CopyArgs, side: Side) -> Tags {
        if let Some(known) = self.known_tags(args, side) {
            return known;
        }
        let tags = self.ask(args, side, async |client| client.tags().await).await.map(Rc::from);
        self.tags.borrow_mut().push((key(args, side), tags.clone()));
        tags
    }

    /// Returns the tags of a side if they were read, or found unreadable.
    pub fn known_tags(&self, args: &CopyArgs, side: Side) -> Option<Tags> {
        let key = key(args, side);
        self.tags.borrow().iter().find(|(known, _)| *known == key).map(|(_, tags)| tags.clone())
    }

    /// Returns the manifest of a tag of the source.
    pub async fn manifest(&self, args: &CopyArgs, tag: &Tag) -> Result<Option<Manifest>, String> {
        let manifest =
            self.ask(args, Side::Source, async |client| client.manifest(&tag.clone().into()).await);
        manifest.await.map_err(|unread| unread.error.message)
    }

    /// Asks the registry of a side; explains why it has no answer.
    async fn ask<T>(
        &self,
        args: &CopyArgs,
        side: Side,
        question: impl AsyncFnOnce(RepositoryClient) -> Result<T, RegistryError>,
    ) -> Result<T, Unread> {
        let (client, origin) = self.client(args, side).await?;
        question(client).await.map_err(|error| {
            let tls = match error.reason() {
                Reason::Unreachable(
                    how @ (Unreachable::Tls | Unreachable::NoTls | Unreachable::WantsTls),
                ) => Some(*how),
                _ => None,
            };
            let (source, destination) = (origin.clone(), origin);
            let context = ErrorContext { wording: Wording::Flags, source, destination, copies_here: false };
            Unread { error: explain(&ObserveError::Registry { side, error }, &context), tls }
        })
    }

    async fn client(&self, args: &CopyArgs, side: Side) -> Result<(RepositoryClient, Origin), CliError> {
        let written = args.reference(side).unwrap_or_default();
        // Which version it is does not change how a side is reached, nor does the other side.
        let image = ImageArgs { endpoints: args.image.endpoints.of_side(side), ..ImageArgs::default() };
        let name = repository(written).map_or_else(|| written.to_owned(), |(_, name)| name);
        let (spec, request) = match side {
            Side::Source => image_spec(&format!("{name}:any"), NOWHERE, &image)?,
            Side::Destination => image_spec(&format!("{NOWHERE}:any"), &name, &image)?,
        };
        let repository = match side {
            Side::Source => &request.source,
            Side::Destination => &request.destination,
        };
        let endpoint = Endpoint {
            side,
            namespace: None,
            repository,
            spec: spec.endpoint(side),
            tls_flag: None,
            is_of_cluster: false,
        };
        let Reached { access, origin } = self.sources().reach(endpoint).await?;
        Ok((self.registries.repository(repository, &access), origin))
    }

    /// Returns what access to registries comes from.
    pub fn sources(&self) -> AccessSources<'_> {
        AccessSources { ui: self.ui, cluster: &self.answering, local: &self.local, flags: &self.flags }
    }
}

/// Returns what the tags of a side depend on.
fn key(args: &CopyArgs, side: Side) -> String {
    let reference = args.reference(side).unwrap_or_default();
    format!("{side} {reference} {:?}", args.image.endpoints.of_side(side))
}

/// Returns the repository of a reference, and its name as it is typed.
pub fn repository(written: &str) -> Option<(Repository, String)> {
    let Reference { repository, version } = written.parse().ok()?;
    let typed = match version {
        Some(version) => written.strip_suffix(&version).map(|name| name[..name.len() - 1].to_owned())?,
        None => written.to_owned(),
    };
    Some((repository, typed))
}

async fn used_images(cluster: &Cluster) -> Vec<UsedImage> {
    let mut objects = cluster.list(Erased::<Image>::REF, false, None).await.unwrap_or_default();
    objects.sort_by_key(|found| std::cmp::Reverse(found.object.creation_timestamp()));
    let images = objects.iter().filter_map(|found| read::<Image>(&found.object).ok());
    images.map(|image| UsedImage { name: image.name_any(), spec: as_reported(image).spec }).collect()
}

/// A Secret without its values: which keys it has is told only together with them, and none is kept.
#[derive(Deserialize)]
struct SecretKeys {
    metadata: ObjectMeta,
    #[serde(default)]
    #[expect(clippy::zero_sized_map_values, reason = "a set cannot be read from an object")]
    data: BTreeMap<String, IgnoredAny>,
}

/// Secrets without their values.
#[derive(Deserialize)]
struct SecretList {
    metadata: ListMeta,
    items: Vec<SecretKeys>,
}

/// Returns the Secrets of the namespace that hold CA certificates; none where they may not be listed. They are read a
/// few at a time, as each may be large.
pub async fn ca_secrets(cluster: &Cluster) -> Vec<String> {
    let path = Secret::url_path(&(), Some(&cluster.namespace));
    let (mut names, mut seen) = (Vec::new(), 0);
    let mut page = ListParams::default().limit(SECRETS_AT_ONCE).fields(
        "type!=kubernetes.io/dockerconfigjson,type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1",
    );
    while seen < MAX_SECRETS {
        let Ok(request) = Request::new(path.clone()).list(&page) else { break };
        let Ok(list) = cluster.client.request::<SecretList>(request).await else { break };
        seen += SECRETS_AT_ONCE;
        let with_ca = list.items.into_iter().filter(|secret| secret.data.contains_key(CA_KEY));
        names.extend(with_ca.filter_map(|secret| secret.metadata.name));
        let Some(next) = list.metadata.continue_.filter(|next| !next.is_empty()) else { break };
        page = page.continue_token(&next);
    }
    names
}
