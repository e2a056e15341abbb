//! Kubernetes' API server, as far as clients of Jobs, pods, Secrets and custom resources need it: objects
//! and lists that a test hands in, writes that are accepted and recorded, and failures on demand. It
//! stores no write, serves no watch and checks no right but where a test scripts that.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::json_client::{Request, json_client};

/// An API server without a port: its client calls it directly.
#[derive(Clone, Default)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
    script: Option<Arc<Script>>,
}

/// Answers `METHOD /path?query` with a status and a body.
type Script = dyn Fn(&str) -> (u16, Value) + Send + Sync;

/// How requests of a method to paths with this end fail.
struct Failure {
    method: String,
    path_end: String,
    /// The first of them that fails, from 1.
    first: usize,
    status: u16,
    message: String,
}

impl Failure {
    fn is_of(&self, method: &str, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        self.method == method && path.ends_with(&self.path_end)
    }
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    failures: Vec<Failure>,
    /// By method and the last part of the path.
    answers: HashMap<(String, String), Value>,
    /// By path.
    objects: HashMap<String, Value>,
    /// Items by the last part of the path: `jobs`.
    lists: HashMap<String, Vec<Value>>,
    /// Which groups have rights in which namespaces.
    granted: HashSet<(String, String)>,
    /// Verb, resource and namespace of the rights that the client lacks.
    denied: HashSet<[String; 3]>,
}

impl ApiServer {
    /// Answers each request, given as `METHOD /path?query`, with what the script returns.
    pub fn scripted(script: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self { script: Some(Arc::new(script)), ..Self::default() }
    }

    /// Returns a client, whose default namespace is `default`.
    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        json_client(move |request| {
            let server = server.clone();
            async move { server.answer(request) }
        })
    }

    /// Serves this object under its path, which is the whole one: `/api/v1/namespaces/a/secrets/b`. A
    /// PATCH of its status is answered with the object in its new state.
    pub fn hold(&self, path: &str, object: Value) {
        self.state().objects.insert(path.to_owned(), object);
    }

    /// Serves these items for each list of this resource, such as `jobs`. Other lists are empty.
    pub fn hold_list(&self, resource: &str, items: Vec<Value>) {
        self.state().lists.insert(resource.to_owned(), items);
    }

    /// Changes the items of a list.
    pub fn change_list(&self, resource: &str, change: impl FnOnce(&mut Vec<Value>)) {
        change(self.state().lists.entry(resource.to_owned()).or_default());
    }

    /// Lets a group have whatever right is asked for in a namespace, or no longer.
    pub fn grant(&self, group: &str, namespace: &str, has: bool) {
        let (mut state, right) = (self.state(), (group.to_owned(), namespace.to_owned()));
        if has {
            state.granted.insert(right)
        } else {
            state.granted.remove(&right)
        };
    }

    /// Answers that the client lacks a right in a namespace, or in the whole cluster where that is empty. It still does
    /// what it is asked to.
    pub fn deny(&self, verb: &str, resource: &str, namespace: &str) {
        self.state().denied.insert([verb, resource, namespace].map(str::to_owned));
    }

    /// Lets all requests of this method fail as those to an overloaded API server, or no longer fail.
    pub fn fail(&self, method: &str, fails: bool) {
        self.state().failures.retain(|failure| failure.method != method);
        if fails {
            self.fail_with(method, "", 500, "etcdserver: request timed out");
        }
    }

    /// Lets requests of this method to paths with this end fail with a status and a message.
    pub fn fail_with(&self, method: &str, path_end: &str, status: u16, message: &str) {
        self.fail_from(1, method, path_end, status, message);
    }

    /// The same from the nth of all these requests on.
    pub fn fail_from(&self, first: usize, method: &str, path_end: &str, status: u16, message: &str) {
        let (method, path_end, message) = (method.to_owned(), path_end.to_owned(), message.to_owned());
        self.state().failures.push(Failure { method, path_end, first, status, message });
    }

    /// Answers requests of this method to the object of this name with what the object is then.
    pub fn answer_with(&self, method: &str, name: &str, object: Value) {
        self.state().answers.insert((method.to_owned(), name.to_owned()), object);
    }

    /// Returns the bodies of all requests with this method, in order.
    pub fn bodies(&self, method: &str) -> Vec<Value> {
        let state = self.state();
        let of_method = state.requests.iter().filter(|request| request.method == method);
        of_method.map(|request| request.body.clone()).collect()
    }

    /// Returns all requests as `METHOD /path?query`, in order.
    pub fn requests(&self) -> Vec<String> {
        let state = self.state();
        state.requests.iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    fn answer(&self, request: Request) -> (u16, Value) {
        self.state().requests.push(request.clone());
        // Without the lock, so that a script may use the server.
        match &self.script {
            Some(script) => script(&format!("{} {}", request.method, request.target)),
            None => self.state().answer(request),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&self, request: Request) -> (u16, Value) {
        let Request { method, target, mut body } = request;
        let path = target.split('?').next().unwrap_or_default();
        let fails = |failure: &&Failure| {
            let is_of = |request: &&Request| failure.is_of(&request.method, &request.target);
            failure.is_of(&method, &target) && self.requests.iter().filter(is_of).count() >= failure.first
        };
        if let Some(failure) = self.failures.iter().find(fails) {
            return refusal(failure.status, &failure.message);
        }
        let last_part = path.rsplit('/').next().unwrap_or_default();
        if let Some(answer) = self.answers.get(&(method.clone(), last_part.to_owned())) {
            return (200, answer.clone());
        }
        match (method.as_str(), last_part) {
            ("GET", resource) => match self.objects.get(path) {
                Some(object) => (200, object.clone()),
                None if is_list(path) => (200, self.list(resource)),
                None => refusal(404, &format!("{path} not found")),
            },
            ("POST", "selfsubjectaccessreviews") => {
                let asked = &body["spec"]["resourceAttributes"];
                let part = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
                let is_denied = self.denied.contains(&["verb", "resource", "namespace"].map(part));
                body["status"] = json!({ "allowed": !is_denied });
                (201, body)
            }
            ("POST", "subjectaccessreviews") => {
                let namespace = body["spec"]["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
                let groups = body["spec"]["groups"].as_array().into_iter().flatten();
                let has_right = |group: &Value| {
                    let group = group.as_str().unwrap_or_default().to_owned();
                    self.granted.contains(&(group, namespace.to_owned()))
                };
                let allowed = groups.into_iter().any(has_right);
                body["status"] = json!({ "allowed": allowed });
                (201, body)
            }
            ("PATCH", "status") => match path.strip_suffix("/status").and_then(|of| self.objects.get(of)) {
                Some(object) => {
                    let mut object = object.clone();
                    object["status"] = body["status"].take();
                    (200, object)
                }
                None => (200, body),
            },
            ("POST", "jobs") => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                body["metadata"]["uid"] = json!(format!("uid of {name}"));
                (201, body)
            }
            ("DELETE", _) => (200, json!({ "kind": "Status", "status": "Success" })),
            _ => (201, body),
        }
    }

    fn list(&self, resource: &str) -> Value {
        list_of(resource, self.lists.get(resource).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Returns a list of these objects of a resource, such as `jobs`.
pub(crate) fn list_of(resource: &str, items: &[Value]) -> Value {
    let (kind, version) = match resource {
        "jobs" => ("JobList", "batch/v1"),
        "pods" => ("PodList", "v1"),
        _ => ("List", "v1"),
    };
    json!({ "kind": kind, "apiVersion": version, "metadata": { "resourceVersion": "1" }, "items": items })
}

/// Returns whether a path is that of a collection: below `/api/v1` or `/apis/GROUP/VERSION` stand an
/// optional namespace and the resource.
pub(crate) fn is_list(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let below = match parts.first() {
        Some(&"api") => parts.get(2..),
        _ => parts.get(3..),
    };
    matches!(below, Some([_] | ["namespaces", _, _]))
}

/// Returns how an API server refuses a request that lacks a right.
pub fn forbidden() -> (u16, Value) {
    refusal(403, "forbidden")
}

/// Returns how an API server refuses a request with this status.
pub fn refusal(status: u16, message: &str) -> (u16, Value) {
    let reason = match status {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "AlreadyExists",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status });
    (status, body)
}
