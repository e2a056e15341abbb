//! What is printed and written once a build has ended.

use std::path::Path;

use imgop_core::api::{ImageBuilder, PlatformState};
use imgop_core::build::BuildRequest;
use serde_json::json;

use super::BuildArgs;
use super::draft::Draft;
use super::steps::{excerpt, line_of};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::Cluster;
use crate::kinds::{Kind as _, ObjectRef};
use crate::output::Ui;

/// Prints the digest of what was built, and writes the files that were asked for. `generation` is what was submitted:
/// the image of another one is that of another user.
pub async fn succeeded(
    ui: Ui,
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    generation: Option<i64>,
) -> Result<Outcome, CliError> {
    let builder = read(cluster, &draft.object).await?;
    if builder.metadata.generation > generation {
        let (object, place) = (&draft.object, cluster.place());
        return Err(CliError::failed(format!(
            "{object} was changed again before this was built, and builds what it was changed to"
        ))
        .hinted(format!("to see what was built: kubectl imgop history {object}{place}")));
    }
    let image = builder.status.and_then(|status| status.image);
    let Some(image) = image else {
        return Err(CliError::failed(format!("{} is ready, and names no image", draft.object)));
    };
    if let Some(file) = &args.iidfile {
        write(file, &image.digest)?;
    }
    if let Some(file) = &args.metadata_file {
        // BuildKit's names.
        let metadata = json!({ "containerimage.digest": image.digest, "image.name": names(&draft.request) });
        write(file, &format!("{metadata:#}\n"))?;
    }
    ui.data(&image.digest)?;
    Ok(Outcome::Done)
}

/// Shows where a build failed: the lines of the Dockerfile, and what to run next. Why is printed already.
pub async fn failed(ui: Ui, args: &BuildArgs, cluster: &Cluster, draft: &Draft) {
    let Ok(builder) = read(cluster, &draft.object).await else { return };
    let ready = builder.state().ready().map(|ready| ready.message.clone());
    // Otherwise the wait has printed it.
    if let (true, Some(message)) = (args.is_quiet(), ready) {
        ui.error(&CliError::failed(format!("{} is not ready: {message}", draft.object)));
    }
    let status = builder.status.unwrap_or_default();
    let failed = status.platforms.iter().find(|part| part.state == PlatformState::Failed);
    let Some(failed) = failed else { return };
    let line = failed.step.as_deref().and_then(line_of);
    if let (Some(dockerfile), Some(line)) = (&draft.dockerfile, line) {
        ui.note(&format!("\n{}:{line}\n{}", dockerfile.name, excerpt(&dockerfile.text, line)));
    }
    let (object, place) = (&draft.object, cluster.place());
    ui.hint(&format!("kubectl imgop logs {object} --platform {}{place}", failed.platform));
}

async fn read(cluster: &Cluster, object: &ObjectRef) -> Result<ImageBuilder, CliError> {
    cluster
        .api::<ImageBuilder>()
        .get(&object.name)
        .await
        .map_err(|error| cluster.explain("get", object, &error))
}

fn names(request: &BuildRequest) -> String {
    let tags = request.destination.tags.iter().map(|(repository, tag)| format!("{repository}:{tag}"));
    tags.collect::<Vec<_>>().join(",")
}

fn write(file: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(file, text).map_err(|error| {
        CliError::failed(format!("cannot write {}: {error}; the image is built", file.display()))
    })
}
