//! What a WorkloadMirror sees of a cluster, as far as the user may see it.

mod opt_outs;
mod targets;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use imgop_core::api::{Image, WORKLOAD_MIRROR_LABEL, WorkloadKind, WorkloadMirror};
use imgop_core::build::ImageReference;
use imgop_core::inventory::mirror_label;
use imgop_core::workloads::{
    ChildImage, InUse, Maker, Makers, Member, MirrorTarget, ObservedMetadata, ObservedPod, ObservedWorkload,
    SeenBefore, SelectedNamespace, Sight, UsedImage, WorkloadRequest, in_use, kinds_read, wants,
};
use imgop_registry::oci::PlatformSelector;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::allowing::{allowing, how_to_let};
use super::forbidden::unless_forbidden;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::output::text::first_few;

/// What a line names of the namespaces or lists that the user does not see.
pub const MAX_NAMED: usize = 5;

/// What a WorkloadMirror sees.
pub struct Seen {
    /// The namespace of the mirror.
    pub namespace: String,
    /// What workloads use.
    pub used: Vec<UsedImage>,
    /// Images that nodes cannot pull, of those that the mirror brings to where they are pulled from.
    pub waiting: BTreeSet<ImageReference>,
    /// Pods that count.
    pub pods: usize,
    /// Its Images, by their names.
    pub images: BTreeMap<String, Image>,
    /// The same as they are planned from.
    pub children: Vec<ChildImage>,
    /// Where the mirrors that it sees bring images.
    pub targets: Vec<MirrorTarget>,
    /// The platforms of all nodes.
    pub node_platforms: BTreeSet<PlatformSelector>,
    /// Whether that is all that it asks for, or asked for before.
    pub is_complete: bool,
    /// What the user may not list of it.
    pub unseen: Vec<String>,
    /// What else is to be known of it.
    pub notes: Vec<String>,
}

/// What is read, and what could not be.
struct Reader<'a> {
    cluster: &'a Cluster,
    request: &'a WorkloadRequest,
    workloads: Vec<(WorkloadKind, ObservedWorkload)>,
    pods: Vec<ObservedPod>,
    makers: Makers,
    /// Kind, namespace and name of workloads that are not to be mirrored, of kinds whose templates do not count.
    opted_out: HashSet<(WorkloadKind, String, String)>,
    nodes: HashMap<String, PlatformSelector>,
    unseen: Vec<String>,
    notes: Vec<String>,
}

impl Seen {
    /// Reads it.
    pub async fn read(
        cluster: &Cluster,
        mirror: &WorkloadMirror,
        namespace: &str,
        request: &WorkloadRequest,
    ) -> Result<Self, CliError> {
        let images = images(cluster, &mirror.name_any(), namespace).await?;
        let mut reader = Reader {
            cluster,
            request,
            workloads: Vec::new(),
            pods: Vec::new(),
            makers: Makers::new(),
            opted_out: HashSet::new(),
            nodes: HashMap::new(),
            unseen: Vec::new(),
            notes: Vec::new(),
        };
        reader.read_nodes().await?;
        let marks = mirror.status.as_ref().map(|status| status.seen_namespaces.as_slice());
        let before = SeenBefore { marks: marks.unwrap_or_default(), has_images: !images.is_empty() };
        let sight = reader.sight(namespace, before).await?;
        for namespace in &sight.namespaces {
            reader.read_namespace(namespace).await?;
        }
        reader.read_opt_outs().await?;
        let targets = reader.targets(namespace, &sight).await?;
        let InUse { usage, waiting, pods, .. } = reader.in_use();
        let waiting = waiting.into_keys().map(|reference| request.as_named_here(reference));
        Ok(Self {
            namespace: namespace.to_owned(),
            used: usage.into_images(),
            waiting: waiting.filter(|reference| wants(request, reference)).collect(),
            pods: usize::try_from(pods).unwrap_or(usize::MAX),
            children: images.values().filter_map(ChildImage::read).collect(),
            images,
            targets,
            node_platforms: reader.nodes.into_values().collect(),
            is_complete: sight.is_complete && reader.unseen.is_empty(),
            unseen: reader.unseen,
            notes: reader.notes,
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
    /// Returns the namespaces that the spec selects.
    async fn selected(&self) -> Result<BTreeSet<String>, CliError> {
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

    /// Returns which of them the mirror sees.
    async fn sight(&mut self, own: &str, before: SeenBefore<'_>) -> Result<Sight, CliError> {
        let selected = self.selected().await?;
        let allowing = if selected.iter().all(|name| name == own) {
            Some(selected.clone())
        } else {
            allowing(self.cluster, own, &selected).await?
        };
        if allowing.is_none() {
            self.notes.push(format!(
                "you may not ask which namespaces let {own} mirror their pods (create subjectaccessreviews): what is shown \
                 is as if all of them did"
            ));
        }
        let allowing = allowing.as_ref().unwrap_or(&selected);
        let each = selected.iter().map(|name| SelectedNamespace {
            name,
            has_workloads: true,
            was_seen: false,
            is_gone: false,
            allows: Some(allowing.contains(name)),
        });
        let sight = Sight::of(own, each, before, true);
        if !sight.hidden.is_empty() {
            let names: Vec<String> = sight.hidden.iter().cloned().collect();
            let (names, flags) = (first_few(&names, MAX_NAMED, 0), &self.cluster.flags);
            self.notes.push(format!(
                "not looked at, as they are not there or do not let {own} mirror their pods: {names}; to let it, for each \
                 NAMESPACE: {}{flags}",
                how_to_let(own)
            ));
        }
        Ok(sight)
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
        let read = kinds_read(self.request.spec());
        // Jobs also say what made them, and pods are read below.
        let is_read = |kind: WorkloadKind| match kind {
            WorkloadKind::Job => true,
            WorkloadKind::Pod => false,
            kind => read.contains(&kind),
        };
        for kind in WorkloadKind::ALL.into_iter().filter(|kind| is_read(*kind)) {
            for workload in self.list::<ObservedWorkload>(namespace, &resource(kind)).await? {
                self.add_maker(&workload.metadata);
                self.workloads.push((kind, workload));
            }
        }
        let replica_sets = ApiResource::erase::<ReplicaSet>(&());
        for set in self.list::<ObservedWorkload>(namespace, &replica_sets).await? {
            self.add_maker(&set.metadata);
        }
        let pods = self.list::<ObservedPod>(namespace, &resource(WorkloadKind::Pod)).await?;
        self.pods.extend(pods);
        Ok(())
    }

    /// Notes what made an object.
    fn add_maker(&mut self, object: &ObservedMetadata) {
        let maker = object.controller();
        let maker =
            maker.map(|maker| Maker { kind: maker.kind.as_str().into(), name: maker.name.as_str().into() });
        self.makers.insert(object.uid.as_str().into(), maker);
    }

    /// Returns what all that was read uses.
    fn in_use(&self) -> InUse {
        let (mut members, makers) = self.members();
        for member in &mut members {
            let is_opted_out = self.is_opted_out(member, &makers);
            member.is_opted_out |= is_opted_out;
        }
        in_use(self.request, &members, &makers)
    }

    /// Returns all that was read, and what made what stands between.
    fn members(&self) -> (Vec<Member<'_>>, Makers) {
        let workloads =
            self.workloads.iter().filter_map(|(kind, workload)| Member::of_workload(*kind, workload));
        let platform = |pod: &ObservedPod| self.nodes.get(pod.spec.node_name.as_ref()?);
        let pods = self.pods.iter().filter_map(|pod| Member::of_pod(pod, platform(pod)));
        let members: Vec<Member<'_>> = workloads.chain(pods).collect();
        let mut makers = self.makers.clone();
        // What the user may not see is as what is gone.
        for (_, controller) in members.iter().filter_map(Member::made_between) {
            makers.entry(controller.uid.into()).or_default();
        }
        (members, makers)
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
}

/// Returns the resource of a kind.
fn resource(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        WorkloadKind::Job => ApiResource::erase::<Job>(&()),
        WorkloadKind::CronJob => ApiResource::erase::<CronJob>(&()),
        WorkloadKind::Pod => ApiResource::erase::<Pod>(&()),
    }
}
