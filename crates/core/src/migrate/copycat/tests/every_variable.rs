//! Every variable of copycat, set to something else than its default.

use super::*;
use crate::migrate::copycat::settings::SETTINGS;

/// What a variable becomes.
enum Becomes {
    /// What stands there in the spec.
    Spec(&'static str, Value),
    /// What stands there no more.
    Gone(&'static str),
    /// A setting of the agent.
    Agent(&'static str, &'static str),
    /// A line.
    Said(&'static str),
}

use Becomes::{Agent, Gone, Said, Spec};

/// A variable, its value, what else is set, and what it becomes.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], Becomes);

const ECR: &[(&str, &str)] = &[("ECR_ACCOUNT_ID", "123456789012"), ("AWS_REGION", "eu-west-1")];
const DOCKER: &[(&str, &str)] = &[("TARGET_KIND", "docker"), ("TARGET_REGISTRY", "r.io")];
const ACCOUNT: &[(&str, &str)] = &[("ECR_ACCOUNT_ID", "123456789012")];
const REGION: &[(&str, &str)] = &[("AWS_REGION", "eu-west-1")];
const KIND: &[(&str, &str)] = &[("TARGET_KIND", "docker")];
const REGISTRY: &[(&str, &str)] = &[("TARGET_REGISTRY", "r.io")];
const DIGESTS: &[(&str, &str)] =
    &[("ECR_ACCOUNT_ID", "123456789012"), ("AWS_REGION", "eu-west-1"), ("DIGEST_PULL", "true")];

const REPOSITORY: &str = "/destination/repository";
const EXCLUDED: &str = "/exclude/workloads";

fn of_destination() -> Vec<Row> {
    let host = || json!("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    vec![
        ("TARGET_KIND", "docker", REGISTRY, Spec(REPOSITORY, json!("r.io"))),
        ("ECR_ACCOUNT_ID", "123456789012", REGION, Spec(REPOSITORY, host())),
        ("AWS_REGION", "eu-west-1", ACCOUNT, Spec(REPOSITORY, host())),
        ("ECR_REPO_PREFIX", "/team/", ECR, Spec("/destination/prefix", json!("team"))),
        ("ECR_CREATE_REPO", "false", ECR, Gone("/destination/create")),
        ("TARGET_REGISTRY", "https://r.io/", KIND, Spec(REPOSITORY, json!("r.io"))),
        ("TARGET_REPO_PREFIX", "$namespace", DOCKER, Spec("/destination/prefix", json!("$namespace"))),
        ("TARGET_INSECURE", "true", DOCKER, Spec("/destination/tls/mode", json!("SkipVerify"))),
    ]
}

fn of_workloads() -> Vec<Row> {
    let one = |kind: &str, name: &str| Spec(EXCLUDED, json!([{ "kind": kind, "name": name }]));
    let in_namespace = json!([{ "kind": "StatefulSet", "namespace": "team", "name": "b" }]);
    vec![
        ("INCLUDE_NAMESPACES", "a, b-*", ECR, Spec("/namespaces/include", json!(["a", "b-*"]))),
        ("SKIP_NAMESPACES", "x,y", ECR, Spec("/namespaces/exclude", json!(["x", "y"]))),
        ("SKIP_DEPLOYMENTS", "a", ECR, one("Deployment", "a")),
        ("SKIP_STATEFULSETS", "team/b", ECR, Spec(EXCLUDED, in_namespace)),
        ("SKIP_DAEMONSETS", "c", ECR, one("DaemonSet", "c")),
        ("SKIP_JOBS", "d", ECR, one("Job", "d")),
        ("SKIP_CRONJOBS", "*", ECR, one("CronJob", "*")),
        ("SKIP_PODS", "f", ECR, one("Pod", "f")),
        (
            "EXCLUDE_REGISTRIES",
            "https://Quay.io/,ghcr.io/acme",
            ECR,
            Spec("/exclude/registries", json!(["quay.io", "ghcr.io/acme"])),
        ),
        ("WATCH_RESOURCES", "jobs,Pods,jobs", ECR, Spec("/kinds", json!(["Job", "Pod"]))),
    ]
}

fn of_contents() -> Vec<Row> {
    let platforms = json!(["linux/amd64", "linux/arm64"]);
    vec![
        ("DIGEST_PULL", "true", ECR, Spec("/digests/use", json!("Running"))),
        (
            "DIGEST_PULL_IGNORED_TAGS",
            "dev,edge",
            DIGESTS,
            Spec("/digests/ignoreTags", json!(["dev", "edge"])),
        ),
        ("IGNORE_MISSING_PLATFORMS", "arm64", ECR, Said("ignoreMissingPlatforms not carried: ")),
        ("CHECK_NODE_PLATFORM", "true", DIGESTS, Spec("/platforms/mode", json!("Nodes"))),
        ("MIRROR_PLATFORMS", "amd64,linux/arm64", DIGESTS, Spec("/platforms/list", platforms)),
        ("ALLOW_DIFFERENT_DIGEST_REPUSH", "false", ECR, Spec("/overwrite/policy", json!("IfMissing"))),
        ("DRY_RUN", "yes", ECR, Spec("/mode", json!("Observe"))),
        ("DRY_PULL", "1", ECR, Spec("/mode", json!("Plan"))),
    ]
}

fn of_the_program() -> Vec<Row> {
    vec![
        ("REGISTRY_REQUEST_TIMEOUT", "60", ECR, Said("requestTimeout not carried: 60 ")),
        ("REGISTRY_RETRY_ATTEMPTS", "5", ECR, Said("registryRetryAttempts not carried: ")),
        ("REGISTRY_RETRY_BACKOFF", "3s", ECR, Said("registryRetryBackoff not carried: ")),
        ("FAILURE_COOLDOWN_MINUTES", "15", ECR, Agent("FAILURE_COOLDOWN_MINUTES", "15")),
        ("FORCE_RECONCILE_MINUTES", "30", ECR, Spec("/frequency", json!("30m"))),
        ("MAX_CONCURRENT_RECONCILES", "8", ECR, Said("maxConcurrentReconciles not carried: 8 ")),
        ("METRICS_ADDR", ":9090", ECR, Agent("LISTEN", "0.0.0.0:9090")),
    ]
}

fn all() -> Vec<Row> {
    let mut all = of_destination();
    all.extend(of_workloads());
    all.extend(of_contents());
    all.extend(of_the_program());
    all
}

#[test]
fn each_variable_changes_what_it_is_for() {
    for (variable, value, others, becomes) in all() {
        let (before, after) =
            (migrate(None, others), migrate(None, &[others, &[(variable, value)]].concat()));
        let [then, now] = [&before, &after].map(|one| &one.object["spec"]);
        match becomes {
            Spec(place, expected) => {
                assert_eq!(now.pointer(place), Some(&expected), "{variable}");
                assert_ne!(then.pointer(place), Some(&expected), "{variable}");
            }
            Gone(place) => {
                assert!(then.pointer(place).is_some() && now.pointer(place).is_none(), "{variable}");
            }
            Agent(name, expected) => {
                assert_eq!(after.agent.get(name).map(String::as_str), Some(expected), "{variable}");
                assert_eq!(before.agent.get(name), None, "{variable}");
            }
            Said(line) => {
                assert!(said(&after).contains(line) && !said(&before).contains(line), "{variable}");
            }
        }
        let is_unusable = after.changes.iter().any(|change| change.outcome == Outcome::Unusable);
        assert!(!is_unusable, "{variable}: {}", said(&after));
        let key = SETTINGS.iter().find(|(_, known)| *known == variable).map(|(key, _)| *key);
        assert!(
            after.changes.iter().any(|change| Some(change.field.as_str()) == key),
            "{variable} has no line"
        );
    }
}

#[test]
fn no_variable_is_left_out_of_this_table() {
    let mut known: Vec<&str> =
        SETTINGS.iter().map(|(_, variable)| *variable).filter(|variable| !variable.is_empty()).collect();
    let mut tried: Vec<&str> = all().iter().map(|(variable, ..)| *variable).collect();
    known.sort_unstable();
    tried.sort_unstable();
    assert_eq!(known, tried);
}
