//! What a file says, whether it is an `ImageMirror` or another tool's.

use std::path::Path;

use imgop_core::api::{ImageMirror, ImageMirrorSpec, InventoryFormat};
use imgop_core::formats::rancher::Config;
use imgop_core::formats::{Content, Format, FormatError, detect, rancher, read};
use imgop_core::inventory::{FileEntry, FilePart, Inventory, InventoryError};
use kube::ResourceExt as _;

use super::file::InputFile;
use super::finding::{Finding, failed};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::output::Ui;
use crate::preview::files::{documents, object};
use crate::preview::inventory::{FoundTags, restore};

/// The annotation with what rancher's `config.yaml` says of repositories and an `ImageMirror` does not.
pub const RANCHER: &str = "imgop.skopeo.io/rancher-config";

/// What a file says.
pub struct Subject {
    /// The file.
    pub file: InputFile,
    /// Which kind of file.
    pub source: Source,
    /// Of an `ImageMirror` of the cluster: where it is, and what version sources have added to it there.
    pub live: Option<Live>,
}

/// What the cluster knows of an `ImageMirror`.
pub struct Live {
    /// The cluster.
    pub cluster: Cluster,
    /// The tags that version sources have added.
    pub found: Vec<FoundTags>,
}

/// Why there is no subject.
pub enum SubjectError {
    /// The file cannot be read.
    File(CliError),
    /// What it says cannot be used.
    Content(Finding),
}

impl From<SubjectError> for CliError {
    fn from(error: SubjectError) -> Self {
        match error {
            SubjectError::File(error) => error,
            SubjectError::Content(finding) => failed(&[finding]),
        }
    }
}

/// Which kind of file.
pub enum Source {
    /// An `ImageMirror`, and the ConfigMaps of the file that it names.
    Mirror(Box<ImageMirror>, Vec<FilePart>),
    /// A file of another tool.
    File(Format, Box<Content>),
}

impl Subject {
    /// Reads a file, in a format or in the one that its fields tell.
    pub fn read(path: &Path, format: Option<Format>) -> Result<Self, SubjectError> {
        let file = InputFile::read_manifests(path).map_err(SubjectError::File)?;
        let source = source(&file, format).map_err(SubjectError::Content)?;
        Ok(Self { source, file, live: None })
    }

    /// Returns what of the file is not carried, or looks like a mistake.
    pub fn notes(&self) -> &[FormatError] {
        match &self.source {
            Source::Mirror(..) => &[],
            Source::File(_, content) => &content.notes,
        }
    }

    /// Warns of what of the file is not carried, or looks like a mistake.
    pub fn warn(&self, ui: Ui) {
        self.file.warn(ui, self.notes());
    }

    /// Returns the spec, and the parts of files beside it.
    pub fn spec(&self) -> (ImageMirrorSpec, Vec<FilePart>) {
        match &self.source {
            Source::Mirror(mirror, parts) => (mirror.spec.clone(), parts.clone()),
            Source::File(_, content) => {
                let part = Content::clone(content).into_part(self.file.name());
                (of_content(content), vec![part])
            }
        }
    }

    /// Returns the inventory, if all of it can be used.
    pub fn inventory(&self) -> Result<Inventory, CliError> {
        self.usable().map_err(|error| self.unusable(&error))
    }

    /// Returns the inventory, or everything that is wrong with it.
    pub fn usable(&self) -> Result<Inventory, InventoryError> {
        let (spec, parts) = self.spec();
        let mut inventory = Inventory::read(&spec, &parts)?;
        if let Some(Live { found, .. }) = &self.live {
            restore(&mut inventory, &spec, found)?;
        }
        Ok(inventory)
    }

    /// Returns what is wrong in an inventory, each problem with its place in the file.
    pub fn unusable(&self, error: &InventoryError) -> CliError {
        failed(&Finding::of_inventory(&self.file.name(), error))
    }

    /// Returns it as rancher's configuration.
    pub fn config(&self) -> Result<Config, CliError> {
        let failed = |problem: String| CliError::failed(format!("{}: {problem}", self.file.name()));
        let (spec, entries, like) = match &self.source {
            Source::File(Format::Rancher, _) => {
                return rancher::read(&self.file.text)
                    .map(|read| read.config)
                    .map_err(|e| self.file.error(&e));
            }
            Source::File(_, content) => {
                let spec = ImageMirrorSpec { targets: content.targets.clone(), ..of_content(content) };
                (spec, content.entries.clone(), None)
            }
            Source::Mirror(mirror, parts) => {
                let like = mirror.annotations().get(RANCHER).map(|text| rancher::read(text)).transpose();
                let like = like.map_err(|error| failed(format!("annotation {RANCHER}: {error}")))?;
                let inline = mirror.spec.entries.iter().cloned().map(|entry| FileEntry { line: 1, entry });
                let of_files = parts.iter().flat_map(|part| part.entries.clone());
                let mut spec = mirror.spec.clone();
                spec.targets = self.inventory()?.targets;
                (spec, inline.chain(of_files).collect(), like.map(|read| read.config))
            }
        };
        Config::of_mirror(&spec, &entries, like).map_err(failed)
    }

    /// Returns the name of its `ImageMirror`: that of the object, or one made of the file's.
    pub fn name(&self) -> String {
        match &self.source {
            Source::Mirror(mirror, _) => mirror.name_any(),
            Source::File(..) => self.file.object_name(),
        }
    }
}

/// Returns a spec with what a file says of all its entries.
pub fn of_content(content: &Content) -> ImageMirrorSpec {
    let mut spec = ImageMirrorSpec { sources: content.sources.clone(), ..ImageMirrorSpec::default() };
    let settings = content.settings.clone();
    if let Some(frequency) = settings.frequency {
        spec.frequency = frequency;
    }
    spec.schedule = settings.schedule;
    spec.platforms = settings.platforms;
    spec.referrers = settings.referrers;
    spec
}

fn source(file: &InputFile, format: Option<Format>) -> Result<Source, Finding> {
    let name = file.name();
    if format.is_none()
        && let Some(source) = mirror(&file.text)
    {
        return source.map_err(|problem| Finding::of_file(name, problem));
    }
    let read = || {
        let format = format.map_or_else(|| detect(&file.text), Ok)?;
        Ok(Source::File(format, Box::new(read(&file.text, format)?)))
    };
    read().map_err(|error: FormatError| Finding::of_format(&name, &error))
}

/// Returns the `ImageMirror` of a file, if it has one.
fn mirror(text: &str) -> Option<Result<Source, String>> {
    if !text.contains("ImageMirror") {
        return None;
    }
    let all = documents(text).ok()?;
    let (mirrors, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|value| value["kind"] == "ImageMirror");
    match <[_; 1]>::try_from(mirrors) {
        Ok([value]) => Some(of_object(value, &others)),
        Err(none) if none.is_empty() => None,
        Err(several) => Some(Err(format!("it has {} ImageMirrors; give a file with one", several.len()))),
    }
}

fn of_object(value: serde_json::Value, others: &[serde_json::Value]) -> Result<Source, String> {
    let mirror: ImageMirror = object(value, |_| Ok(()))?;
    let mut parts = Vec::new();
    for (at, from) in mirror.spec.from.iter().enumerate() {
        let (name, key) = (&from.config_map.name, &from.config_map.key);
        let found = others
            .iter()
            .find(|value| value["kind"] == "ConfigMap" && value["metadata"]["name"] == name.as_str())
            .and_then(|value| value["data"][key.as_str()].as_str());
        let text = found.ok_or_else(|| {
            format!("spec.from[{at}]: the file has no ConfigMap {name} with the key {key}; add it as a further document")
        })?;
        let shown = format!("ConfigMap {name}, key {key}");
        parts.push(part(text, from.format, &shown).map_err(|error| error.in_file(&shown))?);
    }
    Ok(Source::Mirror(Box::new(mirror), parts))
}

fn part(text: &str, format: InventoryFormat, file: &str) -> Result<FilePart, FormatError> {
    Ok(read(text, format.into())?.into_part(file))
}
