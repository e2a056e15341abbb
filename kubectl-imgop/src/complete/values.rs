//! Values that a cluster or the kubeconfig knows, none of which is offered if they do not answer, and usual ones.

use std::sync::Arc;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use imgop_core::api::ImageBuilder;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};

use super::typed::Typed;
use crate::cluster::Cluster;
use crate::kinds::{Erased, KINDS, KindRef, LISTED_KINDS, ObjectRef, split};

/// How long a cluster may take: the user has pressed a key and waits.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_NAMES: u32 = 500;
/// Platforms that images are usually built for.
const PLATFORMS: [&str; 6] =
    ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/riscv64", "linux/s390x"];

/// Returns the names of objects that verbs change, and that are not typed yet.
pub fn objects(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    of_kinds(typed, begun, &KINDS)
}

/// Returns the names of all objects that are not typed yet.
pub fn listed_objects(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    of_kinds(typed, begun, &LISTED_KINDS)
}

fn of_kinds(typed: &Arc<Typed>, begun: &str, kinds: &'static [KindRef]) -> Vec<CompletionCandidate> {
    let named = typed.references();
    // `image/a` is completed to `image/argocd`.
    let (of_kind, _) = split(begun, kinds);
    let prefix = begun.split_once('/').filter(|_| of_kind.is_some()).map(|(word, _)| format!("{word}/"));
    starting(typed, begun, async move |cluster| {
        let mut objects = Vec::new();
        for kind in kinds.iter().copied().filter(|kind| of_kind.is_none_or(|only| only == *kind)) {
            // A kind may not be installed, or may not be listed.
            let Ok(list) = cluster.objects(kind, false).list_metadata(&limited()).await else { continue };
            objects.extend(list.items.iter().map(|object| ObjectRef { kind, name: object.name_any() }));
        }
        objects.retain(|object| !named.contains(object));
        let name = |object: &ObjectRef| match &prefix {
            Some(prefix) => format!("{prefix}{}", object.name),
            None => object.to_string(),
        };
        Some(objects.iter().map(name).collect())
    })
}

/// Returns the names of ImageBuilders that are not typed yet.
pub fn builders(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    let named = typed.names.clone();
    starting(typed, begun, async move |cluster| {
        let list =
            cluster.objects(Erased::<ImageBuilder>::REF, false).list_metadata(&limited()).await.ok()?;
        Some(list.items.iter().map(ResourceExt::name_any).filter(|name| !named.contains(name)).collect())
    })
}

/// Returns the namespaces of the cluster.
pub fn namespaces(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    starting(typed, begun, async move |cluster| {
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let list = namespaces.list_metadata(&limited()).await.ok()?;
        Some(list.items.iter().map(ResourceExt::name_any).collect())
    })
}

/// Returns the Secrets of the namespace that hold credentials for registries.
pub fn credential_secrets(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    let of_type = limited().fields("type=kubernetes.io/dockerconfigjson");
    starting(typed, begun, async move |cluster| secret_names(&cluster, &of_type).await)
}

/// Returns the Secrets of the namespace.
pub fn secrets(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    starting(typed, begun, async move |cluster| secret_names(&cluster, &limited()).await)
}

/// Only metadata is requested: no value of a Secret reaches this process.
async fn secret_names(cluster: &Cluster, selected: &ListParams) -> Option<Vec<String>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = secrets.list_metadata(selected).await.ok()?;
    Some(list.items.iter().map(ResourceExt::name_any).collect())
}

/// Returns the tags or platforms that the Jobs of the object that is typed work on.
pub fn works_of_jobs(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    let Some(object) = typed.objects().into_iter().next() else { return Vec::new() };
    starting(typed, begun, async move |cluster| {
        let found = cluster.named(&object).await.ok()?;
        let jobs = cluster.jobs(&found.object.uid()?).await.ok()?;
        let containers = jobs.iter().filter_map(|job| found.kind.containers(job)).flatten();
        let mut works: Vec<String> = Vec::new();
        for container in containers {
            if !works.contains(&container.works_on) {
                works.push(container.works_on);
            }
        }
        Some(works)
    })
}

/// Returns the platforms that images are usually built for.
pub fn platforms(_: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    matching(begun, PLATFORMS.map(str::to_owned).to_vec())
}

/// Returns the time zones that a schedule may have.
pub fn time_zones(_: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    matching(begun, imgop_core::schedule::time_zones().map(str::to_owned).collect())
}

/// Returns the contexts of the kubeconfig.
pub fn contexts(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    of_kubeconfig(typed, begun, |config| config.contexts.into_iter().map(|context| context.name).collect())
}

/// Returns the clusters of the kubeconfig.
pub fn clusters(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    of_kubeconfig(typed, begun, |config| config.clusters.into_iter().map(|cluster| cluster.name).collect())
}

/// Returns the users of the kubeconfig.
pub fn users(typed: &Arc<Typed>, begun: &str) -> Vec<CompletionCandidate> {
    of_kubeconfig(typed, begun, |config| config.auth_infos.into_iter().map(|user| user.name).collect())
}

fn of_kubeconfig(
    typed: &Typed,
    begun: &str,
    names: fn(Kubeconfig) -> Vec<String>,
) -> Vec<CompletionCandidate> {
    let kubeconfig = typed.connection().kubeconfig();
    matching(begun, kubeconfig.map(names).unwrap_or_default())
}

fn limited() -> ListParams {
    ListParams::default().limit(MAX_NAMES)
}

/// Returns the names of a cluster's answer that start with what is typed, if it comes in time.
fn starting(
    typed: &Arc<Typed>,
    begun: &str,
    question: impl AsyncFnOnce(Cluster) -> Option<Vec<String>> + Send + 'static,
) -> Vec<CompletionCandidate> {
    matching(begun, of_cluster(typed, question).unwrap_or_default())
}

/// Returns a cluster's answer, if it comes in time.
pub fn of_cluster<T: Send + 'static>(
    typed: &Arc<Typed>,
    question: impl AsyncFnOnce(Cluster) -> Option<T> + Send + 'static,
) -> Option<T> {
    let typed = Arc::clone(typed);
    in_time(async move || {
        let connection = typed.connection().without_questions();
        question(connection.connect().await.ok()?).await
    })
}

/// Returns an answer, if it comes in time. A program that logs in blocks its thread, which is left behind then: the
/// process ends anyway.
pub fn in_time<T: Send + 'static>(question: impl AsyncFnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        sender.send(runtime.block_on(question())).ok()
    });
    receiver.recv_timeout(COMPLETION_TIMEOUT).ok().flatten()
}

/// Returns the names that start with what is typed.
pub fn matching(begun: &str, names: Vec<String>) -> Vec<CompletionCandidate> {
    names.into_iter().filter(|name| name.starts_with(begun)).map(CompletionCandidate::new).collect()
}
