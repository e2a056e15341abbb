//! The pods and workloads of a cluster as the watches show them: small, and no copy of any of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::WorkloadKind;
use imgop_core::workloads::{Member, Newest, ObservedPod, ObservedWorkload, RunningPods};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::watcher::Event;
use tokio::time::Instant;

use super::group::{Group, Groups, Used};
use crate::byte_sums::ByteSums;
use crate::cluster::view::View;
use crate::cluster::watch::Guarded;
use crate::object_room::RoomLimits;

/// A watch that failed so recently may not have shown the latest: it is tried again more often than this.
const MAX_ERROR_INTERVAL: Duration = Duration::from_secs(75);

/// Bytes that an object takes, what many of them may have in common, and each image of that beside its texts, about.
const BYTES_OF_ONE: usize = 160;
const BYTES_OF_GROUP: usize = 320;
const BYTES_OF_USE: usize = 240;
/// How long lies between two lists of the same for what there was no room for.
const MIN_LIST_INTERVAL: Duration = Duration::from_mins(1);

/// Pods and workloads.
#[derive(Debug, Default)]
pub(super) struct Store {
    groups: Groups,
    watched: HashMap<Scope, Watched>,
    kept: Kept,
    /// Another one with every change that matters.
    revision: u64,
}

/// What a watch is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub kind: WorkloadKind,
    /// None for all.
    pub namespace: Option<String>,
}

/// How much is kept. Whoever may create pods or Deployments could fill the agent otherwise.
#[derive(Debug)]
struct Kept {
    limits: RoomLimits,
    of_namespace: ByteSums<Arc<str>>,
    all: usize,
    /// How many objects have a group in common, by where it lies.
    sharing: HashMap<usize, usize>,
}

impl Default for Kept {
    fn default() -> Self {
        let limits = RoomLimits { of_namespace: usize::MAX, of_all: usize::MAX };
        Self { limits, of_namespace: ByteSums::default(), all: 0, sharing: HashMap::new() }
    }
}

impl Kept {
    /// Returns whether there is room for what an object uses, in place of what it used before.
    fn has_room_for(&self, group: &Arc<Group>, before: Option<&Arc<Group>>) -> bool {
        let is_the_same = before.is_some_and(|before| Arc::ptr_eq(before, group));
        let before = before.map_or(0, |before| self.bytes_with(before, 1));
        is_the_same || self.has_room(&group.namespace, self.bytes_with(group, 0).saturating_sub(before))
    }

    fn has_room(&self, namespace: &Arc<str>, more: usize) -> bool {
        let here = self.of_namespace.of(namespace).saturating_add(more);
        self.limits.exceeded(here, self.all.saturating_add(more)).is_none()
    }

    /// Returns what an object adds, or takes away, that shares a group with the others, which are at most this many.
    fn bytes_with(&self, group: &Arc<Group>, others: usize) -> usize {
        let is_shared = self.sharing.get(&place_of(group)).is_some_and(|sharing| *sharing > others);
        BYTES_OF_ONE + if is_shared { 0 } else { weight(group) }
    }

    fn add(&mut self, group: &Arc<Group>) {
        let bytes = self.bytes_with(group, 0);
        *self.sharing.entry(place_of(group)).or_default() += 1;
        self.of_namespace.add(&group.namespace, bytes);
        self.all += bytes;
    }

    fn subtract(&mut self, group: &Arc<Group>) {
        let bytes = self.bytes_with(group, 1);
        if let Some(sharing) = self.sharing.get_mut(&place_of(group)) {
            *sharing -= 1;
            if *sharing == 0 {
                self.sharing.remove(&place_of(group));
            }
        }
        self.of_namespace.subtract(&group.namespace, bytes);
        self.all = self.all.saturating_sub(bytes);
    }
}

/// Returns what tells a group from all others for as long as it is kept: equal ones are one.
fn place_of(group: &Arc<Group>) -> usize {
    Arc::as_ptr(group).addr()
}

/// Texts may be long, and are a tenant's.
fn weight(group: &Group) -> usize {
    let of = |used: &Used| BYTES_OF_USE + used.image.len() + used.container.len();
    BYTES_OF_GROUP + group.uses.iter().map(of).sum::<usize>()
}

/// What one watch shows.
#[derive(Debug, Default)]
struct Watched {
    /// By UID.
    records: HashMap<Box<str>, Record>,
    /// The UIDs of a list that is not complete.
    listed: Option<HashSet<Box<str>>>,
    /// Whether a list was complete, since the watch began.
    is_known: bool,
    last_error: Option<Instant>,
    /// What there was no room for, by UID: the namespace, and what it would have taken.
    without_room: HashMap<Box<str>, (Arc<str>, usize)>,
    /// When it was last listed for that.
    listed_for_room: Option<Instant>,
}

impl Watched {
    /// Keeps what is read of an object; none of one that uses nothing any more. Returns whether that is another thing.
    fn show(&mut self, uid: &str, record: Option<Record>, kept: &mut Kept) -> bool {
        let Some(record) = record else { return self.remove(uid, kept) };
        let is_new = self.records.get(uid) != Some(&record);
        if is_new {
            kept.add(&record.group);
            if let Some(before) = self.records.insert(uid.into(), record) {
                kept.subtract(&before.group);
            }
        }
        is_new
    }

    fn remove(&mut self, uid: &str, kept: &mut Kept) -> bool {
        self.without_room.remove(uid);
        let removed = self.records.remove(uid);
        removed.as_ref().inspect(|record| kept.subtract(&record.group)).is_some()
    }
}

#[derive(Debug, PartialEq)]
struct Record {
    group: Arc<Group>,
    name: Box<str>,
    node: Option<Arc<str>>,
    /// When it began, in seconds since 1970.
    started: i64,
}

/// Pods that have a group in common, or one workload.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    pub group: Arc<Group>,
    pub count: u32,
    /// When the newest began, and its name.
    pub newest: (Timestamp, String),
    /// The nodes that they run on.
    pub nodes: BTreeSet<Arc<str>>,
}

impl Store {
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Keeps no more than this from now on.
    pub fn limit(&mut self, limits: RoomLimits) {
        self.kept.limits = limits;
    }

    /// Begins to keep what a watch shows.
    pub fn begin(&mut self, scope: &Scope) {
        self.watched.entry(scope.clone()).or_default();
        self.revision += 1;
    }

    /// Returns whether there is room again for something that a watch has shown: all of it is to be listed anew. It says so
    /// once a minute at most.
    pub fn has_room_again(&mut self, scope: &Scope) -> bool {
        let Some(watched) = self.watched.get_mut(scope) else { return false };
        let is_early = watched.listed_for_room.is_some_and(|at| at.elapsed() < MIN_LIST_INTERVAL);
        if is_early || watched.listed.is_some() {
            return false;
        }
        let has_room = watched.without_room.values().any(|(of, bytes)| self.kept.has_room(of, *bytes));
        if has_room {
            watched.listed_for_room = Some(Instant::now());
        }
        has_room
    }

    /// Drops what a watch has shown that has ended.
    pub fn end(&mut self, scope: &Scope) {
        if let Some(watched) = self.watched.remove(scope) {
            watched.records.values().for_each(|record| self.kept.subtract(&record.group));
            drop(watched);
            // Only the end of a list sweeps, and after the last watch none comes.
            self.groups.sweep();
        }
        self.revision += 1;
    }

    /// What a watch has shown is not known any more to be as it was, until all of it was listed again.
    pub fn lose(&mut self, scope: &Scope) {
        if let Some(watched) = self.watched.get_mut(scope) {
            (watched.is_known, watched.listed) = (false, None);
        }
        self.revision += 1;
    }

    /// Returns whether all that a watch is of was listed once.
    pub fn is_known(&self, scope: &Scope) -> bool {
        self.watched.get(scope).is_some_and(|watched| watched.is_known)
    }

    /// Returns whether all that a watch is of is known as it is now.
    pub fn is_complete(&self, scope: &Scope) -> bool {
        let is_complete = |watched: &Watched| {
            let has_failed = watched.last_error.is_some_and(|at| at.elapsed() < MAX_ERROR_INTERVAL);
            watched.is_known && watched.listed.is_none() && !has_failed
        };
        self.watched.get(scope).is_some_and(is_complete)
    }

    pub fn has_failed(&mut self, scope: &Scope) {
        if let Some(watched) = self.watched.get_mut(scope) {
            watched.last_error = Some(Instant::now());
        }
    }

    pub fn apply_pod(&mut self, scope: &Scope, event: Event<Guarded<View<Pod, ObservedPod>>>) {
        self.apply(scope, event, |groups, View { object: pod, .. }| {
            let node = pod.spec.node_name.as_deref().map(|node| groups.text(node));
            let started = pod.status.start_time.map_or(0, Timestamp::as_second);
            pod.is_counted().then(|| (groups.of_pod(pod), node, started))
        });
    }

    pub fn apply_workload<K: Resource<DynamicType = ()>>(
        &mut self,
        scope: &Scope,
        event: Event<Guarded<View<K, ObservedWorkload>>>,
    ) {
        let read = |groups: &mut Groups, view: &View<K, ObservedWorkload>| {
            let workload = &view.object;
            workload.is_counted().then(|| (groups.of_workload(scope.kind, workload), None, 0))
        };
        self.apply(scope, event, read);
    }

    fn apply<T: Resource<DynamicType = ()>>(
        &mut self,
        scope: &Scope,
        event: Event<Guarded<T>>,
        read: impl Fn(&mut Groups, &T) -> Option<(Arc<Group>, Option<Arc<str>>, i64)>,
    ) {
        let Some(watched) = self.watched.get_mut(scope) else { return };
        let changed = match event {
            Event::Init => {
                watched.listed = Some(HashSet::new());
                false
            }
            Event::InitApply(object) | Event::Apply(object) => {
                let metadata = object.meta();
                let (uid, name) = (uid_of(metadata), metadata.name.as_deref().unwrap_or_default());
                if let Some(listed) = &mut watched.listed {
                    listed.insert(uid.into());
                }
                let record = match &object.0 {
                    Ok(object) => read(&mut self.groups, object),
                    Err(_) => Some((self.groups.unreadable(scope.kind, metadata), None, 0)),
                };
                watched.without_room.remove(uid);
                let before = watched.records.get(uid).map(|record| record.group.clone());
                let record = record.map(|(group, node, started)| {
                    if self.kept.has_room_for(&group, before.as_ref()) {
                        return Record { group, name: name.into(), node, started };
                    }
                    let wanted = (group.namespace.clone(), self.kept.bytes_with(&group, 0));
                    watched.without_room.insert(uid.into(), wanted);
                    self.groups.release(group);
                    let group = self.groups.unreadable(scope.kind, metadata);
                    Record { group, name: name.into(), node, started }
                });
                let is_new = watched.show(uid, record, &mut self.kept);
                if let Some(before) = before {
                    self.groups.release(before);
                }
                is_new
            }
            Event::Delete(object) => {
                let uid = uid_of(object.meta());
                let before = watched.records.get(uid).map(|record| record.group.clone());
                let is_gone = watched.remove(uid, &mut self.kept);
                if let Some(before) = before {
                    self.groups.release(before);
                }
                is_gone
            }
            Event::InitDone => {
                if let Some(listed) = watched.listed.take() {
                    let kept = &mut self.kept;
                    watched.records.retain(|uid, record| {
                        let is_listed = listed.contains(uid);
                        if !is_listed {
                            kept.subtract(&record.group);
                        }
                        is_listed
                    });
                    watched.without_room.retain(|uid, _| listed.contains(uid));
                    watched.records.shrink_to_fit();
                    self.groups.sweep();
                }
                watched.is_known = true;
                true
            }
        };
        self.revision += u64::from(changed);
    }

    /// Returns how many groups are kept.
    #[cfg(test)]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns all groups that these watches show, with what is known of their members, in some order.
    pub fn members_of(&self, scopes: &[Scope]) -> Vec<Members> {
        let mut all = HashMap::<*const Group, Members>::new();
        let watched = scopes.iter().filter_map(|scope| self.watched.get(scope));
        for record in watched.flat_map(|watched| watched.records.values()) {
            let started = Timestamp::from_second(record.started).unwrap_or(Timestamp::UNIX_EPOCH);
            let members = all.entry(Arc::as_ptr(&record.group)).or_insert_with(|| Members {
                group: record.group.clone(),
                count: 0,
                newest: (started, record.name.to_string()),
                nodes: BTreeSet::new(),
            });
            members.count += 1;
            if (started, &*record.name) > (members.newest.0, members.newest.1.as_str()) {
                members.newest = (started, record.name.to_string());
            }
            members.nodes.extend(record.node.clone());
        }
        all.into_values().collect()
    }

    /// Returns the same of all watches.
    #[cfg(test)]
    pub fn members(&self) -> Vec<Members> {
        let all: Vec<Scope> = self.watched.keys().cloned().collect();
        self.members_of(&all)
    }
}

impl Members {
    /// Returns them as what they use is added up.
    pub fn member(&self, platforms: &BTreeMap<String, String>) -> Member<'_> {
        let group = &self.group;
        let is_pod = group.kind == WorkloadKind::Pod;
        let platform = |node: &Arc<str>| platforms.get(&**node)?.parse().ok();
        let (started, pod) = self.newest.clone();
        Member {
            kind: group.kind,
            namespace: &group.namespace,
            name: group.name.as_deref().unwrap_or_default(),
            controller: group.controller.as_ref().map(|of| of.named()),
            is_opted_out: group.is_opted_out,
            is_unreadable: group.is_unreadable,
            images: group.uses.iter().map(Used::observed).collect(),
            pods: RunningPods {
                count: if is_pod { self.count } else { 0 },
                newest: is_pod.then_some(Newest { started, pod }),
                platforms: self.nodes.iter().filter_map(platform).collect(),
            },
        }
    }
}

fn uid_of(metadata: &ObjectMeta) -> &str {
    metadata.uid.as_deref().unwrap_or_default()
}
