//! Helm charts whose images an `ImageMirror` learns of.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::api::endpoint::is_default;

/// The images that Helm charts use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::charts_of_one_place())]
pub struct HelmChartSource {
    /// The address of the repository that the charts are in: that of the folder with its index.yaml. Without it, charts are
    /// in registries, and their names are oci:// addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), pattern("^https?://[^ @?#]+$"))]
    pub repository: Option<String>,

    /// The charts.
    #[schemars(length(min = 1, max = 16))]
    pub charts: Vec<ChartSource>,

    /// Where in a chart images are looked for: Annotation (artifacthub.io/images), Values (fields of values.yaml, of subcharts
    /// too) and Template (what helm template makes of it, for which an administrator sets `HELM_IMAGE`). All of them count; without one,
    /// Annotation and Values.
    #[serde(default = "ChartTier::at_hand", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 3))]
    pub images_from: Vec<ChartTier>,

    /// The version of Kubernetes that templates are rendered for, such as 1.33.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), pattern("^v?[0-9][A-Za-z0-9.+-]*$"))]
    pub kube_version: Option<String>,

    /// Images that are not looked at, as entries write their sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 255)))]
    pub image_denylist: Vec<String>,
}

/// A chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartSource {
    /// Its name in the repository, or its oci:// address.
    #[schemars(length(min = 1, max = 255), pattern(rules::CHART))]
    pub name: String,

    /// The version, or a constraint such as ~1.4 of which the newest counts; without it the newest of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub version: Option<String>,

    /// Versions that are looked at as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub additional_versions: Vec<String>,

    /// Whether the newest version may be a pre-release.
    #[serde(default, skip_serializing_if = "is_default")]
    pub devel: bool,

    /// Values under which templates are rendered, each a rendering of its own; without one, the chart's own values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub environments: Vec<ChartEnvironment>,
}

/// Values under which templates are rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartEnvironment {
    /// Its name, for people.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// Values, as helm's --set takes them. They stand in the arguments of a container: no passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    pub set: Vec<String>,
}

/// Where in a chart images are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ChartTier {
    /// In the annotation that lists them.
    Annotation,
    /// In its values.
    Values,
    /// In what Helm makes of its templates.
    Template,
}

impl ChartTier {
    /// Those that need no Helm.
    pub fn at_hand() -> Vec<Self> {
        vec![Self::Annotation, Self::Values]
    }
}
