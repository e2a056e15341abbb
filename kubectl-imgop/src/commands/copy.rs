//! `kubectl imgop copy`.

use clap::{Args, ValueEnum};
use imgop_core::api::{Image, ImageSpec};
use imgop_core::copy::CopyRequest;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::args::{ImageArgs, explicit_fields, image_spec};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::agent::warn_without_agent;
use crate::cluster::apply::ApplyOptions;
use crate::cluster::changes::{changes, stays};
use crate::cluster::wait_until_ready::wait_for_all;
use crate::cluster::{Cluster, ConnectionArgs, TimeLimit};
use crate::kinds::image::{derive, fingerprint};
use crate::kinds::object_name::parse_new_name;
use crate::kinds::progress::Goal;
use crate::kinds::{Erased, ObjectRef, read};
use crate::output::Ui;
use crate::output::documents::{ObjectFormat, document, json as as_json, yaml};

/// Create or update an Image
///
/// Running it again with the same arguments changes nothing. With other arguments every field is set again: a
/// flag that is omitted returns to its default, unless another manager, such as kubectl or Argo CD, owns the
/// field. What changes is printed, and so is what another manager keeps. An Image that was suspended by kubectl
/// imgop suspend stays suspended until it is resumed.
///
/// Without --name the Image is named after the source: quay.io/argoproj/argocd:v2.13.x becomes
/// argocd-v2-13-x. If that is longer than 63 characters, or if an Image with that name copies something
/// else, a hash of source and destination is appended; so it is by --dry-run=client, which does not know
/// what the cluster has.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    Every v2.13 release of Argo CD, and those to come:\n    \
    kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    The three newest releases from 1.27 on:\n    \
    kubectl imgop copy nginx registry.example.com/web/nginx --versions '>=1.27' --latest 3\n  \
    One tag, under another name:\n    \
    kubectl imgop copy nginx:1.27 registry.example.com/web/nginx:stable\n  \
    Only the manifest, for a repository that Argo CD or Flux watches:\n    \
    kubectl imgop copy nginx:1.27.x registry.example.com/web/nginx --dry-run=client -o yaml")]
pub struct CopyArgs {
    /// Source repository with a tag, a pattern or a digest
    #[arg(value_name = "SOURCE[:VERSION]")]
    source: String,

    /// Destination repository; without a version each tag keeps its name, {tag} in a version stands for it
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: String,

    /// Name of the Image
    #[arg(long, value_parser = parse_new_name)]
    name: Option<String>,

    #[command(flatten)]
    image: ImageArgs,

    /// Wait until every tag is at the destination
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", requires = "wait")]
    timeout: TimeLimit,

    /// Only print what would be submitted (client), or have the API server check it too (server)
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "client")]
    dry_run: Option<DryRun>,

    /// Take over fields that other managers own
    #[arg(long)]
    force_conflicts: bool,

    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
}

/// Where a dry run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Submit the Image (the default)
    None,
    /// Send nothing to the cluster
    Client,
    /// The API server validates the Image without storing it
    Server,
}

/// Creates or updates an Image.
pub async fn run(ui: Ui, args: &CopyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (spec, request) = image_spec(&args.source, &args.destination, &args.image)?;
    let namespace = connection.namespace.as_deref();
    if args.dry_run == Some(DryRun::Client) {
        // Without a cluster it is not known whether another Image has the readable name, and an apply under it
        // would turn that Image into this one.
        let image = image_ref(args.name.clone().unwrap_or_else(|| derive(&request).hashed));
        print(ui, args, &image, "created", &manifest(args, namespace, &image, &spec)?)?;
        return Ok(Outcome::Done);
    }
    let cluster = connection.connect().await?;
    let (image, before) = name(ui, args, &cluster, &request).await?;
    let options = ApplyOptions {
        dry_run: args.dry_run == Some(DryRun::Server),
        force: args.force_conflicts,
        exists: before.is_some(),
    };
    let after = cluster.apply(&image, &manifest(args, namespace, &image, &spec)?, options).await?;
    report(ui, args, &cluster, &image, &spec, before.as_ref(), &after)?;
    if !args.wait && !options.dry_run {
        warn_without_agent(ui, &cluster).await;
    }
    if !args.wait {
        if before.is_none() && !options.dry_run && args.output.is_none() {
            ui.note(&format!("to follow it: kubectl imgop wait {image}{}", cluster.place()));
        }
        return Ok(Outcome::Done);
    }
    let generation = after.metadata.generation.unwrap_or_default();
    wait_for_all(ui, &cluster, &[(image, Goal::Generation(generation))], args.timeout).await
}

fn image_ref(name: String) -> ObjectRef {
    ObjectRef { kind: Erased::<Image>::REF, name }
}

/// Prints what was done, which fields changed, and which ones another manager keeps.
fn report(
    ui: Ui,
    args: &CopyArgs,
    cluster: &Cluster,
    image: &ObjectRef,
    spec: &ImageSpec,
    before: Option<&Image>,
    after: &DynamicObject,
) -> Result<(), CliError> {
    let what = match before {
        None => "created",
        Some(before) if before.metadata.generation == after.metadata.generation => "unchanged",
        Some(_) => "configured",
    };
    if let (Some(before), Ok(after)) = (before, read::<Image>(after)) {
        for change in changes(&before.spec, &after.spec) {
            ui.note(&change);
        }
        for stays in stays(spec, &after.spec, after.managed_fields()) {
            ui.warning(&stays);
        }
    }
    print(ui, args, image, what, &document(after.clone(), &image.kind.resource())?)?;
    if stays_suspended(after, args.image.schedule.suspend == Some(true)) {
        let resume = format!("to resume it: kubectl imgop resume {image}{}", cluster.place());
        ui.warned(&CliError::failed(format!("{image} stays suspended")).hinted(resume));
    }
    Ok(())
}

/// Returns what is submitted. Fields that were not requested are left to their defaults, and to other
/// managers.
fn manifest(
    args: &CopyArgs,
    namespace: Option<&str>,
    image: &ObjectRef,
    spec: &ImageSpec,
) -> Result<Value, CliError> {
    let spec = explicit_fields(spec, &args.image)
        .map_err(|error| CliError::failed(format!("cannot write the Image: {error}")))?;
    let mut metadata = json!({ "name": image.name });
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    let types = image.kind.resource();
    Ok(json!({ "apiVersion": types.api_version, "kind": types.kind, "metadata": metadata, "spec": spec }))
}

/// Returns the name, and the Image that has it already. An Image that copies something else is never
/// changed unless it is named.
async fn name(
    ui: Ui,
    args: &CopyArgs,
    cluster: &Cluster,
    request: &CopyRequest,
) -> Result<(ObjectRef, Option<Image>), CliError> {
    if let Some(name) = &args.name {
        let image = image_ref(name.clone());
        let existing = existing(cluster, &image).await?;
        return Ok((image, existing));
    }
    let names = derive(request);
    let hashed = image_ref(names.hashed);
    let with_hashed_name = existing(cluster, &hashed).await?;
    let Some(plain) = names.plain.map(image_ref).filter(|_| with_hashed_name.is_none()) else {
        return Ok((hashed, with_hashed_name));
    };
    match existing(cluster, &plain).await? {
        Some(other) if !is_same(&other, request) => {
            ui.note(&format!("{plain} copies something else, so this Image gets another name"));
            Ok((hashed, None))
        }
        existing => Ok((plain, existing)),
    }
}

fn is_same(image: &Image, request: &CopyRequest) -> bool {
    CopyRequest::parse(&image.spec).is_ok_and(|other| fingerprint(&other) == fingerprint(request))
}

async fn existing(cluster: &Cluster, image: &ObjectRef) -> Result<Option<Image>, CliError> {
    let found = cluster.api::<Image>().get_opt(&image.name).await;
    found.map_err(|error| cluster.explain("get", image, &error))
}

/// Returns whether the Image is suspended although this command did not request it: `suspend` set it, and an
/// apply leaves the fields of others alone.
fn stays_suspended(after: &DynamicObject, requested: bool) -> bool {
    !requested && after.data.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

fn print(ui: Ui, args: &CopyArgs, image: &ObjectRef, what: &str, object: &Value) -> Result<(), CliError> {
    let dry = match args.dry_run {
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
        Some(DryRun::None) | None => "",
    };
    ui.data(&match args.output {
        None => format!("{} {what}{dry}", image.qualified()),
        Some(ObjectFormat::Name) => image.qualified(),
        Some(ObjectFormat::Json) => as_json(object)?,
        Some(ObjectFormat::Yaml) => yaml(object)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_stays_suspended_only_if_it_is_and_this_command_did_not_request_it() {
        let image = |spec: Value| {
            let types =
                json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": {}, "spec": spec });
            serde_json::from_value::<DynamicObject>(types).unwrap()
        };
        assert!(stays_suspended(&image(json!({ "suspend": true })), false));
        assert!(!stays_suspended(&image(json!({ "suspend": true })), true));
        assert!(!stays_suspended(&image(json!({ "suspend": false })), false));
        assert!(!stays_suspended(&image(json!({})), false));
    }
}
