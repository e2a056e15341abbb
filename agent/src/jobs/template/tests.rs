use std::collections::HashSet;

use super::*;

fn owner(name: &str, uid: &str) -> Owner {
    Owner {
        api_version: "skopeo.io/v1alpha1".into(),
        kind: "Image".into(),
        namespace: "team-a".into(),
        name: name.into(),
        uid: uid.into(),
    }
}

fn job(owner: &Owner, identity: &str) -> Job {
    with_options(owner, identity, JobOptions::default())
}

fn with_options(owner: &Owner, identity: &str, options: JobOptions) -> Job {
    let resources = serde_json::json!({ "limits": { "memory": "512Mi" }, "requests": { "cpu": "10m", "memory": "32Mi" } });
    let resources: Resources = serde_json::from_value(resources).unwrap();
    JobTemplate {
        owner,
        app: "imgop-copy",
        identity: identity.to_owned(),
        annotations: BTreeMap::from([("imgop.skopeo.io/route".to_owned(), "here".to_owned())]),
        init_containers: Vec::new(),
        containers: vec![container(
            "c-0".into(),
            "skopeo:1".into(),
            "skopeo",
            vec!["copy".into()],
            &[],
            &resources,
        )],
        volumes: Vec::new(),
        deadline_seconds: 3600,
        ttl_seconds: Some(77),
        pod: PodNeeds::default(),
        options,
    }
    .build()
}

fn name_of(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap()
}

#[test]
fn the_job_of_one_container() {
    insta::assert_snapshot!(serde_saphyr::to_string(&job(&owner("argocd", "uid"), "x")).unwrap());
}

#[test]
fn b6_names_are_valid_and_never_meet() {
    let mut names = HashSet::new();
    for name in ["argocd", "argo.cd", "argo-cd", &"a".repeat(200), &format!("{}.b", "a".repeat(62))] {
        for identity in ["RELEASE.2024-01-01T00-00-00Z", "v1_2021", "1.2.3", "1-2-3", "1.2-3", "v1.2.3"] {
            let job = job(&owner(name, &format!("uid of {name}")), identity);
            let label = &job.metadata.labels.as_ref().unwrap()[OWNER_NAME_LABEL];
            assert!(label.len() <= 63 && label.ends_with(|c: char| c.is_ascii_alphanumeric()), "{label}");
            let name = name_of(&job).to_owned();
            assert!(name.len() <= 63 && !name.ends_with('-'), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert!(names.insert(name.clone()), "{name} twice");
        }
    }
}

#[test]
fn b18_owners_of_one_name_in_two_namespaces_have_jobs_of_their_own() {
    let (one, two) = (owner("a", "1"), Owner { namespace: "team-b".into(), ..owner("a", "2") });
    assert_ne!(name_of(&job(&one, "x")), name_of(&job(&two, "x")));
    assert_eq!(job(&two, "x").metadata.namespace.as_deref(), Some("team-b"));
    assert_eq!(name_of(&job(&one, "x")), name_of(&job(&one, "x")));
}

#[test]
fn b3_the_job_is_kept_for_as_long_as_the_setting_says() {
    assert_eq!(job(&owner("a", "1"), "x").spec.unwrap().ttl_seconds_after_finished, Some(77));
}

#[test]
fn nothing_of_a_container_is_a_shell() {
    let pod = job(&owner("a", "1"), "x").spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].command.as_deref(), Some(["skopeo".to_owned()].as_slice()));
    let environment: Vec<&str> = pod.containers[0].env.iter().flatten().map(|v| v.name.as_str()).collect();
    assert_eq!(environment, ["HOME", "TMPDIR"]);
}

/// What a settings page and an object say, as text by text.
fn options(own: serde_json::Value) -> JobOptions {
    let defaults = JobDefaults {
        environment: BTreeMap::from([("https_proxy".to_owned(), "http://proxy:3128".to_owned())]),
        ..JobDefaults::default()
    };
    JobOptions::merged(&defaults, &serde_json::from_value(own).unwrap())
}

#[test]
fn the_job_of_one_container_with_all_that_a_template_says() {
    let own = serde_json::json!({
        "nodeSelector": { "pool": "mirror" },
        "tolerations": [{ "key": "mirror", "operator": "Exists" }],
        "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [] } },
        "serviceAccountName": "puller",
        "imagePullSecrets": [{ "name": "pull" }],
        "priorityClassName": "low",
        "labels": { "team": "a" },
        "annotations": { "sidecar.istio.io/inject": "false" },
        "ttlSecondsAfterFinished": 60,
        "backoffLimit": 2,
    });
    let job = with_options(&owner("argocd", "uid"), "x", options(own));
    let (plain, text) = (self::job(&owner("argocd", "uid"), "x"), serde_saphyr::to_string(&job).unwrap());
    let plain = serde_saphyr::to_string(&plain).unwrap();
    let new: Vec<&str> = text.lines().filter(|line| !plain.lines().any(|old| old == *line)).collect();
    insta::assert_snapshot!(new.join("\n"));
}

#[test]
fn proxies_are_in_every_container_and_take_no_other_variable() {
    let mut options = options(serde_json::json!({}));
    options.environment.insert("HOME".to_owned(), "/elsewhere".to_owned());
    let pod = with_options(&owner("a", "1"), "x", options).spec.unwrap().template.spec.unwrap();
    let environment = pod.containers[0].env.iter().flatten();
    let environment: Vec<String> =
        environment.map(|v| format!("{}={}", v.name, v.value.as_deref().unwrap_or_default())).collect();
    assert_eq!(environment, ["HOME=/tmp/c-0", "TMPDIR=/tmp", "https_proxy=http://proxy:3128"]);
}

#[test]
fn b6_another_template_makes_no_other_job_of_the_same_work() {
    let other = options(serde_json::json!({ "priorityClassName": "low" }));
    let (one, two) = (job(&owner("a", "1"), "x"), with_options(&owner("a", "1"), "x", other));
    assert_eq!(name_of(&one), name_of(&two), "what runs is not begun anew");
    let hash = |job: &Job| job.metadata.annotations.as_ref().unwrap()[TEMPLATE_ANNOTATION].clone();
    assert_ne!(hash(&one), hash(&two));
}

/// Returns of a Job what no template may change.
fn needed(job: &Job) -> serde_json::Value {
    let mut job = serde_json::to_value(job).unwrap();
    let own_texts = |texts: &mut serde_json::Value, names: &[&str]| {
        texts.as_object_mut().unwrap().retain(|name, _| names.contains(&name.as_str()));
    };
    let labels = [MANAGED_BY_LABEL, NAME_LABEL, PART_OF_LABEL, OWNER_UID_LABEL, OWNER_NAME_LABEL];
    for at in ["/metadata/labels", "/spec/template/metadata/labels"] {
        own_texts(job.pointer_mut(at).unwrap(), &labels);
    }
    own_texts(job.pointer_mut("/metadata/annotations").unwrap(), &["imgop.skopeo.io/route"]);
    own_texts(job.pointer_mut("/spec/template/metadata/annotations").unwrap(), &[SAFE_TO_EVICT]);
    let spec = job["spec"].as_object_mut().unwrap();
    spec.retain(|name, _| !["ttlSecondsAfterFinished", "backoffLimit"].contains(&name.as_str()));
    let pod = job["spec"]["template"]["spec"].as_object_mut().unwrap();
    let free = ["nodeSelector", "serviceAccountName", "imagePullSecrets", "priorityClassName", "affinity"];
    pod.retain(|name, _| !free.contains(&name.as_str()));
    pod["tolerations"].as_array_mut().unwrap().truncate(2);
    job
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Keys that a template may hold, and those that it must not, and that an old API server may have stored.
    fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
        let reserved = [
            MANAGED_BY_LABEL,
            NAME_LABEL,
            PART_OF_LABEL,
            OWNER_UID_LABEL,
            OWNER_NAME_LABEL,
            TEMPLATE_ANNOTATION,
            SAFE_TO_EVICT,
            "imgop.skopeo.io/route",
        ];
        let key =
            prop_oneof!["[a-z]{1,5}", proptest::sample::select(reserved.to_vec()).prop_map(str::to_owned)];
        prop::collection::btree_map(key, "[a-z]{0,5}", 0..6)
    }

    proptest! {
        #[test]
        fn no_template_changes_what_a_job_needs(
            labels in texts(),
            annotations in texts(),
            node_selector in texts(),
            service_account in proptest::option::of("[a-z]{1,5}"),
            key in proptest::option::of("[a-z./]{1,9}"),
            backoff_limit in 0_u32..20,
        ) {
            let toleration = serde_json::json!({ "key": key, "operator": "Exists", "effect": "NoExecute" });
            let options = JobOptions {
                labels,
                annotations,
                node_selector,
                service_account,
                tolerations: vec![serde_json::from_value(toleration).unwrap()],
                backoff_limit,
                ..JobOptions::default()
            };
            let hash = options.hash();
            let made = with_options(&owner("a", "1"), "x", options);
            prop_assert_eq!(needed(&made), needed(&job(&owner("a", "1"), "x")));
            prop_assert_eq!(&made.metadata.annotations.unwrap()[TEMPLATE_ANNOTATION], &hash);
        }
    }
}
