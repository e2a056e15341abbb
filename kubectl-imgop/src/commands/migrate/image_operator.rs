//! `kubectl imgop migrate image-operator`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use imgop_core::migrate::{
    Change, Migrated, MigratedOperator, Outcome as FieldOutcome, image_operator_values, is_operator_setting,
    migrate_image_operator, migrate_operator_settings, operator_chart_changes,
};
use serde_json::Value;

use super::deployed::DeploymentName;
use super::environment::{self, Unread};
use crate::cli_error::{CliError, Outcome};
use crate::commands::mirror::file::InputFile;
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::preview::files::{documents, shown, text};

/// From image-operator and skopeo-operator: Images, ImageBuilders, and the operator's settings
///
/// Images and ImageBuilders apply as they are; what is read otherwise here is changed and named, and what the API server wrote
/// is left out. The operator's Deployment, or values of its chart, become what an administrator applies: a RegistryAccess for
/// each login, a WorkloadMirror if it copies on the fly, and settings of the agent; stderr has a line for each setting, and the
/// commands that create the Secrets. No credential is read. Other objects of the files are left out and counted:
/// docs/migrate/image-operator.md.
#[derive(Debug, Args)]
#[command(group = super::what_is_read())]
#[command(after_help = "Examples:\n  \
    kubectl get images.skopeo.io,imagebuilders.buildah.io -A -o yaml > before.yaml\n  \
    kubectl imgop migrate image-operator before.yaml > after.yaml\n  \
    kubectl imgop migrate image-operator --from image-operator/image-operator > lent.yaml")]
pub struct ImageOperatorArgs {
    /// Files with manifests, or with values of the chart; - reads stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// File with the operator's environment, a line NAME=VALUE each
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,

    /// Deployment of the operator in the cluster, whose environment and flags are read
    #[arg(long, value_name = "NAMESPACE/DEPLOYMENT")]
    pub(super) from: Option<DeploymentName>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: DocumentFormat,
}

/// Prints objects as they are applied here, and says what became of each setting.
pub fn run(ui: Ui, args: &ImageOperatorArgs, deployed: &[Value]) -> Result<Outcome, CliError> {
    let mut found = Found::default();
    for document in deployed {
        found.add(document);
    }
    for path in &args.files {
        let documents = documents(&text(path)?)
            .map_err(|problem| CliError::failed(format!("{}: {problem}", shown(path))))?;
        for document in &documents {
            found.add(document);
        }
    }
    if let Some(path) = &args.env {
        found.settings.extend(environment::of_file(&InputFile::read(path)?.text));
    }
    let Found { objects: mut migrated, settings, chart, others, mut unread } = found;
    unread.retain(|one| !one.is_among(&settings));
    let is_unread = super::warn_unread(ui, &unread, args.env.is_some());
    let MigratedOperator { objects, agent, commands, changes } = migrate_operator_settings(&settings);
    migrated.extend(objects);
    for one in &migrated {
        one.changes.iter().for_each(|change| ui.warning(&format!("{}: {change}", name(&one.object))));
    }
    chart.iter().chain(&changes).for_each(|change| ui.warning(&change.to_string()));
    if others > 0 {
        ui.warning(&format!("{others} objects are neither Images nor ImageBuilders, and are left out"));
    }
    if migrated.is_empty() && settings.is_empty() && chart.is_empty() {
        return Err(CliError::failed(
            "there is no Image of skopeo.io/v1alpha1, no ImageBuilder of buildah.io/v1alpha1, and no setting of the operator",
        ));
    }
    let objects: Vec<&Value> = migrated.iter().map(|one| &one.object).collect();
    args.output.print(ui, &serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects }))?;
    super::hint(ui, &commands, &agent);
    let mut all = migrated.iter().flat_map(|one| &one.changes).chain(&changes);
    let is_unusable = all.any(|change| change.outcome == FieldOutcome::Unusable);
    Ok(if is_unusable || is_unread { Outcome::NotReady } else { Outcome::Done })
}

/// What documents hold.
#[derive(Default)]
struct Found {
    objects: Vec<Migrated>,
    settings: BTreeMap<String, String>,
    /// Values of the chart that are no settings.
    chart: Vec<Change>,
    /// How many objects are none of the operator's.
    others: usize,
    /// Variables whose values stand elsewhere.
    unread: Vec<Unread>,
}

impl Found {
    fn add(&mut self, document: &Value) {
        if let Some(migrated) = migrate_image_operator(document) {
            return self.objects.push(migrated);
        }
        match document["kind"].as_str() {
            Some("Deployment") => {
                for container in environment::containers(document) {
                    self.settings.extend(environment::of_container(container));
                    self.settings.extend(environment::flags_of_container(container));
                    self.unread.extend(environment::unread(container, is_operator_setting));
                }
            }
            None if let Some(values) = image_operator_values(document) => {
                self.settings.extend(values);
                self.chart.extend(operator_chart_changes(document));
            }
            _ => self.others += 1,
        }
    }
}

fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    let kind = text(&object["kind"]).to_lowercase();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{kind}/{} -n {namespace}", text(&metadata["name"])),
        None => format!("{kind}/{}", text(&metadata["name"])),
    }
}
