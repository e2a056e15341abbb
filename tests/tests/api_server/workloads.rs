//! What the agent makes of WorkloadMirrors on a real API server: pods are created there, and run nowhere. Nothing answers
//! at the registries but where a test has one.

mod stage;

use std::cell::RefCell;

use anyhow::Context as _;
use imgop_core::api::conditions::{READY, find, reasons};
use imgop_core::api::{
    MirrorSource, REQUESTED_AT_ANNOTATION, Tls, TlsMode, UNUSED_SINCE_ANNOTATION, WorkloadMirror,
    WorkloadMode, WorkloadOrigin, WorkloadPlatformMode, WorkloadTrigger,
};
use imgop_fakes::{Catalog, CatalogRegistry};
use imgop_tests::agent_process::apply;
use imgop_tests::audit::{self, UsedRights, used_rights};
use imgop_tests::wait;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::rights::granted;
use crate::tenants::DEADLINE;
use stage::{AGENT, NAMESPACE, NOWHERE, OTHER, Workloads, message, reason, spec};

#[tokio::test]
async fn pods_are_watched_only_where_it_is_granted_and_only_while_there_is_a_mirror() -> anyhow::Result<()> {
    let workloads = Workloads::new(false).await?;
    let agent = workloads.case.agent(&[]).await?;
    let log = workloads.case.server.audit_log();
    let generation = workloads.apply(&spec()).await?;
    let stalled = workloads
        .says("lacks a right", |mirror| {
            reason(mirror) == reasons::WORKLOADS_NOT_ALLOWED
                && mirror.status.as_ref().and_then(|status| status.observed_generation) == Some(generation)
        })
        .await?;
    anyhow::ensure!(message(&stalled).contains("imgop-agent-workloads"), "{}", message(&stalled));
    let is_of_pods = |log: &std::path::Path| {
        let text = std::fs::read_to_string(log)?;
        let asked = text.lines().filter(|line| line.contains(AGENT) && line.contains("/api/v1/pods?"));
        anyhow::Ok(asked.count())
    };
    assert_eq!(is_of_pods(&log)?, 0, "what would be refused is not asked for");
    workloads.api().delete("all", &DeleteParams::default()).await?;
    apply(&workloads.case.server, "workloads.yaml").await?;
    // An Image shows that the agent has come to what was made before it.
    let [source, destination] = ["a", "b"].map(|name| format!("{NOWHERE}/{name}"));
    workloads.case.create(NAMESPACE, [crate::tenants::image("other", &source, &destination)]).await?;
    workloads.case.reason(NAMESPACE, "other").await?;
    assert_eq!(is_of_pods(&log)?, 0, "nothing asks for pods");
    workloads.pod(NAMESPACE, "one", &["quay.io/acme/app:1"]).await?;
    workloads.apply(&spec()).await?;
    wait::poll("pods are watched", DEADLINE, || async { Ok((is_of_pods(&log)? > 0).then_some(())) }).await?;
    drop(agent);
    Ok(())
}

#[tokio::test]
async fn what_runs_is_mirrored_once_and_an_idle_agent_writes_nothing() -> anyhow::Result<()> {
    let workloads = Workloads::new(true).await?;
    let _agent = workloads.case.agent(&[]).await?;
    for n in 0..5 {
        workloads.pod(NAMESPACE, &format!("p{n}"), &["quay.io/acme/app:1", "nginx:1.27"]).await?;
    }
    let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "idle", "namespace": NAMESPACE },
        "spec": { "replicas": 0, "selector": { "matchLabels": { "a": "b" } },
            "template": { "metadata": { "labels": { "a": "b" } },
                "spec": { "initContainers": [{ "name": "i", "image": "quay.io/acme/init:1" }],
                    "containers": [{ "name": "c", "image": "quay.io/acme/idle:1" }] } } } });
    workloads.case.server.kubectl()?.apply(&deployment.to_string()).await?.ok()?;
    workloads.apply(&spec()).await?;
    let wanted =
        ["docker.io/library/nginx 1.27", "quay.io/acme/app 1", "quay.io/acme/idle 1", "quay.io/acme/init 1"];
    workloads.copies(&wanted).await?;
    workloads
        .says("says how much runs", |mirror| {
            mirror.status.as_ref().and_then(|status| status.counts).is_some_and(|counts| counts.pods == 5)
        })
        .await?;
    // The Images ask a registry that does not answer, and say so once; what is written then is no pass of the mirror's.
    workloads.says("its Images are not ready", |mirror| reason(mirror) == reasons::IMAGES_NOT_READY).await?;
    let log = workloads.case.server.audit_log();
    let from = audit::mark(&log)?;
    for n in 5..40 {
        workloads.pod(NAMESPACE, &format!("p{n}"), &["quay.io/acme/app:1"]).await?;
    }
    workloads
        .says("says how much runs", |mirror| {
            mirror.status.as_ref().and_then(|status| status.counts).is_some_and(|counts| counts.pods == 40)
        })
        .await?;
    assert_eq!(audit::writes_of(&log, AGENT, "images", from)?, 0);
    Ok(())
}

#[tokio::test]
async fn another_namespace_is_seen_only_while_it_lets_itself_be_seen() -> anyhow::Result<()> {
    let workloads = Workloads::new(true).await?;
    let agent = workloads.case.agent(&[]).await?;
    workloads.pod(NAMESPACE, "own", &["quay.io/acme/own:1"]).await?;
    workloads.pod(OTHER, "other", &["quay.io/acme/secret:1"]).await?;
    let mut wanted = spec();
    wanted.namespaces.include = vec!["team-*".into()];
    wanted.retention = "1m".into();
    workloads.apply(&wanted).await?;
    workloads.copies(&["quay.io/acme/own 1"]).await?;
    let mirror = workloads
        .says("says which are looked at", |mirror| message(mirror).contains("let this one mirror their pods"))
        .await?;
    let status = serde_json::to_string(&mirror.status)?;
    anyhow::ensure!(!status.contains("secret") && !status.contains(OTHER), "{status}");

    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": { "name": "imgop-workload-mirror-team-a" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "imgop-workload-mirror" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
            "name": format!("system:serviceaccounts:{NAMESPACE}") }],
    }))?;
    let bindings: Api<RoleBinding> = Api::namespaced(workloads.case.client().clone(), OTHER);
    bindings.create(&PostParams::default(), &binding).await?;
    workloads.copies(&["quay.io/acme/own 1", "quay.io/acme/secret 1"]).await?;

    // Another agent believes nothing that this one was told.
    drop(agent);
    bindings.delete(&binding.name_any(), &DeleteParams::default()).await?;
    workloads.ends(NAMESPACE, "own").await?;
    let _agent = workloads.case.agent(&[]).await?;
    workloads
        .says("misses one", |mirror| message(mirror).contains("one that was looked at may not be"))
        .await?;
    let images = workloads.copies(&["quay.io/acme/own 1", "quay.io/acme/secret 1"]).await?;
    anyhow::ensure!(images.values().all(|image| !image.annotations().contains_key(UNUSED_SINCE_ANNOTATION)));
    Ok(())
}

#[tokio::test]
async fn rights_that_are_withdrawn_make_nothing_unused_and_a_pod_that_ends_does() -> anyhow::Result<()> {
    let workloads = Workloads::new(true).await?;
    let agent = workloads.case.agent(&[]).await?;
    workloads.pod(NAMESPACE, "one", &["quay.io/acme/app:1"]).await?;
    workloads.pod(NAMESPACE, "two", &["quay.io/acme/app:2"]).await?;
    workloads.apply(&spec()).await?;
    workloads.copies(&["quay.io/acme/app 1", "quay.io/acme/app 2"]).await?;
    let is_unused = async |is_wanted: bool| {
        wait::poll(&format!("unused: {is_wanted}"), DEADLINE, || async {
            let all = workloads.case.images(NAMESPACE).list(&ListParams::default()).await?.items;
            let unused = all.iter().any(|image| image.annotations().contains_key(UNUSED_SINCE_ANNOTATION));
            Ok((unused == is_wanted).then_some(()))
        })
        .await
    };
    let bindings: Api<ClusterRoleBinding> = Api::all(workloads.case.client().clone());
    let binding = bindings.get("imgop-agent-workloads").await?;
    drop(agent);
    bindings.delete("imgop-agent-workloads", &DeleteParams::default()).await?;
    workloads.ends(NAMESPACE, "two").await?;
    let _agent = workloads.case.agent(&[]).await?;
    workloads.says("lacks a right", |mirror| reason(mirror) == reasons::WORKLOADS_NOT_ALLOWED).await?;
    is_unused(false).await?;
    let mut again = ClusterRoleBinding { metadata: kube::api::ObjectMeta::default(), ..binding };
    again.metadata.name = Some("imgop-agent-workloads".into());
    bindings.create(&PostParams::default(), &again).await?;
    is_unused(true).await?;
    workloads.copies(&["quay.io/acme/app 1", "quay.io/acme/app 2"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_image_that_only_an_origin_has_is_copied_for_a_pod_that_cannot_pull_it() -> anyhow::Result<()> {
    let destination = Catalog::default().start().await;
    let origin = Catalog::default().with("team/app", &[("v1_2", "content")]).start().await;
    let workloads = Workloads::new(true).await?;
    let _agent = workloads.case.agent(&[]).await?;
    let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
    let mut wanted = spec();
    wanted.triggers = vec![WorkloadTrigger::PullFailure];
    wanted.destination.repository = destination.address.clone();
    wanted.destination.tls = Some(plain.clone());
    wanted.sources =
        vec![MirrorSource { registry: origin.address.clone(), tls: plain, ..MirrorSource::default() }];
    wanted.origins =
        vec![WorkloadOrigin { from: destination.address.clone(), to: vec![origin.address.clone()] }];
    workloads.apply(&wanted).await?;
    workloads.pod(NAMESPACE, "web", &[&format!("{}/team/app:v1_2", destination.address)]).await?;
    let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "whatever it says" } });
    workloads.node_says(NAMESPACE, "web", "Pending", waiting).await?;
    let copied = format!("{}/team/app v1_2", origin.address);
    let images = workloads.copies(&[&copied]).await?;
    let image = images.into_values().next().context("an Image")?;
    assert_eq!(image.spec.destination.name, format!("{}/team/app", destination.address));
    Ok(())
}

#[tokio::test]
async fn the_modes_that_make_nothing_make_no_image_and_no_job() -> anyhow::Result<()> {
    let registry = Catalog::default().with("acme/app", &[("1", "one")]).start().await;
    let workloads = Workloads::new(true).await?;
    let _agent = workloads.case.agent(&[]).await?;
    workloads.pod(NAMESPACE, "web", &[&format!("{}/acme/app:1", registry.address)]).await?;
    let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
    let mut wanted = spec();
    wanted.mode = WorkloadMode::Plan;
    wanted.destination.repository = format!("{}/mirror", registry.address);
    wanted.destination.tls = Some(plain.clone());
    wanted.sources =
        vec![MirrorSource { registry: registry.address.clone(), tls: plain, ..MirrorSource::default() }];
    workloads.apply(&wanted).await?;
    let says = |text: &'static str| move |mirror: &WorkloadMirror| message(mirror).contains(text);
    workloads.says("says what it would do", says("1 tags would be mirrored")).await?;
    assert_eq!(registry.http.lines(), Vec::<String>::new());
    wanted.mode = WorkloadMode::Observe;
    workloads.apply(&wanted).await?;
    workloads.says("says what is there", says("0 of 1 tags are at the destination")).await?;
    let asked = registry.http.lines();
    anyhow::ensure!(asked.iter().all(|line| line.starts_with("HEAD ") || *line == "GET /v2/"), "{asked:?}");
    workloads.copies(&[]).await?;
    let used = used_rights(&workloads.case.server.audit_log(), AGENT)?;
    anyhow::ensure!(!used.iter().any(|(group, _, verb)| group == "batch" && verb == "create"), "{used:?}");
    Ok(())
}

/// A registry with an Image's source and destination, which have the same three tags.
async fn registry_with_old_tags() -> CatalogRegistry {
    let tags = [("1.0.0", "one"), ("1.1.0", "two"), ("2.0.0", "three")];
    Catalog::default().with("source/app", &tags).with("mirror/app", &tags).start().await
}

#[tokio::test]
async fn a_tag_that_a_pod_uses_is_not_due_and_without_the_right_to_see_pods_none_is() -> anyhow::Result<()> {
    let registry = registry_with_old_tags().await;
    let workloads = Workloads::new(false).await?;
    let _agent = workloads.case.agent(&[]).await?;
    workloads.pod(OTHER, "web", &[&format!("{}/mirror/app:1.0.0", registry.address)]).await?;
    workloads.has_pruned_image(&registry).await?;
    let image = workloads.pruned(|prune| prune.message.is_some()).await?;
    let status = image.status.context("a status")?;
    let ready = find(&status.conditions, READY).context("Ready")?.message.clone();
    anyhow::ensure!(ready.contains("--clusterrole=imgop-agent-workloads"), "{ready}");
    anyhow::ensure!(status.prune.is_some_and(|prune| prune.due == 0));
    apply(&workloads.case.server, "workloads.yaml").await?;
    let images = workloads.case.images(NAMESPACE);
    let request = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: "again" } } });
    images.patch("pruned", &PatchParams::default(), &Patch::Merge(request)).await?;
    let image = workloads.pruned(|prune| prune.message.is_none() && prune.due > 0).await?;
    let next = image.status.and_then(|status| status.prune).map(|prune| prune.next);
    assert_eq!(next, Some(vec!["1.1.0".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn no_right_to_see_workloads_is_one_that_nothing_uses() -> anyhow::Result<()> {
    let workloads = Workloads::new(true).await?;
    let _agent = workloads.case.agent(&[]).await?;
    let kubectl = workloads.case.server.kubectl()?;
    let template = json!({ "metadata": { "labels": { "a": "b" } },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "quay.io/acme/job:1" }] } });
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "once", "namespace": NAMESPACE },
        "spec": { "template": template } });
    let mut template = template;
    template["spec"]["restartPolicy"] = "Always".into();
    let replica_set = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": "web-1", "namespace": NAMESPACE },
        "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": template } });
    for (n, manifest) in [job, replica_set].into_iter().enumerate() {
        kubectl.apply(&manifest.to_string()).await?.ok()?;
        let (kind, name) = (&manifest["kind"], &manifest["metadata"]["name"]);
        let get =
            ["get", kind.as_str().unwrap_or_default(), name.as_str().unwrap_or_default(), "-n", NAMESPACE];
        let uid = kubectl.run(get.into_iter().chain(["-o", "jsonpath={.metadata.uid}"])).await?.ok()?;
        let owner = json!({ "apiVersion": manifest["apiVersion"], "kind": kind, "name": name, "uid": uid.trim(),
            "controller": true });
        let pod = json!({ "metadata": { "name": format!("of-{n}"), "ownerReferences": [owner] },
            "spec": { "containers": [{ "name": "c", "image": "quay.io/acme/job:1" }] } });
        workloads.pods(NAMESPACE).create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    }
    workloads.pod(OTHER, "other", &["quay.io/acme/other:1"]).await?;
    let mut wanted = spec();
    wanted.namespaces.include = vec!["team-*".into()];
    wanted.platforms.mode = WorkloadPlatformMode::Nodes;
    workloads.apply(&wanted).await?;
    let registry = registry_with_old_tags().await;
    workloads.has_pruned_image(&registry).await?;
    let granted = granted("imgop-agent-workloads")?;
    let used = RefCell::new(UsedRights::new(&workloads.case.server.audit_log(), AGENT, None));
    let unused = || {
        let mut used = used.borrow_mut();
        anyhow::Ok(granted.difference(used.until_now()?).cloned().collect::<Vec<_>>())
    };
    let all =
        wait::poll("every right is used", DEADLINE, || async { Ok(unused()?.is_empty().then_some(())) });
    all.await.with_context(|| format!("{:?}", unused()))
}
