//! The image that a build left, read as what it is: files that a RUN may have written.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use imgop_core::api::Format;
use imgop_core::build::BuildFailure;
use imgop_registry::reference::Digest;
use serde::Deserialize;

use crate::context::below::open_file;
use crate::{Failed, Places};

/// Bytes of a manifest, a configuration, an index.
const MAX_DOCUMENT: u64 = 4 << 20;
/// The folder of the image on the volume.
const FOLDER: &str = "out";

/// The image of a build, of which manifest and configuration have the digests that they must have.
#[derive(Debug)]
pub struct Layout<'a> {
    places: &'a Places,
    format: Format,
    /// The bytes of the manifest.
    pub manifest: Vec<u8>,
    /// The bytes of the configuration.
    pub config: Vec<u8>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Described>,
}

#[derive(Deserialize)]
struct WithConfig {
    config: Described,
}

#[derive(Deserialize)]
struct Described {
    digest: Digest,
}

impl<'a> Layout<'a> {
    /// Reads manifest and configuration.
    pub fn read(format: Format, places: &'a Places) -> Result<Self, Failed> {
        let mut layout = Self { places, format, manifest: Vec::new(), config: Vec::new() };
        layout.manifest = match format {
            Format::Docker => layout.document("manifest.json")?,
            Format::Oci => {
                let index: Index = parsed("index.json", &layout.document("index.json")?)?;
                let [image] = index.manifests.as_slice() else {
                    return Err(refused("index.json names no single image"));
                };
                layout.digested(&image.digest)?
            }
        };
        let WithConfig { config } = parsed("the manifest", &layout.manifest)?;
        layout.config = layout.digested(&config.digest)?;
        Ok(layout)
    }

    /// Returns the path of a layer, after a look at all of its bytes.
    pub fn layer(&self, digest: &Digest, size: u64) -> Result<PathBuf, Failed> {
        let name = self.name(digest);
        let file = self.open(&name)?;
        check(file, &name, digest, size)?;
        Ok(self.places.output().join(name))
    }

    fn name(&self, digest: &Digest) -> String {
        match self.format {
            Format::Docker => digest.hex().to_owned(),
            Format::Oci => format!("blobs/sha256/{}", digest.hex()),
        }
    }

    /// Opens a regular file, through no link: also the folder itself may have been replaced.
    fn open(&self, name: &str) -> Result<File, Failed> {
        open_file(&self.places.volume(), &format!("{FOLDER}/{name}"))
            .map_err(|error| refused(&error.to_string()))
    }

    fn digested(&self, digest: &Digest) -> Result<Vec<u8>, Failed> {
        let name = self.name(digest);
        let bytes = self.document(&name)?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(refused(&format!("{name} has other content")))
        }
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, Failed> {
        let mut bytes = Vec::new();
        let read = self.open(name)?.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(name, &error))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(refused(&format!("{name} has more than {MAX_DOCUMENT} bytes")));
        }
        Ok(bytes)
    }
}

/// Checks a file's size and digest.
pub fn check(file: File, name: &str, digest: &Digest, size: u64) -> Result<(), Failed> {
    let length = file.metadata().map_err(|error| unreadable(name, &error))?.len();
    if length != size {
        return Err(refused(&format!("{name} has {length} bytes in place of {size}")));
    }
    let found = Digest::of_reader(file.take(size)).map_err(|error| unreadable(name, &error))?;
    if found == *digest { Ok(()) } else { Err(refused(&format!("{name} has other content"))) }
}

fn parsed<'de, T: Deserialize<'de>>(name: &str, bytes: &'de [u8]) -> Result<T, Failed> {
    serde_json::from_slice(bytes).map_err(|error| refused(&format!("{name} cannot be read: {error}")))
}

fn unreadable(name: &str, error: &io::Error) -> Failed {
    refused(&format!("{name} cannot be read: {error}"))
}

/// Returns that the image is not what a build leaves.
pub fn refused(what: &str) -> Failed {
    let message = format!("the built image is not pushed: {what}; a RUN may have changed it on its way");
    Failed::new(BuildFailure::VerificationFailed, message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn docker(folder: &Path) -> Places {
        let places = Places::below(folder);
        let out = places.output();
        fs::create_dir_all(&out).unwrap();
        let config = b"{}";
        fs::write(out.join(Digest::of(config).hex()), config).unwrap();
        let manifest = format!(r#"{{"config":{{"digest":"{}"}},"layers":[]}}"#, Digest::of(config));
        fs::write(out.join("manifest.json"), manifest).unwrap();
        places
    }

    #[test]
    fn what_a_run_put_in_place_of_the_image_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let places = docker(folder.path());
        let message = || Layout::read(Format::Docker, &places).map(|_| ()).unwrap_err().message;
        assert!(Layout::read(Format::Docker, &places).is_ok());
        let config = places.output().join(Digest::of(b"{}").hex());
        fs::write(&config, "{ }").unwrap();
        assert!(message().contains("has other content"));
        fs::remove_file(&config).unwrap();
        fs::write(folder.path().join("elsewhere"), "{}").unwrap();
        symlink(folder.path().join("elsewhere"), &config).unwrap();
        assert!(message().contains("is a link"), "{}", message());
        fs::remove_dir_all(places.output()).unwrap();
        symlink(folder.path(), places.output()).unwrap();
        assert!(message().contains("passes one"), "{}", message());
    }

    #[test]
    fn a_layer_has_the_size_and_the_bytes_that_the_manifest_names() {
        let folder = tempfile::tempdir().unwrap();
        let places = docker(folder.path());
        let layout = Layout::read(Format::Docker, &places).unwrap();
        let digest = Digest::of(b"layer");
        let path = places.output().join(digest.hex());
        fs::write(&path, "layer").unwrap();
        assert_eq!(layout.layer(&digest, 5).unwrap(), path);
        assert!(layout.layer(&digest, 6).unwrap_err().message.contains("5 bytes in place of 6"));
        fs::write(&path, "LAYER").unwrap();
        assert!(layout.layer(&digest, 5).unwrap_err().message.contains("other content"));
        assert!(layout.layer(&Digest::of(b"none"), 5).unwrap_err().message.contains("there is no"));
    }

    #[test]
    fn a_document_without_an_end_is_not_read_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = docker(folder.path());
        File::create(places.output().join("manifest.json")).unwrap().set_len(1 << 40).unwrap();
        assert!(Layout::read(Format::Docker, &places).unwrap_err().message.contains("more than"));
    }
}
