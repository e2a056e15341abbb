//! What made the ReplicaSets and Jobs that pods name as their controllers, and the platforms of nodes: read when they are
//! needed, by their metadata alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use imgop_core::workloads::{Between, Maker, Makers};
use imgop_registry::cache::Bounded;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::cluster::api_error::ApiError;
use crate::cluster::owner::controller_of;

/// Owners that are cached.
const MAX_OWNERS: usize = 50_000;
/// How long an owner is remembered: its own controller changes only where another one adopts it.
const OWNER_TTL: Duration = Duration::from_hours(6);
/// How long it is remembered that there is none of a name.
const ABSENT_TTL: Duration = Duration::from_mins(5);
/// Owners that are read at once, and in one pass: a pass holds one of few turns.
const CONCURRENT_READS: usize = 4;
const MAX_READS: usize = 400;
/// How long the platforms of nodes are remembered.
const NODES_TTL: Duration = Duration::from_mins(10);
/// How long lies between two reads of all nodes, at least.
const NODES_PAUSE: Duration = Duration::from_secs(20);
/// What a label of a node says of its platform.
const OS_LABEL: &str = "kubernetes.io/os";
const ARCHITECTURE_LABEL: &str = "kubernetes.io/arch";

/// What stands between a pod and what a user wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub kind: Between,
    pub namespace: Arc<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
}

/// Reads owners and nodes.
pub(super) struct Owners {
    client: Client,
    /// By UID.
    makers: Mutex<Bounded<Box<str>, Option<Maker>>>,
    nodes: Mutex<Bounded<(), Nodes>>,
}

/// The platforms of all nodes, by their names.
#[derive(Debug, Clone)]
struct Nodes {
    read_at: Instant,
    platforms: Arc<BTreeMap<String, String>>,
}

/// Who made what, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Of those that are known.
    pub makers: Makers,
    /// How many are to be read yet.
    pub open: usize,
}

impl Owners {
    pub fn new(client: Client) -> Self {
        Self { client, makers: Mutex::new(Bounded::new(MAX_OWNERS)), nodes: Mutex::new(Bounded::new(1)) }
    }

    /// Returns what made these, and reads as many as a pass may.
    ///
    /// # Errors
    /// Where one cannot be read: it is not known then what it is part of.
    pub async fn of(&self, links: Vec<Link>) -> Result<Known, ApiError> {
        let mut known = Known::default();
        let mut open = Vec::new();
        {
            let cached = self.makers.lock();
            for link in links {
                match cached.get(&link.uid) {
                    Some(maker) => drop(known.makers.insert(link.uid, maker.clone())),
                    None => open.push(link),
                }
            }
        }
        known.open = open.len().saturating_sub(MAX_READS);
        open.truncate(MAX_READS);
        let reads = open.into_iter().map(|link| async move {
            let maker = match link.kind {
                Between::ReplicaSet => self.read::<ReplicaSet>(&link).await,
                Between::Job => self.read::<Job>(&link).await,
            };
            maker.map(|maker| (link.uid, maker))
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffer_unordered(CONCURRENT_READS);
        // The first error ends it: an API server that does not answer would hold the turn for as long as all reads may take.
        while let Some(read) = reads.next().await {
            let (uid, maker) = read?;
            known.makers.insert(uid, maker);
        }
        Ok(known)
    }

    async fn read<K>(&self, link: &Link) -> Result<Option<Maker>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api = Api::<K>::namespaced(self.client.clone(), &link.namespace);
        let found = api.get_metadata_opt(&link.name).await.map_err(|error| {
            ApiError::new("get", format!("{} \"{}/{}\"", K::kind(&()), link.namespace, link.name), &error)
        })?;
        // Another one may have got the name.
        let found = found.filter(|found| found.metadata.uid.as_deref() == Some(&*link.uid));
        let maker = found.as_ref().and_then(|found: &PartialObjectMeta<K>| controller_of(found));
        let maker =
            maker.map(|maker| Maker { kind: maker.kind.as_str().into(), name: maker.name.as_str().into() });
        let ttl = if found.is_some() { OWNER_TTL } else { ABSENT_TTL };
        self.makers.lock().insert(link.uid.clone(), maker.clone(), ttl);
        Ok(maker)
    }

    /// Returns the platforms of all nodes, as `os/architecture`, by their names. They are read again soon where one of these
    /// nodes is not known: it may have just joined.
    pub async fn platforms(
        &self,
        nodes: &BTreeSet<Arc<str>>,
    ) -> Result<Arc<BTreeMap<String, String>>, ApiError> {
        let known = self.nodes.lock().get(&()).cloned();
        if let Some(Nodes { read_at, platforms }) = known
            && (read_at.elapsed() < NODES_PAUSE || nodes.iter().all(|node| platforms.contains_key(&**node)))
        {
            return Ok(platforms);
        }
        let api = Api::<Node>::all(self.client.clone());
        let nodes = api.list_metadata(&ListParams::default()).await;
        let nodes = nodes.map_err(|error| ApiError::new("list", "nodes", &error))?;
        let platform = |node: PartialObjectMeta<Node>| {
            let labels = node.metadata.labels.as_ref()?;
            let platform = format!("{}/{}", labels.get(OS_LABEL)?, labels.get(ARCHITECTURE_LABEL)?);
            Some((node.metadata.name?, platform))
        };
        let platforms = Arc::new(nodes.items.into_iter().filter_map(platform).collect::<BTreeMap<_, _>>());
        let read = Nodes { read_at: Instant::now(), platforms: platforms.clone() };
        self.nodes.lock().insert((), read, NODES_TTL);
        Ok(platforms)
    }
}

#[cfg(test)]
mod tests {
    use imgop_fakes::ApiServer;

    use super::*;

    #[tokio::test]
    async fn an_api_server_that_fails_is_asked_for_few_of_many_owners() {
        let api = ApiServer::default();
        api.fail("GET", true);
        let link = |n: usize| Link {
            kind: Between::ReplicaSet,
            namespace: "team-a".into(),
            name: format!("web-{n}").into(),
            uid: format!("uid of web-{n}").into(),
        };
        let known = Owners::new(api.client()).of((0..20).map(link).collect()).await;
        assert!(known.is_err());
        let asked = api.requests();
        assert!(asked.len() <= CONCURRENT_READS, "{asked:?}");
    }
}
