//! `registryCredentials`: each of their registries becomes a Secret, which is created by hand, and a source that names it. What
//! is for all names below another one is lent by an administrator: the Secret of a source has a login for each registry that is
//! written in it in full, and none for a wildcard.

use serde_json::{Value, json};

use super::Made;
use super::settings::Settings;
use crate::migrate::lent::{Lent, LentAccess, lent_secret_command};
use crate::text::shell_word;

/// The namespace of the WorkloadMirror, where none is said.
const DEFAULT_NAMESPACE: &str = "default";
/// Where passwords are typed.
const TYPED: &str = "--docker-username=USER --docker-password=PASSWORD";

/// Returns the command that creates the Secret for a registry where the resource is. No value is read to write it.
pub(super) fn secret_command(name: &str, registry: &str, settings: &Settings<'_>) -> String {
    let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    let server = shell_word(&format!("--docker-server={server}"));
    let namespace = settings.namespace.map(|namespace| format!(" -n {}", shell_word(namespace)));
    let namespace = namespace.unwrap_or_default();
    format!("kubectl create secret docker-registry {name}{namespace} {server} {TYPED}")
}

/// Makes the sources.
pub(super) fn sources(settings: &Settings<'_>, made: &mut Made) {
    let mut all: Vec<Value> = Vec::new();
    let entries: Vec<&Value> = settings.elements("registryCredentials").collect();
    for (number, entry) in entries.into_iter().enumerate() {
        let field = format!("registryCredentials[{number}]");
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        for key in
            ["usernameEnv", "passwordEnv", "tokenEnv"].map(text).into_iter().filter(|name| !name.is_empty())
        {
            settings.is_set(key);
        }
        let (wild, hosts): (Vec<String>, Vec<String>) =
            registries(entry).into_iter().partition(|host| host.contains(['*', '?', '[']));
        let has_token = ["token", "tokenEnv"].map(text).iter().any(|token| !token.is_empty());
        if has_token {
            made.changed(&field, "its token was sent as it is, without being exchanged; here it is a password, with the user that the registry wants for tokens");
        } else if !hosts.is_empty() {
            made.kept(&field, "each of its registries is one of sources, with a Secret");
        }
        lend(&field, &wild, settings.namespace.unwrap_or(DEFAULT_NAMESPACE), made);
        for host in hosts {
            // A Secret that is made by hand is for one registry.
            let name = secret_name(&host);
            made.commands.push(secret_command(&name, &host, settings));
            all.push(json!({ "registry": host, "credentials": { "secretName": name } }));
        }
    }
    if !all.is_empty() {
        made.set("sources", all);
    }
}

/// Returns the registries of a login, each once.
fn registries(entry: &Value) -> Vec<String> {
    let aliases = entry.get("registryAliases").and_then(Value::as_array).into_iter().flatten();
    let all = entry.get("registry").into_iter().chain(aliases).filter_map(Value::as_str);
    let mut hosts: Vec<String> = Vec::new();
    for host in all.map(|host| host.trim().to_lowercase()) {
        if !host.is_empty() && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Has an administrator lend a login for the registries that wildcards stand for, where a RegistryAccess can say it.
fn lend(field: &str, wildcards: &[String], namespace: &str, made: &mut Made) {
    let is_label_star = |host: &String| {
        let rest = host.strip_prefix("*.");
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['*', '?', '[', '\\']))
    };
    let (hosts, others): (Vec<String>, Vec<String>) = wildcards.iter().cloned().partition(is_label_star);
    for host in others {
        made.not_carried(field, format!("{host} stands for several registries; a star is known only as the first part of a name (*.example.com): write a source for each of them"));
    }
    let Some(first) = hosts.first() else { return };
    let name = secret_name(first);
    let access = LentAccess {
        name: &name,
        hosts: &hosts,
        repositories: "/",
        action: "Pull",
        namespace,
        lent: Lent::Secret(&name),
        skips_verification: false,
    };
    made.lent.push(access.object());
    made.commands.push(lent_secret_command(&name));
    let hosts = hosts.join(", ");
    made.changed(field, format!("RegistryAccess {name} lends the login for {hosts} to the namespace {namespace}, and an administrator applies it; a Secret of that namespace is read for registries that are written in it in full, so sources with such a name need one that has each of them"));
}

/// Returns the name of the Secret for a registry.
fn secret_name(host: &str) -> String {
    let plain: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("copycat-{}", plain.trim_matches('-'))
}
