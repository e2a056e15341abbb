//! Which workloads say that they are not to be mirrored, of those whose kind is not watched: of their annotations, their pods
//! have only those of the template.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use imgop_core::api::{NOT_MIRRORED_ANNOTATION, WorkloadKind};
use imgop_core::workloads::{Makers, Member, WorkloadRequest};
use imgop_registry::cache::Bounded;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Pass;
use super::gather::watched;
use super::halt::Halt;
use super::workloads::list_right;
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;

/// Workloads that are cached.
const MAX_WORKLOADS: usize = 50_000;
/// How long what one says is remembered, where it is not read again.
const TTL: Duration = Duration::from_hours(6);
/// How old it may be before it is read again.
const MAX_AGE: Duration = Duration::from_mins(30);
/// The same where a user waits for what was changed.
const MAX_AGE_ASKED_FOR: Duration = Duration::from_secs(5);
/// Workloads that are read at once, and in one pass: a pass holds one of few turns.
const CONCURRENT_READS: usize = 4;
const MAX_READS: usize = 400;

/// A workload that pods count for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Workload {
    kind: WorkloadKind,
    namespace: Box<str>,
    name: Box<str>,
}

/// What a workload said.
#[derive(Debug, Clone, Copy)]
struct Said {
    is_opted_out: bool,
    read_at: Instant,
}

/// What came of asking workloads.
#[derive(Debug, Default)]
pub(super) struct OptedOut {
    /// How many are to be read yet.
    pub open: usize,
    /// When those that were asked are asked again, if any were.
    pub asked_again: Option<Duration>,
}

/// Reads the metadata of workloads.
pub(super) struct OptOuts {
    client: Client,
    said: Mutex<Bounded<Workload, Said>>,
}

impl OptOuts {
    pub fn new(client: Client) -> Self {
        Self { client, said: Mutex::new(Bounded::new(MAX_WORKLOADS)) }
    }

    /// Returns of each whether it is not to be mirrored, as far as that is known, and reads as many as a pass may: first those
    /// of which nothing is known.
    ///
    /// # Errors
    /// Where one cannot be read.
    async fn of(
        &self,
        workloads: BTreeSet<Workload>,
        max_age: Duration,
    ) -> Result<HashMap<Workload, bool>, ApiError> {
        let mut known = HashMap::new();
        let (mut to_read, mut old) = (Vec::new(), Vec::new());
        {
            let said = self.said.lock();
            for workload in workloads {
                let Some(Said { is_opted_out, read_at }) = said.get(&workload).copied() else {
                    to_read.push(workload);
                    continue;
                };
                if read_at.elapsed() >= max_age {
                    old.push(workload.clone());
                }
                known.insert(workload, is_opted_out);
            }
        }
        to_read.append(&mut old);
        to_read.truncate(MAX_READS);
        let reads = to_read.into_iter().map(|workload| async move {
            let is_opted_out = self.read(&workload).await;
            (workload, is_opted_out)
        });
        let reads: Vec<_> = reads.collect();
        let read: Vec<_> = stream::iter(reads).buffer_unordered(CONCURRENT_READS).collect().await;
        for (workload, is_opted_out) in read {
            match is_opted_out {
                Ok(is_opted_out) => _ = known.insert(workload, is_opted_out),
                // What it said before stands.
                Err(_) if known.contains_key(&workload) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    async fn read(&self, workload: &Workload) -> Result<bool, ApiError> {
        let Workload { kind, namespace, name } = workload;
        let Right { group, resource, .. } = list_right(*kind);
        let gvk = GroupVersionKind::gvk(group, "v1", kind.name());
        let resource = ApiResource::from_gvk_with_plural(&gvk, resource);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        // The right to list them is that of the watches; to get one is another.
        let named = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = api.list_metadata(&named).await.map_err(|error| {
            ApiError::new("list", format!("{} \"{namespace}/{name}\"", kind.name()), &error)
        })?;
        let is_it = |one: &&PartialObjectMeta<DynamicObject>| one.metadata.name.as_deref() == Some(&**name);
        let annotations = found.items.iter().find(is_it).and_then(|one| one.metadata.annotations.as_ref());
        let value = annotations.and_then(|all| all.get(NOT_MIRRORED_ANNOTATION));
        let is_opted_out = value.is_some_and(|value| value == "false");
        let said = Said { is_opted_out, read_at: Instant::now() };
        self.said.lock().insert(workload.clone(), said, TTL);
        Ok(is_opted_out)
    }
}

impl Pass<'_> {
    /// Marks the pods whose workloads say that they are not to be mirrored, where these are not watched, and takes out those
    /// of which that is not known yet.
    pub(super) async fn opt_out(
        &self,
        request: &WorkloadRequest,
        members: &mut Vec<Member<'_>>,
        makers: &Makers,
    ) -> Result<OptedOut, Halt> {
        let of_members: Vec<Option<Workload>> =
            members.iter().map(|one| workload_of(one, request, makers)).collect();
        let asked: BTreeSet<Workload> = of_members.iter().flatten().cloned().collect();
        if asked.is_empty() {
            return Ok(OptedOut::default());
        }
        let kinds: BTreeSet<WorkloadKind> = asked.iter().map(|workload| workload.kind).collect();
        let rights: Vec<Right> = kinds.into_iter().map(list_right).collect();
        let (namespaces, _) = watched(request, &self.agent().config.watch_namespaces);
        self.may_in(&rights, &namespaces).await?;
        let count = asked.len();
        let is_asked_for = self.freshness() == Freshness::Now;
        let max_age = if is_asked_for { MAX_AGE_ASKED_FOR } else { MAX_AGE };
        let said = self.mirrors.opt_outs.of(asked, max_age).await?;
        let mut of_members = of_members.into_iter();
        members.retain_mut(|member| {
            let Some(workload) = of_members.next().flatten() else { return true };
            let is_opted_out = said.get(&workload).copied();
            member.is_opted_out |= is_opted_out == Some(true);
            is_opted_out.is_some()
        });
        Ok(OptedOut { open: count.saturating_sub(said.len()), asked_again: Some(MAX_AGE) })
    }
}

fn workload_of(member: &Member<'_>, request: &WorkloadRequest, makers: &Makers) -> Option<Workload> {
    let (kind, name) = member.workload_to_ask(request, makers)?;
    Some(Workload { kind, namespace: member.namespace.into(), name: name.into() })
}
