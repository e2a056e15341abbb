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
use crate::output::text::first_few;
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
    let Found { file, env, containers, mut unread } = found;
    let flags = own_flags(&containers);
    if let Err(why) = &flags {
        ui.warning(why);
    }
    unread.retain(|one| !one.is_among(&env));
    let is_unread = super::warn_unread(ui, &unread, args.env.is_some()) || flags.is_err();
    let flags = flags.unwrap_or_default();
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
    /// The containers of all Deployments.
    containers: Vec<Container>,
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
        for container in environment::containers(deployment) {
            let read = Container::of(deployment, container);
            // A file may have what is read from the cluster too, perhaps changed: what is read last is meant.
            self.containers.retain(|one| (&one.deployment, &one.name) != (&read.deployment, &read.name));
            self.containers.push(read);
            self.env.extend(environment::of_container(container));
            self.unread.extend(environment::unread(container, is_copycat_variable));
        }
    }
}

/// What stands in the image or in the name of copycat's own container.
const COPYCAT: &str = "copycat";
/// Containers that a warning names.
const MAX_NAMED: usize = 5;

/// A container, which may be copycat's.
#[derive(Debug)]
struct Container {
    /// The name of its Deployment.
    deployment: String,
    name: String,
    image: String,
    flags: BTreeMap<String, String>,
}

impl Container {
    fn of(deployment: &Value, container: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            deployment: text(&deployment["metadata"]["name"]),
            name: text(&container["name"]),
            image: text(&container["image"]),
            flags: environment::flags_of_container(container),
        }
    }
}

/// Returns the flags of copycat's own container: of the one that has its name in its image, or else in its own name, or of the only
/// one that there is. All others have flags of other programs; where it is not known which it is, that is the error.
fn own_flags(containers: &[Container]) -> Result<BTreeMap<String, String>, String> {
    let with_its_image: Vec<&Container> =
        containers.iter().filter(|one| one.image.contains(COPYCAT)).collect();
    // Beside several that have its image, the name of another one says nothing.
    let may_be = if with_its_image.is_empty() { containers.iter().collect() } else { with_its_image };
    let by_name = only(may_be.iter().filter(|one| one.name.contains(COPYCAT)).copied());
    if let Some(own) = only(may_be.iter().copied()).or(by_name) {
        return Ok(own.flags.clone());
    }
    if containers.iter().all(|one| one.flags.is_empty()) {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> =
        containers.iter().map(|one| format!("{}/{}", one.deployment, one.name)).collect();
    Err(format!(
        "no flags are read: which container is copycat's is not known of {}, since {COPYCAT} is not in the image or the name \
         of exactly one; give a FILE with its Deployment alone, without --from, that has no others, or has {COPYCAT} in the name of its own",
        first_few(&names, MAX_NAMED, 0)
    ))
}

/// Returns a container that is alone.
fn only<'a>(mut containers: impl Iterator<Item = &'a Container>) -> Option<&'a Container> {
    let first = containers.next()?;
    containers.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MANAGER: &str = "ghcr.io/acme/k8s-copycat:v1";
    const PROXY: &str = "quay.io/brancz/kube-rbac-proxy:v0.18.0";
    /// Where the image of copycat is that was pushed under another name.
    const RETAGGED: &str = "registry.corp/infra/mirror:1";

    /// Returns what is found in Deployments of containers with these names and images; each has a flag of its name.
    fn found(deployments: &[&[(&str, &str)]]) -> Found {
        let mut found = Found::default();
        for containers in deployments {
            let container = |(name, image): &(&str, &str)| {
                let env = json!([{ "name": format!("OF_{}", name.to_uppercase()), "value": "true" }]);
                json!({ "name": name, "image": image, "args": [format!("--of-{name}")], "env": env })
            };
            let containers: Vec<Value> = containers.iter().map(container).collect();
            let spec = json!({ "template": { "spec": { "containers": containers } } });
            let metadata = json!({ "name": "mirror" });
            found
                .add(&json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec }))
                .unwrap();
        }
        found
    }

    #[test]
    fn flags_are_those_of_copycats_own_container_and_not_of_one_beside_it() {
        let (own, proxy) = (("a", MANAGER), ("b", PROXY));
        for (deployments, flag) in [
            (&[&[own, proxy][..]][..], "--of-a"),
            (&[&[proxy, own]], "--of-a"),
            (&[&[proxy, ("copycat", RETAGGED)]], "--of-copycat"),
            (&[&[("copycat-proxy", PROXY), own]], "--of-a"),
            (&[&[("c", RETAGGED)]], "--of-c"),
            (&[&[proxy], &[own]], "--of-a"),
            (&[&[own], &[own]], "--of-a"),
        ] {
            let found = found(deployments);
            let flags = own_flags(&found.containers).unwrap();
            let flags: Vec<&str> = flags.keys().map(String::as_str).collect();
            assert_eq!(flags, [flag], "{deployments:?}");
        }
        let both = found(&[&[proxy, own]]);
        let variables: Vec<&str> = both.env.keys().map(String::as_str).collect();
        assert_eq!(variables, ["OF_A", "OF_B"], "of all containers");
    }

    #[test]
    fn where_it_is_not_known_which_container_is_copycats_no_flags_are_read_and_that_is_said() {
        let (retagged, proxy) = (("a", RETAGGED), ("b", PROXY));
        for deployments in [
            &[&[proxy, retagged][..]][..],
            &[&[retagged], &[proxy]],
            &[&[("a", MANAGER)], &[("b", MANAGER)]],
            &[&[("copycat-a", RETAGGED), ("copycat-b", PROXY)]],
            &[&[("a", MANAGER), ("b", MANAGER), ("copycat-proxy", PROXY)]],
        ] {
            assert!(own_flags(&found(deployments).containers).is_err(), "{deployments:?}");
        }
        let why = own_flags(&found(&[&[proxy, retagged]]).containers).unwrap_err();
        insta::assert_snapshot!(why, @"no flags are read: which container is copycat's is not known of mirror/b,mirror/a, since copycat is not in the image or the name of exactly one; give a FILE with its Deployment alone, without --from, that has no others, or has copycat in the name of its own");
        let mut silent = found(&[&[proxy, retagged]]).containers;
        for container in &mut silent {
            container.flags.clear();
        }
        assert_eq!(own_flags(&silent), Ok(BTreeMap::new()), "nothing is lost");
        assert_eq!(own_flags(&[]), Ok(BTreeMap::new()));
    }
}
