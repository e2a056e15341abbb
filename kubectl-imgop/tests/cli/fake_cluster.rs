//! A cluster whose API server answers what a test scripts.

use imgop_fakes::{Background, ScriptedRegistry, Seen, json, reply};
use serde_json::{Value, json};

use crate::program::Program;

/// An API server and a program whose kubeconfig leads to it, to namespace `ci`.
pub struct FakeCluster {
    pub program: Program,
    server: Background<ScriptedRegistry>,
}

impl FakeCluster {
    /// Starts an API server that serves neither `ImageBuilders`, mirrors nor `RegistryAccesses`; `answer` gets
    /// `METHOD /path?query`.
    pub fn start(answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::with_builders(move |request| not_served(request).unwrap_or_else(|| answer(request)))
    }

    /// Starts an API server that answers for every kind.
    pub fn with_builders(answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::with_bodies(move |request, _| answer(request))
    }

    /// The same; `answer` also gets the body of each request.
    pub fn with_bodies(answer: impl Fn(&str, &[u8]) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::serve(move |seen| Ok(answer(&seen.line(), &seen.body)))
    }

    /// Starts one that serves what [`Self::start`] serves, and answers requests for logs with this text.
    pub fn with_log(
        log: &'static str,
        answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        Self::serve(move |seen| {
            let request = seen.line();
            if request.contains("/log?") {
                return Err(log);
            }
            Ok(not_served(&request).unwrap_or_else(|| answer(&request)))
        })
    }

    /// `answer` returns an object with its status, or a text.
    fn serve(answer: impl Fn(&Seen) -> Result<(u16, Value), &'static str> + Send + Sync + 'static) -> Self {
        let answer = move |seen: &Seen| match answer(seen) {
            Ok((status, body)) => json(status, body.to_string()),
            Err(text) => reply(200, &[("content-type", "text/plain")], text),
        };
        let server = Background::of(ScriptedRegistry::start(answer));
        let program = Program::new();
        program.file("kubeconfig", &kubeconfig(&format!("http://{}", server.address)));
        Self { program, server }
    }

    /// Returns all requests so far, as `METHOD /path?query`.
    pub fn requests(&self) -> Vec<String> {
        self.server.lines()
    }

    /// Returns the bodies of all requests that changed something, or were to.
    pub fn bodies(&self) -> Vec<String> {
        let seen = self.server.seen();
        let changes = seen.iter().filter(|seen| seen.method != "GET");
        changes.map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect()
    }
}

/// Refuses what belongs to other kinds than Images.
fn not_served(request: &str) -> Option<(u16, Value)> {
    let others = ["/apis/buildah.io/", "/apis/imgop.io/", "/imagemirrors", "/workloadmirrors"];
    let is_other = others.iter().any(|group| request.contains(group));
    is_other.then(|| refused(404, "NotFound", "the server could not find the requested resource"))
}

/// A kubeconfig with two contexts; `here`, the current one, leads to namespace `ci` of this server.
pub fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts: [{{name: here, context: {{cluster: c, user: u, namespace: ci}}}}, {{name: there, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    )
}

/// A list of objects, or of their metadata.
pub fn list(kind: &str, api_version: &str, items: &[Value]) -> (u16, Value) {
    (
        200,
        json!({ "apiVersion": api_version, "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items }),
    )
}

/// A refusal with the reason of its `Status`.
pub fn refused(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
        "message": message, "code": code });
    (code, status)
}

/// An answer that there is no object of this name.
pub fn not_found(what: &str) -> (u16, Value) {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
        "message": format!("{what} not found"), "code": 404, "details": { "name": what, "kind": "images" } });
    (404, status)
}

/// A list of the metadata of objects with these names.
pub fn names(names: &[&str]) -> (u16, Value) {
    let item = |name: &&str| json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": { "name": name } });
    let items: Vec<Value> = names.iter().map(item).collect();
    list("PartialObjectMetadataList", "meta.k8s.io/v1", &items)
}

/// An Image with a Ready condition.
pub fn image(name: &str, ready: &str, message: &str) -> Value {
    let condition = json!({ "type": "Ready", "status": ready, "reason": "CopyFailed", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let stalled = json!({ "type": "Stalled", "status": if ready == "True" { "False" } else { "True" },
        "reason": "CopyFailed", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" });
    json!({
        "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": name, "namespace": "ci", "uid": "u", "generation": 1, "resourceVersion": "1" },
        "spec": { "mode": "OneShot", "source": { "name": "a/b", "version": "1" }, "destination": { "name": "c/d" } },
        "status": { "observedGeneration": 1, "conditions": [condition, stalled] },
    })
}

/// An ImageBuilder with a Ready condition and two builds, the third of which runs.
pub fn builder(name: &str, ready: &str, reason: &str, message: &str) -> Value {
    let condition = |type_: &str, status: &str| {
        json!({ "type": type_, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    let mut conditions = vec![condition("Ready", ready)];
    if ready == "False" {
        conditions.push(condition("Stalled", "True"));
    }
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    json!({
        "apiVersion": "buildah.io/v1alpha1", "kind": "ImageBuilder",
        "metadata": { "name": name, "namespace": "ci", "uid": "b", "generation": 1, "resourceVersion": "1" },
        "spec": { "architecture": "both", "image": { "name": "registry.example.com/team/api", "version": "1.4" },
            "source": "FROM busybox\nRUN true\n" },
        "status": {
            "observedGeneration": 1, "conditions": conditions, "progress": "2/COMPLETED",
            "image": { "digest": digest, "tags": ["1.4"], "size": 2048 },
            "source": { "commit": "0123456789abcdef0123456789abcdef01234567" },
            "platforms": [
                { "platform": "linux/amd64", "state": "BUILT", "digest": digest, "attempts": 1 },
                { "platform": "linux/arm64", "state": "FAILED", "reason": "StepFailed", "message": "exit code 3",
                  "step": "RUN true (line 2)", "attempts": 1 },
            ],
            "baseImages": [{ "reference": "docker.io/library/busybox:latest", "digest": digest }],
            "history": [
                { "number": 1, "reason": "Created", "result": "Failed", "failure": "StepFailed: RUN true: exit code 3",
                  "startedAt": "2026-01-01T00:00:00Z", "duration": { "queued": 1, "build": 70 } },
                { "number": 2, "reason": "BaseImageMoved", "changes": "busybox:latest ab → cd", "result": "Succeeded",
                  "digest": digest, "startedAt": "2026-01-02T00:00:00Z" },
            ],
        },
    })
}
