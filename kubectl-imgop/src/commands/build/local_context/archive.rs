//! A folder as the layer of an image: what no ConfigMap holds. The same files give the same bytes, whoever owns them and
//! whenever they were written.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use imgop_registry::Content;
use imgop_registry::oci::{FilesImage, FilesLayer};
use imgop_registry::reference::{Digest, Repository};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

use super::{LocalContext, LocalFile};
use crate::cli_error::CliError;

/// A file of this name in a layer says that the rest of its name is gone (OCI image-spec, "layer.md").
const WHITEOUT: &str = ".wh.";
/// How hard files are compressed. More takes longer than it saves on most lines.
const LEVEL: u32 = 3;

/// A folder, packed, and the image that it becomes.
#[derive(Debug)]
pub struct ContextArchive {
    /// Where it goes.
    pub repository: Repository,
    /// Its image.
    pub image: FilesImage,
    /// Its layer.
    pub layer: FilesLayer,
    /// Why it is no ConfigMap.
    pub why: &'static str,
    /// What would make it smaller.
    pub advice: String,
    file: NamedTempFile,
}

impl ContextArchive {
    /// Returns the content of the layer.
    pub fn content(&self) -> Content {
        Content::File { path: self.file.path().to_owned(), length: self.layer.size }
    }

    /// Returns the name of the image, with its digest.
    pub fn name(&self) -> String {
        format!("{}@{}", self.repository, self.image.manifest.digest)
    }
}

impl LocalContext {
    /// Packs the folder into a temporary file.
    pub fn into_archive(self, repository: Repository, why: &'static str) -> Result<ContextArchive, CliError> {
        if let Some(file) = self.files.iter().find(|file| file.name().starts_with(WHITEOUT)) {
            let message = format!(
                "{} cannot be sent: in an image, a name with {WHITEOUT} says that another file is gone",
                file.path
            );
            return Err(
                CliError::failed(message).hinted(format!("leave it out: {}", self.leave_out(&file.path)))
            );
        }
        let failed = |error: io::Error| {
            CliError::failed(format!("cannot pack {}: {error}", self.origin.name(&self.root, &self.root)))
        };
        let file = NamedTempFile::new().map_err(failed)?;
        self.pack(file.as_file()).map_err(failed)?;
        let layer = layer(file.as_file()).map_err(failed)?;
        let image = FilesImage::of(&layer).map_err(|error| failed(error.into()))?;
        Ok(ContextArchive { repository, image, layer, why, advice: self.leave_out_largest(), file })
    }

    fn pack(&self, file: &File) -> io::Result<()> {
        let mut archive = Builder::new(GzEncoder::new(BufWriter::new(file), Compression::new(LEVEL)));
        for folder in &self.empty {
            let mut header = header(EntryType::Directory, 0o755, 0);
            archive.append_data(&mut header, folder, io::empty())?;
        }
        for file in &self.files {
            self.append(&mut archive, file)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.path)))?;
        }
        archive.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error).map(drop)
    }

    fn append(&self, archive: &mut Builder<impl Write>, file: &LocalFile) -> io::Result<()> {
        if let Some(target) = &file.target {
            let mut header = header(EntryType::Symlink, 0o777, 0);
            return archive.append_link(&mut header, &file.path, target);
        }
        let content = Whole { left: file.size, file: File::open(self.root.join(&file.path))? };
        archive.append_data(&mut header(EntryType::Regular, file.mode, file.size), &file.path, content)
    }
}

impl LocalFile {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Returns a header that says nothing of who made the file, and when.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Reads what was packed once more.
fn layer(mut file: &File) -> io::Result<FilesLayer> {
    file.rewind()?;
    let digest = Digest::of_reader(BufReader::new(file))?;
    file.rewind()?;
    let diff_id = Digest::of_reader(GzDecoder::new(BufReader::new(file)))?;
    Ok(FilesLayer { digest, size: file.metadata()?.len(), diff_id })
}

/// A file with as many bytes as it was listed with; what is written meanwhile must not shift what follows it.
struct Whole {
    file: File,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::super::Origin;
    use super::super::tests::folder;
    use super::*;

    fn archive(root: &Path) -> ContextArchive {
        let list = LocalContext::list(root, Some(&root.join("Dockerfile")), Origin::Folder).unwrap();
        list.into_archive("r.example.com/team/app".parse().unwrap(), "it has links").unwrap()
    }

    /// Returns the entries by their paths: kind, mode, and text or target.
    fn entries(archive: &ContextArchive) -> BTreeMap<String, (EntryType, u32, String)> {
        let mut tar = tar::Archive::new(GzDecoder::new(archive.file.reopen().unwrap()));
        let read = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let target = entry.link_name().unwrap().map(|target| target.display().to_string());
            let (path, header) = (entry.path().unwrap().display().to_string(), entry.header());
            (path, (header.entry_type(), header.mode().unwrap(), target.unwrap_or(text)))
        });
        read.collect()
    }

    fn filled() -> tempfile::TempDir {
        let root =
            folder(&[("src/main.go", "m"), (".env", "CANARY"), (".dockerignore", ".env\n.dockerignore")]);
        symlink("src/main.go", root.path().join("link")).unwrap();
        symlink("/etc/passwd", root.path().join("out")).unwrap();
        std::fs::create_dir(root.path().join("logs")).unwrap();
        std::fs::write(root.path().join("n".repeat(150)), "long").unwrap();
        std::fs::set_permissions(root.path().join("src/main.go"), Permissions::from_mode(0o764)).unwrap();
        root
    }

    #[test]
    fn links_empty_folders_and_permissions_are_packed_and_what_is_ignored_is_not() {
        let root = filled();
        let archive = archive(root.path());
        let expected = [
            ("link", (EntryType::Symlink, 0o777, "src/main.go")),
            ("logs", (EntryType::Directory, 0o755, "")),
            (&"n".repeat(150), (EntryType::Regular, 0o644, "long")),
            ("out", (EntryType::Symlink, 0o777, "/etc/passwd")),
            ("src/main.go", (EntryType::Regular, 0o744, "m")),
        ];
        let expected =
            expected.map(|(path, (kind, mode, text))| (path.to_owned(), (kind, mode, text.to_owned())));
        assert_eq!(entries(&archive), BTreeMap::from(expected));
        assert_eq!(archive.name(), format!("r.example.com/team/app@{}", archive.image.manifest.digest));
    }

    #[test]
    fn the_same_files_have_the_same_digest_and_others_have_another_one() {
        let (one, two) = (filled(), filled());
        let old = std::fs::File::options().write(true).open(two.path().join("src/main.go")).unwrap();
        old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        std::fs::write(two.path().join(".env"), "another").unwrap();
        // The order in which a file system lists folders must not matter.
        let names: Vec<String> = (0..40).map(|n| format!("empty{n}")).collect();
        for (first, last) in names.iter().zip(names.iter().rev()) {
            std::fs::create_dir(one.path().join(first)).unwrap();
            std::fs::create_dir(two.path().join(last)).unwrap();
        }
        assert_eq!(archive(one.path()).image, archive(two.path()).image);
        std::fs::remove_file(two.path().join("link")).unwrap();
        symlink("out", two.path().join("link")).unwrap();
        assert_ne!(archive(one.path()).image, archive(two.path()).image);
    }

    #[test]
    fn a_name_that_would_remove_another_file_is_refused() {
        let root = folder(&[("a/.wh.b", "")]);
        let list = LocalContext::list(root.path(), None, Origin::Folder).unwrap();
        let error = list.into_archive("r.example.com/a".parse().unwrap(), "").unwrap_err();
        assert!(error.message.starts_with("a/.wh.b cannot be sent"), "{error}");
    }

    #[test]
    fn a_file_that_changes_or_cannot_be_read_is_no_broken_archive_and_named() {
        let root = folder(&[("a", "four")]);
        let list = LocalContext::list(root.path(), None, Origin::Folder).unwrap();
        std::fs::write(root.path().join("a"), "two").unwrap();
        let error = list.into_archive("r.example.com/a".parse().unwrap(), "").unwrap_err();
        assert!(error.message.ends_with("a: it became shorter while it was read"), "{error}");
        let list = LocalContext::list(root.path(), None, Origin::Folder).unwrap();
        std::fs::remove_file(root.path().join("a")).unwrap();
        let error = list.into_archive("r.example.com/a".parse().unwrap(), "").unwrap_err();
        assert!(error.message.contains(": a: No such file"), "{error}");
    }
}
