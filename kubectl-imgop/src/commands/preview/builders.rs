//! A preview of an ImageBuilder.

use imgop_core::api::ImageBuilder;
use imgop_core::build::BuildRequest;
use imgop_core::build::dockerfile::BuildahVersion;
use kube::ResourceExt as _;

use super::PreviewArgs;
use crate::build_check::{Bases, Checked, check};
use crate::cli_error::{CliError, Outcome};
use crate::output::documents::PreviewFormat;
use crate::output::wording::Wording;
use crate::preview::inspect::Inspector;
use crate::registry::local_access::AccessSources;

/// The version of Buildah that builds where an admin chose none: what it cannot do is shown.
const OLDEST_BUILDAH: BuildahVersion = BuildahVersion { major: 1, minor: 28 };

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
    let bases = Bases {
        registries: inspector.registries,
        sources: AccessSources { ui, cluster, local, flags },
        spec: &builder.spec,
        namespace: builder.metadata.namespace.as_deref(),
        wording: Wording::Fields,
        is_of_cluster,
    };
    let checked = Checked {
        name: &name,
        text: builder.spec.source.as_deref(),
        request: &request,
        files: None,
        own_secret: None,
        buildah: OLDEST_BUILDAH,
    };
    check(ui, checked, &bases).await
}
