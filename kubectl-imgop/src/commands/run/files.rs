//! What the files of `run` say, and whether they have changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imgop_core::api::{Image, ImageBuilder, ImageMirror};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::claims::note_order;
use crate::cli_error::CliError;
use crate::kinds::{Erased, KindRef};
use crate::output::Ui;
use crate::preview::files::{Manifest, manifests};
use crate::preview::inventory::{self, Mirrored};
use crate::preview::targets::Target;

/// The kinds that are run.
const RUN_KINDS: [KindRef; 3] =
    [Erased::<Image>::REF, Erased::<ImageBuilder>::REF, Erased::<ImageMirror>::REF];

/// What of a file is run.
#[derive(Debug)]
pub enum Item {
    /// A copy.
    Copy(Box<Target>),
    /// A build.
    Build(Build),
}

/// A build.
#[derive(Debug)]
pub struct Build {
    /// What is built.
    pub builder: Box<ImageBuilder>,
    /// Why it is not built: a tag of it belongs to what stands before it.
    pub conflict: Option<String>,
}

/// Why something of a file is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRun {
    /// It is wrong.
    Broken(CliError),
    /// A tag that two sources of an inventory would become. Only this tag is not run.
    Conflict(CliError),
    /// It is run in a cluster alone.
    Elsewhere(CliError),
}

impl From<NotRun> for CliError {
    fn from(why: NotRun) -> Self {
        match why {
            NotRun::Broken(error) | NotRun::Conflict(error) | NotRun::Elsewhere(error) => error,
        }
    }
}

/// What files had in common with what they have later, as long as they are the same: where each stands, when it was
/// changed, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Fingerprint {
    /// Returns that of files, and of folders with what is in them.
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut all = Vec::new();
        for path in paths {
            all.push(seen(path));
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut within: Vec<_> = entries.map(|entry| seen(&entry.path())).collect();
            within.sort();
            all.extend(within);
        }
        Self(all)
    }
}

fn seen(path: &Path) -> (PathBuf, Option<(SystemTime, u64)>) {
    let read = std::fs::metadata(path).ok();
    (path.to_owned(), read.and_then(|read| Some((read.modified().ok()?, read.len()))))
}

/// Returns what files have, the Images of ImageMirrors in their place; or why something is not run.
pub async fn items(ui: Ui, files: &[PathBuf], now: Timestamp) -> Result<Vec<Result<Item, NotRun>>, CliError> {
    let copy = |target| Item::Copy(Box::new(target));
    let mut items = Vec::new();
    for manifest in manifests(files, &RUN_KINDS)?.manifests {
        match manifest {
            Ok(Manifest::Image(image)) => items.push(target(*image, now).map(copy)),
            Ok(Manifest::Mirror(mirror)) => {
                if !mirror.spec.updates.is_empty() {
                    ui.warning(&format!(
                        "ImageMirror {}: spec.updates is for the agent; kubectl imgop mirror update finds new versions",
                        mirror.name_any()
                    ));
                }
                items.extend(mirrored(&mirror, now).await.into_iter().map(|image| image.map(copy)));
            }
            Ok(Manifest::Builder(builder)) => items.push(Ok(Item::Build(Build { builder, conflict: None }))),
            Ok(Manifest::Workloads(mirror)) => {
                let why = format!(
                    "WorkloadMirror {}: what workloads use is in a cluster; kubectl imgop preview asks it",
                    mirror.name_any()
                );
                items.push(Err(NotRun::Elsewhere(CliError::failed(why))));
            }
            Err(error) => items.push(Err(NotRun::Broken(error))),
        }
    }
    note_order(&mut items);
    Ok(items)
}

/// Returns what an Image copies, as a new one: what a cluster records of it counts nothing here.
fn target(mut image: Image, now: Timestamp) -> Result<Target, NotRun> {
    image.status = None;
    let name = image.name_any();
    let broken = |error| NotRun::Broken(CliError::failed(format!("Image {name}: {error}")));
    let mut target = Target::of_image(image, now).map_err(broken)?;
    target.known.has_no_record = true;
    Ok(target)
}

async fn mirrored(mirror: &ImageMirror, now: Timestamp) -> Vec<Result<Target, NotRun>> {
    match inventory::images(mirror, Err("run asks none".to_owned())).await {
        Ok(Mirrored { images, conflicts }) => {
            let conflicts = conflicts.into_iter().map(|error| Err(NotRun::Conflict(error)));
            images.into_iter().map(|image| target(image, now)).chain(conflicts).collect()
        }
        Err(error) => vec![Err(NotRun::Broken(error))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_or_another_file_of_a_folder_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, "a").unwrap();
        let before = Fingerprint::of(&paths);
        assert_eq!(Fingerprint::of(&paths), before);
        std::fs::write(&file, "ab").unwrap();
        let after = Fingerprint::of(&paths);
        assert_ne!(after, before);
        std::fs::write(folder.path().join("b.yaml"), "").unwrap();
        assert_ne!(Fingerprint::of(&paths), after);
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert_ne!(Fingerprint::of(&paths), after);
    }
}
