//! The environment of a program that is migrated, without its credentials.

use std::collections::BTreeMap;

use serde_json::Value;

/// Parts of names of variables whose values are credentials, and are not kept.
const CREDENTIALS: [&str; 3] = ["PASSWORD", "TOKEN", "SECRET"];

/// Flags whose values may be words of their own: all others without a value are switches.
const WITH_VALUE: [&str; 7] = [
    "health-probe-bind-address",
    "kubeconfig",
    "metrics-bind-address",
    "zap-encoder",
    "zap-log-level",
    "zap-stacktrace-level",
    "zap-time-encoding",
];

/// Returns the containers of a Deployment.
pub fn containers(deployment: &Value) -> impl Iterator<Item = &Value> {
    deployment["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten()
}

/// Returns the variables of a container; those whose values stand elsewhere are empty.
pub fn of_container(container: &Value) -> BTreeMap<String, String> {
    let variables = container["env"].as_array().into_iter().flatten();
    let variable = |variable: &Value| {
        let name = variable["name"].as_str()?;
        Some((name.to_owned(), without_credential(name, variable["value"].as_str().unwrap_or_default())))
    };
    variables.filter_map(variable).collect()
}

/// What of an environment is not known: its value stands elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// A variable whose value is in a ConfigMap.
    InConfigMap(String),
    /// A variable whose value is known in its pod alone.
    InPod(String),
    /// All variables of a ConfigMap.
    ConfigMap(String),
    /// All variables of a Secret.
    Secret(String),
}

impl Unread {
    /// Whether it is several variables, of which not even the names are known.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::ConfigMap(_) | Self::Secret(_))
    }

    /// Returns whether these settings have it.
    pub fn is_among(&self, settings: &BTreeMap<String, String>) -> bool {
        match self {
            Self::InConfigMap(name) | Self::InPod(name) => {
                settings.get(name).is_some_and(|value| !value.is_empty())
            }
            Self::ConfigMap(_) | Self::Secret(_) => false,
        }
    }

    /// Returns what is said of it; `has_env` is whether a file gives the rest of the environment.
    pub fn warning(&self, has_env: bool) -> String {
        let (what, why) = match self {
            Self::InConfigMap(name) => (name.clone(), IN_CLUSTER),
            Self::InPod(name) => {
                (name.clone(), "its value is known in its pod alone; give it with --env FILE")
            }
            Self::ConfigMap(name) => (format!("all of ConfigMap {name}"), IN_CLUSTER),
            Self::Secret(name) => (format!("all of Secret {name}"), IN_SECRET),
        };
        if has_env && self.is_whole() {
            return format!("{what} is not read: what --env does not name of it is not carried");
        }
        format!("{what} cannot be used: {why}")
    }
}

const IN_CLUSTER: &str = "its values stand elsewhere in the cluster; read them with --from NAMESPACE/DEPLOYMENT, or \
                          give them with --env FILE";
const IN_SECRET: &str = "Secrets are not read, and a login may be in it; give its variables with --env FILE, where the value \
                         of a credential may be empty";

/// Returns what of the environment of a container is not known. Of variables that come from somewhere else only those count
/// whose values matter; credentials are not among them.
pub fn unread(container: &Value, matters: impl Fn(&str) -> bool) -> Vec<Unread> {
    let env = container["env"].as_array().into_iter().flatten();
    let of_env = env.filter_map(|one| {
        let (name, source) = (one["name"].as_str()?, one["valueFrom"].as_object()?);
        if !one["value"].is_null() || source.contains_key("secretKeyRef") || !matters(name) {
            return None;
        }
        let is_in_config_map = source.contains_key("configMapKeyRef");
        Some(if is_in_config_map {
            Unread::InConfigMap(name.to_owned())
        } else {
            Unread::InPod(name.to_owned())
        })
    });
    let whole = container["envFrom"].as_array().into_iter().flatten();
    let of_whole = whole.filter_map(|one| {
        let name = |kind: &str| one[kind]["name"].as_str().map(str::to_owned);
        name("configMapRef").map(Unread::ConfigMap).or_else(|| name("secretRef").map(Unread::Secret))
    });
    of_env.chain(of_whole).collect()
}

/// Returns the flags of a container with their values, by their names with two dashes: Go's package `flag` reads them with one
/// dash or two. Of a switch without a value it is `true`.
pub fn flags_of_container(container: &Value) -> BTreeMap<String, String> {
    let words = ["command", "args"].iter().flat_map(|key| container[*key].as_array().into_iter().flatten());
    let mut words = words.filter_map(Value::as_str);
    let mut flags = BTreeMap::new();
    while let Some(word) = words.next() {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or_default();
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value),
            None if WITH_VALUE.contains(&flag) => (flag, words.next().unwrap_or_default()),
            None => (flag, "true"),
        };
        if !name.is_empty() {
            flags.insert(format!("--{name}"), without_credential(name, value));
        }
    }
    flags
}

/// Returns the variables of a file: lines with a name and a value; others say nothing.
pub fn of_file(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let variable = |line: &str| {
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        Some((name.trim().to_owned(), without_credential(name, value)))
    };
    lines.filter_map(variable).collect()
}

/// Returns the value of a variable; nothing of one that holds a credential.
fn without_credential(name: &str, value: &str) -> String {
    let is_credential = CREDENTIALS.iter().any(|part| name.to_ascii_uppercase().contains(part));
    if is_credential { String::new() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let flags = |command: Value, args: Value| {
            let flags = flags_of_container(&json!({ "command": command, "args": args }));
            flags.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        for (args, expected) in [
            (json!(["--dry-run"]), "--dry-run=true"),
            (json!(["-dry-run"]), "--dry-run=true"),
            (json!(["-dry-run=T", "--dry-pull=0"]), "--dry-pull=0 --dry-run=T"),
            (
                json!(["--zap-log-level", "debug", "-leader-elect"]),
                "--leader-elect=true --zap-log-level=debug",
            ),
            (json!(["--metrics-bind-address=:9090"]), "--metrics-bind-address=:9090"),
            (json!(["--dry-run", "false"]), "--dry-run=true"),
            (json!(["--"]), ""),
            (json!(["--registry-password=hunter2"]), "--registry-password="),
        ] {
            assert_eq!(flags(Value::Null, args.clone()), expected, "{args}");
        }
        let command = json!(["/tini", "--", "/manager", "--dry-run"]);
        assert_eq!(flags(command, json!(["--dry-pull"])), "--dry-pull=true --dry-run=true");
    }

    #[test]
    fn of_an_environment_that_stands_elsewhere_only_what_matters_is_unread() {
        let from = |kind: &str| json!({ kind: { "name": "x", "key": "k" } });
        let container = json!({
            "envFrom": [{ "configMapRef": { "name": "all" } }, { "secretRef": { "name": "creds" } }],
            "env": [
                { "name": "POD_NAMESPACE", "valueFrom": from("fieldRef") },
                { "name": "KNOWN_OF_POD", "valueFrom": from("fieldRef") },
                { "name": "KNOWN", "valueFrom": from("configMapKeyRef") },
                { "name": "KNOWN_READ", "value": "1", "valueFrom": from("configMapKeyRef") },
                { "name": "KNOWN_SECRET", "valueFrom": from("secretKeyRef") },
            ],
        });
        let found = unread(&container, |name| name.starts_with("KNOWN"));
        let expected = [
            Unread::InPod("KNOWN_OF_POD".to_owned()),
            Unread::InConfigMap("KNOWN".to_owned()),
            Unread::ConfigMap("all".to_owned()),
            Unread::Secret("creds".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
