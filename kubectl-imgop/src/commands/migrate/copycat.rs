//! `kubectl imgop migrate copycat`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use imgop_core::migrate::{CopycatInput, Outcome as SettingOutcome, is_copycat_variable, migrate_copycat};
use serde_json::Value;

use super::deployed::DeploymentName;
use super::environment::{self, Unread};
use crate::cli_error::{CliError, Outcome};
use crate::commands::mirror::file::InputFile;
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::preview::files::documents;

/// From k8s-copycat: its file and its environment become a WorkloadMirror and settings of the agent
///
/// A FILE is its config.yaml, or manifests as kubectl prints them: config.yaml is then in a ConfigMap, the environment is that of
/// the containers of a Deployment, and the flags are those of its own one. The environment goes before the file, as there. No
/// credential is read: stderr has the commands that create the Secrets. What each setting becomes: docs/migrate/copycat.md.
#[derive(Debug, Args)]
#[command(group = super::what_is_read())]
#[command(after_help = "Examples:\n  \
    kubectl imgop migrate copycat config.yaml --env copycat.env > mirror.yaml\n  \
    kubectl imgop migrate copycat --from k8s-copycat/k8s-copycat > mirror.yaml")]
pub struct CopycatArgs {
    /// Files to read; - reads stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Deployment of copycat in the cluster, whose ConfigMap and environment are read
    #[arg(long, value_name = "NAMESPACE/DEPLOYMENT")]
    pub(super) from: Option<DeploymentName>,

    /// File with the environment, a line NAME=VALUE each
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,

    /// Name of the WorkloadMirror
    #[arg(long, default_value = "copycat")]
    name: String,

    /// Namespace to write into the WorkloadMirror, where its Secrets are
    #[arg(long, value_name = "NAMESPACE")]
    into: Option<String>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: DocumentFormat,
}

/// Prints the WorkloadMirror, and says what became of each setting.
pub fn run(ui: Ui, args: &CopycatArgs, deployed: &[Value]) -> Result<Outcome, CliError> {
    let mut found = Found::default();
    for document in deployed {
        found.add(document).map_err(CliError::failed)?;
    }
    for path in &args.files {
        let file = InputFile::read(path)?;
        let problem = |problem: String| CliError::failed(format!("{}: {problem}", file.name()));
        for document in documents(&file.text).map_err(problem)? {
            found.add(&document).map_err(problem)?;
        }
    }
    if let Some(path) = &args.env {
        found.env.extend(environment::of_file(&InputFile::read(path)?.text));
    }
    let Found { file, env, flags, mut unread } = found;
    unread.retain(|one| !one.is_among(&env));
    let is_unread = super::warn_unread(ui, &unread, args.env.is_some());
    let (name, namespace) = (args.name.clone(), args.into.clone());
    let migrated = migrate_copycat(&CopycatInput { file, env, flags, name, namespace });
    for change in &migrated.changes {
        ui.warning(&change.to_string());
    }
    if migrated.lent.is_empty() {
        args.output.print(ui, &migrated.object)?;
    } else {
        let all: Vec<&Value> = migrated.lent.iter().chain([&migrated.object]).collect();
        args.output.print(ui, &serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": all }))?;
    }
    super::hint(ui, &migrated.commands, &migrated.agent);
    let is_unusable = migrated.changes.iter().any(|change| change.outcome == SettingOutcome::Unusable);
    Ok(if is_unusable || is_unread { Outcome::NotReady } else { Outcome::Done })
}

/// The configuration in files.
#[derive(Default)]
struct Found {
    file: Option<Value>,
    env: BTreeMap<String, String>,
    flags: BTreeMap<String, String>,
    /// Variables whose values stand elsewhere.
    unread: Vec<Unread>,
}

impl Found {
    fn add(&mut self, document: &Value) -> Result<(), String> {
        match document["kind"].as_str() {
            Some("ConfigMap") => {
                let data = document["data"].as_object().into_iter().flatten();
                let is_yaml = |name: &str| matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml")));
                let yaml = data.filter(|(name, _)| is_yaml(name));
                for text in yaml.filter_map(|(_, text)| text.as_str()) {
                    self.set_file(documents(text)?.into_iter().next());
                }
                Ok(())
            }
            Some("Deployment") => {
                self.add_deployment(document);
                Ok(())
            }
            Some(_) if document["apiVersion"].is_string() => Ok(()),
            _ => {
                self.set_file(Some(document.clone()));
                Ok(())
            }
        }
    }

    fn set_file(&mut self, file: Option<Value>) {
        self.file = file.or(self.file.take());
    }

    fn add_deployment(&mut self, deployment: &Value) {
        if let Some(container) = own_container(deployment) {
            self.flags.extend(environment::flags_of_container(container));
        }
        for container in environment::containers(deployment) {
            self.env.extend(environment::of_container(container));
            self.unread.extend(environment::unread(container, is_copycat_variable));
        }
    }
}

/// Returns copycat's own container of a Deployment, whose others have flags of other programs: by its image, or else the
/// first one.
fn own_container(deployment: &Value) -> Option<&Value> {
    let is_own =
        |container: &&Value| container["image"].as_str().is_some_and(|image| image.contains("copycat"));
    let mut containers = environment::containers(deployment);
    containers.find(is_own).or_else(|| environment::containers(deployment).next())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(images: [Option<&str>; 2]) -> Found {
        let [first, second] = images;
        let containers = json!([
            { "name": "a", "image": first, "args": ["--of-first"], "env": [{ "name": "DRY_RUN", "value": "true" }] },
            { "name": "b", "image": second, "args": ["--of-second"], "env": [{ "name": "DRY_PULL", "value": "true" }] },
        ]);
        let spec = json!({ "template": { "spec": { "containers": containers } } });
        let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec });
        let mut found = Found::default();
        found.add(&deployment).unwrap();
        found
    }

    #[test]
    fn flags_are_those_of_copycats_own_container_and_not_of_one_beside_it() {
        let (own, proxy) =
            (Some("ghcr.io/acme/k8s-copycat:v1"), Some("quay.io/brancz/kube-rbac-proxy:v0.18.0"));
        for (images, flag) in [
            ([own, proxy], "--of-first"),
            ([proxy, own], "--of-second"),
            ([proxy, None], "--of-first"),
            ([None, None], "--of-first"),
        ] {
            let found = found(images);
            let flags: Vec<&str> = found.flags.keys().map(String::as_str).collect();
            assert_eq!(flags, [flag], "{images:?}");
            let variables: Vec<&str> = found.env.keys().map(String::as_str).collect();
            assert_eq!(variables, ["DRY_PULL", "DRY_RUN"], "of all containers");
        }
    }
}
