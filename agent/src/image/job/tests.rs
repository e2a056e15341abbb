use clap::Parser as _;
use imgop_core::api::{Credentials, Image, Mode};
use imgop_core::copy::EngineFields;
use k8s_openapi::api::core::v1::Container;

use super::*;
use crate::image::tests::fixtures::{copy, image, request, subset};

fn config() -> Config {
    Config::parse_from([
        "imgop-agent",
        "--watch-namespaces=*",
        "--skopeo-image=quay.io/skopeo/stable:v1.16.1",
    ])
}

fn job_of(image: &Image, copies: &[Copy], order: Order, config: &Config) -> Job {
    job(&JobOf {
        owner: &Owner::of(image),
        spec: &image.spec,
        request: &request(image),
        batch: &Batch {
            engine: JobEngine::Named(engine(&image.spec, config)),
            order,
            copies: copies.to_vec(),
        },
        config,
        lent: None,
        reach: &<[Reach; 2]>::default(),
        resumed: &Resumed::default(),
    })
}

fn made(image: &Image, tags: &[&str]) -> Job {
    let copies: Vec<Copy> = tags.iter().map(|tag| copy(tag, 1)).collect();
    job_of(image, &copies, Order::FirstAlone, &config())
}

fn name_of(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap()
}

#[test]
fn the_job_of_two_tags() {
    let job = made(&image(Mode::OnceByTag), &["v2.13.1", "v2.13.0"]);
    insta::assert_snapshot!(serde_saphyr::to_string(&job).unwrap());
}

fn native(mode: Mode) -> Image {
    let mut image = image(mode);
    image.spec.engine = Some(Engine::Native);
    image
}

#[test]
fn the_job_of_the_agents_own_program() {
    let job = job_of(
        &native(Mode::OnceByTag),
        &[copy("v2.13.1", 1), subset("v2.13.0")],
        Order::FirstAlone,
        &config(),
    );
    insta::assert_snapshot!(serde_saphyr::to_string(&job).unwrap());
}

#[test]
fn the_pod_of_the_agents_own_program_is_ended_before_its_job_and_is_the_only_one() {
    let mut image = native(Mode::OneShot);
    image.spec.job_template.active_deadline_seconds = Some(7200);
    image.spec.job_template.backoff_limit = Some(3);
    let job = made(&image, &["1"]).spec.unwrap();
    let pod = job.template.spec.unwrap();
    assert_eq!(pod.active_deadline_seconds, Some(7200), "it has its time once it is on a node");
    assert_eq!(job.active_deadline_seconds, Some(7200 + 600 + 300), "a pod that its Job ends is gone");
    assert!(pod.containers[0].args.as_ref().unwrap()[1].contains(r#""seconds":7170"#));
    assert_eq!((job.backoff_limit, job.pod_failure_policy), (Some(0), None), "the next Job goes on");
}

#[test]
fn the_agents_own_program_runs_as_confined_as_skopeo_does() {
    let confined = |image: &Image| {
        let pod = made(image, &["1"]).spec.unwrap().template.spec.unwrap();
        let container = pod.containers.into_iter().next().unwrap();
        let mounts = container.volume_mounts.unwrap();
        let environment = container.env.unwrap().into_iter().map(|variable| variable.name);
        (
            (pod.security_context, pod.automount_service_account_token, pod.restart_policy, pod.volumes),
            (container.security_context, container.resources, mounts, environment.collect::<Vec<_>>()),
        )
    };
    assert_eq!(confined(&native(Mode::OneShot)), confined(&image(Mode::OneShot)));
}

#[test]
fn an_image_that_names_no_engine_has_that_of_the_setting_and_the_batches_are_those_of_its_engine() {
    let config = |engine: &str| {
        Config::parse_from([
            "imgop-agent",
            "--watch-namespaces=*",
            "--skopeo-image=s",
            "--copy-engine",
            engine,
        ])
    };
    let (silent, named) = (image(Mode::OneShot).spec, native(Mode::OneShot).spec);
    let engines = [("Skopeo", &silent), ("native", &silent), ("Skopeo", &named)];
    let chosen = engines.map(|(setting, spec)| {
        let config = config(setting);
        (engine(spec, &config), tags_per_job(engine(spec, &config), &config))
    });
    assert_eq!(chosen, [(Engine::Skopeo, 10), (Engine::Native, 100), (Engine::Native, 100)]);
}

#[test]
fn the_hash_of_a_job_of_skopeo_is_that_of_its_template_alone_and_those_of_other_programs_are_others() {
    let (spec, config) = (image(Mode::OneShot).spec, config());
    let engines = [JobEngine::Named(Engine::Skopeo), JobEngine::Named(Engine::Native), JobEngine::Fallback];
    let [skopeo, native, fallback] = engines.map(|engine| options(&spec, &config, engine, false).hash());
    assert_eq!(skopeo, config.job_options(&spec.job_template).hash(), "a Job of an earlier version has it");
    assert!(native != skopeo && fallback != skopeo && fallback != native, "{native} {fallback}");
}

#[test]
fn native_copies_what_skopeo_cannot_where_the_setting_says_so_and_no_spec_names_an_engine() {
    let config = |engine: &str, falls_back: &str| {
        let fixed = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=s"];
        let chosen = ["--copy-engine", engine, "--copy-engine-fallback", falls_back];
        Config::parse_from(fixed.into_iter().chain(chosen))
    };
    let silent = image(Mode::OneShot).spec;
    let skopeo = ImageSpec { engine: Some(Engine::Skopeo), ..silent.clone() };
    assert!(falls_back(&silent, &config("Skopeo", "true")));
    assert!(
        !falls_back(&silent, &config("Skopeo", "false")) && !falls_back(&silent, &config("Native", "true"))
    );
    assert!(!falls_back(&skopeo, &config("Skopeo", "true")), "its author wants Skopeo");
    let limit = |spec: &ImageSpec, falls_back: &str| max_parts(spec, &config("Skopeo", falls_back));
    assert_eq!(limit(&silent, "true"), MaxParts::OneContainer);
    assert_eq!(limit(&silent, "false"), MaxParts::Containers(EngineFields::SpecOrSetting));
    assert_eq!(limit(&skopeo, "true"), MaxParts::Containers(EngineFields::Spec), "the setting is not for it");
}

#[test]
fn what_is_lent_goes_to_private_addresses_only_as_the_setting_says() {
    use imgop_registry::{Access, Credential};

    use crate::native_copy::CopyInput;
    use crate::registry_access::{Resolved, Versions};

    let credential = Some(Credential::Basic { username: "u".into(), password: "hunter2".into() });
    let access = Access { credential, ..Access::default() };
    let resolved = Resolved { access, versions: Versions::default(), is_lent: true };
    let lent = LentAccess::of(&resolved, &resolved).unwrap();
    let (image, config) = (native(Mode::OneShot), config());
    let input = |lent: Option<&LentAccess>| {
        let job = job(&JobOf {
            owner: &Owner::of(&image),
            spec: &image.spec,
            request: &request(&image),
            batch: &Batch {
                engine: JobEngine::Named(Engine::Native),
                order: Order::Together,
                copies: vec![copy("1", 1)],
            },
            config: &config,
            lent,
            reach: &<[Reach; 2]>::default(),
            resumed: &Resumed::default(),
        });
        let text = serde_json::to_string(&job).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let pod = job.spec.unwrap().template.spec.unwrap();
        let arguments = pod.containers[0].args.clone().unwrap();
        imgop_core::commands::document::from_arguments::<CopyInput>(&arguments[1..]).unwrap()
    };
    let words =
        [None, Some(&lent)].map(|lent| serde_json::to_string(&input(lent).private_addresses).unwrap());
    assert_eq!(words, [r#""everywhere""#, r#""registries""#]);
}

#[test]
fn the_job_of_a_tag_and_of_an_index_of_two_platforms() {
    let image = image(Mode::OnceByTag);
    let copies = [copy("v2.13.1", 1), subset("v2.13.0")];
    let job = job_of(&image, &copies, Order::FirstAlone, &config());
    let pod = job.spec.unwrap().template.spec.unwrap();
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    let line = |container: &Container| {
        let arguments = container.args.as_deref().unwrap_or_default();
        format!("{}: {}", container.name, arguments[arguments.len() - 2..].join(" "))
    };
    let mut text: Vec<String> = containers.map(line).collect();
    text.extend(job.metadata.annotations.unwrap().remove(COPIES_ANNOTATION));
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn b6_names_are_valid_and_never_meet() {
    let mut names = std::collections::HashSet::new();
    let tags = ["RELEASE.2024-01-01T00-00-00Z", "v1_2021", "1.2.3", "1-2-3", "1.2-3", "v1.2.3"];
    for name in ["argocd", "argo.cd", "argo-cd", &"a".repeat(200)] {
        let mut image = image(Mode::OneShot);
        image.metadata.name = Some(name.to_owned());
        image.metadata.uid = Some(format!("uid of {name}"));
        for tag in tags {
            let job = made(&image, &[tag]);
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
fn b18_images_of_one_name_in_two_namespaces_have_jobs_of_their_own() {
    let (one, mut two) = (image(Mode::OneShot), image(Mode::OneShot));
    two.metadata.namespace = Some("team-b".into());
    two.metadata.uid = Some("another".into());
    assert_ne!(name_of(&made(&one, &["1"])), name_of(&made(&two, &["1"])));
    assert_eq!(made(&two, &["1"]).metadata.namespace.as_deref(), Some("team-b"));
}

#[test]
fn the_same_copies_make_the_same_name_and_the_next_try_another() {
    let image = image(Mode::OneShot);
    let again = job_of(&image, &[copy("1", 2)], Order::Together, &config());
    assert_eq!(name_of(&made(&image, &["1"])), name_of(&made(&image, &["1"])));
    assert_ne!(name_of(&made(&image, &["1"])), name_of(&again));
}

#[test]
fn c4_a_copy_has_the_whole_time_of_its_job_and_each_try_its_own() {
    // A timeout of requests ended the copy of a large image, and every try after it.
    let mut image = image(Mode::OneShot);
    image.spec.job_template.active_deadline_seconds = Some(86_400);
    let mut config = config();
    let of = |attempt: u32, config: &Config| {
        let job = job_of(&image, &[copy("1", attempt)], Order::Together, config);
        let (name, spec) = (job.metadata.name.clone(), job.spec.unwrap());
        let arguments = spec.template.spec.unwrap().containers[0].args.clone().unwrap();
        (name, spec.active_deadline_seconds, arguments)
    };
    let (first, deadline, arguments) = of(1, &config);
    assert_eq!(deadline, Some(86_400));
    assert!(arguments.contains(&"--command-timeout=86400s".to_owned()), "{arguments:?}");
    let (second, deadline, _) = of(2, &config);
    assert!(first != second && deadline == Some(86_400), "another Job, whose time begins anew");
    config.registry_list_timeout = 1;
    assert_eq!(of(1, &config).2, arguments, "what requests may take is another setting");
}

#[test]
fn b3_the_job_is_kept_for_as_long_as_the_setting_says() {
    let mut config = config();
    config.job_deletion_delay_seconds = 77;
    let image = image(Mode::OneShot);
    let job = job_of(&image, &[copy("1", 1)], Order::Together, &config);
    assert_eq!(job.spec.unwrap().ttl_seconds_after_finished, Some(77));
}

#[test]
fn a_job_that_uses_what_is_lent_is_there_no_longer_than_the_settings_say() {
    let mut image = image(Mode::OneShot);
    image.spec.job_template = serde_json::from_value(serde_json::json!({
        "ttlSecondsAfterFinished": 31_536_000, "activeDeadlineSeconds": 604_800, "backoffLimit": 10,
        "nodeSelector": { "pool": "tenants" }, "imagePullSecrets": [{ "name": "tenants" }],
    }))
    .unwrap();
    let of = |is_elsewhere| options(&image.spec, &config(), JobEngine::Named(Engine::Skopeo), is_elsewhere);
    let lent = of(true);
    let times = (lent.ttl_seconds, lent.deadline_seconds, lent.backoff_limit);
    assert_eq!(times, (Some(3600), Some(3600), 0));
    assert!(lent.node_selector.is_empty() && lent.pull_secrets.is_empty());
    assert_eq!(of(false).deadline_seconds, Some(604_800));
}

#[test]
fn b2_b5_credentials_are_files_of_their_own_side_and_nothing_is_a_shell() {
    let mut image = image(Mode::OneShot);
    image.spec.source.credentials = Some(Credentials { secret_name: "origin".into() });
    let job = made(&image, &["v2.13.1"]);
    let pod = job.spec.unwrap().template.spec.unwrap();
    let container = &pod.containers[0];
    assert_eq!(container.command.as_deref(), Some(["skopeo".to_owned()].as_slice()));
    let arguments = container.args.as_ref().unwrap();
    assert!(arguments.contains(&"--src-authfile=/imgop/source/auth/auth.json".to_owned()));
    assert!(arguments.contains(&"--dest-authfile=/imgop/destination/auth/auth.json".to_owned()));
    let environment: Vec<&str> = container.env.iter().flatten().map(|v| v.name.as_str()).collect();
    assert_eq!(environment, ["HOME", "TMPDIR"]);
}

#[test]
fn b11_either_side_may_have_a_token_of_aws_and_jobs_mount_it_as_a_file() {
    for (side, name) in [(Side::Source, "source"), (Side::Destination, "destination")] {
        let mut image = image(Mode::OneShot);
        image.spec.destination.credentials = None;
        let ecr = "111111111111.dkr.ecr.eu-west-3.amazonaws.com/argocd".to_owned();
        if side == Side::Source {
            (image.spec.source.name, image.spec.source.use_aws_irsa) = (ecr, true);
        } else {
            (image.spec.destination.name, image.spec.destination.use_aws_irsa) = (ecr, true);
        }
        let pod = made(&image, &["1"]).spec.unwrap().template.spec.unwrap();
        let volumes = pod.volumes.unwrap();
        let auth: Vec<_> = volumes.iter().filter(|volume| volume.name.ends_with("-auth")).collect();
        assert_eq!(auth.len(), 1);
        assert_eq!(auth[0].name, format!("{name}-auth"));
        let secret = auth[0].secret.as_ref().unwrap();
        assert_eq!(
            secret.secret_name,
            Some(crate::registry_access::aws::secret_name(&Owner::of(&image), side.as_str()))
        );
        let arguments = pod.containers[0].args.clone().unwrap().join(" ");
        assert!(arguments.contains(&format!("/imgop/{name}/auth/auth.json")), "{arguments}");
    }
}

#[test]
fn nothing_of_the_images_own_metadata_is_copied() {
    let mut image = image(Mode::OneShot);
    image.metadata.labels = Some([("secret".to_owned(), "x".to_owned())].into());
    image.metadata.annotations = Some([("last-applied".to_owned(), "x".to_owned())].into());
    let text = serde_json::to_string(&made(&image, &["1"])).unwrap();
    assert!(!text.contains("last-applied") && !text.contains("\"secret\":\"x\""));
}
