//! Kubernetes' API server as a store: what a client creates, replaces and deletes is there, or gone, for the next
//! one. It knows names, UIDs, versions and owners; it serves no watch, and checks no schema, right or quota.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::api_server::{is_list, list_of, refusal};
use super::json_client::{Request, json_client};
use super::writes::Writes;

/// An API server without a port: its client calls it directly. Cloning shares its objects.
#[derive(Clone, Default)]
pub struct StoringApiServer {
    state: Arc<Mutex<State>>,
    writes: Writes,
}

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    /// The paths of what clients created, in order.
    created: Vec<String>,
    version: u64,
    now: Timestamp,
}

impl StoringApiServer {
    /// Returns one without objects, whose clients are a process with these writes.
    pub fn new(writes: Writes) -> Self {
        Self { writes, ..Self::default() }
    }

    /// Returns a client, whose default namespace is `default`.
    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        json_client(move |Request { method, target, body }| {
            let server = server.clone();
            async move {
                let path = target.split('?').next().unwrap_or_default();
                let is_write = method != "GET" && !path.ends_with("reviews");
                let write = is_write.then(|| format!("{method} {path}"));
                server.writes.answer(write, || server.state().answer(&method, &target, body)).await
            }
        })
    }

    /// Sets the time at which objects are created from now on.
    pub fn set_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Puts an object under its path, in place of what is there, as if another client wrote it.
    pub fn put(&self, path: &str, object: Value) {
        self.state().store(path, object);
    }

    /// Changes the object of a path likewise.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap();
        change(&mut object);
        self.put(path, object);
    }

    /// Returns the object of a path.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    /// Returns the objects of a collection by their paths.
    pub fn list(&self, collection: &str) -> Vec<(String, Value)> {
        let state = self.state();
        let of_collection = state.objects.iter().filter(|(path, _)| is_in(path, collection));
        of_collection.map(|(path, object)| (path.clone(), object.clone())).collect()
    }

    /// Returns the paths of what clients created, in order.
    pub fn created(&self) -> Vec<String> {
        self.state().created.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match method {
            "GET" => match self.objects.get(path) {
                Some(object) => (200, object.clone()),
                None if is_list(path) => (200, self.list(path, query)),
                None => not_found(path),
            },
            "POST" => self.create(path, body),
            "PUT" => self.replace(path, body),
            "PATCH" => self.apply_status(path, &body),
            _ => self.delete(path, &body),
        }
    }

    fn list(&self, path: &str, query: &str) -> Value {
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
        let is_wanted = |object: &&Value| wanted.is_none_or(|name| object["metadata"]["name"] == name);
        let objects = self.objects.iter().filter(|(of, _)| is_in(of, path)).map(|(_, object)| object);
        let items: Vec<Value> = objects.filter(is_wanted).cloned().collect();
        list_of(path.rsplit('/').next().unwrap_or_default(), &items)
    }

    fn create(&mut self, collection: &str, mut object: Value) -> (u16, Value) {
        if collection.ends_with("reviews") {
            object["status"] = json!({ "allowed": true });
            return (201, object);
        }
        let metadata = &object["metadata"];
        let name = match (metadata["name"].as_str(), metadata["generateName"].as_str()) {
            (Some(name), _) => name.to_owned(),
            (None, prefix) => format!("{}{}", prefix.unwrap_or_default(), self.version),
        };
        let path = format!("{collection}/{name}");
        if self.objects.contains_key(&path) {
            return refusal(409, &format!("{path} exists"));
        }
        self.created.push(path.clone());
        object["metadata"]["name"] = name.into();
        (201, self.store(&path, object))
    }

    fn replace(&mut self, path: &str, mut object: Value) -> (u16, Value) {
        let Some(there) = self.objects.get(path) else { return not_found(path) };
        let version = &object["metadata"]["resourceVersion"];
        if !version.is_null() && *version != there["metadata"]["resourceVersion"] {
            return conflict(path);
        }
        for key in ["uid", "creationTimestamp"] {
            object["metadata"][key] = there["metadata"][key].clone();
        }
        (200, self.store(path, object))
    }

    /// One manager owns the whole status.
    fn apply_status(&mut self, path: &str, applied: &Value) -> (u16, Value) {
        let path = path.strip_suffix("/status").unwrap_or(path);
        let Some(there) = self.objects.get(path) else { return not_found(path) };
        if is_another(there, &applied["metadata"]["uid"]) {
            return conflict(path);
        }
        let mut object = there.clone();
        object["status"] = applied["status"].clone();
        (200, self.store(path, object))
    }

    fn delete(&mut self, path: &str, options: &Value) -> (u16, Value) {
        let Some(there) = self.objects.get(path) else { return not_found(path) };
        if is_another(there, &options["preconditions"]["uid"]) {
            return conflict(path);
        }
        let uid = there["metadata"]["uid"].clone();
        let owns = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            owners.into_iter().any(|owner| owner["uid"] == uid)
        };
        self.objects.retain(|of, object| of != path && !owns(object));
        (200, json!({ "kind": "Status", "status": "Success" }))
    }

    /// Stores an object in a new version, and returns it.
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = self.version.to_string().into();
        if metadata["uid"].is_null() {
            metadata["uid"] = format!("uid-{}", self.version).into();
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = self.now.to_string().into();
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

/// Returns whether an object has another UID than this one, if there is one.
fn is_another(object: &Value, uid: &Value) -> bool {
    !uid.is_null() && *uid != object["metadata"]["uid"]
}

fn is_in(path: &str, collection: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(of, _)| of == collection)
}

fn not_found(path: &str) -> (u16, Value) {
    refusal(404, &format!("{path} not found"))
}

fn conflict(path: &str) -> (u16, Value) {
    let (status, mut body) = refusal(409, &format!("{path} is another one by now"));
    body["reason"] = "Conflict".into();
    (status, body)
}
