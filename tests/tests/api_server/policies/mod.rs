//! What the admission policies of `manifests` refuse, to users with rights of their own. On an API server of its own: a
//! policy holds for all of it.

mod addresses;
mod destinations;
mod network;
mod owners;
mod pod_fields;
mod references;
mod specs_with_secrets;
mod users;
mod warnings;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use imgop_core::api::{Image, ImageBuilder, ImageMirror, WorkloadMirror};
use imgop_tests::api_server::{ApiServer, Shared, install_crds};
use imgop_tests::connect::connect_as;
use imgop_tests::namespace::with_namespace;
use imgop_tests::{repository_root, wait};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

/// The API server takes a moment until a policy or a right holds.
const DEADLINE: Duration = Duration::from_secs(30);
/// The files with roles.
const ROLES: [&str; 2] = ["users.yaml", "agent.yaml"];

/// Returns the API server with all policies, which the first test starts.
async fn server() -> anyhow::Result<&'static ApiServer> {
    static SHARED: Shared<ApiServer> = Shared::new("the API server with policies");
    SHARED.get(start).await
}

async fn start() -> anyhow::Result<ApiServer> {
    let server = ApiServer::bare().await?;
    install_crds(&server.client().await?).await?;
    let kubectl = server.kubectl()?;
    for path in manifests()? {
        let manifest = std::fs::read_to_string(&path)?;
        kubectl.apply(&manifest).await?.ok().with_context(|| path.display().to_string())?;
    }
    Ok(server)
}

/// Returns all files with policies, and those with roles.
fn manifests() -> anyhow::Result<Vec<PathBuf>> {
    let folder = repository_root().join("manifests");
    let mut manifests: Vec<PathBuf> = ROLES.iter().map(|name| folder.join(name)).collect();
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with("-policies.yaml") {
            manifests.push(entry.path());
        }
    }
    anyhow::ensure!(manifests.len() > ROLES.len(), "{} has no policies", folder.display());
    Ok(manifests)
}

/// A namespace, and who may do what in it.
struct Case {
    server: &'static ApiServer,
    admin: Client,
    namespace: String,
}

/// Gives a test a namespace on the API server with all policies.
async fn with_case(test: impl AsyncFnOnce(&Case) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let server = server().await?;
    let admin = server.client().await?;
    with_namespace(&admin, async |namespace| test(&Case { server, admin: admin.clone(), namespace }).await)
        .await
}

impl Case {
    /// Returns a client of a user who has these rights here and no other, and waits until he has them.
    async fn user(&self, name: &str, rules: Value) -> anyhow::Result<Client> {
        let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": name, "namespace": self.namespace }, "rules": rules });
        let user = format!("{}-{name}", self.namespace);
        let subject = json!({ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" });
        let binding = self.binding(name, "Role", name, &subject);
        self.apply(json!({ "apiVersion": "v1", "kind": "List", "items": [role, binding] })).await?;
        let client = connect_as(&self.server.kubeconfig(), &user, &[]).await?;
        for rule in rules.as_array().context("no list of rules")? {
            self.has(&client, rule).await?;
        }
        Ok(client)
    }

    /// Returns a client of a service account, which has the rights of this `ClusterRole` here.
    async fn account(&self, namespace: &str, name: &str, cluster_role: &str) -> anyhow::Result<Client> {
        let subject = json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace });
        self.bind(name, "ClusterRole", cluster_role, subject).await?;
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        let user = format!("system:serviceaccount:{namespace}:{name}");
        connect_as(&self.server.kubeconfig(), &user, &groups).await
    }

    async fn bind(&self, name: &str, kind: &str, role: &str, subject: Value) -> anyhow::Result<()> {
        self.apply(self.binding(name, kind, role, &subject)).await
    }

    fn binding(&self, name: &str, kind: &str, role: &str, subject: &Value) -> Value {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": name, "namespace": self.namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
            "subjects": [subject] })
    }

    async fn apply(&self, manifest: Value) -> anyhow::Result<()> {
        self.server.kubectl()?.apply(&manifest.to_string()).await?.ok().map(drop)
    }

    /// Waits until a user has what a rule of a role says.
    async fn has(&self, client: &Client, rule: &Value) -> anyhow::Result<()> {
        let first = |field: &str| rule[field][0].as_str().map(|text| text.replace('*', "any"));
        let (resource, subresource) = match first("resources") {
            Some(resource) => match resource.split_once('/') {
                Some((resource, subresource)) => (Some(resource.to_owned()), Some(subresource.to_owned())),
                None => (Some(resource), None),
            },
            None => (None, None),
        };
        let attributes = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            group: first("apiGroups"),
            name: first("resourceNames"),
            verb: first("verbs"),
            resource,
            subresource,
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        wait::poll("the user has the right", DEADLINE, || async {
            let answer = reviews.create(&PostParams::default(), &review).await?;
            Ok(answer.status.is_some_and(|status| status.allowed).then_some(()))
        })
        .await
    }

    /// Images or `ImageBuilders`, as this user sees them.
    fn objects(&self, client: &Client, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), &self.namespace, &kind.resource())
    }
}

/// A kind whose objects users write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    ImageBuilder,
    ImageMirror,
    WorkloadMirror,
}

/// All of them.
const KINDS: [Kind; 4] = [Kind::Image, Kind::ImageBuilder, Kind::ImageMirror, Kind::WorkloadMirror];

impl Kind {
    fn resource(self) -> ApiResource {
        match self {
            Self::Image => ApiResource::erase::<Image>(&()),
            Self::ImageBuilder => ApiResource::erase::<ImageBuilder>(&()),
            Self::ImageMirror => ApiResource::erase::<ImageMirror>(&()),
            Self::WorkloadMirror => ApiResource::erase::<WorkloadMirror>(&()),
        }
    }

    /// Returns an object with this spec.
    fn object(self, name: &str, spec: &Value) -> DynamicObject {
        DynamicObject::new(name, &self.resource()).data(json!({ "spec": spec }))
    }

    /// Returns a spec in which nothing is named.
    fn spec(self) -> Value {
        match self {
            Self::Image => crate::images::spec(&[]),
            Self::ImageBuilder => json!({ "platforms": ["linux/amd64"], "source": "FROM scratch\nLABEL a=b",
                "image": { "name": "registry.example.com/team/app", "version": "v1" } }),
            Self::ImageMirror => json!({ "targets": [{ "repository": "r.example.com", "default": true }],
                "entries": [{ "source": "quay.io/a/b", "tags": ["1"] }] }),
            Self::WorkloadMirror => json!({ "destination": { "repository": "r.example.com" } }),
        }
    }
}

/// Sets a field of a spec: `source.credentials.secretName`.
fn with(mut spec: Value, path: &str, value: impl Into<Value>) -> Value {
    *path.split('.').fold(&mut spec, |place, key| &mut place[key]) = value.into();
    spec
}

/// Asks whether an object would be accepted.
async fn try_create(api: &Api<DynamicObject>, object: &DynamicObject) -> Result<(), Error> {
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, object).await.map(drop)
}

/// Asks whether a change would be accepted.
async fn try_patch(api: &Api<DynamicObject>, name: &str, change: &Value) -> Result<(), Error> {
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    api.patch(name, &params, &Patch::Merge(change)).await.map(drop)
}

/// Returns what a policy says against a request; none if it was accepted.
fn refusal(answer: Result<(), Error>) -> anyhow::Result<Option<String>> {
    match answer {
        Ok(()) => Ok(None),
        Err(Error::Api(status)) if status.message.contains("ValidatingAdmissionPolicy") => {
            Ok(Some(status.message))
        }
        Err(error) => Err(error).context("it is refused by something else"),
    }
}

/// Fails unless a policy refuses this with these words. It takes a moment until a policy holds.
async fn refused<Fut>(words: &str, ask: impl Fn() -> Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = Result<(), Error>>,
{
    let said =
        wait::poll(&format!("a refusal: {words}"), DEADLINE, || async { refusal(ask().await) }).await?;
    anyhow::ensure!(said.contains(words), "it says: {said}\nand should say: {words}");
    Ok(())
}

/// Waits until a request is accepted: it takes a moment until a right holds.
async fn accepted<Fut>(ask: impl Fn() -> Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = Result<(), Error>>,
{
    let last = std::cell::RefCell::new(String::new());
    let asked = wait::poll("it is accepted", DEADLINE, || async {
        let answer = ask().await;
        *last.borrow_mut() = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
        Ok(answer.ok())
    });
    asked.await.with_context(|| last.take())
}
