//! `kubectl imgop preview`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::observe::{Limits, Side, Sides, observe};
use imgop_core::plan::{Observed, Seen};
use imgop_core::reference::Reference;
use imgop_core::registry::{Registries, Settings};

use crate::access::{AccessSources, Endpoint, LocalAccessArgs};
use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::image_args::{ScheduleArgs, SelectionArgs, image_spec};
use crate::output::{PreviewFormat, json, yaml};
use crate::preview::page::{PageOptions, print};
use crate::preview::report::{Report, Reports};
use crate::preview::targets::{Target, image_name, of_file};
use crate::registry_errors::{advice, explain};
use crate::ui::Ui;

/// Show what a copy would do, tag by tag, and change nothing
///
/// Both registries are asked from this machine, by the same code that the agent runs: the tags listed
/// here as missing or differing are those that the agent copies.
///
/// One argument that is a bare word (no '/', ':' or '@') is the name of an Image in the cluster. A
/// short name of Docker Hub therefore needs its version or its path: nginx:1.27, library/nginx.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop preview quay.io/argoproj/argocd:v2.13.x\n  \
    kubectl imgop preview quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    kubectl imgop preview -f images.yaml\n  \
    kubectl imgop preview argocd-v2-13-x -n ci\n\n\
    Signs: + missing, ~ differs and would be overwritten, = nothing to do, ! not at the source, \
    ? could not be checked.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage. With --exit-code: 0 nothing to copy, 1 something to \
    copy, 2 failed.")]
pub struct PreviewArgs {
    /// What would be copied: a repository with a tag, a pattern or a digest; or the name of an Image
    #[arg(value_name = "SOURCE[:VERSION]|NAME", required_unless_present = "file", conflicts_with = "file")]
    source: Option<String>,

    /// Where it would go to; without it, only the source is looked at
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: Option<String>,

    /// File with Images as YAML or JSON; - reads stdin
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// List the tags that nearly match, and why they are left out
    #[arg(long)]
    show_excluded: bool,

    /// End with exit code 1 if something would be copied, as kubectl diff does
    #[arg(long)]
    exit_code: bool,

    /// How many tags a pattern may mean
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().max_tags)]
    max_tags: usize,

    #[command(flatten)]
    selection: SelectionArgs,

    #[command(flatten)]
    local: LocalAccessArgs,

    /// What to print
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: PreviewFormat,

    /// Print the lines of the table only
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Shows what copies would do.
pub async fn run(ui: Ui, args: &PreviewArgs) -> Result<Outcome, CliError> {
    let result = preview(ui, args).await;
    if args.exit_code { result.map_err(CliError::of_comparison) } else { result.map(|_| Outcome::Done) }
}

async fn preview(ui: Ui, args: &PreviewArgs) -> Result<Outcome, CliError> {
    let (targets, cluster) = targets(ui, args).await?;
    let local = args.local.credentials()?;
    let registries = Registries::new(Settings {
        user_agent: concat!("kubectl-imgop/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Settings::default()
    });
    let (mut reports, mut first_error) = (Vec::new(), None);
    let is_page = matches!(args.output, PreviewFormat::Table | PreviewFormat::Wide);
    for target in &targets {
        let cluster = cluster.as_ref().map(|cluster| cluster.in_namespace(target.namespace.as_deref()));
        let sources = AccessSources { ui, cluster: cluster.as_ref(), local: &local, flags: &args.local };
        match look(args, target, &sources, &registries).await {
            Ok((report, hints)) => {
                if is_page {
                    ui.data(if reports.is_empty() { "" } else { "\n" })?;
                    print(ui, &report, page_options(args))?;
                }
                for hint in hints {
                    ui.hint(&hint);
                }
                reports.push(report);
            }
            Err(error) if targets.len() == 1 => return Err(error),
            // One registry that fails says nothing about the others.
            Err(error) => {
                ui.error(&error);
                first_error.get_or_insert(error);
            }
        }
    }
    if !is_page {
        print_document(ui, args, &reports)?;
    }
    match first_error {
        Some(_) => Err(CliError::failed(format!(
            "{} of {} previews failed",
            targets.len() - reports.len(),
            targets.len()
        ))),
        None if reports.iter().any(Report::has_work) => Ok(Outcome::Differences),
        // "Nothing to copy" would be a guess.
        None if args.exit_code && reports.iter().any(|report| report.unchecked() > 0) => {
            Err(CliError::failed("some tags could not be checked"))
        }
        None => Ok(Outcome::Done),
    }
}

/// What to preview, and the cluster where it or its Secrets are.
async fn targets(ui: Ui, args: &PreviewArgs) -> Result<(Vec<Target>, Option<Cluster>), CliError> {
    let targets = match (&args.file, &args.source, &args.destination) {
        (Some(file), _, _) => of_file(file)?,
        (None, Some(argument), None)
            if args.selection.versions.is_none() && image_name(argument).is_some() =>
        {
            let cluster = args.connection.connect().await?;
            let image = cluster.image(image_name(argument).unwrap_or(argument)).await;
            let image = image.map_err(|error| {
                error.hinted(format!("an image of Docker Hub is written with its version: {argument}:TAG"))
            })?;
            let target = Target::of_image(&image).map_err(|error| CliError::failed(error.to_string()))?;
            return Ok((vec![target], Some(cluster)));
        }
        (None, source, destination) => vec![of_references(args, source.as_deref(), destination.as_deref())?],
    };
    if !targets.iter().any(Target::names_secrets) {
        return Ok((targets, None));
    }
    let cluster = args.connection.connect().await;
    if let Err(error) = &cluster {
        ui.warning(&format!("Secrets are not read: {error}"));
    }
    Ok((targets, cluster.ok()))
}

fn of_references(
    args: &PreviewArgs,
    source: Option<&str>,
    destination: Option<&str>,
) -> Result<Target, CliError> {
    let source = source.unwrap_or_default();
    let schedule = ScheduleArgs::default();
    if let Some(destination) = destination {
        let (spec, request) = image_spec(source, destination, &args.selection, &schedule)?;
        return Ok(Target::of_references(spec, request, true));
    }
    // A spec always has a destination. This one is never asked: no registry has this name (RFC 2606).
    // Only a digest, which has no tag to keep, needs a version there.
    let by_digest =
        |text: &str| text.parse::<Reference>().ok().and_then(|r| r.version).is_some_and(|v| v.contains(':'));
    let needs_version =
        by_digest(source) || args.selection.versions.as_ref().is_some_and(|v| v.contains(':'));
    let nowhere = if needs_version { "preview.invalid/none:none" } else { "preview.invalid/none" };
    let (spec, request) = image_spec(source, nowhere, &args.selection, &schedule)?;
    Ok(Target::of_references(spec, request, false))
}

/// Asks the registries about one target.
async fn look(
    args: &PreviewArgs,
    target: &Target,
    sources: &AccessSources<'_>,
    registries: &Registries,
) -> Result<(Report, Vec<String>), CliError> {
    let (request, spec) = (&target.request, &target.spec);
    let source = Endpoint {
        side: Side::Source,
        repository: &request.source,
        credentials: spec.source.credentials.as_ref(),
        tls: &spec.source.tls,
        tls_flag: args.selection.source_tls,
    };
    let destination = Endpoint {
        side: Side::Destination,
        repository: &request.destination,
        credentials: spec.destination.credentials.as_ref(),
        tls: &spec.destination.tls,
        tls_flag: args.selection.destination_tls,
    };
    let sides = Sides {
        source: registries.repository(&request.source, &sources.access(source).await?),
        destination: if target.has_destination {
            Some(registries.repository(&request.destination, &sources.access(destination).await?))
        } else {
            None
        },
    };
    let limits = Limits { max_tags: args.max_tags, ..Limits::default() };
    let observed = observe(&sides, request, &target.already_synced, limits).await;
    let observed = observed.map_err(|error| explain(&error))?;
    let report = Report::new(request, &observed, target.has_destination);
    let hints =
        if report.unchecked() < report.tags.len() { Vec::new() } else { hints(&sides, &observed).await };
    Ok((report, hints))
}

/// What to do when no tag at all could be checked: one of them is asked about again, because an
/// observation keeps only the words of a failure.
async fn hints(sides: &Sides, observed: &Observed) -> Vec<String> {
    let Some(tag) = observed.tags.first() else { return Vec::new() };
    let (side, asked) = match (&tag.source, &sides.destination) {
        (Seen::Unknown(_), _) | (_, None) => (Side::Source, sides.source.head(&tag.source_ref).await),
        (_, Some(client)) => (Side::Destination, client.head(&tag.destination_tag.clone().into()).await),
    };
    asked.err().map(|error| advice(side, error.repository().host(), error.reason())).unwrap_or_default()
}

fn page_options(args: &PreviewArgs) -> PageOptions {
    PageOptions {
        wide: args.output == PreviewFormat::Wide,
        headers: !args.no_headers,
        excluded: args.show_excluded,
    }
}

/// One report as itself, several as a List.
fn print_document(ui: Ui, args: &PreviewArgs, reports: &[Report]) -> Result<(), CliError> {
    let text = match (args.output, reports) {
        (PreviewFormat::Yaml, [report]) => yaml(report)?,
        (PreviewFormat::Yaml, reports) => yaml(&Reports::new(reports))?,
        (_, [report]) => json(report)?,
        (_, reports) => json(&Reports::new(reports))?,
    };
    ui.data(&text)
}
