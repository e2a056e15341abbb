//! A preview of an ImageBuilder.

use imgop_core::api::ImageBuilder;
use imgop_core::build::BuildRequest;
use kube::ResourceExt as _;

use super::PreviewArgs;
use crate::build_check::check_builder;
use crate::cli_error::{CliError, Outcome};
use crate::output::documents::PreviewFormat;
use crate::preview::inspect::Inspector;
use crate::registry::local_access::AccessSources;

/// Checks an ImageBuilder.
pub(super) async fn of_builder(
    builder: &ImageBuilder,
    is_of_cluster: bool,
    inspector: &Inspector<'_>,
    args: &PreviewArgs,
) -> Result<Outcome, CliError> {
    let ui = inspector.sources.ui;
    let name = builder.name_any();
    if !matches!(args.output, PreviewFormat::Table | PreviewFormat::Wide) {
        return Err(CliError::usage(format!(
            "ImageBuilder {name}: it is shown as a table only; omit --output"
        )));
    }
    let invalid =
        |error: imgop_core::build::SpecError| CliError::failed(format!("ImageBuilder {name}: {error}"));
    let request = BuildRequest::parse(&builder.spec).map_err(invalid)?;
    let AccessSources { ui: _, cluster, local, flags } = inspector.sources;
    let sources = AccessSources { ui, cluster, local, flags };
    check_builder(builder, &request, inspector.registries, sources, is_of_cluster).await
}
