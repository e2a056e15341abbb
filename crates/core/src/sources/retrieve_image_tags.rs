//! `config.json` of rancher/image-mirror's older tool `retrieve-image-tags`, with all seven of its sources.

mod document;

use document::{Document, Settings};

use super::{
    Chart, ChartLocation, Constraint, EntryRef, Environment, GithubFile, GithubRelease, HelmCharts,
    ImageTier, Matching, Pick, RegistryTags, ReleaseRule, TagRegex, Taken, Update, VersionSource,
};
use crate::formats::rancher::Source;

/// How its images match entries of the inventory.
pub const MATCHING: Matching = Matching::Source;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveImageTags {
    /// Its entries, in their order. Of a key that stands twice only the last entry counts, as there.
    pub updates: Vec<Update>,
    /// What is worth a look, each with the key that it is about.
    pub warnings: Vec<String>,
}

/// What is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetrieveError {
    /// No JSON, or a field that does not exist; the text says where.
    #[error("{0}")]
    Json(String),
    /// A value that cannot be used.
    #[error("{key}: {field}: {problem}")]
    Value {
        /// The entry.
        key: String,
        /// The field.
        field: &'static str,
        /// What is wrong, and what to write.
        problem: String,
    },
}

/// Reads `config.json`.
///
/// # Errors
/// The first thing that is wrong. Unknown fields are mistakes: the original ignores them.
pub fn read(text: &str) -> Result<RetrieveImageTags, RetrieveError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let Document(entries) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { format!("{path}: ") };
        RetrieveError::Json(format!("{path}{}", error.inner()))
    })?;
    json.end().map_err(|error| RetrieveError::Json(error.to_string()))?;
    let mut warnings = Vec::new();
    let mut updates: Vec<Update> = Vec::with_capacity(entries.0.len());
    for (key, settings) in entries.0 {
        if let Some(at) = updates.iter().position(|update| update.name == key) {
            warnings
                .push(format!("{key}: the key stands twice; the last one counts, as in the original tool"));
            updates.remove(at);
        }
        updates.push(update(key, &settings, &mut warnings)?);
    }
    Ok(RetrieveImageTags { updates, warnings })
}

/// An entry while it is read.
struct Reader<'a> {
    key: &'a str,
    settings: &'a Settings,
}

fn update(key: String, settings: &Settings, warnings: &mut Vec<String>) -> Result<Update, RetrieveError> {
    if settings.latest == Some(false) {
        warnings
            .push(format!("{key}: latest is false, which the original tool takes for true; it is so here"));
    }
    let reader = Reader { key: &key, settings };
    let source = reader.source()?;
    let entries = reader.entries(&source)?;
    Ok(Update { name: key, source, entries, reviewers: Vec::new() })
}

impl Reader<'_> {
    fn source(&self) -> Result<VersionSource, RetrieveError> {
        let written = &self.settings.version_source;
        let (kind, argument) = written.split_once(':').unwrap_or((written, ""));
        let repository = || argument.parse().map_err(|error| self.error("versionSource", error));
        match kind {
            "github-releases" | "github-latest-release" => {
                let is_latest_only = kind == "github-latest-release";
                // The latest release is taken as it is.
                let rule = if is_latest_only { ReleaseRule::default() } else { self.rule()? };
                Ok(VersionSource::GithubRelease(GithubRelease {
                    repository: repository()?,
                    is_latest_only,
                    rule,
                }))
            }
            "github-tagged-images-file" => {
                let path = self.settings.images_file_path.clone();
                let path = path.ok_or_else(|| self.error("imagesFilePath", "it is missing".to_owned()))?;
                Ok(VersionSource::GithubFile(GithubFile {
                    repository: repository()?,
                    path,
                    rule: self.rule()?,
                }))
            }
            "registry" => {
                let pick = match (self.settings.has_latest_entry, self.settings.latest) {
                    (true, _) => Pick::LatestEntry,
                    (false, Some(_)) => Pick::Latest,
                    (false, None) => Pick::All,
                };
                Ok(VersionSource::Registry(RegistryTags { filter: self.filter()?, pick, is_each: false }))
            }
            "helm-latest" => Ok(self.charts(ChartLocation::Repository(argument.to_owned()))),
            "helm-oci" => Ok(self.charts(ChartLocation::Oci)),
            "helm-directory" => Ok(self.charts(ChartLocation::Directory(argument.to_owned()))),
            _ => Err(self.error(
                "versionSource",
                format!(
                    "{kind:?} is no source; there are github-releases, github-latest-release, \
                     github-tagged-images-file, registry, helm-latest, helm-oci and helm-directory"
                ),
            )),
        }
    }

    fn entries(&self, source: &VersionSource) -> Result<Option<Vec<EntryRef>>, RetrieveError> {
        if matches!(source, VersionSource::HelmChart(_) | VersionSource::GithubFile(_)) {
            return Ok(None);
        }
        // Rancher's own images need no copy.
        let images = self.settings.images.iter().filter(|image| !image.starts_with("rancher/"));
        let entries = images.map(|image| {
            let source = Source::parse(image).map_err(|error| self.error("images", error))?;
            Ok(EntryRef { source, target_name: None })
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Err(self.error("images", "it has no image that is mirrored".to_owned()));
        }
        Ok(Some(entries))
    }

    fn rule(&self) -> Result<ReleaseRule, RetrieveError> {
        let constraint = self.settings.version_constraint.as_deref();
        // The only operator that the two grammars write differently.
        let constraint = constraint
            .map(|text| text.strip_prefix('=').filter(|rest| rest.starts_with('=')).unwrap_or(text));
        let constraint = constraint.map(str::parse::<Constraint>).transpose();
        let constraint = constraint.map_err(|error| self.error("versionConstraint", error.to_string()))?;
        Ok(ReleaseRule { regex: self.filter()?, taken: Taken::Whole, constraint, is_only_semver: true })
    }

    fn filter(&self) -> Result<Option<TagRegex>, RetrieveError> {
        let filter = self.settings.version_filter.as_deref().map(str::parse).transpose();
        filter.map_err(|error| self.error("versionFilter", error))
    }

    fn charts(&self, location: ChartLocation) -> VersionSource {
        let charts = self.settings.helm_charts.0.iter().map(|(name, chart)| Chart {
            name: name.clone(),
            environments: chart
                .chart_config
                .0
                .iter()
                .map(|(name, environment)| Environment {
                    name: name.clone(),
                    values: environment.values.clone(),
                    kube_version: environment.kube_version.clone().filter(|version| !version.is_empty()),
                })
                .collect(),
            version: chart.version_filter.clone(),
            additional_versions: self.settings.additional_version_filter.clone(),
            is_devel: chart.devel,
        });
        VersionSource::HelmChart(HelmCharts {
            location,
            charts: charts.collect(),
            denylist: self.settings.image_denylist.clone(),
            images_from: vec![ImageTier::Template, ImageTier::Values],
            is_loose: true,
        })
    }

    fn error(&self, field: &'static str, problem: String) -> RetrieveError {
        RetrieveError::Value { key: self.key.to_owned(), field, problem }
    }
}

#[cfg(test)]
mod tests;
