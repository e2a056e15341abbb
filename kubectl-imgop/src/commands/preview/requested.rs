//! What the arguments of a preview ask for: references, the objects of files, or an object of the cluster.

use imgop_core::api::{Image, ImageBuilder, ImageMirror, WorkloadMirror};
use imgop_registry::reference::Reference;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::PreviewArgs;
use super::subjects::{Subject, Subjects};
use crate::args::image_spec;
use crate::cli_error::CliError;
use crate::cluster::objects::FoundObject;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, Cluster, ConnectionArgs};
use crate::kinds::{Erased, KINDS, ObjectRef, TypedName, read};
use crate::preview::cluster_images::{ClusterImages, Existing};
use crate::preview::default_destination::{self, NOWHERE};
use crate::preview::files::{Content, Manifest, manifests};
use crate::preview::targets::{ImageName, Target, WrittenBy, applied};

/// What the arguments ask for.
pub(super) struct Requested {
    pub(super) subjects: Subjects,
    pub(super) cluster: AnsweringCluster,
}

/// Returns what to preview, or what is wrong with it, and the cluster where it or its Secrets are.
pub(super) async fn requested(
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
        return Box::pin(of_files(args, connection)).await;
    }
    let source = args.source.as_deref().unwrap_or_default();
    if let Some(name) = args.object() {
        let cluster = connection.connect().await?;
        let subjects = named(&cluster, source, &name, now).await?;
        return Ok(Requested { subjects, cluster: AnsweringCluster::new(Ok(cluster)) });
    }
    let target = of_references(args, source, now)?;
    let cluster = match cluster_of(&target, connection).await {
        cluster if target.names_secrets() || !target.has_destination => cluster,
        _ => AnsweringCluster::briefly(connection.clone().without_questions().connect().await),
    };
    Ok(Requested { subjects: Subjects::of(Ok(Subject::Target(Box::new(target)))), cluster })
}

/// Returns what files have to preview.
async fn of_files(args: &PreviewArgs, connection: &ConnectionArgs) -> Result<Requested, CliError> {
    let Content { manifests, others } = manifests(&args.files, &KINDS)?;
    let cluster = connection.connect().await.map_err(|error| error.message);
    let mut subjects = Subjects::default();
    for manifest in manifests {
        let of_cluster = cluster.as_ref().map_err(String::clone);
        let found = match manifest {
            Ok(Manifest::Image(image)) => Subjects::of(Ok(Subject::Manifest(image, WrittenBy::User))),
            Ok(Manifest::Builder(builder)) => {
                Subjects::of(Ok(Subject::Builder { builder, is_of_cluster: false }))
            }
            Ok(Manifest::Mirror(mirror)) => Subjects::of_mirror(&mirror, of_cluster).await,
            Ok(Manifest::Workloads(mirror)) => Subjects::of_workloads(&mirror, of_cluster).await,
            Err(error) => Subjects::of(Err(error)),
        };
        subjects.add(found);
    }
    if subjects.targets.is_empty() {
        let others = others.iter().map(|kind| format!("{kind} is nothing that is copied or built"));
        subjects.left_out.extend(others);
    }
    Ok(Requested { subjects, cluster: AnsweringCluster::new(cluster) })
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
) -> Result<Subjects, CliError> {
    let found = cluster.named(name).await.map_err(|error| error.hinted(on_docker_hub(argument)))?;
    if found.kind == Erased::<ImageBuilder>::REF {
        let builder = read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
        return Ok(Subjects::of(Ok(Subject::Builder { builder: Box::new(builder), is_of_cluster: true })));
    }
    if found.kind == Erased::<ImageMirror>::REF {
        let mirror = read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
        return Ok(Subjects::of_mirror(&mirror, Ok(cluster)).await);
    }
    if found.kind == Erased::<WorkloadMirror>::REF {
        let mirror = read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
        return Ok(Subjects::of_workloads(&mirror, Ok(cluster)).await);
    }
    Ok(Subjects::of(Ok(Subject::Target(Box::new(of_found(cluster, &found, now).await?)))))
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
pub(super) async fn of_manifest(
    (mut image, written_by): (Image, WrittenBy),
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
    let target = default_destination::target(image, accesses, now).await?;
    Ok(Target { written_by, ..target })
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
