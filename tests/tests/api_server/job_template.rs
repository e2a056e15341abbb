//! Job templates on a real API server: which it stores, and what it says of pods that a namespace does not take. There
//! is no Job controller, so the pod of a Job is created as that would, and nothing of it is stored.

use std::time::Duration;

use anyhow::Context as _;
use imgop_agent::cluster::owner::Owner;
use imgop_agent::jobs::refusals::{Advice, refusal_of_pod};
use imgop_agent::jobs::template::{JobDefaults, JobOptions, JobTemplate, PodNeeds, container};
use imgop_core::api::job_template::grammar::problems;
use imgop_core::api::{ImageBuilder, JobTemplateSpec, Resources};
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use imgop_tests::wait::poll;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, Pod, ResourceQuota};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

use crate::images::{image, images, spec};

const ADVICE: Advice = Advice {
    resources: "spec.jobTemplate.resources",
    settings: &["JOB"],
    pod_security: "ask whoever set it",
};
/// How long the API server may take to see a rule that it has just stored.
const RULE_TIME: Duration = Duration::from_secs(30);

fn template(json: Value) -> JobTemplateSpec {
    serde_json::from_value(json).unwrap_or_default()
}

/// A Job as the agent makes it: of one container with the agent's settings of old.
fn job(namespace: &str, own: Value) -> Job {
    let owner = Owner {
        api_version: "skopeo.io/v1alpha1".into(),
        kind: "Image".into(),
        namespace: namespace.into(),
        name: "argocd".into(),
        uid: "6f1d9a52-0000-4000-8000-000000000001".into(),
    };
    let usual = json!({ "limits": { "memory": "512Mi" }, "requests": { "cpu": "10m", "memory": "32Mi" } });
    let resources: Resources = serde_json::from_value(usual).unwrap_or_default();
    let options = JobOptions::merged(&JobDefaults { resources, ..JobDefaults::default() }, &template(own));
    let only = container("copy-0".into(), "skopeo:1".into(), "skopeo", Vec::new(), &[], &options.resources);
    JobTemplate {
        owner: &owner,
        app: "imgop-copy",
        identity: "x".into(),
        annotations: std::collections::BTreeMap::new(),
        init_containers: Vec::new(),
        containers: vec![only],
        volumes: Vec::new(),
        deadline_seconds: 60,
        ttl_seconds: Some(60),
        pod: PodNeeds::default(),
        options,
    }
    .build()
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// Returns the words in which the API server refuses the pod of a Job, if it does.
async fn refused(client: &Client, job: &Job) -> anyhow::Result<Option<String>> {
    let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
    let template = job.spec.clone().context("the Job has no spec")?.template;
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, status: None };
    pod.metadata.generate_name = Some("imgop-argocd-".to_owned());
    match Api::<Pod>::namespaced(client.clone(), namespace).create(&dry_run(), &pod).await {
        Ok(_) => Ok(None),
        Err(Error::Api(status)) => Ok(Some(status.message)),
        Err(other) => Err(other.into()),
    }
}

/// Waits until the pod is refused, and returns what the condition says then.
async fn condition(client: &Client, job: &Job) -> anyhow::Result<String> {
    let words = poll("the pod is refused", RULE_TIME, async || refused(client, job).await).await?;
    Ok(refusal_of_pod(&words, &ADVICE))
}

/// Creates an object that a namespace has rules in.
async fn create<K>(client: &Client, namespace: &str, object: Value) -> anyhow::Result<()>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

#[tokio::test]
async fn a_limit_range_is_named_with_the_field_that_helps_and_the_field_helps() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let limit = json!({ "type": "Container", "max": { "memory": "256Mi" } });
        let range = json!({ "metadata": { "name": "small" }, "spec": { "limits": [limit] } });
        create::<LimitRange>(&client, &namespace, range).await?;
        let said = condition(&client, &job(&namespace, json!({}))).await?;
        assert_eq!(
            said,
            "a LimitRange of the namespace refuses the pod: maximum memory usage per Container is 256Mi, but limit is \
             512Mi; set spec.jobTemplate.resources, or JOB_MEMORY_REQUEST and JOB_MEMORY_LIMIT of the agent"
        );
        let small = json!({ "resources": { "limits": { "memory": "256Mi" }, "requests": { "memory": "32Mi" } } });
        assert_eq!(refused(&client, &job(&namespace, small)).await?, None);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_quota_is_named_with_the_field_that_helps_and_the_field_helps() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let hard = json!({ "limits.cpu": "4" });
        let quota = json!({ "metadata": { "name": "compute" }, "spec": { "hard": hard } });
        create::<ResourceQuota>(&client, &namespace, quota).await?;
        // No controller counts what is used.
        let status = json!({ "status": { "hard": hard, "used": { "limits.cpu": "0" } } });
        let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
        quotas.patch_status("compute", &PatchParams::default(), &Patch::Merge(&status)).await?;
        let said = condition(&client, &job(&namespace, json!({}))).await?;
        assert_eq!(
            said,
            "a ResourceQuota of the namespace refuses the pod: failed quota: compute: must specify limits.cpu for: \
             copy-0; set spec.jobTemplate.resources, or JOB_CPU_REQUEST and JOB_CPU_LIMIT of the agent"
        );
        let with = |cpu: &str| json!({ "resources": { "limits": { "cpu": cpu } } });
        assert_eq!(refused(&client, &job(&namespace, with("1"))).await?, None);
        let said = condition(&client, &job(&namespace, with("9"))).await?;
        assert!(said.contains("exceeded quota: compute") && said.contains("raise the ResourceQuota"), "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_missing_priority_class_is_named_with_the_field_that_says_it() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let said = condition(&client, &job(&namespace, json!({ "priorityClassName": "none-such" }))).await?;
        assert_eq!(
            said,
            "the pod's PriorityClass does not exist: no PriorityClass with name none-such was found; \
             create it, or change spec.jobTemplate.priorityClassName, or JOB_PRIORITY_CLASS of the agent"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_with_all_that_a_template_says_passes_the_level_restricted_and_others_are_told_of()
-> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let level =
            json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.patch(&namespace, &PatchParams::default(), &Patch::Merge(&level)).await?;
        let whole = job(&namespace, every_field());
        let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
        jobs.create(&dry_run(), &whole).await?;
        let mut privileged = whole.clone();
        let pod = privileged.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()).context("no pod")?;
        pod.containers[0].security_context = None;
        let said = condition(&client, &privileged).await?;
        assert!(
            said.starts_with("the namespace's level of pod security refuses the pod: violates"),
            "{said}"
        );
        assert!(said.ends_with("; ask whoever set it"), "{said}");
        assert_eq!(refused(&client, &whole).await?, None, "by when the level counts");
        Ok(())
    })
    .await
}

/// A template with every field but a PriorityClass, which would have to exist.
fn every_field() -> Value {
    json!({
        "resources": { "limits": { "memory": "1Gi", "ephemeral-storage": "1Gi" }, "requests": { "cpu": "1" } },
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "tolerations": [{ "key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60 }],
        "affinity": {
            "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["a"] }] }] } },
            "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 5, "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "a": "b" } } } }] },
        },
        "serviceAccountName": "puller",
        "imagePullSecrets": [{ "name": "pull" }],
        "labels": { "team": "a", "app.kubernetes.io/component": "mirror" },
        "annotations": { "example.com/note": "x y" },
        "ttlSecondsAfterFinished": 30,
        "activeDeadlineSeconds": 600,
        "backoffLimit": 10,
    })
}

/// Templates that are right, and such that are not.
fn templates() -> Vec<Value> {
    let mut all = vec![json!({}), every_field()];
    let mut each = |field: &str, values: Vec<Value>| {
        all.extend(values.into_iter().map(|value| json!({ field: value })));
    };
    let texts = |keys: &[&str], values: &[&str]| -> Vec<Value> {
        let of_keys = keys.iter().map(|key| json!({ *key: "x" }));
        of_keys.chain(values.iter().map(|value| json!({ "a": value }))).collect()
    };
    let long = |length: usize| "a".repeat(length);
    let keys = [
        "a",
        "",
        "A.b_c-d",
        "-a",
        "a-",
        "example.com/a",
        "Example.com/a",
        "example..com/a",
        "-a.com/b",
        "a/b/c",
        "/a",
        "a/",
        "kubernetes.io/x",
        "x.kubernetes.io/y",
        "xkubernetes.io/y",
        "k8s.io/x",
        "imgop.io/x",
        "imgop.skopeo.io/image-uid",
        "skopeo.io/a",
        "buildah.io/a",
        "job-name",
        "job-names",
        "controller-uid",
        "app.kubernetes.io/name",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "é",
    ];
    let values = ["", "a", "a b", "-a", "a-", "é", "A_b.c", &long(63), &long(64)];
    each("labels", texts(&keys, &values));
    each("annotations", texts(&keys, &[]));
    each("nodeSelector", texts(&keys, &values));
    each("nodeSelector", [63, 64].map(|length| json!({ long(length): "" })).to_vec());
    each("annotations", [1024, 1025].map(|length| json!({ "a": long(length) })).to_vec());
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), Value::from("v"))).collect::<Value>();
    each("labels", [32, 33].map(many).to_vec());
    let toleration = [
        json!({}),
        json!({ "operator": "Exists" }),
        json!({ "operator": "Equal" }),
        json!({ "key": "a" }),
        json!({ "key": "", "operator": "Exists" }),
        json!({ "key": "a b" }),
        json!({ "key": "a", "value": "b c" }),
        json!({ "key": "a", "operator": "exists" }),
        json!({ "key": "a", "operator": "Exists", "value": "b" }),
        json!({ "key": "a", "effect": "NoSchedule", "tolerationSeconds": 1 }),
        json!({ "key": "a", "effect": "NoExecute", "tolerationSeconds": -1 }),
        json!({ "key": "a", "effect": "x" }),
        json!({ "key": "a", "effect": "", "operator": "", "value": "" }),
    ];
    each("tolerations", toleration.into_iter().map(|one| json!([one])).collect());
    each("tolerations", [16, 17].map(|count| json!(vec![json!({ "key": "a" }); count])).to_vec());
    each("priorityClassName", ["low", "Low", "", "system-node-critical", "a.b"].map(Value::from).to_vec());
    each("serviceAccountName", ["default", "a.b", "a_b", "", "-a"].map(Value::from).to_vec());
    each("imagePullSecrets", ["a", "A", "user:password", ""].map(|name| json!([{ "name": name }])).to_vec());
    each("ttlSecondsAfterFinished", [0, 29, 30, 31_536_000, 31_536_001].map(Value::from).to_vec());
    each("activeDeadlineSeconds", [0, 59, 60, 604_800, 604_801].map(Value::from).to_vec());
    each("backoffLimit", [0, 10, 11].map(Value::from).to_vec());
    let amounts = ["1", "0", "-1", "1Gi", "1gi", "much", "500m", ""];
    each("resources", amounts.map(|amount| json!({ "limits": { "memory": amount } })).to_vec());
    for [request, limit] in
        [["1", "1"], ["1001m", "1"], ["1", "999m"], ["1Ki", "1024"], ["1025", "1Ki"], ["x", "1"]]
    {
        for name in ["cpu", "ephemeral-storage"] {
            let both = json!({ "requests": { name: request }, "limits": { name: limit } });
            each("resources", vec![both]);
        }
    }
    all
}

#[tokio::test]
async fn the_api_server_stores_those_templates_that_a_job_may_have_and_no_others() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let of_builders = ApiResource::erase::<ImageBuilder>(&());
        let builders: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &of_builders);
        let builder = |own: &Value| {
            let spec = json!({ "platforms": ["linux/amd64"], "source": "FROM scratch", "jobTemplate": own,
                "image": { "name": "registry.example.com/team/app", "version": "v1" } });
            DynamicObject::new("app", &of_builders).data(json!({ "spec": spec }))
        };
        let images = images(&client, &namespace);
        let mut wrong = Vec::new();
        let both = templates().into_iter().flat_map(|own| {
            let (image, builder) = (image(&spec(&[("jobTemplate", own.clone())])), builder(&own));
            [(own.clone(), &images, image), (own, &builders, builder)]
        });
        for (own, api, object) in both {
            let found = problems(&template(own.clone()));
            let created = api.create(&dry_run(), &object).await;
            match (found.is_empty(), created) {
                (true, Ok(_)) => {}
                (false, Err(Error::Api(status))) if status.code == 422 => {}
                (_, Ok(_)) => wrong.push(format!("{own} is stored, and not usable: {found:?}")),
                (_, Err(error)) => wrong.push(format!("{own} is refused: {error}; and here: {found:?}")),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_field_that_is_none_of_a_template_is_no_patch_of_the_pod() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let own = json!({ "hostNetwork": true, "containers": [{ "securityContext": { "privileged": true } }],
            "volumes": [], "securityContext": {}, "affinity": { "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [{ "topologyKey": "a", "namespaces": ["other"] }] } } });
        let stored = images(&client, &namespace).create(&dry_run(), &image(&spec(&[("jobTemplate", own)]))).await?;
        let kept = json!({ "affinity": { "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{ "topologyKey": "a" }] } } });
        assert_eq!(stored.data["spec"]["jobTemplate"], kept);
        Ok(())
    })
    .await
}
