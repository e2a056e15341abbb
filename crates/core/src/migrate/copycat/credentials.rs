//! `registryCredentials`: each becomes a Secret, which is created by hand, and a source that names it. What is for all names
//! below another one is lent by an administrator: a source of a WorkloadMirror is one registry.

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
        let aliases = entry.get("registryAliases").and_then(Value::as_array).into_iter().flatten();
        let hosts = std::iter::once(text("registry")).chain(aliases.filter_map(Value::as_str));
        let hosts: Vec<String> = hosts.map(str::to_lowercase).filter(|host| !host.is_empty()).collect();
        let (wild, hosts): (Vec<String>, Vec<String>) =
            hosts.into_iter().partition(|host| host.contains(['*', '?', '[']));
        if ["token", "tokenEnv"].map(text).iter().any(|token| !token.is_empty()) {
            made.changed(&field, "its token was sent as it is, without being exchanged; here it is a password, with the user that the registry wants for tokens");
        }
        lend(&field, &wild, settings.namespace.unwrap_or(DEFAULT_NAMESPACE), made);
        let Some(first) = hosts.first() else { continue };
        let name = secret_name(first);
        made.commands.push(secret_command(&name, first, settings));
        all.extend(
            hosts.iter().map(|host| json!({ "registry": host, "credentials": { "secretName": name } })),
        );
    }
    if !all.is_empty() {
        made.set("sources", all);
    }
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
    made.changed(field, format!("a source is one registry; for {hosts} RegistryAccess {name} lends the login to the namespace {namespace}, and an administrator applies it"));
}

/// Returns the name of the Secret for a registry.
fn secret_name(host: &str) -> String {
    let plain: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("copycat-{}", plain.trim_matches('-'))
}
