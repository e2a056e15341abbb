//! What is printed and written once a build has ended.

use std::path::Path;

use imgop_core::api::{ImageBuilder, PlatformState, PlatformStatus};
use imgop_core::build::{BuildFailure, BuildRequest};
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

/// Returns what to do once a build that failed is corrected. A sync builds again what was sent: neither the arguments
/// nor the files of this machine as they are now.
pub fn again(draft: &Draft, place: &str) -> Vec<String> {
    let sync = format!("kubectl imgop sync {}{place}", draft.object);
    match &draft.dockerfile {
        Some(dockerfile) => vec![
            format!(
                "once {}, its files or the arguments are corrected: run the same build again, which sends them anew",
                dockerfile.name
            ),
            format!("to build again what was sent: {sync}"),
        ],
        None => vec![
            format!("once it is corrected at its source: {sync}"),
            "for other arguments: run the build again with them".to_owned(),
        ],
    }
}

/// Shows the step that failed: the lines of the Dockerfile, and what it logged. Why is printed already.
pub async fn failed(ui: Ui, args: &BuildArgs, cluster: &Cluster, draft: &Draft) {
    let Ok(builder) = read(cluster, &draft.object).await else { return };
    let ready = || builder.state().ready().map(|ready| ready.message.clone());
    let ready = builder.quoted_failure().map(|failure| failure.why).or_else(ready);
    // Otherwise the wait has printed it.
    if let (true, Some(message)) = (args.is_quiet(), ready) {
        ui.error(&CliError::failed(format!("{} is not ready: {message}", draft.object)));
    }
    let Some(failed) = failed_part(&builder) else { return };
    let line = failed.step.as_deref().and_then(line_of);
    if let (Some(dockerfile), Some(line)) = (&draft.dockerfile, line) {
        ui.note(&format!("\n{}:{line}\n{}", dockerfile.name, excerpt(&dockerfile.text, line)));
    }
    let (object, place) = (&draft.object, cluster.place());
    ui.hint(&format!("kubectl imgop logs {object} --platform {}{place}", failed.platform));
}

/// Returns the part whose step failed, if that is why the object is not ready. The parts of an earlier build stay where
/// a later one does not begin, for want of a Secret for instance.
fn failed_part(builder: &ImageBuilder) -> Option<&PlatformStatus> {
    let reason = BuildFailure::StepFailed.as_str();
    builder.state().ready().filter(|ready| ready.status != "True" && ready.reason == reason)?;
    let is_failed = |part: &&PlatformStatus| {
        part.state == PlatformState::Failed && part.reason.as_deref() == Some(reason)
    };
    builder.status.as_ref()?.platforms.iter().find(is_failed)
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
