//! What image-operator's settings become.

use super::*;
use crate::api::RegistryAccessSpec;

fn migrated(settings: &[(&str, &str)]) -> MigratedOperator {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    migrate_operator_settings(&settings)
}

/// Every variable of image-operator's code and README, and every flag.
const ALL: [&str; 35] = [
    "API_AWS_PAGE_ITEMS_COUNT",
    "API_AWS_PAGE_MAX",
    "AVOID_OPERATOR",
    "BUILD_JOB_NAMESPACE",
    "BUILDAH_IMAGE",
    "BUILDAH_JOB_NAMESPACE",
    "BUILDAH_PRIVILEGED_CONTAINER",
    "BUILDAH_VERSION",
    "CREDS_DESTINATION_PASSWORD",
    "CREDS_DESTINATION_USERNAME",
    "CREDS_SOURCE_PASSWORD",
    "CREDS_SOURCE_USERNAME",
    "DESTINATION_DEFAULT_AWS_IRSA_USAGE",
    "DESTINATION_DEFAULT_REGISTRY",
    "DISABLE_DEST_TLS_VERIFICATION",
    "DISABLE_SRC_TLS_VERIFICATION",
    "FEATURE_COPY_ON_THE_FLY",
    "FEATURE_COPY_ON_THE_FLY_ENABLED",
    "FEATURE_COPY_ON_THE_FLY_NAMESPACES_ALLOWED",
    "FEATURE_DOCKERHUB_RATE_LIMIT_ENABLED",
    "FEATURE_DOCKERHUB_RATE_LIMIT_FREQUENCY_SECOND",
    "GRAPHQL_API_ENABLED",
    "JOB_DELETION_DELAY_SECONDS",
    "PULL_JOB_NAMESPACE",
    "SKOPEO_IMAGE",
    "SKOPEO_IMAGE_AWS_IRSA",
    "SKOPEO_VERSION",
    "SUCCEEDED_JOB_DELETION_DELAY_SECONDS",
    "--metrics-bind-address",
    "--health-probe-bind-address",
    "--metrics-secure",
    "--enable-http2",
    "--leader-elect",
    "--zap-log-level",
    "--zap-encoder",
];

#[test]
fn every_setting_is_carried_or_answered_and_none_is_unknown() {
    for name in ALL {
        let made = migrated(&[(name, "true")]);
        let said: Vec<String> = made.changes.iter().map(ToString::to_string).collect();
        let on_the_fly = !made.objects.is_empty();
        // A password alone is answered with its user.
        let is_password = name.ends_with("_PASSWORD");
        assert!(
            is_password || on_the_fly || said.iter().any(|line| line.starts_with(name)),
            "{name}: {said:?}"
        );
        assert!(!said.iter().any(|line| line.contains("no such setting")), "{name}: {said:?}");
    }
    assert!(migrated(&[("HTTPS_PROXY", "p")]).changes[0].reason.contains("no such setting"));
    assert_eq!(migrated(&[]), MigratedOperator::default());
}

#[test]
fn the_logins_become_what_is_lent_and_the_commands_that_create_their_secrets() {
    let made = migrated(&[
        ("CREDS_DESTINATION_USERNAME", ""),
        ("CREDS_DESTINATION_PASSWORD", ""),
        ("CREDS_SOURCE_USERNAME", ""),
        ("DESTINATION_DEFAULT_REGISTRY", "registry.corp:5000/mirror/"),
        ("DISABLE_DEST_TLS_VERIFICATION", "true"),
        ("PULL_JOB_NAMESPACE", "copies"),
        ("SUCCEEDED_JOB_DELETION_DELAY_SECONDS", "30"),
    ]);
    let [access] = made.objects.as_slice() else { panic!("{:?}", made.objects) };
    assert_eq!(
        access.object["spec"],
        json!({ "hosts": ["registry.corp:5000"], "repositories": ["mirror/"], "actions": ["Push"],
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "copies" } },
            "secretName": "image-operator-destination", "tls": { "mode": "SkipVerify" } })
    );
    serde_json::from_value::<RegistryAccessSpec>(access.object["spec"].clone()).unwrap();
    assert_eq!(made.agent["DESTINATION_DEFAULT_REGISTRY"], "registry.corp:5000/mirror/");
    assert_eq!((&*made.agent["JOB_NAMESPACE"], &*made.agent["JOB_DELETION_DELAY_SECONDS"]), ("copies", "30"));
    assert_eq!(made.commands.len(), 1);
    assert!(
        made.commands[0]
            .starts_with("kubectl create secret generic image-operator-destination -n imgop-system")
    );
    let lines: Vec<String> = made.changes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn that_a_registry_is_closed_to_all_other_namespaces_is_said_of_what_is_lent_to_destinations_alone() {
    let closed = |settings: &[(&str, &str)]| {
        let changes = migrated(settings).changes.into_iter();
        let of_objects = changes.filter(|change| change.field.starts_with("RegistryAccess "));
        of_objects.map(|change| change.reason).collect::<Vec<_>>()
    };
    let destination = ("DESTINATION_DEFAULT_REGISTRY", "registry.corp");
    for setting in [
        ("CREDS_DESTINATION_PASSWORD", ""),
        ("DESTINATION_DEFAULT_AWS_IRSA_USAGE", "true"),
        ("DISABLE_DEST_TLS_VERIFICATION", "true"),
    ] {
        let said = closed(&[destination, setting]);
        assert_eq!(said.len(), 1, "{setting:?}: {said:?}");
        let words = "once it is applied, no other namespace may write below registry.corp/, even with a Secret of its own";
        assert!(said[0].starts_with(words), "{said:?}");
    }
    let source = [("CREDS_SOURCE_PASSWORD", ""), ("CREDS_SOURCE_REGISTRY", "quay.io")];
    assert_eq!(closed(&[&[destination][..], &source].concat()), [""; 0]);
}

#[test]
fn what_copies_on_the_fly_is_in_the_namespace_that_gets_what_is_lent() {
    let settings = [
        ("FEATURE_COPY_ON_THE_FLY", "true"),
        ("DESTINATION_DEFAULT_REGISTRY", "registry.corp"),
        ("CREDS_DESTINATION_PASSWORD", ""),
    ];
    let of_jobs = [("PULL_JOB_NAMESPACE", "copies")];
    for (settings, namespace) in
        [(settings.to_vec(), "image-operator"), ([&settings[..], &of_jobs].concat(), "copies")]
    {
        let objects = migrated(&settings).objects;
        let [mirror, access] = objects.as_slice() else { panic!("{objects:?}") };
        assert_eq!(mirror.object["metadata"], json!({ "name": "copy-on-the-fly", "namespace": namespace }));
        let selector = &access.object["spec"]["namespaceSelector"]["matchLabels"];
        assert_eq!(*selector, json!({ "kubernetes.io/metadata.name": namespace }));
    }
}

#[test]
fn the_identity_of_aws_is_lent_for_the_default_registry() {
    let made = migrated(&[
        ("DESTINATION_DEFAULT_REGISTRY", "1.dkr.ecr.eu-west-3.amazonaws.com"),
        ("DESTINATION_DEFAULT_AWS_IRSA_USAGE", "true"),
        ("CREDS_SOURCE_REGISTRY", "quay.io"),
        ("CREDS_SOURCE_PASSWORD", ""),
    ]);
    let specs: Vec<&Value> = made.objects.iter().map(|one| &one.object["spec"]).collect();
    assert_eq!(
        (&specs[0]["aws"], &specs[0]["repositories"]),
        (&json!({ "identity": "Agent" }), &json!(["/"]))
    );
    assert_eq!(
        (&specs[1]["secretName"], &specs[1]["hosts"]),
        (&json!("image-operator-source"), &json!(["quay.io"]))
    );
}

#[test]
fn values_of_the_chart_that_are_no_settings_are_named() {
    let values = json!({ "image": { "version": "2" }, "tolerations": [], "config": {
        "credentials": { "secretName": "x" }, "ui": { "enabled": true } } });
    let fields: Vec<String> =
        operator_chart_changes(&values).into_iter().map(|change| change.field).collect();
    assert_eq!(fields, ["image", "config.credentials.secretName", "config.ui"]);
}
