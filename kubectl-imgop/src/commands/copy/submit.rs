//! Submits the Image of complete arguments.

use imgop_core::api::{Image, ImageSpec};
use imgop_core::copy::CopyRequest;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::CopyArgs;
use crate::args::{DryRun, explicit_fields};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::agent::{warn_where_not_enabled, warn_without_agent};
use crate::cluster::apply::{ApplyOptions, done};
use crate::cluster::changes::{changes, stays};
use crate::cluster::registry_accesses::refuse_where_not_allowed;
use crate::cluster::wait_until_ready::wait_for_all;
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::image::{derive, fingerprint};
use crate::kinds::progress::Goal;
use crate::kinds::{Erased, ObjectRef, read};
use crate::output::Ui;
use crate::output::documents::{CopyFormat, document, json as as_json, yaml};

/// Creates or updates the Image of complete arguments.
pub async fn submit(
    ui: Ui,
    args: &CopyArgs,
    connection: &ConnectionArgs,
    cluster: Option<Cluster>,
) -> Result<Outcome, CliError> {
    let (spec, request) = args.spec()?;
    if args.submit.dry_run == Some(DryRun::Client) {
        // Without a cluster it is not known whether another Image has the readable name, and an apply under it
        // would turn that Image into this one.
        let image = image_ref(args.name.clone().unwrap_or_else(|| derive(&request).hashed));
        print(ui, args, &image, "created", &manifest(args, connection.namespace.as_deref(), &image, &spec)?)?;
        return Ok(Outcome::Done);
    }
    let cluster = match cluster {
        Some(cluster) => cluster,
        None => connect(connection).await?,
    };
    refuse_where_not_allowed(ui, &cluster, [&request.destination]).await?;
    let Named { image, before, taken } = name(args, &cluster, &request).await?;
    if let Some(taken) = taken {
        ui.note(&format!("{taken} copies something else, so this Image gets another name"));
    }
    let options = ApplyOptions {
        dry_run: args.submit.dry_run == Some(DryRun::Server),
        force: args.submit.force_conflicts,
        exists: before.is_some(),
    };
    let submitted = manifest(args, Some(&cluster.namespace), &image, &spec)?;
    let after = cluster.apply(&image, &submitted, options).await?;
    report(ui, args, &cluster, &image, &spec, before.as_ref(), &after)?;
    if !args.wait && !options.dry_run {
        warn_without_agent(ui, &cluster, "copied").await;
        if before.is_none() {
            warn_where_not_enabled(ui, &cluster, &image).await;
        }
    }
    if !args.wait {
        if before.is_none() && !options.dry_run && args.output.is_none() {
            ui.note(&format!("to follow it: kubectl imgop wait {image}{}", cluster.place()));
        }
        return Ok(Outcome::Done);
    }
    let generation = after.metadata.generation.unwrap_or_default();
    let was_there = before.is_some_and(|before| before.metadata.generation == Some(generation));
    let goal = if was_there { Goal::Generation(generation) } else { Goal::NewGeneration(generation) };
    wait_for_all(ui, &cluster, &[(image, goal)], args.timeout).await
}

/// Returns the cluster; where none is named, what does without one is said.
pub async fn connect(connection: &ConnectionArgs) -> Result<Cluster, CliError> {
    let cluster = connection.connect().await;
    cluster.map_err(|error| error.hinted("to copy from this machine, at once and without a cluster: --local"))
}

/// Returns an Image by its name.
pub fn image_ref(name: String) -> ObjectRef {
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
    let what = done(before.map(kube::Resource::meta), after);
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
pub fn manifest(
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

/// The Image that arguments create or change.
pub struct Named {
    /// Its name.
    pub image: ObjectRef,
    /// The Image that has this name already.
    pub before: Option<Image>,
    /// The readable name, if an Image that copies something else has it.
    pub taken: Option<ObjectRef>,
}

/// Returns which Image arguments create or change. One that copies something else is never changed unless it is named.
pub async fn name(args: &CopyArgs, cluster: &Cluster, request: &CopyRequest) -> Result<Named, CliError> {
    let is = |image, before, taken| Ok(Named { image, before, taken });
    if let Some(name) = &args.name {
        let image = image_ref(name.clone());
        let before = existing(cluster, &image).await?;
        return is(image, before, None);
    }
    let names = derive(request);
    let hashed = image_ref(names.hashed);
    let with_hashed_name = existing(cluster, &hashed).await?;
    let Some(plain) = names.plain.map(image_ref).filter(|_| with_hashed_name.is_none()) else {
        return is(hashed, with_hashed_name, None);
    };
    match existing(cluster, &plain).await? {
        Some(other) if !is_same(&other, request) => is(hashed, None, Some(plain)),
        before => is(plain, before, None),
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
    let dry = DryRun::remark(args.submit.dry_run);
    ui.data(&match args.output {
        None => format!("{} {what}{dry}", image.qualified()),
        Some(CopyFormat::Name) => image.qualified(),
        Some(CopyFormat::Json) => as_json(object)?,
        Some(CopyFormat::Yaml) => yaml(object)?,
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
