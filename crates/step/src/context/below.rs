//! Files below a folder whose content others wrote: no link is passed on the way to them.

use std::fs::File;
use std::io;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

/// Why a path of the context is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// It would leave the folder.
    #[error("{0:?} must be a path below the context, without .. in it and without / in front")]
    Outside(String),
    /// It is a link, or one of its folders is.
    #[error("{0:?} is a link or passes one; name the file or folder that it leads to")]
    Link(String),
    /// There is no such file.
    #[error("there is no {0:?}")]
    Missing(String),
    /// It is something else than it must be.
    #[error("{0:?} is no {1}")]
    Other(String, &'static str),
    /// It cannot be read.
    #[error("{0:?} cannot be read: {1}")]
    Unreadable(String, io::Error),
}

/// Opens a regular file below a folder.
pub fn open_file(root: &Path, path: &str) -> Result<File, PathError> {
    let file = open(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    is_of_type(&file, path, FileType::RegularFile, "regular file")?;
    Ok(file)
}

/// Checks that a path is a folder below another one.
pub fn check_folder(root: &Path, path: &str) -> Result<(), PathError> {
    let folder = open(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    is_of_type(&folder, path, FileType::Directory, "folder")
}

/// Opens one part of a path after the other, and never a link.
fn open(root: &Path, path: &str, flags: OFlags) -> Result<File, PathError> {
    let unreadable = |error: Errno| PathError::Unreadable(path.to_owned(), error.into());
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, root, folder, Mode::empty()).map_err(unreadable)?;
    let mut parts = Path::new(path).components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            _ => return Err(PathError::Outside(path.to_owned())),
        };
        let is_last = parts.peek().is_none();
        let flags = if is_last { flags | OFlags::CLOEXEC } else { folder };
        at = openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| match error {
            Errno::LOOP => PathError::Link(path.to_owned()),
            // With O_DIRECTORY a link is no folder.
            Errno::NOTDIR if is_link(&at, name) => PathError::Link(path.to_owned()),
            Errno::NOENT | Errno::NOTDIR => PathError::Missing(path.to_owned()),
            error => unreadable(error),
        })?;
    }
    Ok(File::from(at))
}

fn is_link(folder: &impl std::os::fd::AsFd, name: &std::ffi::OsStr) -> bool {
    let found = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

fn is_of_type(file: &File, path: &str, wanted: FileType, name: &'static str) -> Result<(), PathError> {
    let stat = fstat(file).map_err(|error| PathError::Unreadable(path.to_owned(), error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) == wanted {
        Ok(())
    } else {
        Err(PathError::Other(path.to_owned(), name))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("context/a/b")).unwrap();
        fs::write(root.join("secret"), "outside").unwrap();
        fs::write(root.join("context/a/b/file"), "inside").unwrap();
        symlink("../secret", root.join("context/link")).unwrap();
        symlink("a", root.join("context/folder-link")).unwrap();
        symlink("b/file", root.join("context/a/inner")).unwrap();
        folder
    }

    #[test]
    fn a_file_is_opened_only_by_its_own_path() {
        let folder = folder();
        let root = folder.path().join("context");
        for path in ["a/b/file", "./a/./b/file", "a//b/file"] {
            let mut text = String::new();
            open_file(&root, path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside", "{path}");
        }
        for (path, problem) in [
            ("link", "is a link"),
            ("a/inner", "is a link"),
            ("folder-link/b/file", "passes one"),
            ("../secret", "without .."),
            ("a/../../secret", "without .."),
            ("/etc/passwd", "without / in front"),
            ("a/b/none", "there is no"),
            ("a/b/file/x", "there is no"),
            ("a", "no regular file"),
        ] {
            let error = open_file(&root, path).unwrap_err().to_string();
            assert!(error.contains(problem), "{path}: {error}");
        }
    }

    #[test]
    fn a_folder_is_taken_only_by_its_own_path() {
        let folder = folder();
        let root = folder.path().join("context");
        check_folder(&root, "a/b").unwrap();
        for (path, problem) in [
            ("folder-link", "is a link"),
            ("a/b/file", "no folder"),
            ("x", "there is no"),
            ("..", "without .."),
        ] {
            let error = check_folder(&root, path).unwrap_err().to_string();
            assert!(error.contains(problem), "{path}: {error}");
        }
    }

    #[test]
    fn a_pipe_in_place_of_a_file_holds_nothing_up() {
        let folder = folder();
        let root = folder.path().join("context");
        assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
        assert!(open_file(&root, "pipe").unwrap_err().to_string().contains("no regular file"));
    }
}
