//! Which settings are taken, and what they mean.

use clap::CommandFactory as _;
use secrecy::ExposeSecret as _;

use super::*;

fn config(arguments: &[&str]) -> Result<Config, String> {
    let all = ["imgop-agent", "--skopeo-image=quay.io/skopeo/stable:v1"].iter().chain(arguments);
    Config::try_parse_from(all).map_err(|e| e.to_string())
}

/// k8s-copycat read `requestTimeout` and `registryRetryBackoff` from its file and ignored them, and
/// any name that it did not know.
#[test]
fn c1_no_setting_is_ignored_and_each_can_be_set_by_its_flag_and_by_its_variable() {
    let with = |flag: &str, value: &str| {
        let given = format!("--{flag}={value}");
        let required = ["--watch-namespaces=*", "--skopeo-image=quay.io/skopeo/stable:v1"];
        let others = required.into_iter().filter(|other| !other.starts_with(&format!("--{flag}=")));
        Config::try_parse_from(["x"].into_iter().chain(others).chain([given.as_str()]))
    };
    // What is secret is not in its text.
    let shown =
        |config: &Config| format!("{config:?} {}", config.notifications.notification_url.expose_secret());
    let usual = shown(&config(&["--watch-namespaces=*"]).unwrap());
    let mut number = 0;
    for setting in Config::command().get_arguments() {
        let Some(flag) = setting.get_long().filter(|flag| !matches!(*flag, "help" | "version")) else {
            continue;
        };
        let variable = setting.get_env().and_then(|name| name.to_str()).unwrap_or_default();
        assert_eq!(variable, flag.to_uppercase().replace('-', "_"));
        let values = [
            "7",
            "77",
            "2000000",
            "true",
            "false",
            "a",
            "a:b",
            "127.0.0.1:1",
            "a.io=b.io",
            "nowhere",
            "::1",
            "a2",
            "linux/arm64",
            "stalled",
            "Native",
            r#"{"a": "b"}"#,
            r#"[{"operator": "Exists"}]"#,
        ];
        let is_read = |value: &&str| with(flag, value).is_ok_and(|set| shown(&set) != usual);
        assert!(values.iter().any(is_read), "--{flag} changes nothing");
        number += 1;
    }
    assert!(number > 10);
    for unknown in ["--request-timeout=5", "--watch-namespace=a", "--max-job=5", "a"] {
        let error = config(&["--watch-namespaces=*", unknown]).unwrap_err();
        assert!(error.contains("unexpected argument"), "{error}");
    }
}

#[test]
fn c1_the_variables_of_the_manifests_are_settings() {
    let manifests = include_str!("../../../manifests/agent.yaml");
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(manifests).unwrap();
    let names: Vec<&str> = documents
        .iter()
        .filter_map(|document| document.pointer("/spec/template/spec/containers/0/env")?.as_array())
        .flatten()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    let command = Config::command();
    let known: Vec<&str> =
        command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    for expected in ["WATCH_NAMESPACES", "POD_NAME", "POD_ADDRESSES", "NODE_ADDRESSES"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    assert!(names.iter().all(|name| known.contains(name)), "{names:?} of {known:?}");
}

#[test]
fn c2_no_namespace_never_means_every_namespace() {
    assert_eq!(config(&["--watch-namespaces=*"]).unwrap().watch_namespaces, Namespaces::All);
    for bad in ["", ",", " ", "team-*", "a,*", "A", "-a"] {
        let error = config(&[&format!("--watch-namespaces={bad}")]).unwrap_err();
        assert!(error.contains("--watch-namespaces"), "{error}");
    }
    let two = config(&["--watch-namespaces=b, a,"]).unwrap().watch_namespaces;
    assert_eq!(two, Namespaces::Named(["a".to_owned(), "b".to_owned()].into()));
}

#[test]
fn b3_the_deletion_delay_is_a_number_of_seconds_and_is_kept() {
    let set = config(&["--watch-namespaces=*", "--job-deletion-delay-seconds=30"]).unwrap();
    assert_eq!(set.job_deletion_delay_seconds, 30);
    for bad in ["soon", "-1", "2147483648"] {
        assert!(config(&["--watch-namespaces=*", &format!("--job-deletion-delay-seconds={bad}")]).is_err());
    }
    assert!(config(&["--watch-namespaces=*", "--job-deadline-seconds=0"]).is_err());
}

#[test]
fn politeness_is_on_unless_it_is_switched_off() {
    let settings = config(&["--watch-namespaces=*"]).unwrap().registries();
    assert_eq!((settings.pull_reserve, settings.tag_list_ttl), (10, Duration::from_secs(10)));
    assert_eq!(settings.bulk_apis.len(), 3);
    let off = ["--pull-reserve=0", "--share-lists-seconds=0", "--bulk-apis=false"];
    let settings = config(&[&["--watch-namespaces=*"][..], &off].concat()).unwrap().registries();
    assert_eq!((settings.pull_reserve, settings.tag_list_ttl), (0, Duration::ZERO));
    assert!(settings.bulk_apis.is_empty());
    assert!(config(&["--watch-namespaces=*", "--bulk-apis=perhaps"]).is_err());
}

#[test]
fn resources_of_jobs_are_quantities_of_kubernetes_and_those_that_are_empty_are_left_out() {
    let resources = |arguments: &[&str]| {
        let config = config(&[&["--watch-namespaces=*"], arguments].concat());
        config.map(|config| config.jobs.defaults().resources.requirements())
    };
    let text = |pairs: &Option<_>| serde_json::to_string(pairs).unwrap();
    let usual = resources(&[]).unwrap();
    assert_eq!(text(&usual.requests), r#"{"cpu":"10m","memory":"32Mi"}"#);
    assert_eq!(text(&usual.limits), r#"{"memory":"512Mi"}"#);
    let limited = resources(&["--job-cpu-limit=1.5", "--job-memory-request="]).unwrap();
    assert_eq!(text(&limited.limits), r#"{"cpu":"1.5","memory":"512Mi"}"#);
    assert_eq!(text(&limited.requests), r#"{"cpu":"10m"}"#);
    for bad in ["much", "-1", "1x", "0", "1e3", " "] {
        assert!(resources(&[&format!("--job-cpu-limit={bad}")]).is_err(), "{bad}");
    }
}

#[test]
fn limits_of_tag_lists_reach_the_registry_client() {
    let limits = ["--registry-max-tags=7", "--registry-max-tag-pages=8", "--registry-list-timeout=9"];
    let settings = config(&[&["--watch-namespaces=*"][..], &limits].concat()).unwrap().registries();
    assert_eq!((settings.max_tags, settings.max_pages), (7, 8));
    assert_eq!(settings.list_timeout, Duration::from_secs(9));
}

#[test]
fn where_private_addresses_are_allowed_reaches_the_registry_client() {
    let set = |arguments: &[&str]| config(&[&["--watch-namespaces=*"][..], arguments].concat());
    let usual = set(&[]).unwrap().registries();
    assert_eq!(usual.private_addresses, PrivateAddresses::Registries);
    assert!(usual.own_addresses.is_empty());
    assert_eq!(usual.loopback, LoopbackAddresses::Nowhere);
    let settings = set(&["--registry-loopback=true"]).unwrap().registries();
    assert_eq!(settings.loopback, LoopbackAddresses::Written, "names are not for loopback");
    let given =
        ["--registry-private-addresses=nowhere", "--pod-addresses=10.1.2.3,fd00::1", "--node-addresses=::2"];
    let settings = set(&given).unwrap().registries();
    assert_eq!(settings.private_addresses, PrivateAddresses::Nowhere);
    let own: Vec<String> = settings.own_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(own, ["10.1.2.3", "fd00::1", "::2"]);
    assert_eq!(settings.pod_addresses.len(), 2);
    let on_the_node = set(&["--pod-addresses=10.1.2.3", "--node-addresses=10.1.2.3"]).unwrap().registries();
    assert!(on_the_node.pod_addresses.is_empty(), "what the node has is not the pod's alone");
    let none = set(&["--pod-addresses=", "--node-addresses="]).unwrap().registries();
    assert!(none.own_addresses.is_empty());
    for bad in ["--registry-private-addresses=some", "--pod-addresses=pod"] {
        assert!(set(&[bad]).is_err(), "{bad}");
    }
}

#[test]
fn the_default_destination_of_all_namespaces_is_a_registry_and_aws_goes_with_ecr_alone() {
    let set = |arguments: &[&str]| {
        let config = config(&[&["--watch-namespaces=*"][..], arguments].concat())?;
        config.default_destination().map_err(|error| error.to_string())
    };
    assert_eq!(set(&[]), Ok(None));
    assert_eq!(
        set(&["--destination-default-registry=", "--destination-default-aws-irsa-usage=true"]),
        Ok(None)
    );
    let corp = set(&["--destination-default-registry=r.example.com/{namespace}/"]).unwrap().unwrap();
    assert_eq!(corp.prefix.repository("team-a", "a/b").unwrap().to_string(), "r.example.com/team-a/a/b");
    assert!(set(&["--destination-default-registry=mirror"]).unwrap_err().contains("names no registry"));
    let aws = "--destination-default-aws-irsa-usage=true";
    assert!(
        set(&["--destination-default-registry=r.example.com", aws]).unwrap_err().contains("Amazon ECR only")
    );
    let ecr = "--destination-default-registry=123456789012.dkr.ecr.eu-west-3.amazonaws.com";
    assert!(set(&[ecr, aws]).unwrap().unwrap().use_aws_irsa);
}

#[test]
fn image_operators_version_is_put_behind_an_image_without_one() {
    let with = |image: &str| {
        let image = format!("--skopeo-image={image}");
        Config::try_parse_from(["x", "--watch-namespaces=*", &image, "--skopeo-version=v9"])
            .unwrap()
            .job_image()
    };
    assert_eq!(with("quay.io/containers/skopeo"), "quay.io/containers/skopeo:v9");
    assert_eq!(with("localhost:5000/skopeo"), "localhost:5000/skopeo:v9");
    assert_eq!(with("quay.io/skopeo/stable:v1"), "quay.io/skopeo/stable:v1");
}

#[test]
fn the_namespace_of_the_agent_is_the_one_that_it_runs_in_whatever_its_settings_say() {
    let default = config(&["--watch-namespaces=*"]).unwrap();
    assert_eq!(default.agent_namespace(), "imgop-system");
    let elsewhere = default.in_namespace("platform");
    let named = (elsewhere.agent_namespace(), elsewhere.lent_namespace(), elsewhere.service_account.as_str());
    assert_eq!(named, ("platform", "platform", "platform:imgop-agent"));
    assert_eq!(elsewhere.notice_of_lent_namespace(), None);
    let given =
        config(&["--watch-namespaces=*", "--service-account=team-a:x", "--job-namespace=jobs"]).unwrap();
    let given = given.in_namespace("platform");
    let named = (given.agent_namespace(), given.lent_namespace(), given.service_account.as_str());
    assert_eq!(named, ("platform", "jobs", "team-a:x"));
    insta::assert_snapshot!(given.notice_of_lent_namespace().unwrap(), @"JOB_NAMESPACE is jobs, which is not the agent's own: whoever may read Secrets, or create pods or Jobs, there has what RegistryAccess lends; give rights there to administrators alone");
}
