//! What the workloads that a mirror looks at use, as far as it may be seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use imgop_core::api::WorkloadPlatformMode;
use imgop_core::workloads::{
    InUse, Member, MirrorRight, SeenBefore, SelectedNamespace, Sight, WorkloadRequest, in_use, kinds_read,
};

use super::halt::Halt;
use super::opt_outs::OptedOut;
use super::owners::Link;
use super::workloads::{Members, Seen};
use super::{Memory, Pass};
use crate::children::Requests;
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::group_rights::Granted;
use crate::cluster::rights::{Right, Role};
use crate::config::Namespaces;

/// What lets the accounts of a namespace have the pods of another one mirrored.
const MIRROR_PODS: Right = of_workloads(MirrorRight::VERB, MirrorRight::GROUP, MirrorRight::RESOURCE);
/// To look up what made the ReplicaSet or the Job that made a pod.
const GET_REPLICA_SETS: Right = of_workloads("get", "apps", "replicasets");
const GET_JOBS: Right = of_workloads("get", "batch", "jobs");
/// To ask what a namespace lets another one see.
const REVIEW: Right = of_workloads("create", "authorization.k8s.io", "subjectaccessreviews");
/// To know the platforms of nodes.
const LIST_NODES: Right = of_workloads("list", "", "nodes");

/// What stands for all namespaces.
const EVERYWHERE: &str = "";
/// In how many namespaces it is asked for rights at once.
const CONCURRENT_REVIEWS: usize = 4;

const fn of_workloads(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right { verb, group, resource, done_to: None, role: Role::WORKLOADS }
}

/// What the workloads of a mirror use.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// What those use that are seen.
    pub in_use: InUse,
    /// Which namespaces are seen.
    pub sight: Sight,
    /// What is to be said of those that are not.
    pub unseen: Option<Unseen>,
    /// Whether that is all that the mirror asks for. If not, what is missing may still be used.
    pub is_complete: bool,
    /// Whether namespaces may be selected that the agent does not watch.
    pub has_unwatched: bool,
    /// Whether more is to be read at once.
    pub is_open: bool,
    /// How many answers and workloads are to be asked for yet before the sync that was requested is handled.
    pub asked_for: usize,
    /// What came of asking workloads that are not watched.
    pub opted_out: OptedOut,
}

/// The namespaces that were seen, or that did not let themselves be seen any more, when a mirror last looked. A status records
/// them without their names.
#[derive(Debug, Default)]
pub(super) struct KnownNamespaces(BTreeSet<String>);

/// What is said of namespaces that are not seen. None of it tells a namespace that is not there from one that does not allow
/// it: which namespaces there are, and which labels they have, is not the mirror's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseen {
    /// One that the spec names is none that allows it.
    Named,
    /// The spec selects by patterns or labels, and not all namespaces allow it.
    Selected,
}

impl Pass<'_> {
    /// Returns what the workloads use that this mirror may see.
    pub(super) async fn gather(
        &self,
        request: &WorkloadRequest,
        memory: &mut Memory,
    ) -> Result<Gathered, Halt> {
        let kinds = kinds_read(&self.mirror.spec);
        let (namespaces, has_unwatched) = watched(request, &self.agent().config.watch_namespaces);
        // A ClusterRoleBinding alone grants this, and it grants the rest, too: no RoleBinding is to be advised before it.
        self.may_ask(request).await?;
        if let Some((right, namespace)) = self.mirrors.workloads.lacking(&kinds, &namespaces) {
            return Err(Halt::MissingRight(right, namespace));
        }
        self.may_in(&[GET_REPLICA_SETS, GET_JOBS], &namespaces).await?;
        let seen = self.mirrors.workloads.seen(&kinds, &namespaces).map_err(Halt::NotListed)?;
        memory.unlisted_since = None;
        let Seen { members, is_complete } = seen;
        let is_complete = is_complete && !has_unwatched;
        let (sight, granted) = self.see(request, &members, &mut memory.namespaces, is_complete).await?;
        let is_seen = |one: &Members| sight.namespaces.contains(&*one.group.namespace);
        let members: Vec<Members> = members.into_iter().filter(is_seen).collect();
        let platforms = match self.mirror.spec.platforms.mode {
            WorkloadPlatformMode::Nodes => {
                let nodes = members.iter().flat_map(|one| one.nodes.iter().cloned()).collect();
                self.mirrors.owners.platforms(&nodes).await?
            }
            _ => Arc::default(),
        };
        let mut members: Vec<Member<'_>> = members.iter().map(|one| one.member(&platforms)).collect();
        let known = self.mirrors.owners.of(links(&members)).await?;
        let opted_out = self.opt_out(request, &mut members, &known.makers, memory.asked_at).await?;
        let open = known.open + opted_out.open;
        // Who requests a sync may have been given a right just now that is not asked for yet.
        let rights = if self.requests == Requests::default() { 0 } else { granted.open };
        let in_use = in_use(request, &members, &known.makers);
        Ok(Gathered {
            unseen: unseen(request, &sight, &granted),
            is_complete: sight.is_complete && open == 0 && in_use.unreadable.is_none(),
            has_unwatched,
            is_open: open > 0 || granted.open > 0,
            asked_for: rights + opted_out.asked_for,
            opted_out,
            in_use,
            sight,
        })
    }

    /// Returns an error unless the agent may ask what is of no namespace: what a namespace lets another one see, and the
    /// platforms of nodes.
    async fn may_ask(&self, request: &WorkloadRequest) -> Result<(), Halt> {
        let of_nodes = self.mirror.spec.platforms.mode == WorkloadPlatformMode::Nodes;
        let asked = [(REVIEW, !self.is_own_alone(request)), (LIST_NODES, of_nodes)];
        let asked: Vec<Right> =
            asked.into_iter().filter(|(_, is_asked)| *is_asked).map(|(right, _)| right).collect();
        self.may_in(&asked, &Namespaces::All).await
    }

    /// Returns an error unless the agent has these rights in these namespaces: in each, or in all of them at once.
    pub(super) async fn may_in(&self, rights: &[Right], namespaces: &Namespaces) -> Result<(), Halt> {
        let agent_rights = &self.agent().rights;
        // What a ClusterRoleBinding grants is not asked for in each namespace.
        let Some(right) = agent_rights.missing(rights, EVERYWHERE, Freshness::Cached).await? else {
            return Ok(());
        };
        let Namespaces::Named(names) = namespaces else {
            return Err(Halt::MissingRight(right, EVERYWHERE.to_owned()));
        };
        let each = names.iter().map(|namespace| async move {
            let missing = agent_rights.missing(rights, namespace, Freshness::Cached).await?;
            Ok::<_, ApiError>(missing.map(|right| (right, namespace.clone())))
        });
        let each: Vec<_> = each.collect();
        // In their order: the message names the first that lacks one.
        let mut answers = stream::iter(each).buffered(CONCURRENT_REVIEWS);
        while let Some(missing) = answers.next().await {
            if let Some((right, namespace)) = missing? {
                return Err(Halt::MissingRight(right, namespace));
            }
        }
        Ok(())
    }

    /// Finds out which namespaces are looked at: those that are selected and allow it. One's own always does.
    async fn see(
        &self,
        request: &WorkloadRequest,
        members: &[Members],
        KnownNamespaces(known): &mut KnownNamespaces,
        is_complete: bool,
    ) -> Result<(Sight, Granted), Halt> {
        let there: BTreeSet<&str> = members.iter().map(|one| &*one.group.namespace).collect();
        // Whether one is there must not show in what is asked for.
        let mut selected: BTreeSet<&str> = request.namespaces.named().into_iter().flatten().collect();
        // What was seen may not let itself be seen any more, whether or not anything runs there now.
        let those: Vec<&str> = there.iter().copied().chain(known.iter().map(String::as_str)).collect();
        for namespace in those {
            let labels = self.labels_of(namespace).await?;
            if request.namespaces.selects(namespace, &labels) {
                selected.insert(namespace);
            }
        }
        let own = self.namespace();
        let granted = if self.is_own_alone(request) {
            Granted::default()
        } else {
            let others: Vec<&str> = selected.iter().copied().filter(|name| *name != own).collect();
            self.mirrors.group_rights.among(own, MIRROR_PODS, &others).await?
        };
        let marks = self.mirror.status.as_ref().map(|status| status.seen_namespaces.as_slice());
        let has_images = !self.children().owned().is_empty();
        let before = SeenBefore { marks: marks.unwrap_or_default(), has_images };
        let mut each = Vec::with_capacity(selected.len());
        let mut gone = BTreeSet::new();
        for name in selected {
            let (has_workloads, allows) = (there.contains(name), granted.is_in(name));
            // The marks of a status are limited in number; those beyond are known from the pass before.
            let was_seen = known.contains(name) || before.has(name);
            // One that was deleted does not allow it either, and uses nothing any more.
            let may_be_gone = !has_workloads && allows == Some(false) && was_seen;
            let is_gone = may_be_gone && self.labels(name).await?.is_none();
            if is_gone {
                gone.insert(name.to_owned());
            }
            each.push(SelectedNamespace { name, has_workloads, was_seen, is_gone, allows });
        }
        let sight = Sight::of(own, each, before, is_complete);
        // While not everything is known, none is forgotten but those that are not there any more.
        known.retain(|name| !sight.is_complete && !gone.contains(name));
        known.extend(sight.namespaces.union(&sight.withdrawn).cloned());
        Ok((sight, granted))
    }

    fn is_own_alone(&self, request: &WorkloadRequest) -> bool {
        request.namespaces.named().is_some_and(|named| named == [self.namespace()])
    }

    /// Returns the labels of a namespace, where the mirror asks for them.
    async fn labels_of(&self, namespace: &str) -> Result<Arc<BTreeMap<String, String>>, ApiError> {
        if self.mirror.spec.namespaces.selector.is_none() {
            return Ok(Arc::default());
        }
        // None where it was deleted just now.
        Ok(self.labels(namespace).await?.unwrap_or_default())
    }

    /// Returns the labels of a namespace; none where it is not there.
    async fn labels(&self, namespace: &str) -> Result<Option<Arc<BTreeMap<String, String>>>, ApiError> {
        match self.agent().policies.labels(namespace, Freshness::Cached).await {
            Ok(labels) => Ok(Some(labels)),
            Err(error) if error.cause == ApiCause::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Gathered {
    /// Whether more will be known by itself: nothing but a watch, an answer or an owner is missing.
    pub(super) fn is_to_be_complete(&self) -> bool {
        let is_known =
            self.sight.withdrawn.is_empty() && !self.has_unwatched && self.in_use.unreadable.is_none();
        !self.is_complete && is_known
    }
}

/// Returns what is to be said of namespaces that are not seen.
fn unseen(request: &WorkloadRequest, sight: &Sight, granted: &Granted) -> Option<Unseen> {
    match request.namespaces.named() {
        _ if granted.everywhere => None,
        Some(_) => (!sight.hidden.is_empty()).then_some(Unseen::Named),
        None => Some(Unseen::Selected),
    }
}

/// Returns those of the watched namespaces that a mirror can select, and whether it may select others.
pub(super) fn watched(request: &WorkloadRequest, watched: &Namespaces) -> (Namespaces, bool) {
    let Namespaces::Named(all) = watched else { return (Namespaces::All, false) };
    let Some(named) = request.namespaces.named() else { return (watched.clone(), true) };
    let has_unwatched = named.iter().any(|name| !all.contains(*name));
    let both = named.into_iter().filter(|name| all.contains(*name)).map(str::to_owned);
    (Namespaces::Named(both.collect()), has_unwatched)
}

/// Returns what pods name as their controllers and is made by something else itself.
fn links(members: &[Member<'_>]) -> Vec<Link> {
    let mut links = HashMap::new();
    for one in members {
        let Some((kind, controller)) = one.made_between() else { continue };
        let link = Link {
            kind,
            namespace: one.namespace.into(),
            name: controller.name.into(),
            uid: controller.uid.into(),
        };
        links.insert(controller.uid, link);
    }
    links.into_values().collect()
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{WorkloadDestination, WorkloadMirrorSpec};

    use super::*;

    fn selecting(include: &[&str]) -> WorkloadRequest {
        let repository = "r.example.com/mirror".to_owned();
        let destination = WorkloadDestination { repository, ..WorkloadDestination::default() };
        let mut spec = WorkloadMirrorSpec::new(destination);
        spec.namespaces.include = include.iter().map(ToString::to_string).collect();
        WorkloadRequest::parse(&spec, "own").unwrap()
    }

    #[test]
    fn what_the_agent_does_not_watch_is_known_not_to_be_seen() {
        let named = |names: &[&str]| Namespaces::Named(names.iter().map(ToString::to_string).collect());
        let of = |include: &[&str], all: &Namespaces| watched(&selecting(include), all);
        assert_eq!(of(&["*"], &Namespaces::All), (Namespaces::All, false));
        let some = named(&["own", "a", "b"]);
        assert_eq!(of(&[], &some), (named(&["own"]), false), "no right in a or b is needed");
        assert_eq!(of(&["a", "c"], &some), (named(&["a"]), true));
        assert_eq!(of(&["team-*"], &some), (some.clone(), true));
    }
}
