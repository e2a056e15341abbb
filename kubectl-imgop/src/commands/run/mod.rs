//! `kubectl imgop run`.

mod claims;
mod files;
mod watch;

use std::path::PathBuf;

use clap::Args;
use imgop_core::copy::{Limits, MaxParts};
use imgop_registry::Registries;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::args::DryRun;
use crate::cli_error::{CliError, Kind, Outcome};
use crate::cluster::{AnsweringCluster, ConnectionArgs};
use crate::local_build::{Built, LocalBuild};
use crate::local_copy::LocalCopy;
use crate::output::Ui;
use crate::output::documents::RunFormat;
use crate::preview::inspect::Looking;
use crate::preview::sides::Purpose;
use crate::registry::credentials::LocalCredentials;
use crate::registry::local_access::{AccessSources, LocalAccessArgs};
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;
use files::{Build, Item};

/// Copy and build what the resources of a file say, on this machine and without a cluster
///
/// The Images and ImageMirrors of the file are looked at once, whatever their modes and schedules, and whatever their
/// destinations lack is copied by this process: the versions, platforms, referrers and rules are those of the agent. A
/// suspended one is left out. Logins are those of this machine; Secrets that a spec names are not read. Of all of them
/// together each layer is read once for each registry that it goes to.
///
/// Then its ImageBuilders are built once, by Buildah of this machine, by the steps of a build in a cluster; with --dry-run
/// it is said what would keep a build from beginning.
///
/// With --watch it goes on by their modes, frequencies and schedules until Ctrl-C or SIGTERM, as an agent does, and reads
/// the files again when they change. What fails is tried again after pauses that grow.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    What is missing of an inventory, then copy it:\n    \
    kubectl imgop run -f mirror.yaml --dry-run\n    \
    kubectl imgop run -f mirror.yaml\n  \
    Keep it so:\n    \
    kubectl imgop run -f mirror.yaml --watch\n\n\
    Exit codes: 0 done, or --watch was ended; 1 a tag or an Image failed, 2 wrong usage.")]
pub struct RunArgs {
    /// File with Images, ImageMirrors and ImageBuilders as YAML or JSON, or a folder of such files; - reads stdin
    #[arg(short = 'f', long = "file", visible_alias = "filename", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Only say what would be copied and built
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "client", hide_possible_values = true)]
    dry_run: Option<DryRun>,

    /// Go on by the schedules of the Images until Ctrl-C or SIGTERM
    #[arg(short, long, conflicts_with = "dry_run")]
    watch: bool,

    /// How many tags a pattern may match
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().max_tags)]
    max_tags: usize,

    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<RunFormat>,

    #[command(flatten)]
    access: OneRepositoryArgs,
}

/// Copies what the objects of files lack.
pub async fn run(ui: Ui, args: &RunArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let unused = connection.given();
    if !unused.is_empty() {
        ui.warning(&format!("run asks no cluster, so {unused} changes nothing"));
    }
    if args.dry_run == Some(DryRun::Server) {
        return Err(CliError::usage("--dry-run=server: run asks no cluster; write --dry-run"));
    }
    if args.watch {
        return watch::run(ui, args, &Timestamp::now).await;
    }
    let (mut targets, mut builds) = (Vec::new(), Vec::new());
    for item in files::items(ui, &args.files, Timestamp::now()).await? {
        match item {
            Ok(Item::Copy(target)) => targets.push(Ok(*target)),
            Ok(Item::Build(build)) => builds.push(build),
            Err(why) => targets.push(Err(CliError::from(why))),
        }
    }
    let machine = Machine::new(args, registries(false)?)?;
    let sources = machine.sources(ui);
    // A base may be what is copied here.
    let copied = Box::pin(machine.local_copy(ui, args, &sources).copy(targets)).await?;
    let (tls, registries) = (args.access.tls(), &machine.registries);
    // A document is alone on stdout.
    let aside = if args.output.is_some() { ui.aside() } else { ui };
    let local = LocalBuild { ui: aside, registries, sources: &sources, tls };
    let (outcome, built) = Box::pin(build_all(&local, &builds, args)).await?;
    copied.end(&built).map(|copied| copied.and(outcome))
}

/// Builds these, or only says what a build would be. What fails for one does not keep the others.
async fn build_all(
    local: &LocalBuild<'_>,
    builds: &[Build],
    args: &RunArgs,
) -> Result<(Outcome, Vec<Built>), CliError> {
    let (mut outcome, mut all) = (Outcome::Done, Vec::new());
    for build in builds {
        let name = build.builder.name_any();
        if build.builder.spec.suspend {
            local.ui.note(&format!("{name} is suspended"));
            continue;
        }
        match one(local, build, args.is_dry()).await {
            Ok(Ended::Checked(checked)) => outcome = outcome.and(checked),
            Ok(Ended::Built(built)) => {
                if args.output.is_none() {
                    let lines = built.references.iter().map(|reference| format!("{reference} built\n"));
                    local.ui.data(&lines.collect::<String>())?;
                }
                all.push(built);
            }
            Err(error) if matches!(error.kind, Kind::Cancelled | Kind::Terminated) => return Err(error),
            Err(error) => {
                let message = format!("ImageBuilder {name}: {}", error.message);
                let error = CliError { message, ..error };
                local.ui.error(&error);
                outcome = Outcome::NotReady;
                let reason = Some(error.message);
                all.push(Built { name, references: Vec::new(), digest: None, reason });
            }
        }
    }
    Ok((outcome, all))
}

/// How an ImageBuilder ended.
enum Ended {
    /// It is said what a build would be.
    Checked(Outcome),
    /// It was built.
    Built(Built),
}

async fn one(local: &LocalBuild<'_>, build: &Build, is_dry: bool) -> Result<Ended, CliError> {
    let Build { builder, conflict } = build;
    if let Some(conflict) = conflict {
        return Err(CliError::failed(conflict.clone()));
    }
    if is_dry {
        return local.preview(builder).await.map(Ended::Checked);
    }
    local.build(builder, Timestamp::now()).await.map(Ended::Built)
}

impl RunArgs {
    fn is_dry(&self) -> bool {
        self.dry_run.is_some_and(|dry| dry != DryRun::None)
    }
}

/// How this machine reaches registries.
struct Machine {
    cluster: AnsweringCluster,
    local: LocalCredentials,
    flags: LocalAccessArgs,
    registries: Registries,
}

impl Machine {
    fn new(args: &RunArgs, registries: Registries) -> Result<Self, CliError> {
        Ok(Self {
            cluster: AnsweringCluster::new(Err("run asks no cluster".to_owned())),
            local: args.access.credentials()?,
            flags: args.access.of_both_sides(),
            registries,
        })
    }

    fn sources(&self, ui: Ui) -> AccessSources<'_> {
        AccessSources { ui, cluster: &self.cluster, local: &self.local, flags: &self.flags }
    }

    fn local_copy<'a>(&'a self, ui: Ui, args: &RunArgs, sources: &'a AccessSources<'a>) -> LocalCopy<'a> {
        let looking = Looking {
            registries: &self.registries,
            sources,
            tls: (args.access.tls(), args.access.tls()),
            limits: Limits { max_tags: args.max_tags, max_parts: MaxParts::NoJob, ..Limits::default() },
            purpose: if args.is_dry() { Purpose::DryPush } else { Purpose::Push },
        };
        LocalCopy { ui, looking, is_dry: args.is_dry(), format: args.output }
    }
}
