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
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let resources = Resources {
        requests: pairs(&[("cpu", "10m"), ("memory", "32Mi")]),
        limits: pairs(&[("memory", "512Mi")]),
    };
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
            resources,
        )],
        volumes: Vec::new(),
        deadline_seconds: 3600,
        ttl_seconds: Some(77),
        pod: PodNeeds::default(),
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
