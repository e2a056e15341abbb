//! Finds objects: of one kind by name, of all kinds by labels or in the whole namespace.

use imgop_core::api::conditions::{READY, reasons};
use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, Resource, ResourceExt as _};

use super::connection::Cluster;
use super::errors::{Call, explain};
use crate::cli_error::{CliError, Kind as ErrorKind, Outcome};
use crate::kinds::object_name::nearest_name;
use crate::kinds::{KINDS, Kind, KindRef, ObjectRef, TypedName};
use crate::output::Ui;
use crate::output::text::count;

/// The most names that are looked through for one that is nearly as typed.
const MAX_NAMES: u32 = 500;

/// An object that was found, as it is: one that this version cannot read must not hide the others.
#[derive(Debug, Clone)]
pub struct FoundObject {
    /// Its kind.
    pub kind: KindRef,
    /// The object.
    pub object: DynamicObject,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The objects.
    pub objects: Vec<FoundObject>,
    /// Done, unless an object that was named does not exist; that is printed already.
    pub outcome: Outcome,
}

impl FoundObject {
    /// Returns its kind and name.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef { kind: self.kind, name: self.object.name_any() }
    }

    /// Returns whether its Ready condition is true.
    pub fn is_ready(&self) -> bool {
        self.ready_condition().is_some_and(|condition| condition["status"] == "True")
    }

    /// Returns its Ready condition.
    pub fn ready_condition(&self) -> Option<&serde_json::Value> {
        let conditions = self.object.data.pointer("/status/conditions")?.as_array()?;
        conditions.iter().find(|condition| condition["type"] == READY)
    }

    /// Returns whether it waits for an administrator to enable its namespace.
    pub fn is_in_namespace_not_enabled(&self) -> bool {
        self.ready_condition().is_some_and(|ready| ready["reason"] == reasons::NAMESPACE_NOT_ENABLED)
    }

    /// Returns whether its spec suspends it; the field is the same in every kind.
    pub fn is_suspended(&self) -> bool {
        self.object.data.pointer("/spec/suspend") == Some(&serde_json::Value::Bool(true))
    }
}

/// Returns the kinds and names of objects.
pub fn references(objects: &[FoundObject]) -> Vec<ObjectRef> {
    objects.iter().map(FoundObject::reference).collect()
}

impl Cluster {
    /// Returns the objects of a kind in the namespace, or in all namespaces, without their type; those of the cluster where
    /// a kind has no namespaces.
    pub fn objects(&self, kind: KindRef, all_namespaces: bool) -> Api<DynamicObject> {
        if all_namespaces || !kind.is_namespaced() {
            Api::all_with(self.client.clone(), &kind.resource())
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
        }
    }

    /// Returns the objects of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Kind + Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Returns one object, whatever it holds.
    pub async fn get(&self, object: &ObjectRef) -> Result<FoundObject, CliError> {
        match self.objects(object.kind, false).get(&object.name).await {
            Ok(found) => Ok(FoundObject { kind: object.kind, object: found }),
            Err(error) => {
                let is_absent = matches!(&error, kube::Error::Api(status) if status.code == 404);
                let namesake = if is_absent { self.namesake(object).await } else { None };
                let explained = self.explain("get", object, &error);
                Err(match namesake {
                    Some(other) => explained
                        .hinted(format!("there is an {} of this name: write {other}", other.kind.title())),
                    None if is_absent => self.with_nearest(explained, object, &[object.kind]).await,
                    None => explained,
                })
            }
        }
    }

    /// Returns the object that a user names. A bare name is that of the one object that has it; where each kind has one,
    /// a verb that changes something must not reach another one than was meant.
    pub async fn named(&self, name: &TypedName) -> Result<FoundObject, CliError> {
        let object = name.reference();
        if name.has_kind() {
            return self.get(&object).await;
        }
        let objects = self.objects(object.kind, false);
        let (found, namesake) = futures::join!(objects.get(&object.name), self.namesake(&object));
        match (found, namesake) {
            (Ok(_), Some(other)) => {
                let (first, second) = (object.kind.title(), other.kind.title());
                let first_name = format!("{}/{}", first.to_lowercase(), object.name);
                Err(CliError::failed(format!("{} is the name of an {first} and of an {second}", object.name))
                    .hinted(format!("write {first_name}, or {other}")))
            }
            (Ok(found), None) => Ok(FoundObject { kind: object.kind, object: found }),
            (Err(kube::Error::Api(status)), Some(other)) if status.code == 404 => self.get(&other).await,
            (Err(error), _) => {
                let is_absent = matches!(&error, kube::Error::Api(status) if status.code == 404);
                let explained = self.explain("get", &object, &error);
                Err(if is_absent { self.with_nearest(explained, &object, &KINDS).await } else { explained })
            }
        }
    }

    /// Adds which object of these kinds was probably meant by a name that does not exist.
    async fn with_nearest(&self, error: CliError, object: &ObjectRef, kinds: &[KindRef]) -> CliError {
        let first = ListParams::default().limit(MAX_NAMES);
        for kind in kinds {
            // Who may not list them learns no name.
            let Ok(listed) = self.objects(*kind, false).list_metadata(&first).await else { continue };
            let names: Vec<String> = listed.items.iter().map(kube::ResourceExt::name_any).collect();
            if let Some(name) = nearest_name(&object.name, names.iter().map(String::as_str)) {
                let meant = ObjectRef { kind: *kind, name: name.to_owned() };
                return error.hinted(format!("do you mean {meant}?"));
            }
        }
        error
    }

    /// Returns an object of another kind with the same name.
    async fn namesake(&self, object: &ObjectRef) -> Option<ObjectRef> {
        for kind in KINDS.into_iter().filter(|kind| *kind != object.kind) {
            if let Ok(Some(_)) = self.objects(kind, false).get_metadata_opt(&object.name).await {
                return Some(ObjectRef { kind, name: object.name.clone() });
            }
        }
        None
    }

    /// Returns the objects of a kind, of the namespace or of all namespaces. A kind that the cluster does not
    /// serve has none, unless it is the default one: that imgop is not installed must not go unnoticed.
    pub async fn list(
        &self,
        kind: KindRef,
        all_namespaces: bool,
        selector: Option<&str>,
    ) -> Result<Vec<FoundObject>, CliError> {
        Ok(self.list_served(kind, all_namespaces, selector).await?.unwrap_or_default())
    }

    /// Returns the same; nothing of a kind that the cluster does not serve.
    pub async fn list_served(
        &self,
        kind: KindRef,
        all_namespaces: bool,
        selector: Option<&str>,
    ) -> Result<Option<Vec<FoundObject>>, CliError> {
        let selected = ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() };
        let found = match self.objects(kind, all_namespaces).list(&selected).await {
            Err(kube::Error::Api(status)) if status.code == 404 && !kind.is_default() => return Ok(None),
            found => found.map_err(|error| self.explain_list(kind, "list", all_namespaces, &error))?.items,
        };
        Ok(Some(found.into_iter().map(|object| FoundObject { kind, object }).collect()))
    }

    /// Returns the objects of a kind in the namespace that the selector selects. None is reported.
    pub async fn find(&self, ui: Ui, kind: KindRef, selector: Option<&str>) -> Result<Found, CliError> {
        let objects = self.list(kind, false, selector).await?;
        if objects.is_empty() {
            self.check_namespace().await?;
            ui.note(&format!("No {}s found in {} namespace.", kind.title(), self.namespace));
            self.note_other_kinds(ui, kind, selector).await;
        }
        Ok(Found { objects, outcome: Outcome::Done })
    }

    /// Says how many objects of other kinds are selected.
    async fn note_other_kinds(&self, ui: Ui, kind: KindRef, selector: Option<&str>) {
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            let found = self.list(other, false, selector).await.unwrap_or_default();
            if !found.is_empty() {
                let (title, word) = (other.title(), other.resource().plural);
                let number = count(found.len(), &title);
                ui.hint(&format!("this verb is for one kind at a time; for the {number}: add {word}"));
            }
        }
    }

    /// Returns the objects with these names. What fails for one of them stops none of the others.
    pub async fn get_all(&self, ui: Ui, names: &[TypedName]) -> Result<Found, CliError> {
        let mut objects = Vec::new();
        let outcome = each(ui, names, async |name| {
            objects.push(self.named(name).await?);
            Ok(())
        })
        .await?;
        Ok(Found { objects, outcome })
    }

    /// Returns the Jobs that the agent made for an object, the newest first.
    pub async fn jobs(&self, uid: &str) -> Result<Vec<Job>, CliError> {
        let api: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let labels = format!("{MANAGED_BY_LABEL}={MANAGED_BY},{OWNER_UID_LABEL}={uid}");
        let list = api.list(&ListParams::default().labels(&labels)).await;
        let mut jobs = list.map_err(|error| self.explain_in_namespace("list", "jobs.batch", &error))?.items;
        jobs.sort_by_key(|job| std::cmp::Reverse(job.creation_timestamp()));
        Ok(jobs)
    }

    /// Returns the events of an object.
    pub async fn events(&self, uid: &str) -> Result<Vec<Event>, CliError> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = api.list(&ListParams::default().fields(&format!("involvedObject.uid={uid}"))).await;
        Ok(list.map_err(|error| self.explain_in_namespace("list", "events", &error))?.items)
    }

    /// Fails if the namespace does not exist. Who may not see namespaces gets no answer, and no error.
    pub async fn check_namespace(&self) -> Result<(), CliError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces.get_metadata_opt(&self.namespace).await {
            Ok(None) => Err(CliError::failed(format!("there is no namespace {}", self.namespace))
                .hinted(format!("kubectl get namespaces{} lists those that exist", self.flags))),
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    /// Returns what a failed call for one object means for the user.
    pub fn explain(&self, verb: &str, object: &ObjectRef, error: &kube::Error) -> CliError {
        let resource = object.kind.resource_name();
        let call = self.call(verb, &resource).of_kind(object.kind);
        explain(error, &call.on(Some(&object.name), &self.namespace))
    }

    /// Returns what a failed call for the objects of a kind means for the user.
    pub fn explain_list(
        &self,
        kind: KindRef,
        verb: &str,
        all_namespaces: bool,
        error: &kube::Error,
    ) -> CliError {
        let resource = kind.resource_name();
        let call = self.call(verb, &resource).of_kind(kind);
        let call = if all_namespaces { call.in_all_namespaces() } else { call.on(None, &self.namespace) };
        explain(error, &call)
    }

    /// Returns the same for another resource of the namespace, such as `jobs.batch`.
    pub fn explain_in_namespace(&self, verb: &str, resource: &str, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, resource).on(None, &self.namespace))
    }

    /// Returns the same for another resource of all namespaces, such as `deployments.apps`.
    pub fn explain_everywhere(&self, verb: &str, resource: &str, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, resource).in_all_namespaces())
    }

    /// Returns the same for a resource that has no namespace, such as `clusterroles.rbac.authorization.k8s.io`.
    pub fn explain_of_cluster(&self, verb: &str, resource: &str, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, resource))
    }

    /// Returns that an object cannot be read.
    pub fn unreadable(&self, object: &ObjectRef, why: &str) -> CliError {
        CliError::failed(format!("{object} cannot be read: {why}")).hinted(format!(
            "the CRD may be of another version of imgop; kubectl imgop version{} shows both",
            self.flags
        ))
    }

    fn call<'a>(&'a self, verb: &'a str, resource: &'a str) -> Call<'a> {
        Call::new(verb, resource, &self.server).with(&self.flags)
    }
}

/// Does the same for each of several objects. What fails for one is printed, and stops none of the others.
pub async fn each<T>(
    ui: Ui,
    objects: &[T],
    mut act: impl AsyncFnMut(&T) -> Result<(), CliError>,
) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::Done;
    for object in objects {
        match act(object).await {
            Ok(()) => {}
            Err(error)
                if objects.len() == 1
                    || matches!(error.kind, ErrorKind::BrokenPipe | ErrorKind::Cancelled) =>
            {
                return Err(error);
            }
            Err(error) => {
                ui.error(&error);
                outcome = Outcome::NotReady;
            }
        }
    }
    Ok(outcome)
}
