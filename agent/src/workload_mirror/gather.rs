//! What the workloads that a mirror looks at use, as far as it may be seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use imgop_core::api::{WorkloadKind, WorkloadPlatformMode};
use imgop_core::build::ImageReference;
use imgop_core::workloads::{ImageUser, Newest, RunningPods, Usage, WorkloadRequest};
use imgop_registry::oci::PlatformSelector;

use super::halt::Halt;
use super::owners::{Between, Known, Link};
use super::workloads::{Group, Members, ROLE, Seen};
use super::{Pass, all_kinds};
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::rights::Right;

/// What lets the accounts of a namespace have the pods of another one mirrored.
const MIRROR_PODS: Right = Right { verb: "mirror", group: "", resource: "pods", done_to: None, role: ROLE };

/// What the workloads of a mirror use.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub usage: Usage,
    /// Images that nodes cannot pull, each with the namespaces whose pods wait for it.
    pub waiting: BTreeMap<ImageReference, BTreeSet<String>>,
    pub pods: u32,
    /// The namespaces that are looked at.
    pub namespaces: HashSet<Arc<str>>,
    /// How many namespaces are selected that do not allow it.
    pub hidden: usize,
    /// Whether that is all that the mirror asks for. If not, what is missing may still be used.
    pub is_complete: bool,
    /// Whether more is to be read at once.
    pub is_open: bool,
}

/// What is at the top of the owners of something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Top {
    kind: String,
    name: String,
}

impl Pass<'_> {
    /// Returns what the workloads use that this mirror may see.
    pub(super) async fn gather(&self, request: &WorkloadRequest) -> Result<Gathered, Halt> {
        let config = &self.agent().config;
        let kinds = all_kinds(&self.mirror.spec);
        if let Some((right, namespace)) = self.mirrors.workloads.lacking(&kinds, &config.watch_namespaces) {
            return Err(Halt::MissingRight(right, namespace));
        }
        let seen = self.mirrors.workloads.seen(&kinds, &config.watch_namespaces);
        let Seen { members, is_complete } = seen.ok_or(Halt::NotListed)?;
        let mut gathered = Gathered { is_complete, ..Gathered::default() };
        self.see_namespaces(request, &members, &mut gathered).await?;
        let is_seen = |one: &Members| gathered.namespaces.contains(&one.group.namespace);
        let members: Vec<Members> = members.into_iter().filter(is_seen).collect();
        let known = self.mirrors.owners.of(links(&members)).await?;
        let platforms = match self.mirror.spec.platforms.mode {
            WorkloadPlatformMode::Nodes => self.mirrors.owners.platforms().await?,
            _ => Arc::default(),
        };
        gathered.is_open = known.open > 0;
        gathered.is_complete &= known.open == 0;
        gathered.add(request, &members, &known, &platforms);
        Ok(gathered)
    }

    /// Finds out which namespaces are looked at: those that are selected and allow it. One's own always does.
    async fn see_namespaces(
        &self,
        request: &WorkloadRequest,
        members: &[Members],
        gathered: &mut Gathered,
    ) -> Result<(), Halt> {
        let all: BTreeSet<&Arc<str>> = members.iter().map(|one| &one.group.namespace).collect();
        for namespace in all {
            if !request.namespaces.selects(namespace, &self.labels_of(namespace).await?) {
                continue;
            }
            let own = self.namespace();
            if **namespace == *own || self.mirrors.group_rights.may(own, MIRROR_PODS, namespace).await? {
                gathered.namespaces.insert(namespace.clone());
            } else {
                gathered.hidden += 1;
            }
        }
        // Whether one allowed it before is not known: what it uses may be among what is there.
        gathered.is_complete &= gathered.hidden == 0;
        Ok(())
    }

    /// Returns the labels of a namespace, where the mirror asks for them.
    async fn labels_of(&self, namespace: &str) -> Result<BTreeMap<String, String>, ApiError> {
        if self.mirror.spec.namespaces.selector.is_none() {
            return Ok(BTreeMap::new());
        }
        match self.agent().policies.labels(namespace, Freshness::Cached).await {
            Ok(labels) => Ok(BTreeMap::clone(&labels)),
            // It was deleted just now.
            Err(error) if error.cause == ApiCause::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}

impl Gathered {
    fn add(
        &mut self,
        request: &WorkloadRequest,
        members: &[Members],
        known: &Known,
        platforms: &BTreeMap<String, String>,
    ) {
        let opted_out: HashSet<(Arc<str>, Top)> = members
            .iter()
            .filter(|one| one.group.kind != WorkloadKind::Pod && one.group.is_opted_out)
            .filter_map(|one| Some((one.group.namespace.clone(), top(&one.group, known)?)))
            .collect();
        for one in members {
            let group = &one.group;
            self.is_complete &= !group.is_unreadable;
            // It is read in the next pass what made it.
            let Some(top) = top(group, known) else { continue };
            if !is_looked_at(request, group, &top) {
                continue;
            }
            let key = (group.namespace.clone(), top);
            let is_opted_out = group.is_opted_out || opted_out.contains(&key);
            self.pods += if group.kind == WorkloadKind::Pod { one.count } else { 0 };
            self.add_uses(one, &key.1, is_opted_out, platforms);
        }
    }

    fn add_uses(
        &mut self,
        one: &Members,
        top: &Top,
        is_opted_out: bool,
        platforms: &BTreeMap<String, String>,
    ) {
        let group = &one.group;
        let is_pod = group.kind == WorkloadKind::Pod;
        let platform = |node: &Arc<str>| platforms.get(&**node)?.parse::<PlatformSelector>().ok();
        let platforms: BTreeSet<PlatformSelector> = one.nodes.iter().filter_map(platform).collect();
        for used in &group.uses {
            // What is no reference is reported by its pod; it is in no registry.
            let Ok(reference) = used.image.parse::<ImageReference>() else { continue };
            let (started, pod) = one.newest.clone();
            let pods = RunningPods {
                count: if is_pod { one.count } else { 0 },
                newest: is_pod.then_some(Newest { started, pod }),
                platforms: platforms.clone(),
            };
            let user = ImageUser {
                kind: top.kind.clone(),
                namespace: group.namespace.to_string(),
                name: top.name.clone(),
                container: used.container.to_string(),
                is_opted_out,
            };
            if used.cannot_be_pulled && !is_opted_out {
                self.waiting.entry(reference.clone()).or_default().insert(group.namespace.to_string());
            }
            self.usage.add(reference, used.digest.as_deref().cloned(), user, pods);
        }
    }
}

/// Returns whether a mirror looks at what is at the top of something, or at every pod.
fn is_looked_at(request: &WorkloadRequest, group: &Group, top: &Top) -> bool {
    let of_top = match top.kind.as_str() {
        "Deployment" => Some(WorkloadKind::Deployment),
        "StatefulSet" => Some(WorkloadKind::StatefulSet),
        "DaemonSet" => Some(WorkloadKind::DaemonSet),
        "Job" => Some(WorkloadKind::Job),
        "CronJob" => Some(WorkloadKind::CronJob),
        _ => None,
    };
    request.looks_at(group.kind) || of_top.is_some_and(|kind| request.looks_at(kind))
}

/// Returns what is at the top of the owners of something; none where that is not known yet.
fn top(group: &Group, known: &Known) -> Option<Top> {
    let named = |kind: &str, name: &str| Top { kind: kind.to_owned(), name: name.to_owned() };
    let Some(controller) = &group.controller else {
        return Some(named(&format!("{:?}", group.kind), group.name.as_deref().unwrap_or_default()));
    };
    if between(&controller.kind).is_none() {
        return Some(named(&controller.kind, &controller.name));
    }
    Some(match known.makers.get(&controller.uid)? {
        Some((kind, name)) => named(kind, name),
        // What is gone keeps nothing from being mirrored.
        None => named(&controller.kind, &controller.name),
    })
}

fn between(kind: &str) -> Option<Between> {
    match kind {
        "ReplicaSet" => Some(Between::ReplicaSet),
        "Job" => Some(Between::Job),
        _ => None,
    }
}

/// Returns what pods name as their controllers and what is made by something else itself.
fn links(members: &[Members]) -> Vec<Link> {
    let mut links = HashMap::new();
    for one in members {
        let Some(controller) = &one.group.controller else { continue };
        let Some(kind) = between(&controller.kind) else { continue };
        let (name, uid) = (controller.name.clone(), controller.uid.clone());
        let link = Link { kind, namespace: one.group.namespace.clone(), name, uid: uid.clone() };
        links.insert(uid, link);
    }
    links.into_values().collect()
}
