//! Jobs of Images as image-operator counts them: by the image that they copy.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use imgop_core::api::{Image, ImageSpec, Source};
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Deserialize;

use crate::config::MetricsSettings;
use crate::controller::Objects;

/// What images are counted under that there is no room for.
const OTHER: &str = "other";

/// How many Jobs were created for each image.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    counts: Mutex<BTreeMap<String, u64>>,
    /// How many images may be named; none where none is.
    max_images: Option<usize>,
}

impl Reloads {
    /// Returns counts that name no more images than these settings allow.
    pub fn new(settings: &MetricsSettings) -> Self {
        Self { counts: Mutex::default(), max_images: settings.max_object_series() }
    }

    /// Counts a Job.
    pub fn count(&self, spec: &ImageSpec) {
        let mut counts = self.counts.lock();
        let image = self.max_images.map(|_| label(&spec.source)).unwrap_or_default();
        let has_room = self.max_images.is_none_or(|max| counts.len() < max);
        let image = if has_room || counts.contains_key(&image) { image } else { OTHER.to_owned() };
        *counts.entry(image).or_default() += 1;
    }
}

fn label(source: &Source) -> String {
    format!("{}:{}", source.name, source.selected())
}

/// What is exported of them.
#[derive(Debug)]
pub(super) struct ReloadSeries {
    pub reloads: Arc<Reloads>,
    pub images: Objects<Image>,
}

/// What is read of an Image.
#[derive(Deserialize)]
struct Part {
    spec: SpecPart,
    status: StatusPart,
}

#[derive(Deserialize)]
struct SpecPart {
    source: Source,
}

#[derive(Deserialize)]
struct StatusPart {
    #[serde(default)]
    history: Vec<SyncPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SyncPart {
    performed_at: Timestamp,
}

impl Collector for ReloadSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Jobs of Images that were created";
        let mut metric = encoder.encode_descriptor("reload", help, None, MetricType::Counter)?;
        for (image, count) in self.reloads.counts.lock().iter() {
            let labels: Vec<(&str, &str)> =
                Some(("image", image.as_str())).filter(|_| !image.is_empty()).into_iter().collect();
            ConstCounter::new(*count).encode(metric.encode_family(&labels)?)?;
        }
        let Some(max_images) = self.reloads.max_images else { return Ok(()) };
        let mut last = BTreeMap::<String, i64>::new();
        for (_, Part { spec: SpecPart { source }, status }) in self.images.parts() {
            if let Some(sync) = status.history.last() {
                let at = last.entry(label(&source)).or_default();
                *at = sync.performed_at.as_second().max(*at);
            }
        }
        let (name, help) =
            ("last_time_image_was_reloaded", "When the last sync of an image ended that copied something");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (image, at) in last.into_iter().take(max_images) {
            ConstGauge::new(at).encode(metric.encode_family(&[("image", image.as_str())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Destination, Mode, Source};

    use super::*;

    fn spec(version: &str) -> ImageSpec {
        let source =
            Source { name: "r.example.com/app".to_owned(), version: version.to_owned(), ..Source::default() };
        ImageSpec::new(Mode::Recurrent, source, Destination::default())
    }

    fn settings(names_objects: bool) -> MetricsSettings {
        MetricsSettings {
            metrics_name_registries: false,
            metrics_name_objects: names_objects,
            metrics_max_series: 2,
            metrics_image_operator_names: true,
            metrics_copycat_names: false,
        }
    }

    #[test]
    fn images_are_counted_by_name_where_they_may_be_named_as_far_as_there_is_room() {
        let counted = |names_objects| {
            let reloads = Reloads::new(&settings(names_objects));
            for version in ["1", "2", "3", "1", "4"] {
                reloads.count(&spec(version));
            }
            reloads.counts.into_inner().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(counted(false), [(String::new(), 5)]);
        let app = |version: &str| format!("r.example.com/app:{version}");
        assert_eq!(counted(true), [(OTHER.to_owned(), 2), (app("1"), 2), (app("2"), 1)]);
    }
}
