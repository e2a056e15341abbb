//! Images that Helm charts use. Repositories, registries and archives are read here, and need no Helm; Helm itself, which
//! renders templates, is foreign code and is handed in. What it is asked for and what its answer says is pure.

mod archive;
mod index;
mod rendered;
pub mod report;
mod run;
mod values;
mod version;

pub use archive::{ArchiveError, ChartFiles, ChartLimits, chart_files};
pub(super) use index::{Index, IndexedChart};
pub(super) use rendered::split;
pub use rendered::{ChartImages, images_in};
pub use run::ChartRun;
pub use values::{images_of_annotations, images_of_values};
pub(super) use version::{chosen, is_exact, tag_of, version_of};

use super::fetch::FetchError;

/// How addresses of charts in registries begin.
pub const OCI: &str = "oci://";

/// Charts whose images are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelmCharts {
    /// Where they are.
    pub location: ChartLocation,
    /// The charts.
    pub charts: Vec<Chart>,
    /// Images that are not looked at, as entries write them.
    pub denylist: Vec<String>,
    /// Where in a chart images are looked for.
    pub images_from: Vec<ImageTier>,
    /// As rancher's older tool does it: an image may stand in any field whose name contains `image`; tags `latest` and
    /// images of `rancher/` are left out.
    pub is_loose: bool,
}

/// Where charts are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChartLocation {
    /// A repository with an index: the address of the folder that `index.yaml` is in.
    Repository(String),
    /// A registry: the name of a chart is its `oci://` address.
    #[default]
    Oci,
    /// A folder of this machine, which has a folder for each chart.
    Directory(String),
}

/// A chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chart {
    /// Its name, or its `oci://` address.
    pub name: String,
    /// The values under which it is rendered, by environment; none: its own values.
    pub environments: Vec<Environment>,
    /// The version; none for the newest.
    pub version: Option<String>,
    /// Versions that are looked at as well.
    pub additional_versions: Vec<String>,
    /// Whether the newest version may be a development version.
    pub is_devel: bool,
}

/// Values under which a chart is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Its name; empty for the chart's own values.
    pub name: String,
    /// Values as `--set` takes them.
    pub values: Vec<String>,
    /// The version of Kubernetes that the chart is rendered for.
    pub kube_version: Option<String>,
}

/// Where in a chart images are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageTier {
    /// In what Helm makes of its templates.
    Template,
    /// In its values.
    Values,
    /// In the annotation that lists them.
    Annotation,
}

impl HelmCharts {
    /// Whether files of charts are read, beside or instead of what Helm makes of them.
    pub fn has_files_read(&self) -> bool {
        self.images_from.iter().any(|tier| *tier != ImageTier::Template)
    }

    /// Returns each run of Helm: a chart, an environment, a version.
    pub fn runs(&self) -> Vec<ChartRun> {
        let mut runs = Vec::new();
        for chart in &self.charts {
            let own = [Environment::default()];
            let environments = if chart.environments.is_empty() { &own[..] } else { &chart.environments };
            let versions = || {
                let additional = chart.additional_versions.iter().map(Some);
                std::iter::once(chart.version.as_ref()).chain(additional)
            };
            runs.extend(environments.iter().flat_map(|environment| {
                versions().map(|version| ChartRun::new(&self.location, chart, environment, version))
            }));
        }
        runs
    }
}

/// Why the images of a chart are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chart {chart}: {error}")]
pub struct ChartError {
    /// The chart.
    pub chart: String,
    /// Why: Helm, or where the chart is, was of no use, or it cannot be read.
    pub error: FetchError,
}
