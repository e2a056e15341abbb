//! What a WorkloadMirror sees of a cluster, as far as the user may see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use imgop_core::api::{Image, ImageMirror, WORKLOAD_MIRROR_LABEL, WorkloadKind, WorkloadMirror};
use imgop_core::build::ImageReference;
use imgop_core::inventory::mirror_label;
use imgop_core::workloads::{
    ChildImage, MirrorTarget, ObservedPod, ObservedWorkload, Usage, UsedImage, Workload, WorkloadRequest,
};
use imgop_registry::oci::PlatformSelector;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, NamespaceResourceScope};
use kube::{Api, Resource, ResourceExt as _};
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
    pub targets: Vec<MirrorTarget>,
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
        reader.read_nodes().await?;
        for namespace in reader.namespaces().await? {
            reader.read_namespace(&namespace).await?;
        }
        let targets = reader.targets(namespace).await?;
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

    async fn read_nodes(&mut self) -> Result<(), CliError> {
        let api: Api<Node> = Api::all(self.cluster.client.clone());
        let nodes = unless_forbidden(api.list(&ListParams::default()).await);
        let nodes = nodes.map_err(|error| self.cluster.explain_of_cluster("list", "nodes", &error))?;
        // Whoever may not list nodes sees all platforms.
        for node in nodes.map(|list| list.items).unwrap_or_default() {
            let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
            let platform = info.map(|info| format!("{}/{}", info.operating_system, info.architecture));
            if let Some(platform) = platform.and_then(|text| text.parse().ok()) {
                self.nodes.insert(node.name_any(), platform);
            }
        }
        Ok(())
    }

    async fn read_namespace(&mut self, namespace: &str) -> Result<(), CliError> {
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
            for workload in self.list::<ObservedWorkload>(namespace, &resource).await? {
                owners.add(&workload.metadata);
                // What a CronJob has made counts for it.
                if is_looked_at && workload.metadata.controller().is_none() {
                    self.usage.add_workload(kind.name(), &workload);
                }
            }
        }
        let replica_sets = ApiResource::erase::<ReplicaSet>(&());
        for set in self.list::<ObservedWorkload>(namespace, &replica_sets).await? {
            owners.add(&set.metadata);
        }
        let pods = ApiResource::erase::<Pod>(&());
        for pod in self.list::<ObservedPod>(namespace, &pods).await? {
            self.add_pod(&pod, namespace, &owners);
        }
        Ok(())
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

    /// Returns the objects of a kind; none where the user may not see them. That is noted, and so are objects that cannot
    /// be read.
    async fn list<T: DeserializeOwned>(
        &mut self,
        namespace: &str,
        resource: &ApiResource,
    ) -> Result<Vec<T>, CliError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.cluster.client.clone(), namespace, resource);
        let plural = &resource.plural;
        let listed = unless_forbidden(api.list(&ListParams::default()).await);
        let listed = listed.map_err(|error| self.cluster.explain_in_namespace("list", plural, &error))?;
        let Some(list) = listed else {
            self.unseen.push(format!("{plural} in {namespace}"));
            return Ok(Vec::new());
        };
        let mut objects = Vec::with_capacity(list.items.len());
        for object in list.items {
            let name = object.name_any();
            match serde_json::to_value(object).and_then(serde_json::from_value) {
                Ok(object) => objects.push(object),
                Err(error) => {
                    self.unseen
                        .push(format!("{plural} {name} in {namespace}, which cannot be read ({error})"));
                }
            }
        }
        Ok(objects)
    }

    /// Returns where the mirrors bring images that the user sees: everywhere, or in the namespace of the mirror.
    async fn targets(&self, own: &str) -> Result<Vec<MirrorTarget>, CliError> {
        let inventories = self.mirrors::<ImageMirror>(own).await?;
        let mirrors = self.mirrors::<WorkloadMirror>(own).await?;
        let of_inventories = inventories.iter().flat_map(|mirror| {
            mirror.spec.targets.iter().map(move |target| (mirror.namespace(), &target.repository))
        });
        let of_mirrors =
            mirrors.iter().map(|mirror| (mirror.namespace(), &mirror.spec.destination.repository));
        let target = |(namespace, text): (Option<String>, &String)| {
            Some(MirrorTarget { place: text.parse().ok()?, only_of: namespace.filter(|of| of != own) })
        };
        Ok(of_inventories.chain(of_mirrors).filter_map(target).collect())
    }

    async fn mirrors<K>(&self, namespace: &str) -> Result<Vec<K>, CliError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let client = &self.cluster.client;
        let (all, resource) = (ListParams::default(), K::plural(&()));
        let everywhere = unless_forbidden(Api::<K>::all(client.clone()).list(&all).await);
        let explain = |error| self.cluster.explain_in_namespace("list", &resource, &error);
        if let Some(list) = everywhere.map_err(explain)? {
            return Ok(list.items);
        }
        let own = unless_forbidden(Api::<K>::namespaced(client.clone(), namespace).list(&all).await);
        Ok(own.map_err(explain)?.map(|list| list.items).unwrap_or_default())
    }
}

/// Returns none where the user has no right to it; whatever else fails is an error.
fn unless_forbidden<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(error),
    }
}
