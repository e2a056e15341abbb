//! `kubectl imgop preview`.

mod builders;
mod requested;
mod subjects;

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use imgop_core::copy::Limits;
use jiff::Timestamp;

use crate::args::{ImageArgs, JOB_FLAGS, unlisted};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{ConnectionArgs, TimeLimit};
use crate::kinds::TypedName;
use crate::kinds::object_name::parse_new_name;
use crate::output::Ui;
use crate::output::documents::PreviewFormat;
use crate::output::table::terminal_width;
use crate::preview::cluster_images::ClusterImages;
use crate::preview::default_destination;
use crate::preview::details::Details;
use crate::preview::inspect::Inspector;
use crate::preview::page::{PageOptions, Verb};
use crate::preview::previews::{Previews, Printing};
use crate::preview::targets::object_name;
use crate::registry::local_access::{AccessSources, LocalAccessArgs};
use crate::registry::registries;
use builders::of_builder;
use requested::{Requested, of_manifest, requested};
pub use requested::{cluster_of, of_cluster};
use subjects::Subject;

/// Flags for when and how tags are written.
const WITHOUT_EFFECT: [&str; 6] = ["mode", "frequency", "schedule", "time_zone", "suspend", "publish"];

/// Show what a copy would do, tag by tag, without changing anything
///
/// Both registries are asked from this machine, by the same code that the agent runs: the tags listed
/// here as missing or differing are those that the agent copies. For an Image (NAME, or --file) what the cluster
/// knows of it counts too: tags that were copied already, copies that failed, and tags that belong to an older
/// Image, which are not changed. The arguments of a copy can be previewed as they are: all its flags are accepted.
///
/// A single argument without '/', ':' and '@' is the name of an Image or ImageBuilder in the cluster. A short name of
/// Docker Hub therefore needs its version or its path: nginx:1.27, library/nginx.
///
/// Of an ImageBuilder (imagebuilder/NAME, or --file) the Dockerfile is checked, its base images are looked up,
/// and what would be pushed where is shown.
#[derive(Debug, Args)]
#[command(
    visible_alias = "plan",
    mut_args(|argument| unlisted(unlisted(argument, &WITHOUT_EFFECT), &JOB_FLAGS)),
    after_help = "Examples:\n  \
    kubectl imgop preview quay.io/argoproj/argocd:v2.13.x\n  \
    kubectl imgop preview quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    kubectl imgop preview -f images.yaml -f more-images/\n  \
    kubectl imgop preview argocd-v2-13-x -n ci\n\n\
    Signs: + missing, ~ differs and would be overwritten, = nothing to do, ! not at the source, or owned by \
    an older Image, ? could not be checked.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage. A tag or digest that the source does not have is a \
    failure, as is a platform that no tag has; a pattern that matches nothing yet is a warning. With \
    --exit-code: 0 nothing to copy, 1 something to copy, 2 failed, also when a pattern matches nothing, a \
    tag has none of the platforms, a tag belongs to an older Image, or whether it does is not known. A \
    suspended Image, and one of mode OneShot that is done, copies nothing."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct PreviewArgs {
    /// Source repository with a tag, a pattern or a digest; or the name of an Image
    #[arg(value_name = "SOURCE[:VERSION]|NAME", required_unless_present = "files", conflicts_with = "files")]
    source: Option<String>,

    /// Destination repository; without it, only the source is checked
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: Option<String>,

    /// File with Images and ImageBuilders as YAML or JSON, or a folder of such files; - reads stdin
    #[arg(short = 'f', long = "file", visible_alias = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// List the tags that nearly match, with the reason why each is excluded
    #[arg(long)]
    show_excluded: bool,

    /// Look up age, size and platforms of every tag, and which layers the destination has. Docker Hub counts
    /// that as pulls; without this flag none is counted
    #[arg(long)]
    details: bool,

    /// Return exit code 1 if something would be copied, as kubectl diff does
    #[arg(long)]
    exit_code: bool,

    /// How many tags a pattern may match
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().max_tags)]
    max_tags: usize,

    /// Ask for each tag by HEAD, instead of for the digests of many tags at once through the APIs of
    /// Docker Hub, Quay and ECR Public
    #[arg(long, env = "IMGOP_NO_BULK_APIS", help_heading = "Registries", value_parser = FalseyValueParser::new())]
    no_bulk_apis: bool,

    #[command(flatten)]
    spec: ImageArgs,

    #[command(flatten)]
    of_copy: FlagsOfCopy,

    #[command(flatten)]
    local: LocalAccessArgs,

    /// Output format
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: PreviewFormat,

    /// Print only the rows of the table
    #[arg(long)]
    no_headers: bool,
}

/// Flags of `copy` that change nothing in a preview: the arguments of a copy are previewed as they are.
#[derive(Debug, Args)]
struct FlagsOfCopy {
    #[arg(long, hide = true, value_parser = parse_new_name)]
    name: Option<String>,
    #[arg(long, hide = true)]
    wait: bool,
    #[arg(long, hide = true)]
    timeout: Option<TimeLimit>,
    #[arg(long, hide = true, require_equals = true, num_args = 0..=1, default_missing_value = "client")]
    dry_run: Option<String>,
    #[arg(long, hide = true)]
    force_conflicts: bool,
}

impl PreviewArgs {
    /// Returns the object of the cluster that is previewed, if the arguments name one.
    fn object(&self) -> Option<TypedName> {
        let is_alone = self.destination.is_none() && !self.spec.has_versions();
        self.source.as_deref().filter(|_| is_alone).and_then(object_name)
    }
}

/// Shows what copies would do.
pub async fn run(ui: Ui, args: &PreviewArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let result = Box::pin(preview(ui, args, connection)).await;
    if args.exit_code { result.map_err(CliError::of_comparison) } else { result.map(without_differences) }
}

/// Returns how a preview ended that compares nothing: that something would be copied is no failure.
fn without_differences(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Differences { Outcome::Done } else { outcome }
}

async fn preview(ui: Ui, args: &PreviewArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let now = Timestamp::now();
    let Requested { subjects, cluster } = Box::pin(requested(args, connection, now)).await?;
    subjects.say_what_is_left_out(ui);
    let (local, registries) = (args.local.credentials.read()?, registries(args.no_bulk_apis)?);
    let accesses = RegistryAccesses::new(&cluster);
    let images = ClusterImages::new(&cluster, &accesses);
    let inspector = Inspector {
        registries: &registries,
        sources: AccessSources { ui, cluster: &cluster, local: &local, flags: &args.local },
        images: &images,
        source_tls: args.spec.endpoints.source_tls,
        destination_tls: args.spec.endpoints.destination_tls,
        limits: Limits { max_tags: args.max_tags, ..Limits::default() },
        details: match terminal_width() {
            _ if args.details => Details::All,
            Some(_) => Details::OfShownRows,
            None => Details::Listed,
        },
    };
    let page = PageOptions {
        wide: args.output == PreviewFormat::Wide,
        headers: !args.no_headers,
        excluded: args.show_excluded,
        verb: Verb::Preview,
    };
    let is_copy = |target: &&Result<Subject, CliError>| !matches!(target, Ok(Subject::Builder { .. }));
    let copies = subjects.targets.iter().filter(is_copy).count();
    let mut previews = Previews::new(ui, Printing { format: args.output, page }, copies);
    if subjects.is_partial {
        previews.may_lack_some();
    }
    let mut checked = Outcome::Done;
    for target in subjects.targets {
        let target = match target {
            Ok(Subject::Builder { builder, is_of_cluster }) => {
                let builder = default_destination::completed(*builder, &accesses).await?;
                checked = checked.and(of_builder(&builder, is_of_cluster, &inspector, args).await?);
                continue;
            }
            Ok(Subject::Target(target)) => Ok(*target),
            Ok(Subject::Manifest(image, by)) => {
                of_manifest((*image, by), (&images, &accesses), &cluster, now).await
            }
            Err(error) => Err(error),
        };
        let target = match target {
            Ok(target) => default_destination::allowed(target, &accesses).await,
            Err(error) => Err(error),
        };
        Box::pin(previews.add(target, &inspector)).await?;
    }
    accesses.note_unknown(ui);
    previews.print_document()?;
    Ok(checked.and(previews.outcome(args.exit_code)?))
}
