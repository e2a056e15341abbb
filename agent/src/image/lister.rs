//! Lists of what tenants can make: Jobs and their pods.
//!
//! Whoever may create Jobs can give them the labels and the owner of an Image, in any number, each as
//! large as etcd takes, and a megabyte of JSON can be a hundred in memory. So they are read in small
//! pages of bounded size, a few at a time in the whole process, and nothing is kept that nobody reads.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::pin;

use futures::AsyncReadExt as _;
use imgop_core::api::{COPIES_ANNOTATION, IMAGE_UID_LABEL, ROUTE_ANNOTATION};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta, OwnerReference, Time};
use kube::api::{ListParams, Request};
use kube::{Client, Error, Resource};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use tokio::sync::Semaphore;

/// The label that Kubernetes puts on the pods of a Job.
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";
/// Labels and annotations that are read.
const READ: [&str; 4] = [IMAGE_UID_LABEL, JOB_NAME_LABEL, COPIES_ANNOTATION, ROUTE_ANNOTATION];
/// Objects of a page. The Jobs of an Image seldom fill one.
const PAGE: u32 = 20;
/// Bytes of a page, which is asked for again with fewer objects if it has more. One object has less.
const LARGEST: usize = 8 * 1024 * 1024;
/// Pages that are in memory at once.
const AT_ONCE: usize = 2;

/// What can be listed.
pub trait Listed: Resource<DynamicType = ()> {
    /// Its status.
    type Status: DeserializeOwned;
    /// One of which only this was read.
    fn read(metadata: ObjectMeta, status: Option<Self::Status>) -> Self;
}

impl Listed for Job {
    type Status = JobStatus;

    fn read(metadata: ObjectMeta, status: Option<JobStatus>) -> Self {
        Self { metadata, status, spec: None }
    }
}

impl Listed for Pod {
    type Status = PodStatus;

    fn read(metadata: ObjectMeta, status: Option<PodStatus>) -> Self {
        Self { metadata, status, spec: None }
    }
}

/// Lists Jobs and pods.
pub struct Lister {
    client: Client,
    turns: Semaphore,
}

impl Lister {
    /// Lists through this client.
    pub fn new(client: Client) -> Self {
        Self { client, turns: Semaphore::new(AT_ONCE) }
    }

    /// Gives what is found in a namespace, or in all, to `keep`, until that has enough. After so many
    /// pages the rest is left out: no list of the agent's own objects is as long.
    pub async fn each<K: Listed>(
        &self,
        namespace: Option<&str>,
        mut params: ListParams,
        pages: usize,
        mut keep: impl FnMut(K) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut limit = PAGE;
        for _ in 0..pages {
            params.limit = Some(limit);
            // Held until what was read is kept or dropped. The semaphore is never closed.
            let _turn = self.turns.acquire().await.ok();
            let Some(page) = self.page::<K>(namespace, &params).await? else {
                if limit == 1 {
                    tracing::warn!(
                        namespace,
                        "an object is too large to be the agent's; the rest is left out"
                    );
                    return Ok(());
                }
                limit = (limit / 4).max(1);
                continue;
            };
            for one in page.items.unwrap_or_default() {
                if keep(K::read(one.metadata.into(), one.status)).is_break() {
                    return Ok(());
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(()),
            }
        }
        tracing::warn!(namespace, selector = params.label_selector, "too long a list; the rest is left out");
        Ok(())
    }

    /// One page; none if it is too large.
    async fn page<K: Listed>(
        &self,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<Option<Page<K::Status>>, Error> {
        let request = Request::new(K::url_path(&(), namespace)).list(params).map_err(Error::BuildRequest)?;
        let answer = self.client.request_stream(request).await?;
        let mut bytes = Vec::new();
        let mut answer = pin!(answer.take(LARGEST as u64 + 1));
        answer.read_to_end(&mut bytes).await.map_err(Error::ReadEvents)?;
        if bytes.len() > LARGEST {
            return Ok(None);
        }
        serde_json::from_slice(&bytes).map(Some).map_err(Error::SerdeError)
    }
}

#[derive(Deserialize)]
struct Page<S> {
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<Item<S>>>,
}

#[derive(Deserialize)]
struct Item<S> {
    metadata: Metadata,
    status: Option<S>,
}

/// What is read of the metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "those_read")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "those_read")]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    uid: String,
    controller: Option<bool>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let owner = |owner: Owner| OwnerReference {
            uid: owner.uid,
            controller: owner.controller,
            ..OwnerReference::default()
        };
        // Only a controller owns; of those there is one at most.
        let owners = read.owner_references.into_iter().filter(|owner| owner.controller == Some(true));
        Self {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            labels: Some(read.labels),
            annotations: Some(read.annotations),
            owner_references: Some(owners.map(owner).collect()),
            ..Self::default()
        }
    }
}

/// Of a map the entries that are read; the others take no memory.
fn those_read<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct ThoseRead;

    impl<'de> Visitor<'de> for ThoseRead {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of strings")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut read = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if READ.contains(&key.as_str()) {
                    read.insert(key, map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(read)
        }
    }

    from.deserialize_any(ThoseRead)
}

#[cfg(test)]
mod tests;
