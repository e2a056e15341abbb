//! `kubectl imgop preview`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use imgop_core::copy::Limits;
use imgop_registry::reference::Reference;
use imgop_registry::{Registries, Settings};

use crate::args::{ImageArgs, image_spec};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs, TimeLimit};
use crate::kinds::object_name::parse_new_name;
use crate::kinds::{ObjectRef, read};
use crate::output::Ui;
use crate::output::documents::{PreviewFormat, json, yaml};
use crate::preview::inspect::{Inspector, inspect};
use crate::preview::page::{PageOptions, print};
use crate::preview::report::{Report, Reports};
use crate::preview::targets::{Target, image_name, of_file};
use crate::registry::local_access::{AccessSources, LocalAccessArgs, MaybeCluster};

/// Show what a copy would do, tag by tag, without changing anything
///
/// Both registries are asked from this machine, by the same code that the agent runs: the tags listed
/// here as missing or differing are those that the agent copies. For an Image (NAME, or --file) the preview
/// also shows which tags belong to an older Image in its namespace; those are not changed.
///
/// A single argument without '/', ':' and '@' is the name of an Image in the cluster. A short name of
/// Docker Hub therefore needs its version or its path: nginx:1.27, library/nginx.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop preview quay.io/argoproj/argocd:v2.13.x\n  \
    kubectl imgop preview quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    kubectl imgop preview -f images.yaml\n  \
    kubectl imgop preview argocd-v2-13-x -n ci\n\n\
    Signs: + missing, ~ differs and would be overwritten, = nothing to do, ! not at the source, or owned by \
    an older Image, ? could not be checked.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage. A tag or digest that the source does not have is a \
    failure, as is a platform that no tag has; a pattern that matches nothing yet is a warning. With \
    --exit-code: 0 nothing to copy, 1 something to copy, 2 failed, also when a pattern matches nothing, a \
    tag has none of the platforms, or a tag belongs to an older Image.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct PreviewArgs {
    /// Source repository with a tag, a pattern or a digest; or the name of an Image
    #[arg(value_name = "SOURCE[:VERSION]|NAME", required_unless_present = "file", conflicts_with = "file")]
    source: Option<String>,

    /// Destination repository; without it, only the source is checked
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: Option<String>,

    /// File with Images as YAML or JSON; - reads stdin
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// List the tags that nearly match, with the reason why each is excluded
    #[arg(long)]
    show_excluded: bool,

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
    /// Returns the Image of the cluster that is previewed, if the arguments name one.
    fn image(&self) -> Option<ObjectRef> {
        let is_alone = self.destination.is_none() && self.spec.versions.is_none();
        self.source.as_deref().filter(|_| is_alone).and_then(image_name)
    }
}

/// Shows what copies would do.
pub async fn run(ui: Ui, args: &PreviewArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let result = Box::pin(preview(ui, args, connection)).await;
    if args.exit_code { result.map_err(CliError::of_comparison) } else { result.map(|_| Outcome::Done) }
}

/// What became of all previews.
#[derive(Default)]
struct Previews {
    number: usize,
    reports: Vec<Report>,
    errors: Vec<CliError>,
    no_matches: Vec<CliError>,
}

async fn preview(ui: Ui, args: &PreviewArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (targets, cluster) = targets(args, connection).await?;
    let local = args.local.credentials()?;
    let settings = Settings {
        user_agent: concat!("kubectl-imgop/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Settings::default()
    };
    let settings = settings.with_environment(|name| std::env::var(name).ok());
    let mut settings = settings.map_err(|error| CliError::failed(error.to_string()))?;
    if args.no_bulk_apis {
        settings.bulk_apis.clear();
    }
    let registries = Registries::new(settings);
    let inspector = Inspector {
        registries: &registries,
        sources: AccessSources { ui, cluster, local: &local, flags: &args.local },
        source_tls: args.spec.endpoints.source_tls,
        destination_tls: args.spec.endpoints.destination_tls,
        limits: Limits { max_tags: args.max_tags, ..Limits::default() },
    };
    let mut previews = Previews { number: targets.len(), ..Previews::default() };
    for target in targets {
        Box::pin(previews.add(ui, args, target, &inspector)).await?;
    }
    if matches!(args.output, PreviewFormat::Json | PreviewFormat::Yaml) && !previews.reports.is_empty() {
        print_document(ui, args, &previews.reports)?;
    }
    previews.outcome(ui, args.exit_code)
}

impl Previews {
    /// Inspects a target and prints its page. A failure of one Image does not stop the others.
    async fn add(
        &mut self,
        ui: Ui,
        args: &PreviewArgs,
        target: Result<Target, CliError>,
        inspector: &Inspector<'_>,
    ) -> Result<(), CliError> {
        let name = target.as_ref().map(Target::name).unwrap_or_default();
        let inspected = match target {
            Ok(target) => inspect(&target, inspector).await,
            Err(error) => Err(error),
        };
        let error = match inspected {
            Ok(inspected) => {
                show(ui, args, &inspected.report, self.reports.is_empty())?;
                self.reports.push(inspected.report);
                self.no_matches.extend(inspected.no_match.map(|error| error.of(&name, self.number)));
                inspected.failure
            }
            Err(error) => Some(error),
        };
        let error = error.map(|error| error.of(&name, self.number));
        if let (Some(error), 2..) = (&error, self.number) {
            ui.error(error);
        }
        self.errors.extend(error);
        Ok(())
    }

    /// Returns how all previews ended. Where differences are the exit code, "nothing to copy" must be certain.
    fn outcome(mut self, ui: Ui, is_comparison: bool) -> Result<Outcome, CliError> {
        // "Nothing to copy" would be true, but misleading.
        if let (true, 1, Some(nothing)) = (is_comparison, self.number, self.no_matches.last()) {
            return Err(nothing.clone());
        }
        for nothing in &self.no_matches {
            ui.warned(nothing);
        }
        match self.errors.pop() {
            Some(error) if self.number == 1 => return Err(error),
            Some(_) => {
                let failed = self.errors.len() + 1;
                return Err(CliError::failed(format!("{failed} of {} previews failed", self.number)));
            }
            None if self.reports.iter().any(Report::has_work) => return Ok(Outcome::Differences),
            None => {}
        }
        let obstacles = [
            (self.reports.iter().any(|report| report.unchecked() > 0), "some tags could not be checked"),
            (
                self.reports.iter().any(Report::lacks_platforms),
                "some tags have none of the selected platforms",
            ),
            (self.reports.iter().any(Report::has_conflict), "some tags belong to older Images"),
            (!self.no_matches.is_empty(), "some versions match no tag at the source"),
        ];
        match obstacles.into_iter().find(|(applies, _)| is_comparison && *applies) {
            Some((_, why)) => Err(CliError::failed(why)),
            None => Ok(Outcome::Done),
        }
    }
}

/// Prints a preview at once where it is a page; documents are printed together at the end.
fn show(ui: Ui, args: &PreviewArgs, report: &Report, is_first: bool) -> Result<(), CliError> {
    if matches!(args.output, PreviewFormat::Json | PreviewFormat::Yaml) {
        return Ok(());
    }
    ui.data(if is_first { "" } else { "\n" })?;
    let options = PageOptions {
        wide: args.output == PreviewFormat::Wide,
        headers: !args.no_headers,
        excluded: args.show_excluded,
    };
    print(ui, report, options)
}

/// What to preview, or what is wrong with it, and the cluster where it or its Secrets are.
async fn targets(
    args: &PreviewArgs,
    connection: &ConnectionArgs,
) -> Result<(Vec<Result<Target, CliError>>, MaybeCluster), CliError> {
    let flag = args.spec.first_of_a_spec();
    if let (Some(flag), true) = (flag, args.file.is_some() || args.image().is_some()) {
        return Err(CliError::usage(format!(
            "{flag} cannot be used with an Image, whose spec says what it copies; it goes with SOURCE"
        )));
    }
    let targets = match (&args.file, &args.source) {
        (Some(file), _) => of_file(file)?,
        (None, Some(argument)) if let Some(image) = args.image() => {
            let cluster = connection.connect().await?;
            return Ok((vec![of_cluster(&cluster, argument, &image).await], Ok(cluster)));
        }
        (None, source) => vec![Ok(of_references(args, source.as_deref(), args.destination.as_deref())?)],
    };
    // Other Images of the cluster may own tags of an Image.
    if !targets.iter().flatten().any(|target| target.names_secrets() || target.image.is_some()) {
        return Ok((targets, Err("no cluster is needed".to_owned())));
    }
    let cluster = connection.connect().await.map_err(|error| error.message);
    Ok((targets, cluster))
}

async fn of_cluster(cluster: &Cluster, argument: &str, image: &ObjectRef) -> Result<Target, CliError> {
    let found = cluster.get(image).await.map_err(|error| {
        error.hinted(format!("for an image of Docker Hub, add a version: {argument}:TAG"))
    })?;
    let image = read(&found.object).map_err(|why| cluster.unreadable(image, &why))?;
    Target::of_image(&image).map_err(|error| CliError::failed(error.to_string()))
}

fn of_references(
    args: &PreviewArgs,
    source: Option<&str>,
    destination: Option<&str>,
) -> Result<Target, CliError> {
    let source = source.unwrap_or_default();
    if let Some(destination) = destination {
        let (spec, request) = image_spec(source, destination, &args.spec)?;
        return Ok(Target::of_references(spec, request, true));
    }
    // A spec always has a destination. This one is never asked: no registry has this name (RFC 2606).
    // Only a digest, which has no tag to keep, needs a version there.
    let by_digest =
        |text: &str| text.parse::<Reference>().ok().and_then(|r| r.version).is_some_and(|v| v.contains(':'));
    let needs_version = by_digest(source) || args.spec.versions.as_ref().is_some_and(|v| v.contains(':'));
    let nowhere = if needs_version { "preview.invalid/none:none" } else { "preview.invalid/none" };
    let (spec, request) = image_spec(source, nowhere, &args.spec)?;
    Ok(Target::of_references(spec, request, false))
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
