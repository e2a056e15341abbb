//! The JSON of the file, with its keys in their order, also those that stand twice.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// The whole file.
#[derive(Deserialize)]
pub(super) struct Document(pub(super) Object<Settings>);

/// An object whose keys are data.
pub(super) struct Object<T>(pub(super) Vec<(String, T)>);

/// An entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object with versionSource")]
pub(super) struct Settings {
    pub(super) version_source: String,
    #[serde(default)]
    pub(super) images: Vec<String>,
    pub(super) version_constraint: Option<String>,
    pub(super) version_filter: Option<String>,
    /// Counts by being there, whatever it says.
    pub(super) latest: Option<bool>,
    #[serde(default, rename = "latest_entry", deserialize_with = "is_there")]
    pub(super) has_latest_entry: bool,
    pub(super) images_file_path: Option<String>,
    #[serde(default)]
    pub(super) helm_charts: Object<HelmChart>,
    #[serde(default)]
    pub(super) image_denylist: Vec<String>,
    #[serde(default)]
    pub(super) additional_version_filter: Vec<String>,
}

/// A chart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object with chartConfig")]
pub(super) struct HelmChart {
    #[serde(default)]
    pub(super) devel: bool,
    pub(super) version_filter: Option<String>,
    #[serde(default)]
    pub(super) chart_config: Object<ChartConfig>,
}

/// Values of a chart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object with values")]
pub(super) struct ChartConfig {
    #[serde(default)]
    pub(super) values: Vec<String>,
    pub(super) kube_version: Option<String>,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Object(entries))
    }
}
