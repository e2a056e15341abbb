//! The Job of a part.

use clap::Parser as _;
use imgop_core::api::{BuildReason, Credentials, ImageBuilder, Tls};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::*;
use crate::image_builder::tests::fixtures::{builder, now};

fn config(more: &[&str]) -> Config {
    let all = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1", "--builder-image=step:1"];
    Config::parse_from(all.iter().chain(more))
}

fn record(platform: &str, attempt: u32) -> PartRecord {
    PartRecord {
        number: 7,
        reason: BuildReason::SpecChanged,
        key: "sha256:ab".into(),
        platform: platform.parse().unwrap(),
        attempt,
        emulated: false,
    }
}

fn made(builder: &ImageBuilder, record: &PartRecord, tier: BuildTier, config: &Config) -> Job {
    let request = BuildRequest::parse(&builder.spec).unwrap();
    let owner = Owner::of(builder);
    let pull_auth = PullAuth::of(&owner, &builder.spec, &request, &ObservedInputs::default());
    let part = Part {
        owner: &owner,
        spec: &builder.spec,
        request: &request,
        inputs: &ObservedInputs::default(),
        arguments: &BTreeMap::new(),
        record,
        started_at: now(),
        pull_auth: &pull_auth,
        tier,
    };
    job(&part, config).unwrap()
}

fn full() -> ImageBuilder {
    builder(|spec| {
        spec.image.credentials = Some(Credentials { secret_name: "target".into() });
        spec.image.tls = Some(Tls { ca_secret_name: Some("ca".into()), ..Tls::DEFAULT });
        spec.registries = serde_json::from_value(serde_json::json!([
            { "host": "quay.io", "credentials": { "secretName": "origin" }, "tls": { "caSecretName": "quay-ca" } },
        ]))
        .unwrap();
        spec.secrets =
            serde_json::from_value(serde_json::json!([{ "id": "token", "secretName": "s" }])).unwrap();
        spec.context = Some(
            serde_json::from_value(serde_json::json!({ "git": {
                "url": "https://git.example.com/a", "credentials": { "secretName": "git" } } }))
            .unwrap(),
        );
        spec.resources = serde_json::from_value(serde_json::json!({
            "limits": { "memory": "1Gi" }, "requests": { "cpu": "500m" } }))
        .unwrap();
    })
}

#[test]
fn the_job_of_a_part() {
    let job = made(&full(), &record("linux/arm64", 1), BuildTier::A1, &config(&[]));
    insta::assert_snapshot!(serde_saphyr::to_string(&job).unwrap());
}

#[test]
fn no_registry_credential_and_nothing_that_push_trusts_is_where_the_dockerfile_runs() {
    let job = made(&full(), &record("linux/arm64", 1), BuildTier::A1, &config(&[]));
    let pod = job.spec.unwrap().template.spec.unwrap();
    let mounts = |container: &Container| -> Vec<String> {
        let mounts = container.volume_mounts.iter().flatten();
        mounts
            .map(|mount| format!("{}{}", mount.name, mount.sub_path.as_deref().unwrap_or_default()))
            .collect()
    };
    let containers: Vec<Container> =
        pod.init_containers.into_iter().flatten().chain(pod.containers).collect();
    assert_eq!(
        mounts(&containers[0]),
        ["scratchprepare", "work", "prepared", "git", "pull-auth", "pull-certificates"]
    );
    assert_eq!(mounts(&containers[1]), ["scratchbuild", "work", "secrets", "scratchbuild"]);
    assert_eq!(mounts(&containers[2]), ["scratchpush", "work", "prepared", "push-auth", "push-certificates"]);
    let push = &containers[2].volume_mounts.as_ref().unwrap()[1..];
    assert!(push.iter().all(|mount| mount.read_only == Some(true)), "what is checked cannot change");
}

#[test]
fn b12_the_resources_of_the_spec_are_those_of_the_container_that_builds() {
    let of = |builder: &ImageBuilder| {
        let job = made(builder, &record("linux/amd64", 1), BuildTier::A1, &config(&[]));
        job.spec.unwrap().template.spec.unwrap().init_containers.unwrap()[1].resources.clone().unwrap()
    };
    let text = |quantities: Option<BTreeMap<String, Quantity>>| {
        quantities
            .unwrap_or_default()
            .into_iter()
            .map(|(name, of)| format!("{name}={}", of.0))
            .collect::<Vec<_>>()
    };
    let given = of(&full());
    assert_eq!(
        (text(given.requests), text(given.limits)),
        (vec!["cpu=500m".into()], vec!["memory=1Gi".into()])
    );
    let default = of(&builder(|_| {}));
    assert_eq!(text(default.requests), ["cpu=200m", "memory=256Mi"]);
    assert_eq!(text(default.limits), ["memory=8Gi"]);
}

#[test]
fn each_part_and_each_try_of_each_build_has_a_job_of_its_own() {
    let name = |builder: &ImageBuilder, record: &PartRecord| {
        made(builder, record, BuildTier::A1, &config(&[])).metadata.name.unwrap()
    };
    let (one, mut other) = (builder(|_| {}), builder(|_| {}));
    other.metadata.uid = Some("another".into());
    let first = name(&one, &record("linux/amd64", 1));
    assert_eq!(first, name(&one, &record("linux/amd64", 1)), "to create it twice is to create it once");
    let another_build = PartRecord { number: 8, ..record("linux/amd64", 1) };
    for different in [
        name(&one, &record("linux/amd64", 2)),
        name(&one, &record("linux/arm64", 1)),
        name(&one, &another_build),
        name(&other, &record("linux/amd64", 1)),
    ] {
        assert_ne!(first, different);
    }
}

#[test]
fn a_native_part_waits_for_its_architecture_and_an_emulated_one_runs_anywhere() {
    let affinity = |emulated| {
        let record = PartRecord { emulated, ..record("linux/arm64", 1) };
        let job = made(&builder(|_| {}), &record, BuildTier::A1, &config(&[]));
        serde_json::to_string(&job.spec.unwrap().template.spec.unwrap().affinity).unwrap()
    };
    assert!(affinity(false).contains(r#"{"key":"kubernetes.io/arch","operator":"In","values":["arm64"]}"#));
    assert_eq!(affinity(true), "null");
}

#[test]
fn each_tier_gives_buildah_what_it_needs_and_no_more() {
    let of = |tier| {
        let pod = made(&builder(|_| {}), &record("linux/amd64", 1), tier, &config(&[]));
        let pod = pod.spec.unwrap().template.spec.unwrap();
        let context = pod.init_containers.unwrap()[1].security_context.clone().unwrap();
        let added = context.capabilities.and_then(|capabilities| capabilities.add).unwrap_or_default();
        let seccomp = context.seccomp_profile.and_then(|profile| profile.localhost_profile);
        (
            pod.host_users,
            added.len(),
            added.contains(&"SYS_ADMIN".to_owned()),
            seccomp.is_some(),
            context.privileged,
        )
    };
    assert_eq!(of(BuildTier::A1), (Some(false), 12, true, false, None));
    assert_eq!(of(BuildTier::A2), (Some(false), 11, false, true, None));
    assert_eq!(of(BuildTier::B), (None, 2, false, true, None));
    assert_eq!(of(BuildTier::Privileged), (None, 0, false, false, Some(true)));
}

#[test]
fn an_image_of_buildah_alone_gets_the_program_from_a_volume() {
    let other = config(&["--buildah-image=quay.io/buildah/stable", "--buildah-version=v1.40"]);
    let job = made(&builder(|_| {}), &record("linux/amd64", 1), BuildTier::A1, &other);
    let pod = job.spec.unwrap().template.spec.unwrap();
    let build = &pod.init_containers.as_ref().unwrap()[1];
    assert_eq!(build.image.as_deref(), Some("quay.io/buildah/stable:v1.40"));
    assert_eq!(build.command.as_deref(), Some([STEP_OF_VOLUME.to_owned()].as_slice()));
    let program = pod.volumes.unwrap().into_iter().find(|volume| volume.name == "program").unwrap();
    assert_eq!(program.image.unwrap().reference.as_deref(), Some("step:1"));
}

#[test]
fn a_dockerfile_that_is_too_long_for_a_job_is_refused_with_the_way_out() {
    let long =
        builder(|spec| spec.source = Some(format!("FROM scratch\n# {}\n", "x".repeat(MAX_STEP_INPUT_BYTES))));
    let request = BuildRequest::parse(&long.spec).unwrap();
    let (owner, record) = (Owner::of(&long), record("linux/amd64", 1));
    let part = Part {
        owner: &owner,
        spec: &long.spec,
        request: &request,
        inputs: &ObservedInputs::default(),
        arguments: &BTreeMap::new(),
        record: &record,
        started_at: now(),
        pull_auth: &PullAuth::None,
        tier: BuildTier::A1,
    };
    let error = job(&part, &config(&[])).unwrap_err().to_string();
    assert!(error.ends_with("put the Dockerfile into a context"), "{error}");
}

#[test]
fn a_builders_own_resources_go_before_its_templates_and_those_before_the_settings() {
    let of = |edit: fn(&mut ImageBuilderSpec), settings: &[&str]| {
        let job = made(&builder(edit), &record("linux/amd64", 1), BuildTier::A1, &config(settings));
        let pod = job.spec.unwrap().template.spec.unwrap();
        let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
        let resources = containers.map(|container| serde_json::to_string(&container.resources).unwrap());
        resources.collect::<Vec<_>>()
    };
    insta::assert_snapshot!(of(|_| (), &["--build-memory-limit=2Gi", "--job-memory-limit="]).join("\n"), @r#"
    {"requests":{"cpu":"10m","memory":"32Mi"}}
    {"limits":{"memory":"2Gi"},"requests":{"cpu":"200m","memory":"256Mi"}}
    {"requests":{"cpu":"10m","memory":"32Mi"}}
    "#);
    insta::assert_snapshot!(of(
        |spec| {
            let own = serde_json::json!({ "limits": { "memory": "4Gi" } });
            spec.resources = serde_json::from_value(own).unwrap();
            let all = serde_json::json!({ "limits": { "memory": "1Gi" }, "requests": { "cpu": "1" } });
            spec.job_template.resources = serde_json::from_value(all).unwrap();
        },
        &[],
    ).join("\n"), @r#"
    {"limits":{"memory":"1Gi"},"requests":{"cpu":"1"}}
    {"limits":{"memory":"4Gi"},"requests":{"cpu":"1"}}
    {"limits":{"memory":"1Gi"},"requests":{"cpu":"1"}}
    "#);
}

#[test]
fn a_part_runs_on_nodes_of_its_platform_that_the_template_asks_for_and_for_the_shorter_time() {
    let template = serde_json::json!({
        "activeDeadlineSeconds": 600,
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["a"] }] },
            { "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["b"] }] }] } } },
    });
    let builder = builder(|spec| spec.job_template = serde_json::from_value(template).unwrap());
    let spec = made(&builder, &record("linux/arm64", 1), BuildTier::A1, &config(&[])).spec.unwrap();
    let pod = spec.template.spec.unwrap();
    assert_eq!((pod.active_deadline_seconds, spec.active_deadline_seconds), (Some(600), Some(1500)));
    let affinity = pod.affinity.unwrap().node_affinity.unwrap();
    let required = affinity.required_during_scheduling_ignored_during_execution.unwrap();
    let terms = required.node_selector_terms.iter().map(|term| {
        let expressions = term.match_expressions.iter().flatten();
        let expressions = expressions.map(|e| format!("{}={}", e.key, e.values.clone().unwrap().join(",")));
        expressions.collect::<Vec<_>>().join(" ")
    });
    let expected =
        ["a", "b"].map(|zone| format!("kubernetes.io/arch=arm64 kubernetes.io/os=linux zone={zone}"));
    assert_eq!(terms.collect::<Vec<_>>(), expected);
}
