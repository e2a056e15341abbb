//! The rights of the agent, by the API server's own record of what it does with them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use imgop_core::api::{DOCKER_CONFIG_KEY, Image};
use imgop_fakes::{Catalog, WritableRegistry};
use imgop_tests::agent_process::{AgentProcess, install_account};
use imgop_tests::api_server::ApiServer;
use imgop_tests::audit::{Right, UsedRights};
use imgop_tests::{programs, repository_root, wait};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_mins(2);
const AGENT: &str = "system:serviceaccount:imgop-system:imgop-agent";
/// Verbs of imgop's own: the API server is asked for them, and nothing is done with them.
const OWN_VERBS: [&str; 3] = ["own", "build", "use-aws"];

/// An API server, and an administrator of it.
struct Place {
    server: ApiServer,
    client: Client,
}

/// A Role or a `ClusterRole`.
#[derive(Debug, serde::Deserialize)]
struct AnyRole {
    metadata: ObjectMeta,
    rules: Vec<PolicyRule>,
}

/// The roles of `manifests/agent.yaml` and `manifests/workloads.yaml`, and what each grants.
fn roles() -> anyhow::Result<BTreeMap<String, BTreeSet<Right>>> {
    let read = |file: &str| std::fs::read_to_string(repository_root().join("manifests").join(file));
    let text = [read("agent.yaml")?, read("workloads.yaml")?].join("\n---\n");
    let is_role = |document: &&str| {
        ["ClusterRole", "Role"].iter().any(|kind| document.contains(&format!("\nkind: {kind}\n")))
    };
    let mut roles = BTreeMap::new();
    for document in text.split("\n---\n").filter(is_role) {
        let role: AnyRole = serde_saphyr::from_str(document)?;
        let rights: &mut BTreeSet<Right> = roles.entry(role.metadata.name.unwrap_or_default()).or_default();
        for rule in &role.rules {
            let (groups, resources) = (rule.api_groups.iter().flatten(), rule.resources.iter().flatten());
            let objects = groups.flat_map(|group| resources.clone().map(move |resource| (group, resource)));
            for (group, resource) in objects {
                rights.extend(rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone())));
            }
        }
    }
    anyhow::ensure!(roles.len() >= 4, "{roles:?}");
    Ok(roles)
}

/// What the agent can do with a role.
pub(crate) fn granted(role: &str) -> anyhow::Result<BTreeSet<Right>> {
    let mut rights = roles()?.remove(role).with_context(|| format!("no role {role}"))?;
    rights.retain(|(_, _, verb)| !OWN_VERBS.contains(&verb.as_str()));
    Ok(rights)
}

#[test]
fn no_role_of_the_agent_lists_secrets_acts_for_others_or_reaches_into_pods() -> anyhow::Result<()> {
    for (role, rights) in roles()? {
        for (group, resource, verb) in &rights {
            let right = format!("{role}: {verb} {resource}.{group}");
            anyhow::ensure!([group, resource, verb].iter().all(|part| !part.contains('*')), "{right}");
            anyhow::ensure!(
                !["impersonate", "escalate", "bind", "deletecollection"].contains(&verb.as_str()),
                "{right}"
            );
            anyhow::ensure!(
                !resource.starts_with("pods/") && !resource.starts_with("serviceaccounts"),
                "{right}"
            );
            let lists = ["list", "watch"].contains(&verb.as_str());
            anyhow::ensure!(!(lists && ["secrets", "configmaps"].contains(&resource.as_str())), "{right}");
            // In all of the cluster it reads Jobs, namespaces and kinds of imgop, and writes what says how they are.
            let is_safe = lists
                || (verb == "patch" && resource.ends_with("/status"))
                || ["events", "namespaces"].contains(&resource.as_str());
            let is_of_workloads = role == "imgop-agent-workloads";
            anyhow::ensure!(role != "imgop-agent" || is_safe && resource != "pods", "{right}");
            anyhow::ensure!(!is_of_workloads || is_safe || is_read(resource, verb), "{right}");
        }
    }
    Ok(())
}

/// What made a pod is read by name, and what a namespace lets another see is asked for.
fn is_read(resource: &str, verb: &str) -> bool {
    verb == "get" && ["replicasets", "jobs"].contains(&resource) || resource == "subjectaccessreviews"
}

impl Place {
    async fn apply(&self, manifest: Value) -> anyhow::Result<()> {
        self.server.kubectl()?.apply(&manifest.to_string()).await?.ok().map(drop)
    }

    /// Creates a namespace with its own name for the role that is bound there.
    async fn enabled(&self, namespace: &str, role: &str) -> anyhow::Result<()> {
        self.apply(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }))
            .await?;
        self.apply(json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": role, "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": "imgop-agent", "namespace": "imgop-system" }] }))
            .await
    }

    async fn login(&self, namespace: &str, name: &str, host: &str, password: &str) -> anyhow::Result<()> {
        let config = json!({ "auths": { host: { "username": "user", "password": password } } }).to_string();
        self.apply(json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": { "name": name, "namespace": namespace }, "stringData": { DOCKER_CONFIG_KEY: config } }))
            .await
    }

    /// Waits until the agent has used each right of a role, in one namespace or in any.
    async fn uses(&self, namespace: Option<&str>, role: &str) -> anyhow::Result<()> {
        let granted = granted(role)?;
        let used = RefCell::new(UsedRights::new(&self.server.audit_log(), AGENT, namespace));
        let unused = || {
            let mut used = used.borrow_mut();
            let used = used.until_now()?;
            // Events are read of Jobs whose pods are refused for a while; the disruption tests have such a Job.
            // Applying what is not there takes the right to create it, and the log calls that a patch.
            let is_used_there = |right: &&Right| {
                let (group, resource, verb) = right;
                [("", "events", "list"), ("skopeo.io", "images", "create")].contains(&(group, resource, verb))
            };
            let unused = granted.difference(used).filter(|right| !is_used_there(right));
            Ok::<_, anyhow::Error>(unused.cloned().collect::<Vec<_>>())
        };
        let all =
            wait::poll("every right is used", DEADLINE, || async { Ok(unused()?.is_empty().then_some(())) });
        match all.await {
            Ok(()) => Ok(()),
            Err(_) => anyhow::bail!("nothing uses these rights of {role}: {:?}", unused()?),
        }
    }

    /// Waits for a Job that is not among these, and returns its name.
    async fn new_job(&self, namespace: &str, known: &[String]) -> anyhow::Result<String> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), namespace);
        wait::poll("a new Job", DEADLINE, || async {
            let names = jobs.list(&ListParams::default()).await?.items.into_iter().map(|job| job.name_any());
            Ok(names.into_iter().find(|name| !known.contains(name)))
        })
        .await
    }
}

#[tokio::test]
async fn no_role_of_the_agent_has_a_right_that_it_does_not_use() -> anyhow::Result<()> {
    let server = ApiServer::bare().await?;
    let kubeconfig = install_account(&server).await?;
    let place = Place { client: server.client().await?, server };
    let program = tokio::task::spawn_blocking(programs::agent).await??;
    let agent = AgentProcess::start(&program, &kubeconfig, place.server.folder(), &[]).await?;
    copies(&place).await?;
    builds(&place).await?;
    place.uses(Some("copies"), "imgop-agent-namespace").await?;
    place.uses(Some("builds"), "imgop-agent-builds").await?;
    place.uses(None, "imgop-agent").await?;
    reports(&place).await?;
    // What it may do with Secrets for AWS is what it does for builds; there is no AWS here.
    let of_builds = granted("imgop-agent-builds")?;
    anyhow::ensure!(granted("imgop-agent-aws")?.is_subset(&of_builds));
    // Whoever has bound the first alone has what the two others give together.
    let whole = roles()?.remove("imgop-agent-namespace");
    let parts =
        ["imgop-agent-copies", "imgop-agent-secrets"].map(|part| roles().map(|mut all| all.remove(part)));
    let parts: BTreeSet<Right> =
        parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().flatten().collect();
    anyhow::ensure!(whole.as_ref() == Some(&parts), "{whole:?}\n{parts:?}");
    without_secrets(&place).await?;
    agent.stop().await
}

/// What is lent cannot be read, which the administrator sees.
async fn reports(place: &Place) -> anyhow::Result<()> {
    let table = place.server.kubectl()?.run(["get", "registryaccess"]).await?.ok()?;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    anyhow::ensure!(
        rows[0] == ["NAME", "HOSTS", "REPOSITORIES", "ACTIONS", "READY", "REASON", "AGE"],
        "{table}"
    );
    anyhow::ensure!(rows[1][0] == "others" && rows[1][4..6] == ["False", "SecretUnusable"], "{table}");
    Ok(())
}

/// An Image that names a Secret, and whose Job is not wanted any more.
async fn copies(place: &Place) -> anyhow::Result<()> {
    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let registry = registry.start().await;
    place.enabled("copies", "imgop-agent-namespace").await?;
    place.login("copies", "login", &registry.address, "one").await?;
    let image = |destination: &str| {
        let tls = json!({ "mode": "PlainHTTP" });
        json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
            "metadata": { "name": "app", "namespace": "copies" },
            "spec": { "mode": "OneShot",
                "source": { "name": format!("{}/app", registry.address), "version": "1.0.0", "tls": tls },
                "destination": { "name": format!("{}/{destination}", registry.address), "publish": "Direct",
                    "tls": tls, "credentials": { "secretName": "login" } } } })
    };
    // Whom it selects depends on the labels of the namespace.
    place
        .apply(json!({ "apiVersion": "imgop.io/v1alpha1", "kind": "RegistryAccess", "metadata": { "name": "others" },
            "spec": { "hosts": [registry.address], "repositories": ["app"], "actions": ["Pull"], "secretName": "other",
                "namespaceSelector": { "matchLabels": { "team": "other" } } } }))
        .await?;
    place.apply(image("one")).await?;
    place.new_job("copies", &[]).await?;
    place.apply(image("two")).await?;
    mirrored(place, "copies").await?;
    // It says that it may see no workloads.
    place
        .apply(json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
            "metadata": { "name": "all", "namespace": "copies" },
            "spec": { "destination": { "repository": "127.0.0.1/mirror" } } }))
        .await?;
    place.uses(Some("copies"), "imgop-agent-namespace").await
}

/// An `ImageMirror` of a file, whose Image is created, changed and deleted.
async fn mirrored(place: &Place, namespace: &str) -> anyhow::Result<()> {
    let entries = |tags: &[&str]| {
        let listed: String = tags.iter().flat_map(|tag| ["  - ", tag, "\n"]).collect();
        format!("Images:\n- SourceImage: 127.0.0.1/tools/widget\n  Tags:\n{listed}Repositories: []\n")
    };
    let file = |text: String| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "inventory", "namespace": namespace },
            "data": { "config.yaml": text } })
    };
    let mirror = |prune: &str| {
        json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "ImageMirror",
            "metadata": { "name": "tools", "namespace": namespace },
            "spec": { "targets": [{ "repository": "127.0.0.1/mirror", "default": true }], "frequency": "10s",
                "prune": prune, "entries": [{ "source": "127.0.0.1/tools/gadget", "tags": ["1"] },
                    { "source": "127.0.0.1/tools/other", "tags": ["1"] }],
                "from": [{ "configMap": { "name": "inventory", "key": "config.yaml" }, "format": "Rancher" }] } })
    };
    let images: Api<Image> = Api::namespaced(place.client.clone(), namespace);
    let of_mirror = ListParams::default().labels("imgop.skopeo.io/mirror=tools");
    let are = async |what: &str, is: &dyn Fn(&[Image]) -> bool| {
        wait::poll(what, DEADLINE, || async { Ok(is(&images.list(&of_mirror).await?.items).then_some(())) })
            .await
    };
    place.apply(file(entries(&["\"1.0\""]))).await?;
    place.apply(mirror("Children")).await?;
    are("there are three Images", &|images| images.len() == 3).await?;
    place.apply(file(entries(&["\"1.0\"", "\"1.1\""]))).await?;
    are("one has another tag", &|images| images.iter().any(|image| image.spec.source.tags.len() == 2))
        .await?;
    place.apply(file("Images: []\nRepositories: []\n".to_owned())).await?;
    are("one is gone", &|images| images.len() == 2).await
}

/// A namespace whose Secrets the agent may not read: Images that name none are copied there, and others say what is missing.
async fn without_secrets(place: &Place) -> anyhow::Result<()> {
    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let registry = registry.start().await;
    place.enabled("open", "imgop-agent-copies").await?;
    place.login("open", "login", &registry.address, "one").await?;
    let image = |name: &str, credentials: Value| {
        let tls = json!({ "mode": "PlainHTTP" });
        json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
            "metadata": { "name": name, "namespace": "open" },
            "spec": { "mode": "OneShot",
                "source": { "name": format!("{}/app", registry.address), "version": "1.0.0", "tls": tls },
                "destination": { "name": format!("{}/{name}", registry.address), "publish": "Direct",
                    "tls": tls, "credentials": credentials } } })
    };
    place.apply(image("public", Value::Null)).await?;
    place.new_job("open", &[]).await?;
    place.apply(image("private", json!({ "secretName": "login" }))).await?;
    let images: Api<Image> = Api::namespaced(place.client.clone(), "open");
    let said = async || {
        let status = images.get("private").await?.status;
        let conditions = status.map(|status| status.conditions).unwrap_or_default();
        anyhow::Ok(conditions.into_iter().find(|condition| condition.type_ == "Ready"))
    };
    let what = "it says which role is missing";
    let condition = wait::poll(what, DEADLINE, || async { said().await }).await?;
    let command = "kubectl create rolebinding imgop-agent-secrets -n open --clusterrole=imgop-agent-secrets";
    anyhow::ensure!(condition.message.contains(command), "{}: {}", condition.reason, condition.message);
    place.enabled("open", "imgop-agent-secrets").await?;
    wait::poll("it is copied", DEADLINE, || async {
        let condition = said().await?;
        Ok(condition.filter(|condition| condition.reason != "NamespaceNotEnabled"))
    })
    .await
    .map(drop)
}

/// An `ImageBuilder` that needs two Secrets in one, before and after one of them has changed.
async fn builds(place: &Place) -> anyhow::Result<()> {
    let registry = WritableRegistry::start().await;
    let host = format!("127.0.0.1:{}", registry.address.port());
    place.enabled("builds", "imgop-agent-builds").await?;
    place.login("builds", "one", &host, "one").await?;
    place.login("builds", "two", "two.example.com", "two").await?;
    place
        .apply(json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "arguments", "namespace": "builds" }, "data": { "key": "value" } }))
        .await?;
    let builder = |token: &str| {
        let argument = json!({ "name": "A",
            "valueFrom": { "configMapKeyRef": { "name": "arguments", "key": "key" } } });
        json!({ "apiVersion": "buildah.io/v1alpha1", "kind": "ImageBuilder",
            "metadata": { "name": "app", "namespace": "builds" },
            "spec": { "platforms": ["linux/amd64"], "source": format!("FROM scratch\nLABEL a={token}"),
                "buildArgs": [argument],
                "image": { "name": format!("{host}/app"), "version": "1", "tls": { "mode": "PlainHTTP" } },
                "registries": [{ "host": host, "credentials": { "secretName": "one" } },
                    { "host": "two.example.com", "credentials": { "secretName": "two" } }] } })
    };
    place.apply(builder("one")).await?;
    let first = place.new_job("builds", &[]).await?;
    let secrets: Api<Secret> = Api::namespaced(place.client.clone(), "builds");
    let merged = secrets.list(&ListParams::default()).await?.items.into_iter();
    anyhow::ensure!(merged.map(|secret| secret.name_any()).any(|name| name.starts_with("imgop-pull-")));
    place.login("builds", "one", &host, "changed").await?;
    // Each ends the one before it. For some seconds the agent may go by what it has read of a Secret.
    let update: Right = (String::new(), "secrets".to_owned(), "update".to_owned());
    let mut used = UsedRights::new(&place.server.audit_log(), AGENT, Some("builds"));
    let mut known = vec![first];
    let again = async {
        while !used.until_now()?.contains(&update) {
            place.apply(builder(&format!("build-{}", known.len()))).await?;
            let job = place.new_job("builds", &known).await?;
            known.push(job);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(DEADLINE, again).await.context("the Secret is not written again")?
}
