//! The Images of the cluster: the one that a file would change, and older ones that own tags.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use imgop_core::access::AccessPolicy;
use imgop_core::api::Image;
use imgop_core::copy::{CopyRequest, conflicts};
use imgop_core::default_destination::as_reported;
use imgop_registry::reference::Tag;
use kube::ResourceExt as _;
use kube::api::ListParams;
use tokio::sync::OnceCell;

use super::targets::{ImageName, Target};
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, CallError, Cluster};
use crate::kinds::{Erased, read};

/// Images, or why they are not known.
type Answer = Result<Rc<Vec<Image>>, String>;

/// The Images of a cluster, each list requested once.
pub struct ClusterImages<'a> {
    cluster: &'a AnsweringCluster,
    accesses: &'a RegistryAccesses<'a>,
    everywhere: OnceCell<Result<Rc<Vec<Image>>, CallError>>,
    of_namespaces: RefCell<HashMap<Option<String>, Answer>>,
}

/// Images that were listed.
struct Listed {
    images: Rc<Vec<Image>>,
    /// Whether those of other namespaces may not be listed.
    in_namespace_only: bool,
}

/// An Image that a file would create or change.
pub enum Existing {
    /// It exists.
    Found(Box<Image>),
    /// It does not exist.
    Absent,
    /// That is not known; the conflicts of the same Image are not either, with the reason.
    Unknown,
}

/// Which tags belong to older Images.
#[derive(Debug, Default)]
pub struct Conflicts {
    /// The tags, each with the message.
    pub tags: HashMap<Tag, String>,
    /// Why that is not known, if it is not.
    pub unknown: Option<String>,
    /// Whether Images of other namespaces may not be listed.
    pub in_namespace_only: bool,
}

impl<'a> ClusterImages<'a> {
    /// Returns the Images of this cluster. Nothing is requested yet.
    pub fn new(cluster: &'a AnsweringCluster, accesses: &'a RegistryAccesses<'a>) -> Self {
        Self { cluster, accesses, everywhere: OnceCell::new(), of_namespaces: RefCell::default() }
    }

    /// Returns the Image of this name.
    pub async fn find(&self, name: &ImageName) -> Existing {
        let namespace = name.namespace.as_deref().or(self.cluster.namespace());
        if let Ok(Listed { images, .. }) = self.listed(namespace).await {
            let is_it = |image: &&Image| {
                image.name_any() == name.name
                    && namespace.is_none_or(|n| image.metadata.namespace.as_deref() == Some(n))
            };
            let found = images.iter().find(is_it).cloned();
            return found.map_or(Existing::Absent, |image| Existing::Found(Box::new(image)));
        }
        // Who may not list may be allowed to get.
        let get =
            async |cluster: &Cluster| cluster.objects(Erased::<Image>::REF, false).get(&name.name).await;
        match self.cluster.ask(namespace, ("get", &resource_name()), get).await {
            Ok(object) => match read(&object) {
                Ok(image) => Existing::Found(Box::new(image)),
                Err(_) => Existing::Unknown,
            },
            Err(error) if error.is_not_found() => Existing::Absent,
            Err(_) => Existing::Unknown,
        }
    }

    /// Returns which of these tags of a target's destination belong to older Images.
    pub async fn conflicts(&self, target: &Target, tags: &[&Tag]) -> Conflicts {
        let Some(image) = target.manifest.as_ref().filter(|_| !tags.is_empty()) else {
            return Conflicts::default();
        };
        let namespace = image.metadata.namespace.as_deref();
        match self.listed(namespace).await {
            Ok(Listed { images, in_namespace_only }) => {
                let policy = self.accesses.policy().await;
                let tags = owned_by_others(image, &target.request, tags, &images, policy);
                Conflicts { tags, unknown: None, in_namespace_only }
            }
            Err(why) => Conflicts { unknown: Some(why), ..Conflicts::default() },
        }
    }

    /// Returns the Images of all namespaces, or else those of one, or why they are not known.
    async fn listed(&self, namespace: Option<&str>) -> Result<Listed, String> {
        match self.everywhere.get_or_init(|| self.list(namespace, true)).await {
            Ok(images) => return Ok(Listed { images: images.clone(), in_namespace_only: false }),
            Err(CallError::Refused(status, _)) if status.code == 403 => {}
            Err(error) => return Err(error.message().to_owned()),
        }
        let key = namespace.map(str::to_owned);
        let known = self.of_namespaces.borrow().get(&key).cloned();
        let images = if let Some(images) = known {
            images
        } else {
            let listed = self.list(namespace, false).await.map_err(|error| error.message().to_owned());
            self.of_namespaces.borrow_mut().insert(key, listed.clone());
            listed
        };
        images.map(|images| Listed { images, in_namespace_only: true })
    }

    async fn list(&self, namespace: Option<&str>, all_namespaces: bool) -> Result<Rc<Vec<Image>>, CallError> {
        let list = async |cluster: &Cluster| {
            cluster.objects(Erased::<Image>::REF, all_namespaces).list(&ListParams::default()).await
        };
        match self.cluster.ask(namespace, ("list", &resource_name()), list).await {
            Ok(list) => {
                Ok(Rc::new(list.iter().filter_map(|object| read(object).ok()).map(as_reported).collect()))
            }
            // A cluster without imgop has no Image.
            Err(error) if error.is_not_found() => Ok(Rc::default()),
            Err(error) => Err(error),
        }
    }
}

fn resource_name() -> String {
    Erased::<Image>::REF.resource_name()
}

/// Returns which tags belong to older Images, by the rule of the agent. What only the agent's process
/// remembers, the tags that it put for signatures, does not count here.
fn owned_by_others(
    image: &Image,
    request: &CopyRequest,
    tags: &[&Tag],
    images: &[Image],
    policy: Option<&AccessPolicy>,
) -> HashMap<Tag, String> {
    let is_other = |other: &&Image| {
        other.metadata.name != image.metadata.name || other.metadata.namespace != image.metadata.namespace
    };
    let no_names = AccessPolicy::default();
    let policy = policy.unwrap_or(&no_names);
    conflicts(image, request, tags, images.iter().filter(is_other), policy, |_, _| false)
}
