//! Applies an ImageBuilder with what belongs to it.

use imgop_core::api::ImageBuilder;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use serde_json::Value;

use super::BuildArgs;
use super::draft::Draft;
use crate::args::DryRun;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::apply::ApplyOptions;
use crate::cluster::build_inputs::SECRETS_LABEL;

/// Applies everything: what the ImageBuilder names before it, for it begins at once. Where the API server refuses the
/// ImageBuilder, nothing of it is stored. What belongs to one that is there already has its owner from the beginning:
/// an apply without it would take it away again.
pub async fn apply(
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    before: Option<&ImageBuilder>,
) -> Result<DynamicObject, CliError> {
    let dry_run = args.submit.dry_run == Some(DryRun::Server);
    let (manifest, options) = manifest(args, cluster, draft, before, dry_run)?;
    let inputs = Inputs { cluster, draft };
    // Who may not write the ImageBuilder learns that first, and not of what else is lacking for it.
    if !dry_run && inputs.are_any() {
        check(args, cluster, draft, before).await?;
    }
    let made = inputs.absent().await?;
    let known = before.and_then(|before| owner(draft, before.metadata.uid.clone()));
    let applied = match inputs.apply(known.clone(), dry_run).await {
        Ok(()) => cluster.apply(&draft.object, &manifest, options).await,
        Err(error) => Err(error),
    };
    match applied {
        Ok(after) => {
            let owner = owner(draft, after.metadata.uid.clone());
            if !dry_run && owner != known {
                inputs.apply(owner, false).await?;
            }
            Ok(after)
        }
        Err(error) => {
            if !dry_run {
                inputs.delete(made).await;
            }
            Err(error)
        }
    }
}

/// Fails if the API server refuses the ImageBuilder.
pub async fn check(
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    before: Option<&ImageBuilder>,
) -> Result<(), CliError> {
    let (manifest, options) = manifest(args, cluster, draft, before, true)?;
    cluster.apply(&draft.object, &manifest, options).await.map(drop)
}

fn manifest(
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    before: Option<&ImageBuilder>,
    dry_run: bool,
) -> Result<(Value, ApplyOptions), CliError> {
    let manifest = draft.manifest(&args.builder, Some(&cluster.namespace))?;
    let (force, exists) = (args.submit.force_conflicts, before.is_some());
    Ok((manifest, ApplyOptions { dry_run, force, exists }))
}

/// Which objects are made that were not there.
#[derive(Debug, Clone, Copy, Default)]
struct Made {
    config_map: bool,
    secret: bool,
}

/// What an ImageBuilder names, of this machine.
struct Inputs<'a> {
    cluster: &'a Cluster,
    draft: &'a Draft,
}

impl Inputs<'_> {
    /// Whether anything belongs to the ImageBuilder.
    fn are_any(&self) -> bool {
        self.draft.config_map.is_some() || self.draft.secret.is_some()
    }

    /// Returns what is not there yet. A Secret that is there and is another's is an error.
    async fn absent(&self) -> Result<Made, CliError> {
        let mut made = Made::default();
        if let Some(config_map) = &self.draft.config_map {
            made.config_map =
                self.cluster.applied_input::<ConfigMap>(&config_map.name_any()).await?.is_none();
        }
        if let Some(secret) = &self.draft.secret {
            match self.cluster.applied_input::<Secret>(&secret.name_any()).await? {
                None => made.secret = true,
                Some(found) if is_of(&found, self.draft) => {}
                Some(_) => return Err(self.not_ours(&secret.name_any())),
            }
        }
        Ok(made)
    }

    fn not_ours(&self, secret: &str) -> CliError {
        let object = &self.draft.object;
        CliError::failed(format!(
            "secret/{secret} is there and was not made for {object}, so that its keys are not replaced"
        ))
        .hinted(format!("use what is in it: --secret id=ID,secret={secret}/KEY"))
        .hinted(format!("or give the ImageBuilder another name: --name {}-2", object.name))
    }

    async fn apply(&self, owner: Option<OwnerReference>, dry_run: bool) -> Result<(), CliError> {
        if let Some(config_map) = &self.draft.config_map {
            self.cluster.apply_input(config_map.clone(), owner.clone(), dry_run).await?;
        }
        if let Some(secret) = &self.draft.secret {
            self.cluster.apply_input(secret.clone(), owner, dry_run).await?;
        }
        Ok(())
    }

    /// Deletes what was made, unless the ImageBuilder names it: the API server may have stored it although no answer
    /// came, and another build of the same files names the same.
    async fn delete(&self, made: Made) {
        let builders = self.cluster.api::<ImageBuilder>();
        let Ok(live) = builders.get_opt(&self.draft.object.name).await else { return };
        let spec = live.map(|live| live.spec);
        if let Some(config_map) = self.draft.config_map.as_ref().filter(|_| made.config_map) {
            let context = spec.as_ref().and_then(|spec| spec.context.as_ref());
            let named = context.and_then(|context| context.config_map.as_ref()).map(|named| &named.name);
            if named != config_map.metadata.name.as_ref() {
                self.cluster.delete_input::<ConfigMap>(&config_map.name_any()).await;
            }
        }
        if let Some(secret) = self.draft.secret.as_ref().filter(|_| made.secret) {
            let mut named = spec.iter().flat_map(|spec| &spec.secrets);
            if !named.any(|named| Some(&named.secret_name) == secret.metadata.name.as_ref()) {
                self.cluster.delete_input::<Secret>(&secret.name_any()).await;
            }
        }
    }
}

/// Whether a Secret was made for this ImageBuilder.
fn is_of(secret: &ObjectMeta, draft: &Draft) -> bool {
    let name = &draft.object.name;
    let is_labelled = secret.labels.iter().flatten().any(|(key, of)| key == SECRETS_LABEL && of == name);
    let kind = draft.object.kind.resource().kind;
    let mut owners = secret.owner_references.iter().flatten();
    is_labelled || owners.any(|owner| owner.kind == kind && owner.name == *name)
}

/// Returns the ImageBuilder of this UID as the owner of what goes with it.
fn owner(draft: &Draft, uid: Option<String>) -> Option<OwnerReference> {
    uid.map(|uid| {
        let types = draft.object.kind.resource();
        let name = draft.object.name.clone();
        OwnerReference {
            api_version: types.api_version,
            kind: types.kind,
            name,
            uid,
            ..OwnerReference::default()
        }
    })
}
