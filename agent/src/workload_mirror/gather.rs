//! What the workloads that a mirror looks at use, as far as it may be seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use imgop_core::api::{WorkloadKind, WorkloadPlatformMode};
use imgop_core::build::ImageReference;
use imgop_core::workloads::{ImageUser, Newest, RunningPods, Usage, WorkloadRequest, is_excluded};
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;

use super::halt::Halt;
use super::owners::{Between, Known, Link};
use super::workloads::{Group, Members, Seen};
use super::{Pass, all_kinds};
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::rights::{Right, Role};
use crate::config::Namespaces;

/// What lets the accounts of a namespace have the pods of another one mirrored.
const MIRROR_PODS: Right =
    Right { verb: "mirror", group: "", resource: "pods", done_to: None, role: Role::WORKLOADS };

/// Namespaces that a status records.
const MAX_SEEN: usize = 300;
/// Digits by which it does.
const MARK_DIGITS: usize = 8;
/// To look up what made the ReplicaSet or the Job that made a pod.
const GET_REPLICA_SETS: Right = of_workloads("get", "apps", "replicasets");
const GET_JOBS: Right = of_workloads("get", "batch", "jobs");
/// To ask what a namespace lets another one see.
const REVIEW: Right = of_workloads("create", "authorization.k8s.io", "subjectaccessreviews");
/// To know the platforms of nodes.
const LIST_NODES: Right = of_workloads("list", "", "nodes");

const fn of_workloads(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right { verb, group, resource, done_to: None, role: Role::WORKLOADS }
}

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
    /// How many of them did, or may have.
    pub withdrawn: usize,
    /// The namespaces that were seen until now, as a status has them.
    pub seen: Vec<String>,
    /// Whether that is all that the mirror asks for. If not, what is missing may still be used.
    pub is_complete: bool,
    /// An object of which it is not known what it uses.
    pub unreadable: Option<String>,
    /// Whether namespaces may be selected that the agent does not watch.
    pub has_unwatched: bool,
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
        let kinds = all_kinds(&self.mirror.spec);
        let (namespaces, has_unwatched) = watched(request, &self.agent().config.watch_namespaces);
        if let Some((right, namespace)) = self.mirrors.workloads.lacking(&kinds, &namespaces) {
            return Err(Halt::MissingRight(right, namespace));
        }
        self.may_look(request).await?;
        let seen = self.mirrors.workloads.seen(&kinds, &namespaces).ok_or(Halt::NotListed)?;
        let Seen { members, is_complete } = seen;
        let is_complete = is_complete && !has_unwatched;
        let mut gathered = Gathered { is_complete, has_unwatched, ..Gathered::default() };
        self.see_namespaces(request, &members, &mut gathered).await?;
        let is_seen = |one: &Members| gathered.namespaces.contains(&one.group.namespace);
        let members: Vec<Members> = members.into_iter().filter(is_seen).collect();
        let known = self.mirrors.owners.of(links(&members)).await?;
        let platforms = match self.mirror.spec.platforms.mode {
            WorkloadPlatformMode::Nodes => {
                let nodes = members.iter().flat_map(|one| one.nodes.iter().cloned()).collect();
                self.mirrors.owners.platforms(&nodes).await?
            }
            _ => Arc::default(),
        };
        gathered.is_open = known.open > 0;
        gathered.is_complete &= known.open == 0;
        gathered.add(request, &members, &known, &platforms);
        Ok(gathered)
    }

    /// Returns an error unless the agent may look up what its watches do not show: what made what made a pod, what a
    /// namespace lets another one see, and the platforms of nodes.
    async fn may_look(&self, request: &WorkloadRequest) -> Result<(), Halt> {
        let is_own_alone = request.namespaces.named().is_some_and(|named| named == [self.namespace()]);
        let of_nodes = self.mirror.spec.platforms.mode == WorkloadPlatformMode::Nodes;
        let asked =
            [(GET_REPLICA_SETS, true), (GET_JOBS, true), (REVIEW, !is_own_alone), (LIST_NODES, of_nodes)];
        let asked: Vec<Right> =
            asked.into_iter().filter(|(_, is_asked)| *is_asked).map(|(right, _)| right).collect();
        match self.agent().rights.missing(&asked, "", Freshness::Cached).await? {
            None => Ok(()),
            Some(right) => Err(Halt::MissingRight(right, String::new())),
        }
    }

    /// Finds out which namespaces are looked at: those that are selected and allow it. One's own always does.
    async fn see_namespaces(
        &self,
        request: &WorkloadRequest,
        members: &[Members],
        gathered: &mut Gathered,
    ) -> Result<(), Halt> {
        let before = self.mirror.status.as_ref().map(|status| status.seen_namespaces.as_slice());
        let before = before.unwrap_or_default();
        // Where nothing is recorded although there are Images, or not everything, any may have been seen.
        let is_recorded =
            before.len() < MAX_SEEN && (!before.is_empty() || self.children().owned().is_empty());
        let mut seen = BTreeSet::from([mark(self.namespace())]);
        let all: BTreeSet<&Arc<str>> = members.iter().map(|one| &one.group.namespace).collect();
        for namespace in all {
            if !request.namespaces.selects(namespace, &self.labels_of(namespace).await?) {
                continue;
            }
            let own = self.namespace();
            if **namespace == *own || self.mirrors.group_rights.may(own, MIRROR_PODS, namespace).await? {
                seen.insert(mark(namespace));
                gathered.namespaces.insert(namespace.clone());
            } else {
                gathered.hidden += 1;
                let is_withdrawn = !is_recorded || before.contains(&mark(namespace));
                gathered.withdrawn += usize::from(is_withdrawn);
                // Also where that was not recorded until now: the next pass is not to forget it.
                seen.extend(is_withdrawn.then(|| mark(namespace)));
            }
        }
        // What such a namespace uses may be among what is there.
        gathered.is_complete &= gathered.withdrawn == 0;
        if !gathered.is_complete {
            seen.extend(before.iter().cloned());
        }
        gathered.seen = seen.into_iter().take(MAX_SEEN).collect();
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
    /// Whether more will be known by itself: nothing but a watch or an owner is missing.
    pub(super) fn is_to_be_complete(&self) -> bool {
        let is_known = self.withdrawn == 0 && !self.has_unwatched && self.unreadable.is_none();
        !self.is_complete && is_known
    }

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
            if group.is_unreadable {
                self.is_complete = false;
                let name = group.name.as_deref().unwrap_or_default();
                let of = || format!("{} {}/{name}", group.kind.name(), group.namespace);
                self.unreadable.get_or_insert_with(of);
            }
            // It is read in the next pass what made it.
            let Some(top) = top(group, known) else { continue };
            if !is_looked_at(request, group, &top) {
                continue;
            }
            let key = (group.namespace.clone(), top);
            let is_opted_out = group.is_opted_out || opted_out.contains(&key);
            self.pods += if group.kind == WorkloadKind::Pod { one.count } else { 0 };
            self.add_uses(request, one, (&key.1, is_opted_out), platforms);
        }
    }

    fn add_uses(
        &mut self,
        request: &WorkloadRequest,
        one: &Members,
        (top, is_opted_out): (&Top, bool),
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
            if used.cannot_be_pulled && !is_excluded(request, &user) {
                self.waiting.entry(reference.clone()).or_default().insert(group.namespace.to_string());
            }
            self.usage.add(reference, used.digest.as_deref().cloned(), user, pods);
        }
    }
}

/// Returns how a status has a namespace: names of others are not the mirror's business.
fn mark(namespace: &str) -> String {
    Digest::of(namespace.as_bytes()).hex().chars().take(MARK_DIGITS).collect()
}

/// Returns those of the watched namespaces that a mirror can select, and whether it may select others.
fn watched(request: &WorkloadRequest, watched: &Namespaces) -> (Namespaces, bool) {
    let Namespaces::Named(all) = watched else { return (Namespaces::All, false) };
    let Some(named) = request.namespaces.named() else { return (watched.clone(), true) };
    let has_unwatched = named.iter().any(|name| !all.contains(*name));
    let both = named.into_iter().filter(|name| all.contains(*name)).map(str::to_owned);
    (Namespaces::Named(both.collect()), has_unwatched)
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

#[cfg(test)]
mod tests {
    use imgop_core::api::{WorkloadDestination, WorkloadMirrorSpec};

    use super::*;

    #[test]
    fn what_the_agent_does_not_watch_is_known_not_to_be_seen() {
        let named = |names: &[&str]| Namespaces::Named(names.iter().map(ToString::to_string).collect());
        let of = |include: &[&str], all: &Namespaces| {
            let repository = "r.example.com/mirror".to_owned();
            let destination = WorkloadDestination { repository, ..WorkloadDestination::default() };
            let mut spec = WorkloadMirrorSpec::new(destination);
            spec.namespaces.include = include.iter().map(ToString::to_string).collect();
            watched(&WorkloadRequest::parse(&spec, "own").unwrap(), all)
        };
        assert_eq!(of(&["*"], &Namespaces::All), (Namespaces::All, false));
        let some = named(&["own", "a", "b"]);
        assert_eq!(of(&[], &some), (named(&["own"]), false), "no right in a or b is needed");
        assert_eq!(of(&["a", "c"], &some), (named(&["a"]), true));
        assert_eq!(of(&["team-*"], &some), (some.clone(), true));
    }
}
