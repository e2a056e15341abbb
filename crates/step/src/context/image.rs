//! A context of the files of an image.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use imgop_core::build::dockerfile::NeededImage;
use imgop_core::build::step::{BaseReport, StepInput};
use imgop_core::build::{BuildFailure, ImageReference, context_not_found};
use imgop_registry::reference::Digest;
use imgop_registry::{Manifest, Reason};

use crate::access::RegistryAccess;
use crate::bases::select;
use crate::refusal::Refusal;
use crate::{Failed, Places, Program};

/// A file of this name in a layer says that the rest of its name is gone (OCI image-spec, "layer.md").
const WHITEOUT: &str = ".wh.";
/// A file of this name says that all that earlier layers have in its folder is gone.
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks an image's files, layer by layer. Owners are left out, as COPY leaves them out.
pub async fn unpack(
    image: &ImageReference,
    input: &StepInput,
    access: &RegistryAccess,
    places: &Places,
) -> Result<BaseReport, Failed> {
    let needed =
        NeededImage { image: image.clone(), platform: input.platform.clone(), positions: Vec::new() };
    if is_gone(image, access).await {
        let message = context_not_found(image, &input.repository);
        return Err(Failed::new(BuildFailure::BaseImageNotFound, message));
    }
    // Files are of no platform: where there is one image, it is the one.
    let (shown, manifest) = select(&needed, &input.bases, access).await?;
    let layers = layers(image, &manifest)?;
    let folder = places.temporary().join("context-image");
    copy(image, &manifest, access, &folder, places)?;
    for (digest, _) in layers {
        let path = folder.join(digest.hex());
        let read = File::open(&path).and_then(|file| apply(decompressed(file)?, &places.context()));
        read.map_err(|error| unreadable(image, &error))?;
    }
    fs::remove_dir_all(&folder).map_err(|error| Failed::at("remove", &folder, &error))?;
    Ok(BaseReport { image: image.clone(), digest: shown.digest })
}

/// Whether its registry says that there is no such image. Whatever else it says, it says again.
async fn is_gone(image: &ImageReference, access: &RegistryAccess) -> bool {
    let Some(what) = image.manifest_ref() else { return false };
    match access.client(&image.repository).head(&what).await {
        Ok(found) => found.is_none(),
        Err(error) => *error.reason() == Reason::RepositoryNotFound,
    }
}

/// Copies an image as it is into a folder. Skopeo checks the digests of its blobs.
fn copy(
    image: &ImageReference,
    manifest: &Manifest,
    access: &RegistryAccess,
    folder: &Path,
    places: &Places,
) -> Result<(), Failed> {
    let program = Program::new("skopeo", places).args(["copy", "--quiet", "--preserve-digests"]);
    let program =
        program.args(access.options(image.repository.host(), "src-")).temporary_files(&places.temporary());
    let program = program.args([
        format!("docker://{}@{}", image.repository, manifest.digest),
        format!("dir:{}", folder.display()),
    ]);
    let finished = program.run().map_err(|error| {
        Failed::new(
            BuildFailure::PodNotStarted,
            format!("skopeo does not start: {error}; use a Job image that has it"),
        )
    })?;
    if finished.is_success() {
        return Ok(());
    }
    let refusal = Refusal::read(&finished.errors, BuildFailure::RegistryUnreachable);
    Err(match refusal.reason {
        BuildFailure::OutOfDisk => Failed::out_of_disk(refusal.text),
        reason => Failed::new(reason, format!("context.image {image} cannot be read: {}", refusal.text)),
    })
}

/// Returns the layers of an image. An index within an index is none: it would be a context without files.
fn layers(image: &ImageReference, manifest: &Manifest) -> Result<Vec<(Digest, u64)>, Failed> {
    if manifest.is_index() {
        let message = format!("context.image {image} is an index of other indexes; name one of those");
        return Err(Failed::new(BuildFailure::ContextInvalid, message));
    }
    let mut blobs = manifest.sized_blobs().map_err(|error| unreadable(image, &io::Error::other(error)))?;
    // The first is the configuration.
    blobs.drain(..blobs.len().min(1));
    Ok(blobs)
}

fn unreadable(image: &ImageReference, error: &io::Error) -> Failed {
    if error.kind() == io::ErrorKind::StorageFull {
        return Failed::out_of_disk(error);
    }
    let message = format!("context.image {image}: {error}; layers must be tar archives, plain or with gzip");
    Failed::new(BuildFailure::ContextInvalid, message)
}

/// Returns a layer as a tar archive.
fn decompressed(file: File) -> io::Result<Box<dyn Read>> {
    let mut reader = BufReader::new(file);
    let is_gzip = io::BufRead::fill_buf(&mut reader)?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

/// Writes the files of a layer over those of earlier ones. Nothing is written outside the folder, nor through a link.
fn apply(layer: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(layer);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let kind = entry.header().entry_type();
        if let Some(gone) = name.strip_prefix(WHITEOUT) {
            let parent = path.parent().unwrap_or(Path::new(""));
            remove(
                folder,
                &if name == OPAQUE { parent.to_owned() } else { parent.join(gone) },
                name == OPAQUE,
            )?;
        } else if kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link() {
            // Another layer may have a folder where this one has a file.
            if !kind.is_dir() {
                remove(folder, &path, false)?;
            }
            entry.unpack_in(folder)?;
        }
    }
    Ok(())
}

/// Removes a path that passes no link, or all that is in it.
fn remove(folder: &Path, path: &Path, only_content: bool) -> io::Result<()> {
    let mut at = folder.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(name) => {
                if fs::symlink_metadata(&at).is_ok_and(|found| !found.is_dir()) {
                    return Ok(());
                }
                at.push(name);
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Ok(()),
        }
    }
    match fs::symlink_metadata(&at) {
        Ok(found) if found.is_dir() && only_content => {
            for entry in fs::read_dir(&at)? {
                remove(&at, Path::new(&entry?.file_name()), false)?;
            }
            Ok(())
        }
        Ok(found) if found.is_dir() && at != folder => fs::remove_dir_all(&at),
        Ok(found) if !found.is_dir() => fs::remove_file(&at),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer of these files; a text that begins with `->` is a link.
    fn layer(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            if let Some(target) = text.strip_prefix("->") {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                // As whoever means harm writes it: the crate's own functions refuse such names.
                header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
                header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
                header.set_cksum();
                archive.append(&header, io::empty()).unwrap();
            } else {
                header.set_size(text.len() as u64);
                header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
                header.set_cksum();
                archive.append(&header, text.as_bytes()).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn an_index_within_an_index_is_no_empty_context() {
        let image = "quay.io/a/b:1".parse().unwrap();
        let of = |media_type: &str, text: &str| Manifest {
            media_type: media_type.to_owned(),
            digest: Digest::of(text.as_bytes()),
            bytes: text.to_owned().into(),
        };
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let failed = layers(&image, &of("application/vnd.oci.image.index.v1+json", index)).unwrap_err();
        assert_eq!(failed.reason, BuildFailure::ContextInvalid);
        assert!(failed.message.starts_with("context.image quay.io/a/b:1 is an index"), "{failed}");
        let blob = |text: &str| format!(r#"{{"digest":"{}","size":1}}"#, Digest::of(text.as_bytes()));
        let single =
            format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, blob("config"), blob("layer"));
        let found = layers(&image, &of("application/vnd.oci.image.manifest.v1+json", &single)).unwrap();
        assert_eq!(found, [(Digest::of(b"layer"), 1)], "without the configuration");
    }

    #[test]
    fn later_layers_replace_and_remove_what_earlier_ones_have() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| fs::read_to_string(folder.path().join(path)).ok();
        apply(&layer(&[("a", "1"), ("d/x", "1"), ("d/y", "1"), ("o/p", "1")])[..], folder.path()).unwrap();
        apply(
            &layer(&[("a", "2"), ("d/.wh.x", ""), ("o/.wh..wh..opq", ""), ("o/q", "2")])[..],
            folder.path(),
        )
        .unwrap();
        let found = ["a", "d/x", "d/y", "o/p", "o/q"].map(at);
        assert_eq!(found, [Some("2".into()), None, Some("1".into()), None, Some("2".into())]);
    }

    #[test]
    fn nothing_is_written_or_removed_outside_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("context");
        fs::create_dir(&folder).unwrap();
        fs::write(outer.path().join("kept"), "kept").unwrap();
        for files in [
            &[("../kept", "x")][..],
            &[("out", "->.."), ("out/kept", "x")],
            &[("out", "->.."), ("out/.wh.kept", "")],
            &[("../.wh.kept", "")],
        ] {
            // Refused, or passed over: either is right.
            let _ = apply(&layer(files)[..], &folder);
            assert_eq!(fs::read_to_string(outer.path().join("kept")).unwrap(), "kept", "{files:?}");
        }
    }
}
