//! image-operator's copy on the fly, which is a setting there, as a `WorkloadMirror`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Change, Migrated, Outcome};

/// The variables of image-operator that say whether it copies on the fly: that of its code, and that of its README.
const ENABLED: [&str; 2] = ["FEATURE_COPY_ON_THE_FLY_ENABLED", "FEATURE_COPY_ON_THE_FLY"];
const NAMESPACES: &str = "FEATURE_COPY_ON_THE_FLY_NAMESPACES_ALLOWED";
pub(super) const REGISTRY: &str = "DESTINATION_DEFAULT_REGISTRY";
pub(super) const IRSA: &str = "DESTINATION_DEFAULT_AWS_IRSA_USAGE";
pub(super) const NO_TLS: &str = "DISABLE_DEST_TLS_VERIFICATION";
/// Values of its chart with the variables that they become.
const VALUES: [(&str, &str); 22] = [
    ("/config/features/copyOnTheFly/enabled", ENABLED[0]),
    ("/config/features/copyOnTheFly/namespacesAllowed", NAMESPACES),
    ("/config/features/dockerHubRateLimit/enabled", "FEATURE_DOCKERHUB_RATE_LIMIT_ENABLED"),
    ("/config/features/dockerHubRateLimit/frequencySecond", "FEATURE_DOCKERHUB_RATE_LIMIT_FREQUENCY_SECOND"),
    ("/config/destination/defaultRegistry", REGISTRY),
    ("/config/destination/defaultAwsIrsaUsage", IRSA),
    ("/config/destination/disabledTlsCheck", NO_TLS),
    ("/config/source/disabledTlsCheck", "DISABLE_SRC_TLS_VERIFICATION"),
    ("/config/credentials/sourceUsername", "CREDS_SOURCE_USERNAME"),
    ("/config/credentials/sourcePassword", "CREDS_SOURCE_PASSWORD"),
    ("/config/credentials/destinationUsername", "CREDS_DESTINATION_USERNAME"),
    ("/config/credentials/destinationPassword", "CREDS_DESTINATION_PASSWORD"),
    ("/config/api/aws/pageMax", "API_AWS_PAGE_MAX"),
    ("/config/api/aws/itemsByPage", "API_AWS_PAGE_ITEMS_COUNT"),
    ("/config/pullJobNamespace", "PULL_JOB_NAMESPACE"),
    ("/config/skopeo/image", "SKOPEO_IMAGE"),
    ("/config/skopeo/version", "SKOPEO_VERSION"),
    ("/config/buildah/image", "BUILDAH_IMAGE"),
    ("/config/buildah/version", "BUILDAH_VERSION"),
    ("/config/buildah/dangerUsePrivilegedContainers", "BUILDAH_PRIVILEGED_CONTAINER"),
    ("/config/buildah/jobNamespace", "BUILDAH_JOB_NAMESPACE"),
    ("/config/jobDeletionDelaySeconds", "JOB_DELETION_DELAY_SECONDS"),
];
/// What the variables of logins begin with.
const LOGINS: &str = "CREDS_";
/// Where the feature itself stands in values, in the charts in which it is true or false.
const FEATURE: &str = "/config/features/copyOnTheFly";

/// Returns the variables that values of image-operator's chart become; none of what are no such values.
pub fn image_operator_values(values: &Value) -> Option<BTreeMap<String, String>> {
    values.get("config")?.as_object()?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(all) => Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
        _ => None,
    };
    // What is empty is not set; what a password is, is not read.
    let of = |path: &str, variable: &str| {
        let value = text(values.pointer(path)?).filter(|value| !value.is_empty())?;
        let is_login = variable.starts_with(LOGINS);
        Some((variable.to_owned(), if is_login { String::new() } else { value }))
    };
    let feature = of(FEATURE, ENABLED[0]);
    Some(VALUES.iter().filter_map(|(path, variable)| of(path, variable)).chain(feature).collect())
}

/// Returns the `WorkloadMirror` that does what image-operator did with these variables where a pull failed, in the namespace
/// that gets what is lent; nothing where it did nothing.
pub fn migrate_on_the_fly(env: &BTreeMap<String, String>, namespace: &str) -> Option<Migrated> {
    let text = |name: &str| env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let is_true = |name: &str| text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !ENABLED.iter().any(|name| is_true(name)) {
        return None;
    }
    let mut changes = Vec::new();
    let mut say = |field: &str, outcome, reason: &str| {
        changes.push(Change { field: field.to_owned(), outcome, reason: reason.to_owned() });
    };
    let registry = text(REGISTRY).map(|registry| registry.trim_end_matches('/').to_owned());
    let mut destination = Map::new();
    let mut spec = json!({ "triggers": ["PullFailure"] });
    if let Some(registry) = registry {
        destination.insert("repository".to_owned(), registry.clone().into());
        spec["origins"] = json!([{ "from": registry, "to": ["docker.io"] }]);
        say(
            REGISTRY,
            Outcome::Changed,
            "what lies below it comes from Docker Hub, as there; other origins can be added, and a name with any registry, port or digest is read",
        );
    } else {
        say(
            REGISTRY,
            Outcome::Unusable,
            "it is not set, and image-operator then copied nothing; write destination.repository",
        );
    }
    if is_true(IRSA) {
        destination.insert("useAwsIRSA".to_owned(), true.into());
        say(
            IRSA,
            Outcome::Kept,
            "an administrator lends the agent's AWS identity with a RegistryAccess (docs/ecr.md)",
        );
    }
    if is_true(NO_TLS) {
        destination.insert("tls".to_owned(), json!({ "mode": "SkipVerify" }));
    }
    spec["destination"] = destination.into();
    let namespaces: Vec<&str> = text(NAMESPACES).unwrap_or("*").split(',').map(str::trim).collect();
    spec["namespaces"] = json!({ "include": namespaces });
    say(
        NAMESPACES,
        Outcome::Changed,
        "it says whose pods are looked at, and no longer whose Images are copied; an administrator lets the WorkloadMirror see other namespaces (ClusterRole imgop-workload-mirror)",
    );
    let object = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror",
        "metadata": { "name": "copy-on-the-fly", "namespace": namespace }, "spec": spec });
    Some(Migrated { object, changes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(env: &[(&str, &str)]) -> Option<Migrated> {
        migrate_on_the_fly(
            &env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            "image-operator",
        )
    }

    #[test]
    fn copy_on_the_fly_becomes_a_mirror_of_what_pods_cannot_pull_by_either_name_of_its_variable() {
        for name in ENABLED {
            let env = [
                (name, "true"),
                (REGISTRY, "registry.corp:5000/mirror/"),
                (NAMESPACES, "a, b"),
                (IRSA, "false"),
            ];
            let spec = of(&env).unwrap().object["spec"].clone();
            let wanted = json!({ "triggers": ["PullFailure"], "namespaces": { "include": ["a", "b"] },
                "destination": { "repository": "registry.corp:5000/mirror" },
                "origins": [{ "from": "registry.corp:5000/mirror", "to": ["docker.io"] }] });
            assert_eq!(spec, wanted, "{name}");
        }
        assert_eq!(of(&[(REGISTRY, "r.io")]), None, "it is off by default");
        assert_eq!(of(&[(ENABLED[0], "false")]), None);
    }

    #[test]
    fn values_of_the_chart_say_the_same_whether_the_feature_is_true_or_an_object() {
        let config = |feature: Value| {
            json!({ "config": { "features": { "copyOnTheFly": feature },
                "destination": { "defaultRegistry": "r.io", "defaultAwsIrsaUsage": true } } })
        };
        let object = config(json!({ "enabled": true, "namespacesAllowed": ["a", "b"] }));
        for (values, namespaces) in [(object, json!(["a", "b"])), (config(true.into()), json!(["*"]))] {
            let env = image_operator_values(&values).unwrap();
            let spec = migrate_on_the_fly(&env, "image-operator").unwrap().object["spec"].clone();
            assert_eq!(
                (&spec["namespaces"]["include"], &spec["destination"]["useAwsIRSA"]),
                (&namespaces, &json!(true))
            );
        }
        assert_eq!(image_operator_values(&json!({ "kind": "Image" })), None);
    }

    #[test]
    fn without_its_registry_it_is_said_that_nothing_was_copied() {
        let migrated = of(&[(ENABLED[1], "true")]).unwrap();
        let outcomes: Vec<Outcome> = migrated.changes.iter().map(|change| change.outcome).collect();
        assert_eq!(outcomes, [Outcome::Unusable, Outcome::Changed]);
    }
}
