//! The environment of a program that is migrated, without its credentials.

use std::collections::BTreeMap;

use serde_json::Value;

/// Parts of names of variables whose values are credentials, and are not kept.
const CREDENTIALS: [&str; 3] = ["PASSWORD", "TOKEN", "SECRET"];

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

/// Returns the variables of a container of which nothing says what they are: they come from somewhere else, and hold no
/// credential.
pub fn unread(container: &Value) -> Vec<String> {
    let env = container["env"].as_array().into_iter().flatten();
    let of_env = env.filter(|one| {
        let source = &one["valueFrom"];
        one["value"].is_null() && source.is_object() && source["secretKeyRef"].is_null()
    });
    let whole = container["envFrom"].as_array().into_iter().flatten();
    let of_whole = whole.filter_map(|one| one["configMapRef"]["name"].as_str());
    let names = of_env.filter_map(|one| one["name"].as_str());
    names.map(str::to_owned).chain(of_whole.map(|name| format!("all of ConfigMap {name}"))).collect()
}

/// Returns the flags of a container with their values, by their names with two dashes.
pub fn flags_of_container(container: &Value) -> BTreeMap<String, String> {
    let words = ["command", "args"].iter().flat_map(|key| container[*key].as_array().into_iter().flatten());
    let flag = |word: &Value| {
        let word = word.as_str()?.strip_prefix('-')?;
        let (name, value) =
            word.trim_start_matches('-').split_once('=').unwrap_or((word.trim_start_matches('-'), "true"));
        Some((format!("--{name}"), without_credential(name, value)))
    };
    words.filter_map(flag).collect()
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
