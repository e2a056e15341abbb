//! `kubectl imgop copy`.

use clap::{Args, ValueEnum};
use imgop_core::api::Image;
use imgop_core::copy::CopyRequest;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::{DynamicObject, Status};
use serde_json::{Value, json};

use crate::changes::{changes, stays};
use crate::commands::list::document;
use crate::connection::{Cluster, ConnectionArgs};
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::image_args::{ScheduleArgs, SelectionArgs, image_spec};
use crate::image_list;
use crate::names::{derive, fingerprint, parse_new_name};
use crate::output::{ObjectFormat, json as as_json, yaml};
use crate::progress::Goal;
use crate::ui::Ui;
use crate::wait::wait_for_all;

/// Who sets the fields that this verb sets (server-side apply).
pub const FIELD_MANAGER: &str = "imgop-cli";

/// Create or update an Image
///
/// Running it again with the same arguments changes nothing. With others, every field is set again: a
/// flag that is left out goes back to its default, unless somebody else has set the field. What changes
/// is printed, and so is what somebody else keeps. An Image that kubectl imgop suspend has suspended stays
/// so until it is resumed.
///
/// Without --name the Image is named after the source: quay.io/argoproj/argocd:v2.13.x makes
/// argocd-v2-13-x. If that is longer than 63 characters, or if an Image of that name copies something
/// else, eight characters that stand for source and destination are added.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    Every v2.13 release of Argo CD, and those to come:\n    \
    kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    The three newest releases from 1.27 on:\n    \
    kubectl imgop copy nginx registry.example.com/web/nginx --versions '>=1.27' --latest 3\n  \
    One tag, under another name:\n    \
    kubectl imgop copy nginx:1.27 registry.example.com/web/nginx:stable\n  \
    The manifest alone, for a repository that Argo CD or Flux watches:\n    \
    kubectl imgop copy nginx:1.27.x registry.example.com/web/nginx --dry-run=client -o yaml")]
pub struct CopyArgs {
    /// Where the image comes from: a repository and a tag, a pattern or a digest
    #[arg(value_name = "SOURCE[:VERSION]")]
    source: String,

    /// Where it goes to; without a version each tag is kept, and {tag} stands for it
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: String,

    /// Name of the Image
    #[arg(long, value_parser = parse_new_name)]
    name: Option<String>,

    #[command(flatten)]
    selection: SelectionArgs,

    #[command(flatten)]
    schedule: ScheduleArgs,

    /// Wait until every tag is at the destination
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", requires = "wait")]
    timeout: TimeLimit,

    /// Submit nothing: client only prints, server has the API server check it
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "client")]
    dry_run: Option<DryRun>,

    /// Take over fields that somebody else set
    #[arg(long)]
    force_conflicts: bool,

    /// Print the Image
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Where nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Submit it (the default)
    None,
    /// The cluster is not asked
    Client,
    /// The API server checks it and stores nothing
    Server,
}

/// Creates or updates an Image.
pub async fn run(ui: Ui, args: &CopyArgs) -> Result<Outcome, CliError> {
    let (spec, request) = image_spec(&args.source, &args.destination, &args.selection, &args.schedule)?;
    if args.dry_run == Some(DryRun::Client) {
        let derived = derive(&request);
        let name = args.name.clone().or(derived.plain).unwrap_or(derived.hashed);
        let manifest = manifest(args, &Image::new(&name, spec))?;
        print(ui, args, &name, "created", &manifest)?;
        return Ok(Outcome::Done);
    }
    let cluster = args.connection.connect().await?;
    let (name, before) = name(ui, args, &cluster, &request).await?;
    let manifest = manifest(args, &Image::new(&name, spec.clone()))?;
    let after = apply(args, &cluster, &name, before.is_some(), &manifest).await?;
    let what = match &before {
        None => "created",
        Some(before) if before.metadata.generation == after.metadata.generation => "unchanged",
        Some(_) => "configured",
    };
    if let (Some(before), Ok(after)) = (&before, image_list::read(&after)) {
        for change in changes(&before.spec, &after.spec) {
            ui.note(&change);
        }
        for stays in stays(&spec, &after.spec) {
            ui.warning(&stays);
        }
    }
    let stays = stays_suspended(&after, args.schedule.suspend);
    let generation = after.metadata.generation.unwrap_or_default();
    print(ui, args, &name, what, &document(after)?)?;
    if stays {
        let resume = format!("kubectl imgop resume {name}{}", cluster.place());
        ui.warned(
            &CliError::failed(format!("{name} stays suspended")).hinted(format!("to resume it: {resume}")),
        );
    }
    if !args.wait {
        if before.is_none() && args.dry_run != Some(DryRun::Server) && args.output.is_none() {
            ui.note(&format!("to follow it: kubectl imgop wait {name}{}", cluster.place()));
        }
        return Ok(Outcome::Done);
    }
    wait_for_all(ui, &cluster, &[(name, Goal::Generation(generation))], args.timeout).await
}

/// What is submitted. Fields that were not asked for are left to their defaults, and to whoever
/// else sets them.
fn manifest(args: &CopyArgs, image: &Image) -> Result<Value, CliError> {
    let mut spec = serde_json::to_value(&image.spec)
        .map_err(|error| CliError::failed(format!("cannot write the Image: {error}")))?;
    if let (None, Some(fields)) = (&args.schedule.frequency, spec.as_object_mut()) {
        fields.remove("frequency");
    }
    let mut metadata = json!({ "name": image.name_any() });
    if let Some(namespace) = &args.connection.namespace {
        metadata["namespace"] = json!(namespace);
    }
    let types = kube::core::TypeMeta::resource::<Image>();
    Ok(json!({ "apiVersion": types.api_version, "kind": types.kind, "metadata": metadata, "spec": spec }))
}

/// The name, and the Image that has it already. An Image that copies something else is never
/// changed unless it is named.
async fn name(
    ui: Ui,
    args: &CopyArgs,
    cluster: &Cluster,
    request: &CopyRequest,
) -> Result<(String, Option<Image>), CliError> {
    if let Some(name) = &args.name {
        return Ok((name.clone(), existing(cluster, name).await?));
    }
    let names = derive(request);
    let hashed = existing(cluster, &names.hashed).await?;
    match names.plain {
        Some(plain) if hashed.is_none() => match existing(cluster, &plain).await? {
            Some(other) if !is_same(&other, request) => {
                ui.note(&format!("{plain} copies something else, so this Image gets another name"));
                Ok((names.hashed, None))
            }
            free_or_ours => Ok((plain, free_or_ours)),
        },
        _ => Ok((names.hashed, hashed)),
    }
}

fn is_same(image: &Image, request: &CopyRequest) -> bool {
    CopyRequest::parse(&image.spec).is_ok_and(|other| fingerprint(&other) == fingerprint(request))
}

async fn existing(cluster: &Cluster, name: &str) -> Result<Option<Image>, CliError> {
    let found = cluster.images().get_opt(name).await;
    match found.map_err(|error| cluster.explain("get", Some(name), &error))? {
        Some(image) => Ok(Some(image)),
        None => Ok(None),
    }
}

async fn apply(
    args: &CopyArgs,
    cluster: &Cluster,
    name: &str,
    exists: bool,
    manifest: &Value,
) -> Result<DynamicObject, CliError> {
    let params = PatchParams {
        dry_run: args.dry_run == Some(DryRun::Server),
        force: args.force_conflicts,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    let verb = if exists { "patch" } else { "create" };
    let (images, patch) = (cluster.raw_images(false), Patch::Apply(manifest));
    let applied = match images.patch(name, &params, &patch).await {
        Err(kube::Error::Api(status)) if is_with_ourselves(&status) => {
            images.patch(name, &PatchParams { force: true, ..params }, &patch).await
        }
        applied => applied,
    };
    applied.map_err(|error| cluster.explain(verb, Some(name), &error))
}

/// Whether a refusal is a conflict with none but this program. `suspend` and `resume` patch, which
/// counts as a manager of its own, though under the same name.
fn is_with_ourselves(refusal: &Status) -> bool {
    let ours = format!("conflict with {FIELD_MANAGER:?}");
    let mut causes = refusal.details.iter().flat_map(|details| &details.causes).peekable();
    refusal.code == 409
        && causes.peek().is_some()
        && causes.all(|cause| {
            let rest = (cause.reason == "FieldManagerConflict").then(|| cause.message.strip_prefix(&ours));
            // What follows says how the field was set: `using skopeo.io/v1alpha1 at …`.
            rest.flatten().is_some_and(|rest| rest.is_empty() || rest.starts_with(" using "))
        })
}

/// Whether the Image is suspended though nobody asked this verb for it: `suspend` set it, and an apply
/// leaves the fields of others alone.
fn stays_suspended(after: &DynamicObject, asked: bool) -> bool {
    !asked && after.data.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

fn print(ui: Ui, args: &CopyArgs, name: &str, what: &str, object: &Value) -> Result<(), CliError> {
    let dry = match args.dry_run {
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
        Some(DryRun::None) | None => "",
    };
    ui.data(&match args.output {
        None => format!("image.skopeo.io/{name} {what}{dry}"),
        Some(ObjectFormat::Name) => format!("image.skopeo.io/{name}"),
        Some(ObjectFormat::Json) => as_json(object)?,
        Some(ObjectFormat::Yaml) => yaml(object)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(messages: &[&str]) -> Status {
        let cause = |message: &&str| json!({ "reason": "FieldManagerConflict", "message": message, "field": ".spec.suspend" });
        let causes: Vec<_> = messages.iter().map(cause).collect();
        serde_json::from_value(json!({ "code": 409, "reason": "Conflict", "message": "Apply failed",
            "details": { "causes": causes } }))
        .unwrap()
    }

    #[test]
    fn only_a_conflict_with_this_program_alone_is_none() {
        let own = r#"conflict with "imgop-cli" using skopeo.io/v1alpha1"#;
        let dated = r#"conflict with "imgop-cli" using skopeo.io/v1alpha1 at 2026-01-01T00:00:00Z"#;
        assert!(is_with_ourselves(&conflict(&[own])));
        assert!(is_with_ourselves(&conflict(&[own, dated, r#"conflict with "imgop-cli""#])));
        for other in ["argocd", "imgop-cli2", "imgop-cli\" using \"x"] {
            let other = format!("conflict with {other:?} using skopeo.io/v1alpha1");
            assert!(!is_with_ourselves(&conflict(&[&other])), "{other}");
            assert!(!is_with_ourselves(&conflict(&[own, &other])), "{other}");
        }
        let subresource = r#"conflict with "imgop-cli" with subresource "status" using skopeo.io/v1alpha1"#;
        assert!(!is_with_ourselves(&conflict(&[subresource])));
        assert!(!is_with_ourselves(&conflict(&[])), "a conflict of another kind, such as a name taken");
        assert!(!is_with_ourselves(&Status { code: 403, ..conflict(&[own]) }));
    }

    #[test]
    fn an_image_stays_suspended_only_if_it_is_and_nobody_asked_for_it() {
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
