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
use crate::children::{CORRECTION_INTERVAL, WRITE_INTERVAL};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::Right;

/// Workloads that are cached.
const MAX_WORKLOADS: usize = 50_000;
/// How long what one says is remembered, where it is not read again.
const TTL: Duration = Duration::from_hours(6);
/// How old it may be: a pass is made to read it again by then.
const MAX_AGE: Duration = Duration::from_mins(30);
/// From which age on a pass reads it again, whatever the pass is for: what was read at other times needs no pass of its own.
const GOOD_FOR: Duration = Duration::from_mins(25);
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
    /// How many others are to be read again before the sync that was asked for is handled.
    pub asked_for: usize,
    /// How long it is until some are to be read again, if any were asked.
    pub asked_again: Option<Duration>,
}

/// What workloads said, after those were read that a pass may read.
struct Answers {
    of: HashMap<Workload, Said>,
    /// How many were not read since the sync was asked for.
    asked_for: usize,
    /// How long it is until some are to be read again.
    asked_again: Duration,
    /// Why the first could not be read of those whose last answer still stands.
    failed: Option<ApiError>,
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

    /// Returns what each said, as far as that is known, and reads as many as a pass may: first those of which nothing is known,
    /// then what is known for longest. What was read before `asked_at` a user wants to have read again.
    ///
    /// # Errors
    /// Where one cannot be read of which nothing is known, or that a user waits for. Of others their last answer stands.
    async fn of(
        &self,
        workloads: BTreeSet<Workload>,
        asked_at: Option<Instant>,
    ) -> Result<Answers, ApiError> {
        let is_asked_for = |said: &Said| {
            asked_at.is_some_and(|at| at.saturating_duration_since(said.read_at) >= Freshness::Now.max_age())
        };
        let is_old = |said: &Said| is_asked_for(said) || said.read_at.elapsed() >= GOOD_FOR;
        let mut known = HashMap::new();
        let (mut to_read, mut old) = (Vec::new(), Vec::new());
        {
            let cached = self.said.lock();
            for workload in workloads {
                let Some(said) = cached.get(&workload).copied() else {
                    to_read.push(workload);
                    continue;
                };
                if is_old(&said) {
                    old.push((said.read_at, workload.clone()));
                }
                known.insert(workload, said);
            }
        }
        old.sort_by_key(|(read_at, _)| *read_at);
        to_read.extend(old.into_iter().map(|(_, workload)| workload));
        to_read.truncate(MAX_READS);
        let reads = to_read.into_iter().map(|workload| async move {
            let said = self.read(&workload).await;
            (workload, said)
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffer_unordered(CONCURRENT_READS);
        let (mut failed, mut in_a_row) = (None, 0);
        while let Some((workload, said)) = reads.next().await {
            match said {
                Ok(said) => {
                    known.insert(workload, said);
                    in_a_row = 0;
                }
                Err(error) if known.get(&workload).is_some_and(|said| !is_asked_for(said)) => {
                    // An API server that does not answer would hold the turn for as long as all reads may take. One read that
                    // always fails is not to keep all others from being made.
                    in_a_row += usize::from(error.is_transient());
                    failed.get_or_insert(error);
                    if in_a_row >= CONCURRENT_READS {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let asked_again = if failed.is_some() {
            CORRECTION_INTERVAL
        } else if known.values().any(is_old) {
            WRITE_INTERVAL
        } else {
            let ages = known.values().map(|said| said.read_at.elapsed());
            MAX_AGE.saturating_sub(ages.max().unwrap_or_default())
        };
        let asked_for = known.values().filter(|said| is_asked_for(said)).count();
        Ok(Answers { of: known, asked_for, asked_again, failed })
    }

    async fn read(&self, workload: &Workload) -> Result<Said, ApiError> {
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
        Ok(said)
    }
}

impl Pass<'_> {
    /// Marks the pods whose workloads say that they are not to be mirrored, where these are not watched, and takes out those
    /// of which that is not known yet. `asked_at` is when a user last asked for what they say then.
    pub(super) async fn opt_out(
        &self,
        request: &WorkloadRequest,
        members: &mut Vec<Member<'_>>,
        makers: &Makers,
        asked_at: Option<Instant>,
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
        let answers = self.mirrors.opt_outs.of(asked, asked_at).await?;
        if let Some(error) = &answers.failed {
            tracing::warn!(
                name = self.name(),
                namespace = self.namespace(),
                %error,
                "cannot ask workloads again whether they are to be mirrored; trying again"
            );
        }
        let mut of_members = of_members.into_iter();
        members.retain_mut(|member| {
            let Some(workload) = of_members.next().flatten() else { return true };
            let said = answers.of.get(&workload);
            member.is_opted_out |= said.is_some_and(|said| said.is_opted_out);
            said.is_some()
        });
        Ok(OptedOut {
            open: count.saturating_sub(answers.of.len()),
            asked_for: answers.asked_for,
            asked_again: Some(answers.asked_again),
        })
    }
}

fn workload_of(member: &Member<'_>, request: &WorkloadRequest, makers: &Makers) -> Option<Workload> {
    let (kind, name) = member.workload_to_ask(request, makers)?;
    Some(Workload { kind, namespace: member.namespace.into(), name: name.into() })
}
