//! `kubectl imgop preview`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use imgop_core::api::{Image, ImageBuilder, ImageMirror};
use imgop_core::build::BuildRequest;
use imgop_core::build::dockerfile::BuildahVersion;
use imgop_core::copy::Limits;
use imgop_registry::reference::Reference;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::args::{ImageArgs, JOB_FLAGS, image_spec, unlisted};
use crate::build_check::{Bases, Checked, check};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::FoundObject;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, Cluster, ConnectionArgs, TimeLimit};
use crate::kinds::object_name::parse_new_name;
use crate::kinds::{Erased, ObjectRef, TypedName, read};
use crate::output::Ui;
use crate::output::documents::PreviewFormat;
use crate::output::table::terminal_width;
use crate::output::wording::Wording;
use crate::preview::cluster_images::{ClusterImages, Existing};
use crate::preview::default_destination::{self, NOWHERE};
use crate::preview::details::Details;
use crate::preview::files::{Manifest, manifests};
use crate::preview::inspect::Inspector;
use crate::preview::inventory;
use crate::preview::page::{PageOptions, Verb};
use crate::preview::previews::{Previews, Printing};
use crate::preview::targets::{ImageName, Target, applied, object_name};
use crate::registry::local_access::{AccessSources, LocalAccessArgs};
use crate::registry::registries;

/// The version of Buildah that builds where an admin chose none: what it cannot do is shown.
const OLDEST_BUILDAH: BuildahVersion = BuildahVersion { major: 1, minor: 28 };

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
    let Requested { targets, cluster } = requested(args, connection, now).await?;
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
    let copies = targets.iter().filter(|target| !matches!(target, Ok(Subject::Builder { .. }))).count();
    let mut previews = Previews::new(ui, Printing { format: args.output, page }, copies);
    let mut checked = Outcome::Done;
    for target in targets {
        let target = match target {
            Ok(Subject::Builder { builder, is_of_cluster }) => {
                let builder = default_destination::completed(*builder, &accesses).await?;
                checked = checked.and(of_builder(&builder, is_of_cluster, &inspector, args).await?);
                continue;
            }
            Ok(Subject::Target(target)) => Ok(*target),
            Ok(Subject::Manifest(image)) => of_manifest(*image, (&images, &accesses), &cluster, now).await,
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

/// What the arguments ask for.
struct Requested {
    targets: Vec<Result<Subject, CliError>>,
    cluster: AnsweringCluster,
}

/// One thing to preview.
enum Subject {
    /// It is known already.
    Target(Box<Target>),
    /// An Image of a file, which the cluster may have already.
    Manifest(Box<Image>),
    /// An ImageBuilder, of a file or of the cluster.
    Builder {
        /// The object.
        builder: Box<ImageBuilder>,
        /// Whether others may have written it.
        is_of_cluster: bool,
    },
}

/// Returns what to preview, or what is wrong with it, and the cluster where it or its Secrets are.
async fn requested(
    args: &PreviewArgs,
    connection: &ConnectionArgs,
    now: Timestamp,
) -> Result<Requested, CliError> {
    let flag = args.spec.first_of_a_spec();
    if let (Some(flag), true) = (flag, !args.files.is_empty() || args.object().is_some()) {
        return Err(CliError::usage(format!(
            "{flag} cannot be used with an Image, whose spec says what it copies; it goes with SOURCE"
        )));
    }
    if !args.files.is_empty() {
        let manifests = manifests(&args.files)?;
        let cluster = connection.connect().await.map_err(|error| error.message);
        let mut targets = Vec::new();
        for manifest in manifests {
            match manifest {
                Ok(Manifest::Image(image)) => targets.push(Ok(Subject::Manifest(image))),
                Ok(Manifest::Builder(builder)) => {
                    targets.push(Ok(Subject::Builder { builder, is_of_cluster: false }));
                }
                Ok(Manifest::Mirror(mirror)) => targets.extend(mirrored(&mirror, cluster.as_ref()).await),
                Err(error) => targets.push(Err(error)),
            }
        }
        return Ok(Requested { targets, cluster: AnsweringCluster::new(cluster) });
    }
    let source = args.source.as_deref().unwrap_or_default();
    if let Some(name) = args.object() {
        let cluster = connection.connect().await?;
        let targets = named(&cluster, source, &name, now).await?;
        return Ok(Requested { targets, cluster: AnsweringCluster::new(Ok(cluster)) });
    }
    let target = of_references(args, source, now)?;
    let cluster = match cluster_of(&target, connection).await {
        cluster if target.names_secrets() || !target.has_destination => cluster,
        _ => AnsweringCluster::briefly(connection.clone().without_questions().connect().await),
    };
    let targets = vec![Ok(Subject::Target(Box::new(target)))];
    Ok(Requested { targets, cluster })
}

/// Returns the cluster where the Secrets of a target are, if it names any.
pub async fn cluster_of(target: &Target, connection: &ConnectionArgs) -> AnsweringCluster {
    AnsweringCluster::new(if target.names_secrets() {
        connection.connect().await.map_err(|error| error.message)
    } else {
        Err("no cluster is needed".to_owned())
    })
}

/// Returns the object of the cluster that an argument names.
async fn named(
    cluster: &Cluster,
    argument: &str,
    name: &TypedName,
    now: Timestamp,
) -> Result<Vec<Result<Subject, CliError>>, CliError> {
    let found = cluster.named(name).await.map_err(|error| error.hinted(on_docker_hub(argument)))?;
    if found.kind == Erased::<ImageBuilder>::REF {
        let builder = read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
        return Ok(vec![Ok(Subject::Builder { builder: Box::new(builder), is_of_cluster: true })]);
    }
    if found.kind == Erased::<ImageMirror>::REF {
        let mirror = read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
        return Ok(mirrored(&mirror, Ok(cluster)).await);
    }
    Ok(vec![Ok(Subject::Target(Box::new(of_found(cluster, &found, now).await?)))])
}

/// Returns the Images that a mirror becomes, or why they are not known.
async fn mirrored(
    mirror: &ImageMirror,
    cluster: Result<&Cluster, &String>,
) -> Vec<Result<Subject, CliError>> {
    match inventory::images(mirror, cluster.map_err(String::clone)).await {
        Ok(images) => images.into_iter().map(|image| Ok(Subject::Manifest(Box::new(image)))).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn on_docker_hub(argument: &str) -> String {
    format!("for an image of Docker Hub, add a version: {argument}:TAG")
}

/// Returns the target of an Image of the cluster.
pub async fn of_cluster(
    cluster: &Cluster,
    argument: &str,
    image: &ObjectRef,
    now: Timestamp,
) -> Result<Target, CliError> {
    let found = cluster.get(image).await.map_err(|error| error.hinted(on_docker_hub(argument)))?;
    of_found(cluster, &found, now).await
}

async fn of_found(cluster: &Cluster, found: &FoundObject, now: Timestamp) -> Result<Target, CliError> {
    let image = read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
    let answering = AnsweringCluster::new(Ok(cluster.clone()));
    let target = default_destination::target(image, &RegistryAccesses::new(&answering), now).await?;
    Ok(Target { is_of_cluster: true, ..target })
}

/// Returns the target of an Image of a file: as it is once the file is applied.
async fn of_manifest(
    mut image: Image,
    (images, accesses): (&ClusterImages<'_>, &RegistryAccesses<'_>),
    cluster: &AnsweringCluster,
    now: Timestamp,
) -> Result<Target, CliError> {
    if image.metadata.namespace.is_none() {
        image.metadata.namespace = cluster.namespace().map(str::to_owned);
    }
    let image = match images.find(&ImageName::of(&image)).await {
        Existing::Found(existing) => applied(image, Some(*existing), now),
        Existing::Absent => applied(image, None, now),
        // The file may have been written by `kubectl get`.
        Existing::Unknown => {
            image.metadata.creation_timestamp.get_or_insert(Time(now));
            image
        }
    };
    default_destination::target(image, accesses, now).await
}

/// Checks an ImageBuilder.
async fn of_builder(
    builder: &ImageBuilder,
    is_of_cluster: bool,
    inspector: &Inspector<'_>,
    args: &PreviewArgs,
) -> Result<Outcome, CliError> {
    let ui = inspector.sources.ui;
    let name = builder.name_any();
    if !matches!(args.output, PreviewFormat::Table | PreviewFormat::Wide) {
        return Err(CliError::usage(format!(
            "ImageBuilder {name}: it is shown as a table only; omit --output"
        )));
    }
    let invalid =
        |error: imgop_core::build::SpecError| CliError::failed(format!("ImageBuilder {name}: {error}"));
    let request = BuildRequest::parse(&builder.spec).map_err(invalid)?;
    let AccessSources { ui: _, cluster, local, flags } = inspector.sources;
    let bases = Bases {
        registries: inspector.registries,
        sources: AccessSources { ui, cluster, local, flags },
        spec: &builder.spec,
        namespace: builder.metadata.namespace.as_deref(),
        wording: Wording::Fields,
        is_of_cluster,
    };
    let checked = Checked {
        name: &name,
        text: builder.spec.source.as_deref(),
        request: &request,
        files: None,
        own_secret: None,
        buildah: OLDEST_BUILDAH,
    };
    check(ui, checked, &bases).await
}

fn of_references(args: &PreviewArgs, source: &str, now: Timestamp) -> Result<Target, CliError> {
    if let Some(destination) = &args.destination {
        let (spec, request) = image_spec(source, destination, &args.spec)?;
        return Ok(Target::of_references(spec, request, true, now));
    }
    // A spec always has a destination. This one is never asked.
    // Only a digest, which has no tag to keep, needs a version there.
    let by_digest =
        |text: &str| text.parse::<Reference>().ok().and_then(|r| r.version).is_some_and(|v| v.contains(':'));
    let needs_version = by_digest(source) || args.spec.versions.as_ref().is_some_and(|v| v.contains(':'));
    let nowhere = if needs_version { format!("{NOWHERE}:none") } else { NOWHERE.to_owned() };
    let (spec, request) = image_spec(source, &nowhere, &args.spec)?;
    Ok(Target::of_references(spec, request, false, now))
}
