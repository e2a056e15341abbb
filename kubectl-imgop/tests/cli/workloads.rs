//! `kubectl imgop workloads`, against a scripted API server.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A WorkloadMirror with this spec, but for its destination.
pub fn mirror(spec: Value) -> Value {
    let mut spec = spec;
    spec["destination"] = json!({ "repository": "registry.corp/mirror", "prefix": "$registry" });
    json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
        "metadata": { "name": "cluster", "namespace": "ci" }, "spec": spec })
}

fn pod(name: &str, owner: Option<&str>, image: &str, image_id: &str) -> Value {
    let owner = owner.map(|uid| json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7", "uid": uid, "controller": true }]));
    json!({ "metadata": { "name": name, "namespace": "ci", "ownerReferences": owner.unwrap_or(json!([])) },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": image }] },
        "status": { "phase": "Running", "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [{ "name": "main", "imageID": image_id, "state": {} }] } })
}

/// A cluster with a Deployment, a pod of it, and a pod that nothing made.
pub fn cluster(spec: Value) -> FakeCluster {
    cluster_with(spec, |_| None)
}

/// The same, but for what is answered otherwise.
pub fn cluster_with(
    spec: Value,
    otherwise: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> FakeCluster {
    FakeCluster::with_builders(move |request| otherwise(request).unwrap_or_else(|| answer(request, &spec)))
}

fn answer(request: &str, spec: &Value) -> (u16, Value) {
    match request {
        request if request.contains("/workloadmirrors") => {
            list("WorkloadMirrorList", "skopeo.io/v1alpha1", &[mirror(spec.clone())])
        }
        request if request.contains("/deployments") => {
            let template =
                json!({ "spec": { "containers": [{ "name": "main", "image": "quay.io/a/web:1" }] } });
            list(
                "DeploymentList",
                "apps/v1",
                &[json!({ "metadata": { "name": "web", "namespace": "ci", "uid": "d" },
                "spec": { "template": template } })],
            )
        }
        request if request.contains("/replicasets") => {
            let owner = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true }]);
            list(
                "ReplicaSetList",
                "apps/v1",
                &[json!({ "metadata": { "name": "web-7", "namespace": "ci", "uid": "r",
                "ownerReferences": owner } })],
            )
        }
        request if request.contains("/pods") => list(
            "PodList",
            "v1",
            &[
                pod("web-7-x", Some("r"), "quay.io/a/web:1", &format!("quay.io/a/web@{DIGEST}")),
                pod("tool", None, "registry.corp/mirror/tool:2", ""),
                pod("db", None, "postgres", ""),
            ],
        ),
        request if request.contains("/cronjobs") => refused(403, "Forbidden", "cronjobs.batch is forbidden"),
        _ => list("List", "v1", &[]),
    }
}

/// A StatefulSet with this annotation, if there is one, that an operator made, and its pod.
fn of_an_operator(request: &str, annotations: &Value) -> Option<(u16, Value)> {
    let owner = |kind: &str, name: &str, uid: &str| json!([{ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true }]);
    if request.contains("/statefulsets") {
        let template = json!({ "spec": { "containers": [{ "name": "main", "image": "quay.io/a/db:1" }] } });
        let metadata = json!({ "name": "db", "namespace": "ci", "uid": "s", "annotations": annotations,
            "ownerReferences": owner("Postgres", "main", "p") });
        let set = json!({ "metadata": metadata, "spec": { "template": template } });
        return Some(list("StatefulSetList", "apps/v1", &[set]));
    }
    request.contains("/pods").then(|| {
        let mut pod = pod("db-0", None, "quay.io/a/db:1", "");
        pod["metadata"]["ownerReferences"] = owner("StatefulSet", "db", "s");
        list("PodList", "v1", &[pod])
    })
}

/// Fails unless the lines of a run have these words one after the other, each line in its turn.
fn assert_rows(text: &str, rows: &[&[&str]]) {
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    for row in rows {
        let found = lines.any(|line| line.windows(row.len()).any(|words| words == *row));
        assert!(found, "{row:?} in its place: {text}");
    }
}

#[test]
fn what_workloads_use_is_listed_with_who_uses_it_where_it_goes_and_why_not() {
    let run = cluster(json!({})).program.run("workloads list");
    assert_eq!(run.code, 0, "{run}");
    assert_rows(
        &run.stdout,
        &[
            &["IMAGE", "USED-BY", "DESTINATION", "STATE", "WHY-NOT"],
            &["ci/pod/db", "registry.corp/mirror/docker.io/library/postgres:latest", "planned"],
            &["ci/deployment/web", "registry.corp/mirror/quay.io/a/web:1", "planned"],
            &["ci/pod/tool", "<none>", "excluded"],
        ],
    );
    assert_eq!(
        run.stdout.matches("ci/deployment/web").count(),
        1,
        "named by its template, run by its pod: {run}"
    );
    assert!(run.stderr.contains("cluster: you may not list cronjobs in ci; the agent may see more"), "{run}");
}

#[test]
fn of_all_namespaces_each_mirror_is_named_with_its_own() {
    let cluster = cluster(json!({}));
    let run = cluster.program.run("workloads list -A");
    assert_eq!(run.code, 0, "{run}");
    assert_rows(&run.stdout, &[&["MIRROR", "IMAGE"], &["ci/cluster"]]);
    let plan = cluster.program.run("workloads plan -A");
    assert!(plan.code == 0 && plan.stdout.contains("\nci/cluster: 3 workloads with 3 pods"), "{plan}");
    let everywhere = "/apis/skopeo.io/v1alpha1/workloadmirrors";
    assert!(cluster.requests().iter().any(|line| line.contains(everywhere)), "{:?}", cluster.requests());
}

#[test]
fn the_plan_shows_the_images_that_are_to_be_made_and_what_waits() {
    let spec = json!({ "digests": { "use": "Running", "ignoreTags": [] } });
    let run = cluster(spec).program.run("workloads plan");
    assert_eq!(run.code, 0, "{run}");
    assert_rows(&run.stdout, &[&["quay.io/a/web", "registry.corp/mirror/quay.io/a/web"]]);
    let summary = "cluster: 3 workloads with 3 pods use 3 images, which become 1 tag in 1 repository (1 by digest, \
                   1 excluded, 1 waiting for their digest).";
    assert!(run.stdout.contains(summary), "{run}");
}

/// The names of the Images that a plan of everything makes.
fn planned_names(cluster: &FakeCluster) -> Vec<String> {
    let run = cluster.program.run("workloads plan -o name");
    assert_eq!(run.code, 0, "{run}");
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_plan_is_a_document_for_programs_and_a_list_of_names() {
    let cluster = cluster(json!({}));
    let run = cluster.program.run("workloads plan -o json");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &document["apiVersion"]), (0, &json!("imgop.workloads-plan/v1")), "{run}");
    let plan = &document["mirrors"][0];
    let of = ["mirror", "namespace", "complete", "findings"].map(|field| plan[field].clone());
    assert_eq!(of, [json!("cluster"), json!("ci"), json!(false), json!([])], "{run}");
    assert_eq!(plan["counts"]["pods"], 3);
    let images = plan["images"].as_array().unwrap();
    let web = images.iter().find(|image| image["source"] == "quay.io/a/web").unwrap();
    assert_eq!((&web["change"], &web["tags"]), (&json!("create"), &json!(["1"])));
    assert_eq!(web["destination"], "registry.corp/mirror/quay.io/a/web");
    let names: Vec<String> =
        images.iter().map(|image| format!("image.skopeo.io/{}", image["name"].as_str().unwrap())).collect();
    assert_eq!(planned_names(&cluster), names);
    let yaml = cluster.program.run("workloads plan -o yaml").stdout;
    assert!(yaml.starts_with("apiVersion: imgop.workloads-plan/v1\n"), "{yaml}");
}

#[test]
fn images_that_stay_as_they_are_stand_in_the_document_only_where_all_are_asked_for() {
    let made = cluster(json!({})).program.run("workloads plan -o json").stdout;
    let made: Value = serde_json::from_str(&made).unwrap();
    let planned = made["mirrors"][0]["images"].as_array().unwrap().clone();
    let image = |planned: &Value, tags: &Value| {
        json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
            "metadata": { "name": planned["name"], "namespace": "ci" },
            "spec": { "mode": "Recurrent", "source": { "name": planned["source"], "tags": tags },
                "destination": { "name": planned["destination"] } } })
    };
    let is_web = |planned: &&Value| planned["source"] == "quay.io/a/web";
    let web = planned.iter().find(is_web).unwrap().clone();
    let other = planned.iter().find(|planned| !is_web(planned)).unwrap().clone();
    let there = [image(&web, &web["tags"]), image(&other, &json!(["13"]))];
    let cluster = cluster_with(json!({}), move |request| {
        request.contains("/images?").then(|| list("ImageList", "skopeo.io/v1alpha1", &there))
    });
    let changes = |arguments: &str| -> Vec<(String, String)> {
        let run = cluster.program.run(&format!("workloads plan -o json {arguments}"));
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let images = document["mirrors"][0]["images"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        images.iter().map(|image| (text(&image["source"]), text(&image["change"]))).collect()
    };
    let updated = (other["source"].as_str().unwrap().to_owned(), "update".to_owned());
    assert_eq!(changes(""), std::slice::from_ref(&updated));
    let all = changes("--all");
    assert!(all.contains(&updated) && all.contains(&("quay.io/a/web".into(), "none".into())), "{all:?}");
}

#[test]
fn an_image_is_described_with_all_that_use_it() {
    let cluster = cluster(json!({}));
    let run = cluster.program.run("workloads describe quay.io/a/web:1");
    for words in ["ci/deployment/web", "registry.corp/mirror/quay.io/a/web:1", DIGEST] {
        assert!(run.code == 0 && run.stdout.matches(words).count() == 1, "{words}: {run}");
    }
    let run = cluster.program.run("workloads describe quay.io/a/web:1 -o json");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &document["apiVersion"]), (0, &json!("imgop.workloads/v1")), "{run}");
    let all = cluster.program.run("workloads describe quay.io/a/web");
    assert!(all.code == 0 && all.stdout.contains("quay.io/a/web:1"), "every tag of the repository: {all}");
    let other = cluster.program.run("workloads describe quay.io/a/other:1");
    assert!(other.code == 1 && other.stderr.contains("uses quay.io/a/other:1"), "{other}");
}

#[test]
fn used_images_are_a_document_for_programs() {
    let run = cluster(json!({})).program.run("workloads list -o json");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["apiVersion"], "imgop.workloads/v1");
    let images = document["images"].as_array().unwrap();
    let of_pod = images.iter().find(|image| image["digest"] == DIGEST).unwrap();
    assert_eq!(of_pod["usedBy"], json!(["ci/deployment/web"]));
    assert_eq!(of_pod["state"], "planned");
}

#[test]
fn what_an_operator_made_counts_by_its_template_and_its_pods_and_an_annotation_on_it_for_both() {
    let of = |spec: Value, annotations: Value| {
        let cluster = cluster_with(spec, move |request| of_an_operator(request, &annotations));
        let run = cluster.program.run("workloads list -o json");
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let images = document["images"].as_array().unwrap().clone();
        let of_db = images.into_iter().find(|image| image["image"] == "quay.io/a/db:1").unwrap();
        (of_db["usedBy"].clone(), of_db["state"].clone())
    };
    // Pods count for it also where its kind does not.
    for spec in [json!({}), json!({ "kinds": ["Pod"] })] {
        let of = |annotations| of(spec.clone(), annotations);
        assert_eq!(of(json!({})), (json!(["ci/statefulset/db"]), json!("planned")), "{spec}");
        let annotations = json!({ "imgop.skopeo.io/mirror": "false" });
        assert_eq!(of(annotations), (json!(["ci/statefulset/db"]), json!("excluded")), "{spec}");
    }
}

#[test]
fn jobs_are_listed_once_also_where_only_pods_count() {
    let of = |jobs: (u16, Value)| {
        let mut of_job = pod("load-x", None, "quay.io/a/load:1", "");
        let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": "load", "uid": "j", "controller": true });
        of_job["metadata"]["ownerReferences"] = json!([owner]);
        cluster_with(json!({ "kinds": ["Pod"] }), move |request| {
            let is_of_jobs = request.contains("/namespaces/ci/jobs");
            let pods = || list("PodList", "v1", std::slice::from_ref(&of_job));
            is_of_jobs.then(|| jobs.clone()).or_else(|| request.contains("/pods").then(pods))
        })
    };
    let annotations = json!({ "imgop.skopeo.io/mirror": "false" });
    let job =
        json!({ "metadata": { "name": "load", "namespace": "ci", "uid": "j", "annotations": annotations } });
    let seen = of(list("JobList", "batch/v1", &[job]));
    let run = seen.program.run("workloads list -o json");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["images"][0]["state"], "excluded", "{run}");
    let requests = seen.requests();
    let lists = requests.iter().filter(|line| line.contains("/namespaces/ci/jobs"));
    assert_eq!(lists.count(), 1, "{requests:?}");
    let hidden = of(refused(403, "Forbidden", "jobs.batch is forbidden")).program.run("workloads list");
    assert!(hidden.stderr.contains("you may not list jobs in ci; the agent may see more"), "{hidden}");
    assert_eq!(hidden.stderr.matches("you may not list").count(), 1, "{hidden}");
}

#[test]
fn a_namespace_that_does_not_let_itself_be_seen_is_neither_read_nor_planned_and_that_is_said() {
    let spec = json!({ "namespaces": { "include": ["ci", "shop"] } });
    let review = |allowed: bool| json!({ "spec": {}, "status": { "allowed": allowed } });
    let hidden = cluster_with(spec.clone(), move |request| {
        request.contains("/subjectaccessreviews").then(|| (201, review(false)))
    });
    let run = hidden.program.run("workloads plan");
    assert!(run.code == 0 && run.stderr.contains("do not let ci mirror their pods"), "{run}");
    let command = ": shop; to let it, for each NAMESPACE: kubectl create rolebinding imgop-workload-mirror-ci -n NAMESPACE \
        --clusterrole=imgop-workload-mirror --group=system:serviceaccounts:ci\n";
    assert!(run.stderr.contains(command), "{run}");
    assert!(
        !hidden.requests().iter().any(|line| line.contains("/namespaces/shop/")),
        "{:?}",
        hidden.requests()
    );
    // Everywhere is asked first.
    let granted = cluster_with(spec.clone(), move |request| {
        request.contains("/subjectaccessreviews").then(|| (201, review(true)))
    });
    let run = granted.program.run("workloads plan");
    assert!(run.code == 0 && !run.stderr.contains("mirror their pods"), "{run}");
    let requests = granted.requests();
    let reviews = requests.iter().filter(|line| line.contains("/subjectaccessreviews"));
    assert_eq!(reviews.count(), 1);
    assert!(requests.iter().any(|line| line.contains("/namespaces/shop/pods")), "{requests:?}");
    let forbidden = cluster_with(spec, |request| {
        let is_asked = request.contains("/subjectaccessreviews");
        is_asked.then(|| refused(403, "Forbidden", "subjectaccessreviews is forbidden"))
    });
    let run = forbidden.program.run("workloads plan");
    assert!(run.code == 0 && run.stderr.contains("you may not ask which namespaces"), "{run}");
    assert!(forbidden.requests().iter().any(|line| line.contains("/namespaces/shop/pods")), "{run}");
}

#[test]
fn an_image_whose_platforms_are_the_agent_s_to_read_waits_and_that_is_said() {
    let mut with_arch = mirror(json!({}));
    with_arch["spec"]["destination"]["prefix"] = json!("$arch");
    let cluster = cluster_with(json!({}), move |request| {
        request
            .contains("/workloadmirrors")
            .then(|| list("WorkloadMirrorList", "skopeo.io/v1alpha1", &[with_arch.clone()]))
    });
    let run = cluster.program.run("workloads list");
    assert!(run.code == 0 && run.stderr.contains("2 images have no place here"), "{run}");
    assert_rows(&run.stdout, &[&["ci/deployment/web", "<none>", "waiting"]]);
}

/// A cluster where one pod runs what is copied on the fly, and another cannot pull what was looked for.
fn on_the_fly(mode: &str, not_found: u32) -> FakeCluster {
    let mut mirror = mirror(json!({ "triggers": ["PullFailure"], "mode": mode }));
    mirror["status"] = json!({ "counts": { "workloads": 2, "pods": 2, "images": 2, "repositories": 1, "pinned": 0,
        "excluded": 2, "waitingForDigest": 0, "synced": 1, "failed": 0, "originNotFound": not_found, "retained": 0 } });
    let image = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
        "metadata": { "name": "there", "namespace": "ci" },
        "spec": { "mode": "OneShot", "source": { "name": "docker.io/library/there", "tags": ["1"] },
            "destination": { "name": "registry.corp/mirror/there" } },
        "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "there",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] } });
    let mut waits = pod("fly", None, "registry.corp/mirror/nosuch:1", "");
    waits["status"]["containerStatuses"][0]["state"] = json!({ "waiting": { "reason": "ImagePullBackOff" } });
    let pods = [waits, pod("app", None, "registry.corp/mirror/there:1", "")];
    cluster_with(json!({}), move |request| match request {
        request if request.contains("/workloadmirrors") => {
            Some(list("WorkloadMirrorList", "skopeo.io/v1alpha1", std::slice::from_ref(&mirror)))
        }
        request if request.contains("/images?") => {
            Some(list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&image)))
        }
        request if request.contains("/pods") => Some(list("PodList", "v1", &pods)),
        _ => None,
    })
}

#[test]
fn what_pods_pull_from_the_destination_itself_is_listed_with_what_became_of_it() {
    let run = on_the_fly("Active", 1).program.run("workloads list");
    assert_eq!(run.code, 0, "{run}");
    let fly = ["registry.corp/mirror/nosuch:1", "ci/pod/fly", "<none>", "failed", "it", "names", "the"];
    let app =
        ["registry.corp/mirror/there:1", "ci/pod/app", "registry.corp/mirror/there:1", "synced", "<none>"];
    assert_rows(&run.stdout, &[&fly, &app]);
    assert!(run.stdout.contains("pods cannot pull it, and it is found at no origin"), "{run}");
    for (mode, state, why) in [
        ("Active", "waiting", "describe workloadmirror/cluster -n ci"),
        ("Observe", "excluded", "mode Observe copies nothing"),
    ] {
        let run = on_the_fly(mode, 0).program.run("workloads list");
        assert_rows(&run.stdout, &[&["ci/pod/fly", "<none>", state]]);
        assert!(run.stdout.contains(why), "{run}");
    }
}

#[test]
fn what_mode_observe_could_not_look_at_is_listed_with_the_reason_in_the_status() {
    let planned = cluster(json!({})).program.run("workloads plan -o json").stdout;
    let planned: Value = serde_json::from_str(&planned).unwrap();
    let images = planned["mirrors"][0]["images"].as_array().unwrap();
    let web = images.iter().find(|image| image["source"] == "quay.io/a/web").unwrap();
    let mut mirror = mirror(json!({ "mode": "Observe" }));
    let mut failing = vec![json!({ "image": web["name"], "reason": "RegistryUnreachable", "tag": "1" })];
    failing.resize(20, json!({ "image": "other", "reason": "TagNotFound", "tag": "1" }));
    mirror["status"] = json!({ "failing": failing });
    let cluster = cluster_with(json!({}), move |request| {
        request
            .contains("/workloadmirrors")
            .then(|| list("WorkloadMirrorList", "skopeo.io/v1alpha1", std::slice::from_ref(&mirror)))
    });
    let run = cluster.program.run("workloads list");
    let web = ["ci/deployment/web", "registry.corp/mirror/quay.io/a/web:1", "failed", "RegistryUnreachable:"];
    assert_rows(&run.stdout, &[&["ci/pod/db"], &web]);
    assert!(run.stdout.contains("kubectl imgop preview workloadmirror/cluster -n ci asks both"), "{run}");
    assert!(run.stderr.contains("cluster: the agent's status names 20 tags at most"), "{run}");
}
