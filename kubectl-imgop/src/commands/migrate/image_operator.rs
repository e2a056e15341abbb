//! `kubectl imgop migrate image-operator`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::migrate::{
    Migrated, Outcome as FieldOutcome, image_operator_values, migrate_image_operator, migrate_on_the_fly,
};
use serde_json::Value;

use super::environment;
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::preview::files::{documents, shown, text};

/// From image-operator and skopeo-operator: their Images and ImageBuilders
///
/// They apply as they are; what is read otherwise here is changed and named, and what the API server wrote is left out.
/// A Deployment of the operator, or values of its chart, become a WorkloadMirror if it copies on the fly. Other objects of the
/// files are left out and counted. Settings of the operator: docs/migrate/image-operator.md.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl get images.skopeo.io,imagebuilders.buildah.io -A -o yaml > before.yaml\n  \
    kubectl imgop migrate image-operator before.yaml > after.yaml")]
pub struct ImageOperatorArgs {
    /// Files with manifests; - reads stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: DocumentFormat,
}

/// Prints objects as they are applied here.
pub fn run(ui: Ui, args: &ImageOperatorArgs) -> Result<Outcome, CliError> {
    let (mut objects, mut others, mut is_unusable) = (Vec::new(), 0_usize, false);
    for path in &args.files {
        let documents = documents(&text(path)?)
            .map_err(|problem| CliError::failed(format!("{}: {problem}", shown(path))))?;
        for document in documents {
            let migrated = migrate_image_operator(&document).or_else(|| on_the_fly(&document));
            let Some(migrated) = migrated else {
                others += 1;
                continue;
            };
            for change in &migrated.changes {
                ui.warning(&format!("{}: {change}", name(&migrated.object)));
                is_unusable |= change.outcome == FieldOutcome::Unusable;
            }
            objects.push(migrated.object);
        }
    }
    if others > 0 {
        ui.warning(&format!("{others} objects are neither Images nor ImageBuilders, and are left out"));
    }
    if objects.is_empty() {
        return Err(CliError::failed(
            "there is no Image of skopeo.io/v1alpha1, no ImageBuilder of buildah.io/v1alpha1, and no operator that copies on the fly",
        ));
    }
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    args.output.print(ui, &list)?;
    Ok(if is_unusable { Outcome::NotReady } else { Outcome::Done })
}

/// Returns the WorkloadMirror that does what an operator with these settings did where a pull failed.
fn on_the_fly(document: &Value) -> Option<Migrated> {
    let env = match document["kind"].as_str() {
        Some("Deployment") => environment::containers(document).flat_map(environment::of_container).collect(),
        Some(_) => return None,
        None => image_operator_values(document)?,
    };
    migrate_on_the_fly(&env)
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
