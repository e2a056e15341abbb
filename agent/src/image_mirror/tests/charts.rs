//! Images of charts, in whole passes: read in a repository, and found by Jobs with Helm.

use std::sync::Arc;

use imgop_core::api::{
    ChartEnvironment, ChartSource, ChartTier, HelmChartSource, MirrorUpdate, UpdateMode, UpdateSource,
};
use imgop_core::sources::charts::images_in;
use imgop_core::sources::charts::report::to_message;
use imgop_fakes::{ScriptedRegistry, reply};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::stage::Stage;
use crate::controller::Reconcile as _;
use crate::image_mirror::Memory;

const INDEX: &str = "\
entries:
  web:
  - version: 1.2.3
    urls: [web-1.2.3.tgz]
    annotations: {artifacthub.io/images: '[{image: quay.io/tools/widget0:1.2}, {image: quay.io/tools/none:1}]'}
";

/// A mirror of one repository, whose tags come from a chart.
async fn stage(tiers: &[ChartTier], mode: UpdateMode, settings: &[&str]) -> (Stage, ScriptedRegistry) {
    let repository = ScriptedRegistry::start(|seen| match seen.target.as_str() {
        "/charts/index.yaml" => reply(200, &[], INDEX),
        _ => reply(404, &[], ""),
    })
    .await;
    let mut stage = Stage::with(1, settings);
    stage.mirrors.agent.jobs.are_listed();
    let helm_chart = Some(HelmChartSource {
        repository: Some(format!("http://{}/charts", repository.address)),
        charts: vec![ChartSource { name: "web".into(), ..ChartSource::default() }],
        images_from: tiers.to_vec(),
        image_denylist: vec!["quay.io/tools/denied".into()],
        ..HelmChartSource::default()
    });
    stage.mirror.spec.updates = vec![MirrorUpdate {
        name: "web".into(),
        from: UpdateSource { helm_chart, ..UpdateSource::default() },
        entries: Vec::new(),
        mode,
        frequency: "6h".into(),
    }];
    (stage, repository)
}

fn tags(stage: &Stage) -> Vec<String> {
    stage.images()[0].spec.source.tags.clone()
}

fn messages(stage: &Stage) -> Vec<String> {
    stage.status().failed_updates.iter().map(|failed| failed.message.clone()).collect()
}

/// The Jobs that were created.
fn jobs(stage: &Stage) -> Vec<Job> {
    let created = stage.api.bodies("POST").into_iter().filter(|body| body["kind"] == "Job");
    created.map(|body| serde_json::from_value(body).unwrap()).collect()
}

/// A Job has ended; its containers have said this.
fn end(stage: &Stage, job: &Job, containers: &[(&str, i32, &str)]) {
    let uid = format!("uid of {}", job.name_any());
    let mut job = job.clone();
    job.metadata.uid = Some(uid.clone());
    let is_failed = containers.iter().any(|(_, code, _)| *code != 0);
    let condition = json!({ "type": if is_failed { "Failed" } else { "Complete" }, "status": "True",
        "lastTransitionTime": stage.now });
    job.status = Some(serde_json::from_value(json!({ "conditions": [condition] })).unwrap());
    stage.mirrors.agent.jobs.show(&job);
    let ended = |(name, code, message): &(&str, i32, &str)| {
        json!({ "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": code, "message": message, "finishedAt": stage.now } } })
    };
    let statuses: Vec<Value> = containers.iter().map(ended).collect();
    let (helm, images): (Vec<Value>, Vec<Value>) =
        statuses.into_iter().partition(|one| one["name"] == "helm");
    let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "controller": true, "uid": uid,
        "name": job.name_any() });
    stage.mirrors.agent.jobs.show_pod(&json!({
        "metadata": { "name": format!("pod-{}", job.name_any()), "namespace": "team-a", "ownerReferences": [owner],
            "creationTimestamp": stage.now },
        "status": { "phase": if is_failed { "Failed" } else { "Succeeded" }, "initContainerStatuses": helm,
            "containerStatuses": images },
    }));
}

fn report(rendered: &str) -> String {
    to_message(&images_in(rendered, false).unwrap()).unwrap()
}

#[tokio::test]
async fn what_a_chart_lists_is_proposed_and_an_image_without_an_entry_is_said() {
    let (mut stage, repository) = stage(&[ChartTier::Annotation], UpdateMode::Propose, &[]).await;
    stage.settle().await;
    assert_eq!(stage.status().proposals.as_ref().unwrap().tags, ["quay.io/tools/widget0:1.2"]);
    assert_eq!(
        messages(&stage),
        ["no entry has quay.io/tools/none: add an entry, or name it in imageDenylist"]
    );
    assert_eq!((repository.seen().len(), jobs(&stage).len()), (1, 0));
}

#[tokio::test]
async fn a_server_that_does_not_answer_keeps_the_charts_of_no_other_namespace_waiting() {
    let (stage, repository) = stage(&[ChartTier::Annotation], UpdateMode::Propose, &[]).await;
    let asked = Arc::<Notify>::default();
    let was_asked = asked.clone();
    let silent = ScriptedRegistry::start_async(move |_| {
        asked.notify_one();
        std::future::pending()
    })
    .await;
    let mut slow = stage.mirror.clone();
    (slow.metadata.namespace, slow.metadata.uid) = (Some("team-b".into()), Some("slow".into()));
    let charts = slow.spec.updates[0].from.helm_chart.as_mut().unwrap();
    charts.repository = Some(format!("http://{}/charts", silent.address));
    let (mut own, mut others, mut again) = (Memory::default(), Memory::default(), Memory::default());
    let pass = |mirror, memory| Box::pin(stage.mirrors.pass(mirror, memory, stage.now));
    let mut waits = pass(&slow, &mut others);
    tokio::select! {
        _ = &mut waits => panic!("it has an answer"),
        () = was_asked.notified() => {}
    }
    pass(&stage.mirror, &mut own).await.unwrap();
    assert_eq!(repository.seen().len(), 1);
    // Of its own namespace it keeps others, and these come soon.
    let put_off = pass(&slow, &mut again).await.unwrap();
    assert!(put_off.next.is_some_and(|wait| wait.as_secs() <= 10), "{:?}", put_off.next);
    assert_eq!(silent.seen().len(), 1);
}

#[tokio::test]
async fn values_with_dollars_reach_helm_as_they_are_written() {
    let (mut stage, _repository) =
        stage(&[ChartTier::Template], UpdateMode::Apply, &["--helm-image=helm:4"]).await;
    let chart = &mut stage.mirror.spec.updates[0].from.helm_chart.as_mut().unwrap().charts[0];
    let set = vec!["a=x$$y,b=$(HOME)".into()];
    chart.environments = vec![ChartEnvironment { name: "own".into(), set }];
    stage.settle().await;
    let pod = jobs(&stage).remove(0).spec.unwrap().template.spec.unwrap();
    let arguments = pod.init_containers.unwrap().remove(0).args.unwrap();
    assert!(arguments.iter().any(|argument| argument.contains("a=x$$$$y,b=$$(HOME)")), "{arguments:?}");
}

#[tokio::test]
async fn without_an_image_with_helm_templates_are_refused_with_the_name_of_the_setting() {
    let (mut stage, _repository) = stage(&[ChartTier::Template], UpdateMode::Apply, &[]).await;
    stage.settle().await;
    let messages = messages(&stage);
    assert!(
        messages[0].starts_with("chart web: HelmUnavailable: ") && messages[0].contains("HELM_IMAGE"),
        "{messages:?}"
    );
    assert_eq!((tags(&stage).len(), jobs(&stage).len()), (2, 0));
}

#[tokio::test]
async fn a_job_renders_a_chart_once_and_what_it_reports_is_mirrored() {
    let (mut stage, _repository) =
        stage(&[ChartTier::Template], UpdateMode::Apply, &["--helm-image=helm:4"]).await;
    stage.settle().await;
    let [job] = &jobs(&stage)[..] else { panic!("{:?}", stage.api.requests()) };
    let mut shown = job.clone();
    let pod = shown.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()).unwrap();
    for argument in pod.init_containers.iter_mut().flatten().filter_map(|one| one.args.as_mut()).flatten() {
        if argument.starts_with("--repo=") {
            "--repo=http://charts.example.com/charts".clone_into(argument);
        }
    }
    shown.metadata.name = None;
    insta::assert_snapshot!(serde_saphyr::to_string(&shown).unwrap());
    assert!(messages(&stage).is_empty() && tags(&stage).len() == 2, "nothing is known yet");

    let rendered = "- image: quay.io/tools/widget0:1.3\n- image: quay.io/tools/denied:1\n";
    end(&stage, job, &[("helm", 0, ""), ("images", 0, &report(rendered))]);
    stage.settle().await;
    assert_eq!(tags(&stage), ["1.0", "1.1", "1.3"]);
    assert!(messages(&stage).is_empty(), "{:?}", messages(&stage));
    // The same version is not rendered again, also when the Job is gone.
    stage.mirrors.agent.jobs.is_gone(job);
    stage.pass(7 * 3600).await;
    stage.settle().await;
    assert_eq!(jobs(&stage).len(), 1);
}

#[tokio::test]
async fn the_network_policy_of_copies_selects_the_pods_that_render_charts() {
    let (mut stage, _repository) =
        stage(&[ChartTier::Template], UpdateMode::Apply, &["--helm-image=helm:4"]).await;
    stage.settle().await;
    let labels = jobs(&stage).remove(0).spec.unwrap().template.metadata.unwrap().labels.unwrap();
    let policy = include_str!("../../../../manifests/copy-network-policy.yaml");
    let policy: NetworkPolicy = serde_saphyr::from_str(policy).unwrap();
    let selector = policy.spec.unwrap().pod_selector.unwrap();
    let all = selector.match_labels.unwrap();
    assert!(!all.is_empty() && all.iter().all(|(key, value)| labels.get(key) == Some(value)), "{labels:?}");
    for expression in selector.match_expressions.unwrap() {
        assert!(expression.values.unwrap().contains(&labels[&expression.key]), "{labels:?}");
    }
}

#[tokio::test]
async fn a_chart_that_helm_refuses_says_so_in_its_words_and_is_rendered_again_after_an_hour() {
    let (mut stage, _repository) =
        stage(&[ChartTier::Template], UpdateMode::Apply, &["--helm-image=helm:4"]).await;
    stage.settle().await;
    let job = jobs(&stage).remove(0);
    end(
        &stage,
        &job,
        &[("helm", 1, "warning\nError: template: web/templates/a.yaml:1: no \u{7}such value\n")],
    );
    stage.settle().await;
    assert_eq!(messages(&stage), ["chart web: helm: template: web/templates/a.yaml:1: no such value"]);
    stage.pass(1800).await;
    assert_eq!(jobs(&stage).len(), 1);
    stage.pass(1801).await;
    assert_eq!(jobs(&stage).len(), 2);
    let deleted = stage
        .api
        .requests()
        .into_iter()
        .filter(|line| line.starts_with("DELETE ") && line.contains("/jobs/"));
    assert_eq!(deleted.count(), 1);
}

#[tokio::test]
async fn a_report_that_is_none_adds_nothing() {
    let (mut stage, _repository) =
        stage(&[ChartTier::Template], UpdateMode::Apply, &["--helm-image=helm:4"]).await;
    stage.settle().await;
    let job = jobs(&stage).remove(0);
    end(&stage, &job, &[("helm", 0, ""), ("images", 0, "quay.io/tools/widget0:1.3")]);
    stage.settle().await;
    assert_eq!(tags(&stage), ["1.0", "1.1"]);
    assert!(messages(&stage)[0].contains("cannot be read"), "{:?}", messages(&stage));
}
