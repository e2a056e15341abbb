//! `kubectl imgop verify`.

use clap::Args;
use imgop_core::copy::{Limits, MaxParts};
use jiff::Timestamp;

use super::preview::{cluster_of, of_cluster};
use crate::args::{ImageArgs, JOB_FLAGS, image_spec, unlisted};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{AnsweringCluster, ConnectionArgs};
use crate::output::Ui;
use crate::output::documents::PrintedArgs;
use crate::preview::sides::sides;
use crate::preview::targets::{Target, image_name};
use crate::registry::errors::explain;
use crate::registry::local_access::{AccessSources, LocalAccessArgs};
use crate::registry::registries;
use crate::verification::{Depth, print, verify};

/// Flags for when and how tags are written. All that are selected are compared, however young.
const WITHOUT_EFFECT: [&str; 9] = [
    "min_age",
    "immutable_tags",
    "overwrite",
    "mode",
    "frequency",
    "schedule",
    "time_zone",
    "suspend",
    "publish",
];

/// Check that the destination has what the source has
///
/// Both registries are asked for the digest of every tag, whatever was copied before; the destination also for
/// the manifests of each platform, and with --layers for every layer. Signatures and the like are checked where
/// the Image, or --referrers, includes them. Docker Hub counts pulls only for --layers, and where some platforms are selected.
///
/// The arguments of a copy can be verified as they are: its flags for when and how to write have no effect here.
#[derive(Debug, Args)]
#[command(
    visible_alias = "check",
    mut_args(|argument| unlisted(unlisted(argument, &WITHOUT_EFFECT), &JOB_FLAGS)),
    after_help = "Examples:\n  \
    kubectl imgop verify argocd-v2-13-x -n ci\n  \
    kubectl imgop verify quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd --layers\n\n\
    Signs: = verified, + missing, ~ differs, ! incomplete or not at the source, ? could not be checked.\n\n\
    Exit codes: 0 every tag is verified, 1 a tag is missing, differs or is incomplete, 2 failed, or a tag could \
    not be checked."
)]
pub struct VerifyArgs {
    /// Source repository with a tag, a pattern or a digest; or the name of an Image
    #[arg(value_name = "SOURCE[:VERSION]|NAME")]
    source: String,

    /// Destination repository
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: Option<String>,

    /// Ask the destination for every configuration and layer
    #[arg(long)]
    layers: bool,

    /// How many tags a pattern may match
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().max_tags)]
    max_tags: usize,

    #[command(flatten)]
    spec: ImageArgs,

    #[command(flatten)]
    local: LocalAccessArgs,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// Verifies a copy.
pub async fn run(ui: Ui, args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let verified = Box::pin(verified(ui, args, connection)).await;
    verified.map_err(CliError::of_comparison)
}

async fn verified(ui: Ui, args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let now = Timestamp::now();
    let (target, cluster) = target(args, connection, now).await?;
    // Bulk APIs lag behind their registries.
    let (local, registries) = (args.local.credentials.read()?, registries(true)?);
    let sources = AccessSources { ui, cluster: &cluster, local: &local, flags: &args.local };
    let tls = (args.spec.endpoints.source_tls, args.spec.endpoints.destination_tls);
    let (sides, context) = sides(&registries, &sources, &target, tls).await?;
    let limits = Limits { max_tags: args.max_tags, max_parts: MaxParts::NoJob, ..Limits::default() };
    let depth = if args.layers { Depth::Layers } else { Depth::Manifests };
    let verified = verify(&sides, &target.request, limits, depth, now).await;
    let verified = verified.map_err(|error| explain(&error, &context))?;
    match args.printed.output {
        Some(format) => format.print(ui, &verified)?,
        None => print(ui, &verified, !args.printed.no_headers)?,
    }
    if verified.has_differences() {
        return Ok(Outcome::Differences);
    }
    match verified.tags.iter().find_map(|tag| tag.is_unknown().then(|| tag.reason.clone())) {
        Some(why) => Err(CliError::failed(format!(
            "some tags could not be checked: {}",
            why.as_deref().unwrap_or("a registry was not asked")
        ))),
        None if verified.tags.is_empty() => {
            Err(CliError::failed(format!("no tag of {} matches {}", verified.source, verified.version)))
        }
        None => Ok(Outcome::Done),
    }
}

/// Returns what is compared, and the cluster where its Secrets are.
async fn target(
    args: &VerifyArgs,
    connection: &ConnectionArgs,
    now: Timestamp,
) -> Result<(Target, AnsweringCluster), CliError> {
    let is_alone = args.destination.is_none() && !args.spec.has_versions();
    if let Some(image) = image_name(&args.source).filter(|_| is_alone) {
        if let Some(flag) = args.spec.first_of_a_spec() {
            return Err(CliError::usage(format!(
                "{flag} cannot be used with an Image, whose spec says what it copies; it goes with SOURCE"
            )));
        }
        let cluster = connection.connect().await?;
        let target = of_cluster(&cluster, &args.source, &image, now).await?;
        return Ok((target, AnsweringCluster::new(Ok(cluster))));
    }
    let Some(destination) = &args.destination else {
        return Err(CliError::usage(
            "DESTINATION is required: the repository that SOURCE was copied to; or give the name of an Image",
        ));
    };
    let (spec, request) = image_spec(&args.source, destination, &args.spec)?;
    let target = Target::of_references(spec, request, true, now);
    let cluster = cluster_of(&target, connection).await;
    Ok((target, cluster))
}
