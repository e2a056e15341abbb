//! What a dialog proposes: from the Images and Secrets of the namespace, and from the registries.

use std::cell::RefCell;
use std::rc::Rc;

use imgop_core::api::{Image, ImageSpec, Side};
use imgop_core::copy::ObserveError;
use imgop_registry::oci::Manifest;
use imgop_registry::reference::{Reference, RegistryHost, Repository, Tag};
use imgop_registry::{Registries, RegistryError, RepositoryClient};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::CopyArgs;
use crate::args::{ImageArgs, image_spec};
use crate::cli_error::CliError;
use crate::cluster::{AnsweringCluster, Cluster};
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::output::wording::Wording;
use crate::registry::credentials::LocalCredentials;
use crate::registry::errors::{ErrorContext, explain};
use crate::registry::local_access::{AccessSources, Endpoint, LocalAccessArgs, Origin, Reached};
use crate::registry::{registries, settings};

/// No registry has this name (RFC 2606): a spec always has a destination, also before that is known.
const NOWHERE: &str = "preview.invalid/none:none";
/// How many Secrets are proposed.
const MAX_SECRETS: u32 = 500;

/// An Image of the namespace.
pub struct UsedImage {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: ImageSpec,
}

/// The tags of a repository, or why they are not known.
pub type Tags = Result<Rc<[Tag]>, String>;

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
    /// The tags that were read, each with its source and how that is reached.
    tags: RefCell<Vec<(String, Tags)>>,
}

impl Context {
    /// Begins without proposals.
    pub fn new(ui: Ui, cluster: Result<Cluster, String>) -> Result<Self, CliError> {
        let flags = LocalAccessArgs::default();
        Ok(Self {
            ui,
            cluster: cluster.clone().ok(),
            answering: AnsweringCluster::new(cluster),
            used: Vec::new(),
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
            (self.used, self.secrets) = futures::join!(used_images(cluster), credential_secrets(cluster));
        }
        self
    }

    /// Returns the tags of the source. They are read once for each way to reach it.
    pub async fn tags(&self, args: &CopyArgs) -> Tags {
        let source = args.source.clone().unwrap_or_default();
        let key = format!("{source} {:?}", args.image.endpoints);
        if let Some((_, known)) = self.tags.borrow().iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let tags = self.ask_source(args, async |client| client.tags().await).await.map(Rc::from);
        self.tags.borrow_mut().push((key, tags.clone()));
        tags
    }

    /// Returns the manifest of a tag of the source.
    pub async fn manifest(&self, args: &CopyArgs, tag: &Tag) -> Result<Option<Manifest>, String> {
        self.ask_source(args, async |client| client.manifest(&tag.clone().into()).await).await
    }

    /// Asks the source; explains why it has no answer.
    async fn ask_source<T>(
        &self,
        args: &CopyArgs,
        question: impl AsyncFnOnce(RepositoryClient) -> Result<T, RegistryError>,
    ) -> Result<T, String> {
        let (client, origin) = self.source(args).await.map_err(|error| error.message)?;
        question(client).await.map_err(|error| {
            let context =
                ErrorContext { wording: Wording::Flags, source: origin, destination: Origin::default() };
            explain(&ObserveError::Registry { side: Side::Source, error }, &context).message
        })
    }

    async fn source(&self, args: &CopyArgs) -> Result<(RepositoryClient, Origin), CliError> {
        let written = args.source.as_deref().unwrap_or_default();
        let repository = repository(written);
        let name = repository.as_ref().map_or(written, |(_, name)| name.as_str());
        // Which version it is does not change how the source is reached.
        let image = ImageArgs { endpoints: args.image.endpoints.clone(), ..ImageArgs::default() };
        let (spec, request) = image_spec(&format!("{name}:any"), NOWHERE, &image)?;
        let endpoint = Endpoint {
            side: Side::Source,
            namespace: None,
            repository: &request.source,
            spec: spec.endpoint(Side::Source),
            tls_flag: None,
        };
        let Reached { access, origin } = self.sources().reach(endpoint).await?;
        Ok((self.registries.repository(&request.source, &access), origin))
    }

    /// Returns what access to registries comes from.
    pub fn sources(&self) -> AccessSources<'_> {
        AccessSources { ui: self.ui, cluster: &self.answering, local: &self.local, flags: &self.flags }
    }
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
    images.map(|image| UsedImage { name: image.name_any(), spec: image.spec }).collect()
}

/// Only metadata is requested: no value of a Secret reaches this process.
async fn credential_secrets(cluster: &Cluster) -> Vec<String> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let of_type = ListParams::default().limit(MAX_SECRETS).fields("type=kubernetes.io/dockerconfigjson");
    let list = secrets.list_metadata(&of_type).await;
    list.map(|list| list.items.iter().map(kube::ResourceExt::name_any).collect()).unwrap_or_default()
}
