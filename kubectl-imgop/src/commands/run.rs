//! `kubectl imgop run`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::api::{Image, ImageMirror};
use imgop_core::copy::Limits;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::cli_error::{CliError, Outcome};
use crate::cluster::AnsweringCluster;
use crate::local_copy::LocalCopy;
use crate::output::Ui;
use crate::output::documents::ObjectFormat;
use crate::preview::files::{Manifest, manifests};
use crate::preview::inspect::Looking;
use crate::preview::inventory;
use crate::preview::sides::Purpose;
use crate::preview::targets::Target;
use crate::registry::local_access::AccessSources;
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;

/// Copy what the Images of a file say, from this machine and without a cluster
///
/// The Images and ImageMirrors of the file are looked at once, whatever their modes and schedules, and whatever their
/// destinations lack is copied by this process: the versions, platforms, referrers and rules are those of the agent. A
/// suspended one is left out. Logins are those of this machine; Secrets that a spec names are not read. Of all of them
/// together each layer is read once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    What is missing of an inventory, then copy it:\n    \
    kubectl imgop run -f mirror.yaml --dry-run\n    \
    kubectl imgop run -f mirror.yaml\n\n\
    Exit codes: 0 done, 1 a tag or an Image failed, 2 wrong usage.")]
pub struct RunArgs {
    /// File with Images and ImageMirrors as YAML or JSON, or a folder of such files; - reads stdin
    #[arg(short = 'f', long = "file", visible_alias = "filename", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,

    /// How many tags a pattern may match
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().max_tags)]
    max_tags: usize,

    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,

    #[command(flatten)]
    access: OneRepositoryArgs,
}

/// Copies what the objects of files lack.
pub async fn run(ui: Ui, args: &RunArgs) -> Result<Outcome, CliError> {
    let now = Timestamp::now();
    let mut targets = Vec::new();
    for manifest in manifests(&args.files)? {
        match manifest {
            Ok(Manifest::Image(image)) => targets.push(target(*image, now)),
            Ok(Manifest::Mirror(mirror)) => targets.extend(mirrored(&mirror, now).await),
            Ok(Manifest::Builder(builder)) => {
                let name = builder.name_any();
                let why =
                    format!("ImageBuilder {name}: images are built in a cluster; only copies are run here");
                targets.push(Err(CliError::failed(why)));
            }
            Ok(Manifest::Workloads(mirror)) => {
                let name = mirror.name_any();
                let why = format!(
                    "WorkloadMirror {name}: what workloads use is in a cluster; kubectl imgop preview asks it"
                );
                targets.push(Err(CliError::failed(why)));
            }
            Err(error) => targets.push(Err(error)),
        }
    }
    let cluster = AnsweringCluster::new(Err("run asks no cluster".to_owned()));
    let (local, registries) = (args.access.credentials()?, registries(false)?);
    let flags = args.access.of_both_sides();
    let sources = AccessSources { ui, cluster: &cluster, local: &local, flags: &flags };
    let looking = Looking {
        registries: &registries,
        sources: &sources,
        tls: (args.access.tls(), args.access.tls()),
        limits: Limits { max_tags: args.max_tags, ..Limits::default() },
        purpose: if args.dry_run { Purpose::Look } else { Purpose::Push },
    };
    Box::pin(LocalCopy { ui, looking, is_dry: args.dry_run, format: args.output }.run(targets)).await
}

/// Returns what an Image copies, as a new one: what a cluster records of it counts nothing here.
fn target(mut image: Image, now: Timestamp) -> Result<Target, CliError> {
    image.status = None;
    let name = image.name_any();
    Target::of_image(image, now).map_err(|error| CliError::failed(format!("Image {name}: {error}")))
}

async fn mirrored(mirror: &ImageMirror, now: Timestamp) -> Vec<Result<Target, CliError>> {
    match inventory::images(mirror, Err("run asks none".to_owned())).await {
        Ok(images) => images.into_iter().map(|image| target(image, now)).collect(),
        Err(error) => vec![Err(error)],
    }
}
