//! What a file of any format says, in the words of an `ImageMirror`.

use std::collections::BTreeMap;

use super::{
    Format, FormatError, MAX_FILE_BYTES, Problem, autoupdate, dregsy, image_syncer, images_list, rancher,
    regsync,
};
use super::{skopeo_sync, yaml};
use crate::api::{InventoryFormat, MirrorSource, MirrorTarget, Referrers, Tls};
use crate::inventory::{FileEntry, FilePart, MAX_ROWS};

/// What a file says, in the words of an `ImageMirror`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Where images go to.
    pub targets: Vec<MirrorTarget>,
    /// What is mirrored, in the order of the file.
    pub entries: Vec<FileEntry>,
    /// How registries are reached, without credentials.
    pub sources: Vec<MirrorSource>,
    /// What the file says of all its entries.
    pub settings: Settings,
    /// What the file says and is not carried, or otherwise, or looks like a mistake: each with its line and field.
    pub notes: Vec<FormatError>,
}

/// Fields of an `ImageMirror` that hold for all its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How often sources are looked at.
    pub frequency: Option<String>,
    /// At which times that happens.
    pub schedule: Option<String>,
    /// The platforms.
    pub platforms: Vec<String>,
    /// Whether signatures and the like are copied.
    pub referrers: Referrers,
}

impl Content {
    /// Returns it as a part of an inventory; `file` is the file as users know it.
    pub fn into_part(self, file: impl Into<String>) -> FilePart {
        FilePart { file: file.into(), targets: self.targets, entries: self.entries }
    }

    /// Returns its rows: tags at all their targets.
    fn rows(&self) -> usize {
        let defaults = self.targets.iter().filter(|target| target.default).count();
        let rows = |FileEntry { entry, .. }: &FileEntry| match entry.targets.len() {
            0 => entry.tags.len() * defaults,
            targets => entry.tags.len() * targets,
        };
        self.entries.iter().map(rows).sum()
    }

    /// Adds how a registry is reached, for targets there and for sources.
    pub(super) fn secure(&mut self, registry: &str, tls: Tls) {
        for target in &mut self.targets {
            if target.repository.split('/').next() == Some(registry) {
                target.tls = Some(tls.clone());
            }
        }
        let source = MirrorSource { registry: registry.to_owned(), tls, ..MirrorSource::default() };
        self.sources.push(source);
    }
}

/// Reads a file: the part of an `ImageMirror` that it stands for.
///
/// # Errors
/// The first thing that is wrong, with its line and field; also a file of more than 4 MiB, or of more rows than an
/// inventory may have.
pub fn read(text: &str, format: Format) -> Result<Content, FormatError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(whole(Problem::TooLarge(MAX_FILE_BYTES >> 20)));
    }
    let mut content = match format {
        Format::Rancher => rancher::read(text)?.into_content(),
        Format::ImagesList => images_list::read(text)?.into_content(),
        Format::Regsync => regsync::read(text)?,
        Format::SkopeoSync => skopeo_sync::read(text)?,
        Format::Dregsy => dregsy::read(text)?,
        Format::ImageSyncer => image_syncer::read(text)?,
    };
    let rows = content.rows();
    if rows > MAX_ROWS {
        return Err(whole(Problem::TooManyRows { rows, most: MAX_ROWS }));
    }
    content.notes = once(content.notes);
    Ok(content)
}

/// Reads what can be used of an earlier state of a file. Entries that are wrong are left out, and returned as what is wrong;
/// of formats that are not changed line by line none may be.
///
/// # Errors
/// What keeps all of it from being read.
pub fn read_usable(text: &str, format: Format) -> Result<(Content, Vec<FormatError>), FormatError> {
    let mut problems = Vec::new();
    let mut wrong = |error: FormatError| {
        problems.push(error);
        Ok(())
    };
    let content = match format {
        Format::Rancher => rancher::read_each(text, &mut wrong)?.into_content(),
        Format::ImagesList => images_list::read_each(text, &mut wrong)?.into_content(),
        _ => read(text, format)?,
    };
    Ok((content, problems))
}

/// Returns what format a file has, by its fields.
///
/// # Errors
/// Where it is no YAML, or has the fields of no format.
pub fn detect(text: &str) -> Result<Format, FormatError> {
    if images_list::looks_like_one(text) {
        return Ok(Format::ImagesList);
    }
    if autoupdate::looks_like_one(text) {
        return Err(whole(Problem::VersionSources));
    }
    let document = yaml::read(text)?.ok_or_else(|| whole(Problem::UnknownFormat))?;
    let yaml::Value::Map(fields) = &document.value else { return Err(whole(Problem::UnknownFormat)) };
    let has = |names: &[&str]| {
        fields.iter().any(|(key, _)| names.iter().any(|name| key.name.eq_ignore_ascii_case(name)))
    };
    let is_map = |names: &[&str]| {
        let named = |key: &yaml::Key| names.iter().any(|name| key.name.eq_ignore_ascii_case(name));
        fields.iter().any(|(key, node)| named(key) && matches!(node.value, yaml::Value::Map(_)))
    };
    let has_images = |node: &yaml::Node| match &node.value {
        yaml::Value::Map(fields) => fields.iter().any(|(key, _)| key.name.starts_with("images")),
        _ => false,
    };
    let has_version_source = |node: &yaml::Node| match &node.value {
        yaml::Value::Map(fields) => fields.iter().any(|(key, _)| key.name == "versionSource"),
        _ => false,
    };
    let is_rule = |node: &yaml::Node| matches!(node.value, yaml::Value::Scalar { .. } | yaml::Value::List(_));
    if fields.iter().any(|(_, node)| has_version_source(node)) {
        Err(whole(Problem::VersionSources))
    } else if is_map(&["images", "auth"]) {
        Ok(Format::ImageSyncer)
    } else if has(&["Artifacts", "Images", "Repositories"]) {
        Ok(Format::Rancher)
    } else if has(&["sync", "creds"]) {
        Ok(Format::Regsync)
    } else if has(&["tasks", "relay"]) {
        Ok(Format::Dregsy)
    } else if fields.iter().any(|(_, node)| has_images(node)) {
        Ok(Format::SkopeoSync)
    } else if !fields.is_empty() && fields.iter().all(|(key, node)| key.name.contains('/') && is_rule(node)) {
        Ok(Format::ImageSyncer)
    } else {
        Err(whole(Problem::UnknownFormat))
    }
}

/// Returns notes each once: what is said of many entries is said of the first, with how many there are.
pub(super) fn once(notes: Vec<FormatError>) -> Vec<FormatError> {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut kept: Vec<(FormatError, usize)> = Vec::new();
    for note in notes {
        let field: String = note.field.chars().filter(|c| !c.is_ascii_digit()).collect();
        let key = (field, note.problem.to_string());
        if let Some(at) = seen.get(&key) {
            kept[*at].1 += 1;
        } else {
            seen.insert(key, kept.len());
            kept.push((note, 0));
        }
    }
    let counted = kept.into_iter().map(|(note, more)| match more {
        0 => note,
        more => FormatError { problem: Problem::AndMore(Box::new(note.problem), more), ..note },
    });
    counted.collect()
}

fn whole(problem: Problem) -> FormatError {
    FormatError { line: 1, field: String::new(), problem }
}

impl From<InventoryFormat> for Format {
    fn from(format: InventoryFormat) -> Self {
        match format {
            InventoryFormat::Rancher => Self::Rancher,
            InventoryFormat::ImagesList => Self::ImagesList,
            InventoryFormat::Regsync => Self::Regsync,
            InventoryFormat::SkopeoSync => Self::SkopeoSync,
            InventoryFormat::Dregsy => Self::Dregsy,
        }
    }
}
