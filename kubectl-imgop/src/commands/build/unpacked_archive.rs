//! An archive of a folder, unpacked into a temporary one. Whoever made it may be another than the user: nothing of it is
//! written outside, and nothing outside is read through it.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use imgop_core::build::DockerfilePlace;
use tar::{Archive, Entry};
use tempfile::TempDir;

use super::local_context::{LocalContext, Origin};
use super::source::{LocalDockerfile, text_of};
use crate::cli_error::CliError;
use crate::output::text::bytes;

/// Bytes of all files of an archive: more than is sent, since an ignore file may leave most of them out.
const MAX_BYTES: u64 = 4 << 30;
/// What it is called in messages.
pub const NAME: &str = "the archive on the standard input";

/// The folder of an archive. It is removed when this is dropped.
#[derive(Debug)]
pub struct UnpackedArchive {
    folder: TempDir,
}

/// Why an entry is not unpacked.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("it leads out of the archive")]
    Outside,
    #[error("it passes the link {}", .0.display())]
    ThroughLink(PathBuf),
    #[error("its link leads out of the archive")]
    LinkOutside,
    #[error("it is neither a file nor a folder nor a link")]
    OtherKind,
    #[error("with it, the archive has more than {}", bytes(MAX_BYTES))]
    TooLarge,
    #[error("{}", cause(.0))]
    Unreadable(#[from] io::Error),
}

impl UnpackedArchive {
    /// Unpacks all files, folders and links. What is of another kind, or leads out, is an error.
    pub fn unpack(archive: impl Read) -> Result<Self, CliError> {
        let unreadable =
            |error: &io::Error| CliError::failed(format!("{NAME} cannot be read: {}", cause(error)));
        let folder = tempfile::Builder::new().prefix("imgop-context-").tempdir();
        let folder = folder.map_err(|error| CliError::failed(format!("cannot unpack {NAME}: {error}")))?;
        let mut archive = Archive::new(archive);
        archive.set_preserve_permissions(true);
        archive.set_preserve_mtime(false);
        let mut left = MAX_BYTES;
        for entry in archive.entries().map_err(|error| unreadable(&error))? {
            let mut entry = entry.map_err(|error| unreadable(&error))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            unpack_entry(&mut entry, folder.path(), &mut left).map_err(|error| refused(&name, &error))?;
        }
        Ok(Self { folder })
    }

    /// Reads the Dockerfile: the named one, or that which has a usual name. It must be a file, and no link.
    pub fn dockerfile(&self, name: Option<&str>) -> Result<LocalDockerfile, CliError> {
        let found = if let Some(name) = name {
            self.file(name)?.map(|path| (name, path))
        } else {
            let mut found = None;
            for name in DockerfilePlace::DEFAULT_NAMES {
                found = found.or(self.file(name)?.map(|path| (name, path)));
            }
            found
        };
        let (name, path) = found.ok_or_else(|| match name {
            Some(name) => CliError::failed(format!("--file: there is no {name} in {NAME}")),
            None => CliError::failed(format!("there is neither Dockerfile nor Containerfile in {NAME}"))
                .hinted("name another file of it with --file"),
        })?;
        let file = fs::File::open(&path)
            .map_err(|error| CliError::failed(format!("cannot read {name} of {NAME}: {error}")))?;
        Ok(LocalDockerfile { text: text_of(file, name)?, name: name.to_owned(), file: Some(path) })
    }

    /// Lists what is taken of it. `dockerfile` is the one in it.
    pub fn list(&self, dockerfile: &LocalDockerfile) -> Result<LocalContext, CliError> {
        LocalContext::list(self.folder.path(), dockerfile.file.as_deref(), Origin::Archive)
    }

    /// Returns the place of a file, if there is one. A link is an error: it may lead out.
    fn file(&self, name: &str) -> Result<Option<PathBuf>, CliError> {
        let path = below(Path::new(name)).ok();
        let path = path.ok_or_else(|| {
            CliError::usage(format!("--file {name}: it must be the path of a file in {NAME}"))
        })?;
        let is_link = |error: &EntryError| CliError::failed(format!("{name} in {NAME} is not read: {error}"));
        check_no_link(self.folder.path(), &path).map_err(|error| is_link(&error))?;
        let place = self.folder.path().join(&path);
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_file() => Ok(Some(place)),
            Ok(found) if found.is_symlink() => {
                Err(CliError::failed(format!("{name} in {NAME} is a link; put the file itself there")))
            }
            _ => Ok(None),
        }
    }
}

fn refused(name: &str, error: &EntryError) -> CliError {
    let message = format!("{name:?} in {NAME} cannot be unpacked: {error}");
    CliError::failed(message).hinted(match error {
        EntryError::Unreadable(_) => "is the archive whole? tar -t < FILE reads it to its end",
        _ => "leave it out: tar --exclude=PATH …, or give an unpacked folder in place of -",
    })
}

fn unpack_entry<R: Read>(entry: &mut Entry<'_, R>, folder: &Path, left: &mut u64) -> Result<(), EntryError> {
    let kind = entry.header().entry_type();
    // `git archive` writes its commit into one of these.
    if kind.is_pax_global_extensions() {
        return Ok(());
    }
    let path = below(&entry.path()?)?;
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    check_no_link(folder, &path)?;
    let place = folder.join(&path);
    // An old archive has no kind for folders.
    let is_folder = kind.is_dir() || kind.is_file() && entry.path_bytes().ends_with(b"/");
    if is_folder {
        // Its permissions might keep the rest from being written, and are not sent.
        return make_folder(&place).map_err(EntryError::from);
    }
    let is_link = kind.is_symlink() || kind.is_hard_link();
    if !is_link && !kind.is_file() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
        return Err(EntryError::OtherKind);
    }
    if kind.is_hard_link() {
        let target = below(&entry.link_name()?.unwrap_or_default()).map_err(|_| EntryError::LinkOutside)?;
        check_no_link(folder, &target.join("itself"))?;
    }
    if is_link && fs::symlink_metadata(&place).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(&place)?;
    }
    *left = left.checked_sub(entry.size()).ok_or(EntryError::TooLarge)?;
    if entry.unpack_in(folder)? { Ok(()) } else { Err(EntryError::Outside) }
}

/// Returns a path below the archive's root, if it is one.
fn below(path: &Path) -> Result<PathBuf, EntryError> {
    let mut below = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => below.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(EntryError::Outside);
            }
        }
    }
    Ok(below)
}

/// Fails if a folder on the way to a path is a link.
fn check_no_link(folder: &Path, path: &Path) -> Result<(), EntryError> {
    let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    let is_link =
        |above: &&Path| fs::symlink_metadata(folder.join(above)).is_ok_and(|found| found.is_symlink());
    match above.filter(is_link).last() {
        Some(link) => Err(EntryError::ThroughLink(link.to_owned())),
        None => Ok(()),
    }
}

/// Makes a folder, in place of a file or a link that an earlier entry is.
fn make_folder(place: &Path) -> io::Result<()> {
    if fs::symlink_metadata(place).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(place)?;
    }
    fs::create_dir_all(place)
}

/// Returns the innermost cause: those around it name temporary files.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
pub mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    /// An archive of these files. A text that begins with `->` is a link, one with `=>` a hard link, and `|` a pipe.
    pub fn tar(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = Header::new_gnu();
            let (kind, target, text) = match (text.get(..2), text.get(2..)) {
                (Some("->"), Some(target)) => (EntryType::Symlink, target, ""),
                (Some("=>"), Some(target)) => (EntryType::Link, target, ""),
                _ if *text == "|" => (EntryType::Fifo, "", ""),
                _ if path.ends_with('/') => (EntryType::Directory, "", ""),
                _ => (EntryType::Regular, "", *text),
            };
            header.set_entry_type(kind);
            header.set_mode(if kind == EntryType::Directory { 0o500 } else { 0o644 });
            header.set_size(text.len() as u64);
            // As whoever means harm writes it: the crate's own functions refuse such names.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn unpack(files: &[(&str, &str)]) -> Result<UnpackedArchive, String> {
        UnpackedArchive::unpack(tar(files).as_slice()).map_err(|error| error.message)
    }

    #[test]
    fn files_folders_and_links_are_there_and_later_ones_replace_earlier_ones() {
        let files = [("./", ""), ("./d/", ""), ("./d/a", "one"), ("h", "=>d/a"), ("l", "->/etc/passwd")];
        let later = [("l", "->d/a"), ("d/a", "two"), ("x", ""), ("x/", ""), ("x/y", "in place of a file")];
        let archive = unpack(&[&files[..], &later].concat()).unwrap();
        let at = |path: &str| archive.folder.path().join(path);
        assert_eq!(fs::read_to_string(at("d/a")).unwrap(), "two");
        assert_eq!(fs::read_to_string(at("h")).unwrap(), "one");
        assert_eq!(fs::read_link(at("l")).unwrap(), Path::new("d/a"));
        assert_eq!(fs::read_to_string(at("x/y")).unwrap(), "in place of a file");
        let place = at("");
        drop(archive);
        assert!(!place.exists());
    }

    #[test]
    fn what_leads_out_or_is_no_file_is_an_error_and_nothing_is_written_outside() {
        let outside = tempfile::tempdir().unwrap();
        let place = outside.path().to_str().unwrap();
        let (absolute, link) = (format!("{place}/x"), format!("->{place}"));
        for (files, why) in [
            (&[("../x", "")][..], "it leads out of the archive"),
            (&[("a/../../x", "")], "it leads out of the archive"),
            (&[(absolute.as_str(), "")], "it leads out of the archive"),
            (&[("l", link.as_str()), ("l/x", "")], "it passes the link l"),
            (&[("l", link.as_str()), ("l/x/", "")], "it passes the link l"),
            (&[("l", link.as_str()), ("l/x", "->y")], "it passes the link l"),
            (&[("h", "=>/etc/passwd")], "its link leads out of the archive"),
            (&[("h", "=>../x")], "its link leads out of the archive"),
            (&[("l", "->/etc/passwd"), ("h", "=>l")], "it passes the link l"),
            (&[("pipe", "|")], "it is neither a file nor a folder nor a link"),
        ] {
            let error = unpack(files).unwrap_err();
            assert!(error.ends_with(why) && error.contains("cannot be unpacked"), "{files:?}: {error}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn more_than_the_limit_is_refused_before_it_is_written() {
        let mut header = Header::new_gnu();
        header.set_path("big").unwrap();
        header.set_size(MAX_BYTES + 1);
        header.set_cksum();
        let error = UnpackedArchive::unpack(&header.as_bytes()[..]).unwrap_err();
        assert!(error.message.ends_with("the archive has more than 4.0 GiB"), "{error}");
    }

    #[test]
    fn dockerfile_and_ignore_file_of_an_archive_are_files_of_it() {
        let none =
            |files: &[(&str, &str)], name| unpack(files).unwrap().dockerfile(name).unwrap_err().message;
        assert!(none(&[("a", "")], None).starts_with("there is neither Dockerfile nor Containerfile"));
        assert!(none(&[("a", "")], Some("b")).starts_with("--file: there is no b in"));
        assert!(none(&[("a", "")], Some("../a")).starts_with("--file ../a: it must be the path"));
        assert!(none(&[("Dockerfile", "->/etc/passwd")], None).contains("is a link"));
        assert!(none(&[("l", "->/etc")], Some("l/passwd")).ends_with("it passes the link l"));
        let archive = unpack(&[("Containerfile", "FROM a"), (".dockerignore", "->/etc/passwd")]).unwrap();
        let dockerfile = archive.dockerfile(None).unwrap();
        assert_eq!((dockerfile.name.as_str(), dockerfile.text.as_str()), ("Containerfile", "FROM a"));
        let error = archive.list(&dockerfile).unwrap_err();
        assert!(error.message.starts_with(".dockerignore in") && error.message.contains("a link"), "{error}");
    }
}
