//! copycat's settings: each has a key of the file, a variable, or both.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::flags::Flagged;
use super::{CopycatInput, Made};
use crate::migrate::{Change, Outcome};

/// Keys of the file with their variables; those that only one of both has have the other one empty.
pub(super) const SETTINGS: [(&str, &str); 36] = [
    ("targetKind", "TARGET_KIND"),
    ("logLevel", ""),
    ("ecr.accountID", "ECR_ACCOUNT_ID"),
    ("ecr.region", "AWS_REGION"),
    ("ecr.repoPrefix", "ECR_REPO_PREFIX"),
    ("ecr.createRepo", "ECR_CREATE_REPO"),
    ("ecr.assumeRoleArn", ""),
    ("ecr.lifecyclePolicy", ""),
    ("docker.registry", "TARGET_REGISTRY"),
    ("docker.repoPrefix", "TARGET_REPO_PREFIX"),
    ("docker.insecure", "TARGET_INSECURE"),
    ("digestPull", "DIGEST_PULL"),
    ("digestPullIgnoredTags", "DIGEST_PULL_IGNORED_TAGS"),
    ("ignoreMissingPlatforms", "IGNORE_MISSING_PLATFORMS"),
    ("checkNodePlatform", "CHECK_NODE_PLATFORM"),
    ("mirrorPlatforms", "MIRROR_PLATFORMS"),
    ("allowDifferentDigestRepush", "ALLOW_DIFFERENT_DIGEST_REPUSH"),
    ("includeNamespaces", "INCLUDE_NAMESPACES"),
    ("skipNamespaces", "SKIP_NAMESPACES"),
    ("skipNames.deployments", "SKIP_DEPLOYMENTS"),
    ("skipNames.statefulSets", "SKIP_STATEFULSETS"),
    ("skipNames.daemonSets", "SKIP_DAEMONSETS"),
    ("skipNames.jobs", "SKIP_JOBS"),
    ("skipNames.cronJobs", "SKIP_CRONJOBS"),
    ("skipNames.pods", "SKIP_PODS"),
    ("excludeRegistries", "EXCLUDE_REGISTRIES"),
    ("watchResources", "WATCH_RESOURCES"),
    ("dryRun", "DRY_RUN"),
    ("dryPull", "DRY_PULL"),
    ("requestTimeout", "REGISTRY_REQUEST_TIMEOUT"),
    ("registryRetryAttempts", "REGISTRY_RETRY_ATTEMPTS"),
    ("registryRetryBackoff", "REGISTRY_RETRY_BACKOFF"),
    ("failureCooldownMinutes", "FAILURE_COOLDOWN_MINUTES"),
    ("forceReconcileMinutes", "FORCE_RECONCILE_MINUTES"),
    ("maxConcurrentReconciles", "MAX_CONCURRENT_RECONCILES"),
    ("METRICS_ADDR", "METRICS_ADDR"),
];
/// Keys whose values are read elsewhere.
const LISTS: [&str; 2] = ["registryCredentials", "pathMap"];
/// Variables that hold credentials, or say where the file is.
pub(super) const TARGET_CREDENTIALS: [&str; 2] = ["TARGET_USERNAME", "TARGET_PASSWORD"];
/// What is said of them where the target is of another kind.
const OF_DOCKER: &str = "it is the login of targetKind docker (variable TARGET_KIND), and the target is of another kind; where nothing says which, it is ecr";
const CONFIG_PATH: &str = "CONFIG_PATH";
/// Keys of the file that copycat never read, by a mistake in how it names its fields.
const NEVER_READ: [&str; 2] = ["requestTimeout", "registryRetryBackoff"];

/// Whether copycat has a setting of this variable, whose value matters.
pub fn is_variable(name: &str) -> bool {
    SETTINGS.iter().any(|(_, variable)| *variable == name)
}

/// copycat's settings.
pub(super) struct Settings<'a> {
    env: &'a BTreeMap<String, String>,
    flags: Flagged,
    /// The namespace of the resource, if it has one.
    pub(super) namespace: Option<&'a str>,
    /// Values of the file, by their whole keys.
    file: BTreeMap<String, &'a Value>,
    /// Variables that were asked for.
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Settings<'a> {
    /// Reads the file, and reports the keys that copycat does not have, or never read.
    pub(super) fn new(input: &'a CopycatInput, flags: Flagged, changes: &mut Vec<Change>) -> Self {
        let mut file = BTreeMap::new();
        let all: Vec<(String, &Value)> = input.file.iter().flat_map(|file| leaves("", file)).collect();
        for (key, value) in all {
            let is_known = SETTINGS.iter().any(|(known, _)| *known == key && !known.contains('_'));
            if NEVER_READ.contains(&key.as_str()) {
                let reason = "copycat never read it from its file, only from its variable";
                changes.push(Change { field: key, outcome: Outcome::NotCarried, reason: reason.to_owned() });
            } else if is_known || LISTS.contains(&key.as_str()) {
                file.insert(key, value);
            } else {
                let nearest = nearest(&key).map(|key| format!("; {key} is near")).unwrap_or_default();
                let reason = format!("copycat has no such key, and ignored it{nearest}");
                changes.push(Change { field: key, outcome: Outcome::NotCarried, reason });
            }
        }
        let namespace = input.namespace.as_deref();
        Self { env: &input.env, flags, namespace, file, known: RefCell::default() }
    }

    /// Returns a setting as text: of its flag, of its variable, or else of the file. Lists of the file are joined with commas.
    pub(super) fn text(&self, key: &str, made: &mut Made) -> Option<String> {
        let variable = SETTINGS.iter().find(|(known, _)| *known == key).map_or("", |(_, variable)| *variable);
        let in_variable = self.variable(variable);
        let in_file = self.file.get(key);
        if let Some((flag, text)) = self.flags.get(key) {
            if in_variable.is_some() || in_file.is_some() {
                let other = if in_variable.is_some() { variable } else { "the file" };
                made.kept(key, format!("the value of {flag}, which goes before {other}"));
            }
            return Some(text.clone());
        }
        if let Some(text) = in_variable {
            if in_file.is_some() {
                made.kept(key, format!("the value of {variable}, which goes before the file"));
            }
            return Some(text);
        }
        of_file(key, in_file?, made)
    }

    /// Returns a setting as a list.
    pub(super) fn list(&self, key: &str, made: &mut Made) -> Vec<String> {
        let text = self.text(key, made).unwrap_or_default();
        text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    }

    /// Returns a setting that is true or false.
    pub(super) fn flag(&self, key: &str, made: &mut Made) -> Option<bool> {
        let text = self.text(key, made)?;
        let switched = as_bool(&text);
        if switched.is_none() {
            made.unusable(key, format!("{text:?} is neither true nor false"));
        }
        switched
    }

    /// Returns a setting that is a number.
    pub(super) fn number(&self, key: &str, made: &mut Made) -> Option<u32> {
        let text = self.text(key, made)?;
        let number = text.parse().ok();
        if number.is_none() {
            made.unusable(key, format!("{text:?} is no whole number"));
        }
        number
    }

    /// Returns the elements of a list of the file.
    pub(super) fn elements(&self, key: &str) -> impl Iterator<Item = &'a Value> {
        self.file.get(key).and_then(|value| value.as_array()).into_iter().flatten()
    }

    /// Returns a variable that is not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.known.borrow_mut().insert(name.to_owned());
        self.env.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Returns whether a variable is set, be its value known or not.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.known.borrow_mut().insert(name.to_owned());
        self.env.contains_key(name)
    }

    /// Reports variables that nothing has asked for.
    pub(super) fn report_unknown(&self, changes: &mut Vec<Change>) {
        let known = self.known.borrow();
        let is_known = |name: &str| {
            known.contains(name)
                || name == CONFIG_PATH
                || SETTINGS.iter().any(|(_, variable)| *variable == name)
        };
        for name in self.env.keys().filter(|name| !is_known(name)) {
            let is_login = TARGET_CREDENTIALS.contains(&name.as_str());
            let reason = if is_login { OF_DOCKER } else { "copycat has no such variable" };
            let (field, outcome) = (name.clone(), Outcome::NotCarried);
            changes.push(Change { field, outcome, reason: reason.to_owned() });
        }
    }
}

/// Reads what copycat takes for true and false in its file and its environment.
pub(super) fn as_bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "t" => Some(true),
        "false" | "0" | "no" | "f" => Some(false),
        _ => None,
    }
}

/// Returns a value of the file as text.
fn of_file(key: &str, value: &Value, made: &mut Made) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(all) if !all.iter().all(Value::is_string) => {
            made.unusable(key, "one of its elements is no text: write it in quotes");
            None
        }
        Value::Array(all) => {
            let texts: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            Some(texts.join(",")).filter(|text| !text.is_empty())
        }
        Value::Object(_) => {
            made.unusable(key, "it is no text, number or list");
            None
        }
    }
}

/// Returns the values of a file with their whole keys: `ecr.region`.
fn leaves<'v>(prefix: &str, value: &'v Value) -> Vec<(String, &'v Value)> {
    let Value::Object(fields) = value else { return vec![(prefix.to_owned(), value)] };
    let under = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    fields.iter().flat_map(|(key, value)| leaves(&under(key), value)).collect()
}

/// Returns the key that this one is likely to mean.
fn nearest(key: &str) -> Option<&'static str> {
    let keys = SETTINGS.iter().map(|(known, _)| *known).chain(LISTS).filter(|known| !known.contains('_'));
    let near = keys.map(|known| (strsim::levenshtein(known, key), known)).min()?;
    (near.0 <= 3).then_some(near.1)
}
