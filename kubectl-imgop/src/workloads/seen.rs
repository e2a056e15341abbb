//! What a WorkloadMirror sees of a cluster, as far as the user may see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use imgop_core::api::{Image, ImageMirror, WORKLOAD_MIRROR_LABEL, WorkloadKind, WorkloadMirror};
use imgop_core::build::ImageReference;
use imgop_core::inventory::mirror_label;
use imgop_core::registry_prefix::RegistryPrefix;
use imgop_core::workloads::{
    ChildImage, ObservedPod, ObservedWorkload, Usage, UsedImage, Workload, WorkloadRequest,
};
use imgop_registry::oci::PlatformSelector;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::owners::Owners;
use crate::cli_error::CliError;
use crate::cluster::Cluster;

/// What a WorkloadMirror sees.
pub struct Seen {
    /// The namespace of the mirror.
    pub namespace: String,
    /// What workloads use.
    pub used: Vec<UsedImage>,
    /// Pods that count.
    pub pods: usize,
    /// Its Images, by their names.
    pub images: BTreeMap<String, Image>,
    /// The same as they are planned from.
    pub children: Vec<ChildImage>,
    /// Where the mirrors that the user sees bring images.
    pub targets: Vec<RegistryPrefix>,
    /// The platforms of all nodes.
    pub node_platforms: BTreeSet<PlatformSelector>,
    /// The architectures of images: they are the agent's to read.
    pub architectures: BTreeMap<ImageReference, String>,
    /// What the user may not see of it.
    pub unseen: Vec<String>,
}

/// What is read, and what could not be.
struct Reader<'a> {
    cluster: &'a Cluster,
    request: &'a WorkloadRequest,
    usage: Usage,
    pods: usize,
    nodes: HashMap<String, PlatformSelector>,
    unseen: Vec<String>,
}

impl Seen {
    /// Reads it.
    pub async fn read(
        cluster: &Cluster,
        mirror: &str,
        namespace: &str,
        request: &WorkloadRequest,
    ) -> Result<Self, CliError> {
        let images = images(cluster, mirror, namespace).await?;
        let mut reader = Reader {
            cluster,
            request,
            usage: Usage::default(),
            pods: 0,
            nodes: HashMap::new(),
            unseen: Vec::new(),
        };
        reader.read_nodes().await;
        for namespace in reader.namespaces().await? {
            reader.read_namespace(&namespace).await;
        }
        let targets = reader.targets(namespace).await;
        Ok(Self {
            namespace: namespace.to_owned(),
            used: reader.usage.into_images(),
            pods: reader.pods,
            children: images.values().filter_map(ChildImage::read).collect(),
            images,
            targets,
            node_platforms: reader.nodes.into_values().collect(),
            architectures: BTreeMap::new(),
            unseen: reader.unseen,
        })
    }
}

/// Returns the Images of a mirror.
async fn images(
    cluster: &Cluster,
    mirror: &str,
    namespace: &str,
) -> Result<BTreeMap<String, Image>, CliError> {
    let api: Api<Image> = Api::namespaced(cluster.client.clone(), namespace);
    let label = format!("{WORKLOAD_MIRROR_LABEL}={}", mirror_label(mirror));
    let found = api.list(&ListParams::default().labels(&label)).await;
    let found = found.map_err(|error| cluster.explain_in_namespace("list", "images.skopeo.io", &error))?;
    Ok(found.items.into_iter().map(|image| (image.name_any(), image)).collect())
}

impl Reader<'_> {
    /// Returns the namespaces that the spec selects. Which of them let the mirror see their workloads, the agent asks.
    async fn namespaces(&mut self) -> Result<Vec<String>, CliError> {
        if let Some(named) = self.request.namespaces.named() {
            return Ok(named.into_iter().map(str::to_owned).collect());
        }
        let api: Api<Namespace> = Api::all(self.cluster.client.clone());
        let all = api.list_metadata(&ListParams::default()).await;
        let all = all.map_err(|error| self.cluster.explain_of_cluster("list", "namespaces", &error))?;
        let selected = all
            .items
            .into_iter()
            .filter(|namespace| self.request.namespaces.selects(&namespace.name_any(), namespace.labels()));
        Ok(selected.map(|namespace| namespace.name_any()).collect())
    }

    async fn read_nodes(&mut self) {
        let api: Api<Node> = Api::all(self.cluster.client.clone());
        // Whoever may not list nodes sees all platforms.
        for node in api.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default() {
            let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
            let platform = info.map(|info| format!("{}/{}", info.operating_system, info.architecture));
            if let Some(platform) = platform.and_then(|text| text.parse().ok()) {
                self.nodes.insert(node.name_any(), platform);
            }
        }
    }

    async fn read_namespace(&mut self, namespace: &str) {
        let kinds: [(WorkloadKind, ApiResource); 5] = [
            (WorkloadKind::Deployment, ApiResource::erase::<Deployment>(&())),
            (WorkloadKind::StatefulSet, ApiResource::erase::<StatefulSet>(&())),
            (WorkloadKind::DaemonSet, ApiResource::erase::<DaemonSet>(&())),
            (WorkloadKind::Job, ApiResource::erase::<Job>(&())),
            (WorkloadKind::CronJob, ApiResource::erase::<CronJob>(&())),
        ];
        let mut owners = Owners::default();
        for (kind, resource) in kinds {
            let is_looked_at = self.request.looks_at(kind);
            if !is_looked_at && kind != WorkloadKind::Job {
                continue;
            }
            for workload in self.list::<ObservedWorkload>(namespace, &resource).await {
                owners.add(&workload.metadata);
                // What a CronJob has made counts for it.
                if is_looked_at && workload.metadata.controller().is_none() {
                    self.usage.add_workload(kind.name(), &workload);
                }
            }
        }
        let replica_sets = ApiResource::erase::<ReplicaSet>(&());
        for set in self.list::<ObservedWorkload>(namespace, &replica_sets).await {
            owners.add(&set.metadata);
        }
        let pods = ApiResource::erase::<Pod>(&());
        for pod in self.list::<ObservedPod>(namespace, &pods).await {
            self.add_pod(&pod, namespace, &owners);
        }
    }

    fn add_pod(&mut self, pod: &ObservedPod, namespace: &str, owners: &Owners) {
        let (kind, name) = owners.top(pod);
        if !pod.is_counted() || !self.request.counts_pods_of(kind) {
            return;
        }
        self.pods += 1;
        let platform = pod.spec.node_name.as_ref().and_then(|node| self.nodes.get(node));
        let workload = Workload { kind, namespace, name, is_opted_out: false };
        self.usage.add_pod(pod, workload, platform);
    }

    /// Returns the objects of a kind; none where the user may not see them, which is noted.
    async fn list<T: DeserializeOwned>(&mut self, namespace: &str, resource: &ApiResource) -> Vec<T> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.cluster.client.clone(), namespace, resource);
        if let Ok(list) = api.list(&ListParams::default()).await {
            let values = list.items.into_iter().filter_map(|object| serde_json::to_value(object).ok());
            values.filter_map(|value| serde_json::from_value(value).ok()).collect()
        } else {
            self.unseen.push(format!("{} in {namespace}", resource.plural));
            Vec::new()
        }
    }

    /// Returns where the mirrors bring images that the user sees: everywhere, or in the namespace of the mirror.
    async fn targets(&self, namespace: &str) -> Vec<RegistryPrefix> {
        let client = &self.cluster.client;
        let inventories =
            if let Ok(all) = Api::<ImageMirror>::all(client.clone()).list(&ListParams::default()).await {
                all.items
            } else {
                let own = Api::<ImageMirror>::namespaced(client.clone(), namespace);
                own.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default()
            };
        let mirrors = match Api::<WorkloadMirror>::all(client.clone()).list(&ListParams::default()).await {
            Ok(all) => all.items,
            Err(_) => Vec::new(),
        };
        let of_inventories = inventories.iter().flat_map(|mirror| &mirror.spec.targets);
        let of_inventories = of_inventories.map(|target| &target.repository);
        let of_mirrors = mirrors.iter().map(|mirror| &mirror.spec.destination.repository);
        of_inventories.chain(of_mirrors).filter_map(|text| text.parse().ok()).collect()
    }
}
