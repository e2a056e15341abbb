//! What /metrics shows.

use clap::{ArgAction, Args};

use super::as_limit;

/// What /metrics shows.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Debug, Clone, Args)]
pub struct MetricsSettings {
    /// Whether /metrics names the hosts of registries. Whoever reaches it learns which ones all tenants use.
    #[arg(long, env = "METRICS_NAME_REGISTRIES", default_value_t = false, action = ArgAction::Set)]
    pub metrics_name_registries: bool,

    /// Whether /metrics names objects, with the state, the last look and the last success of each. Whoever reaches it
    /// learns the names of all tenants' ones.
    #[arg(long, env = "METRICS_NAME_OBJECTS", default_value_t = false, action = ArgAction::Set)]
    pub metrics_name_objects: bool,

    /// Most series that name objects, three an object. Where there are more objects, each namespace has its first ones, and
    /// `imgop_objects_without_series` is how many are left out.
    #[arg(long, env = "METRICS_MAX_SERIES", default_value_t = 10_000)]
    pub metrics_max_series: u32,

    /// Whether numbers are also there under the names that image-operator and skopeo-operator gave them, for dashboards
    /// that ask for those. Those that name images need `METRICS_NAME_OBJECTS`, too.
    #[arg(long, env = "METRICS_IMAGE_OPERATOR_NAMES", default_value_t = true, action = ArgAction::Set)]
    pub metrics_image_operator_names: bool,

    /// Whether copies are also counted under the names that k8s-copycat gave them, for dashboards that ask for those. They
    /// name registries only with `METRICS_NAME_REGISTRIES`.
    #[arg(long, env = "METRICS_COPYCAT_NAMES", default_value_t = true, action = ArgAction::Set)]
    pub metrics_copycat_names: bool,
}

impl MetricsSettings {
    /// Returns how many series may name objects: none where objects are not to be named.
    pub fn max_object_series(&self) -> Option<usize> {
        self.metrics_name_objects.then(|| as_limit(self.metrics_max_series))
    }
}
