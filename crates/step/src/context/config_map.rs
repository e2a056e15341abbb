//! A context of the keys of a ConfigMap.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{ConfigMapSource, files_digest};

use crate::Failed;

/// The permissions of a file for which none are given.
const MODE: u32 = 0o644;

/// A file of the context.
struct File {
    path: String,
    key: String,
    bytes: Vec<u8>,
    mode: Option<u32>,
}

/// Writes the keys of a mounted ConfigMap as plain files: the mount has links in place of them. Fails before that if
/// they are not those that the build began with.
pub fn copy(mounted: &Path, source: &ConfigMapSource, context: &Path) -> Result<(), Failed> {
    let files = if source.items.is_empty() { all(mounted) } else { items(mounted, source) };
    let files = match (files, &source.digest) {
        (Err(failed), Some(_)) if failed.reason == BuildFailure::ContextInvalid => return Err(changed()),
        (files, _) => files?,
    };
    let digest = files_digest(files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice())));
    if source.digest.as_ref().is_some_and(|begun_with| *begun_with != digest) {
        return Err(changed());
    }
    files.iter().try_for_each(|file| write(file, &context.join(&file.path)))
}

fn changed() -> Failed {
    let message = "the ConfigMap of the context is not the one that the build began with: it changed since, or its \
                   node has not seen its last change yet";
    Failed::new(BuildFailure::Interrupted, message)
}

fn all(mounted: &Path) -> Result<Vec<File>, Failed> {
    let at = |error: &io::Error| Failed::at("read", mounted, error);
    let mut files = Vec::new();
    for key in fs::read_dir(mounted).map_err(|error| at(&error))? {
        let key = key.map_err(|error| at(&error))?.file_name().to_string_lossy().into_owned();
        // `..data` and the folder that it leads to are the mount's own; no key begins so.
        if !key.starts_with("..") {
            files.push(File { bytes: read(mounted, &key)?, path: key.clone(), key, mode: None });
        }
    }
    Ok(files)
}

fn items(mounted: &Path, source: &ConfigMapSource) -> Result<Vec<File>, Failed> {
    let file = |(path, (key, mode)): (&String, &(String, Option<u32>))| {
        Ok(File { bytes: read(mounted, key)?, path: path.clone(), key: key.clone(), mode: *mode })
    };
    source.items.iter().map(file).collect()
}

fn read(mounted: &Path, key: &str) -> Result<Vec<u8>, Failed> {
    fs::read(mounted.join(key)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let message = format!("the ConfigMap has no key {key:?}, which context.configMap.items names");
            Failed::new(BuildFailure::ContextInvalid, message)
        }
        _ => Failed::at("read", &mounted.join(key), &error),
    })
}

fn write(file: &File, path: &Path) -> Result<(), Failed> {
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, &file.bytes));
    let mode = fs::Permissions::from_mode(file.mode.unwrap_or(MODE));
    written.and_then(|()| fs::set_permissions(path, mode)).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => {
            let message =
                format!("context.configMap.items has {:?} below the path of another item: {error}", file.key);
            Failed::new(BuildFailure::ContextInvalid, message)
        }
        _ => Failed::at("write", path, &error),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use super::*;

    fn of(items: BTreeMap<String, (String, Option<u32>)>) -> ConfigMapSource {
        ConfigMapSource { items, digest: None }
    }

    /// A ConfigMap as the kubelet mounts it.
    fn mounted(folder: &Path) {
        fs::create_dir(folder.join("..2026_01_01")).unwrap();
        symlink("..2026_01_01", folder.join("..data")).unwrap();
        for (key, bytes) in
            [("Dockerfile", &b"FROM scratch"[..]), ("logo.png", b"\x89\0\xff"), ("conf.d__a", b"x")]
        {
            fs::write(folder.join("..data").join(key), bytes).unwrap();
            symlink(Path::new("..data").join(key), folder.join(key)).unwrap();
        }
    }

    #[test]
    fn keys_are_plain_files_byte_for_byte() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        mounted(from.path());
        copy(from.path(), &ConfigMapSource::default(), to.path()).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["Dockerfile", "conf.d__a", "logo.png"]);
        let logo = to.path().join("logo.png");
        assert_eq!(fs::read(&logo).unwrap(), b"\x89\0\xff");
        let found = fs::symlink_metadata(logo).unwrap();
        assert!(found.is_file() && found.permissions().mode() & 0o7777 == 0o644);
    }

    #[test]
    fn items_have_paths_and_modes_and_nothing_else_is_taken() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        mounted(from.path());
        let items = BTreeMap::from([("conf.d/a".to_owned(), ("conf.d__a".to_owned(), Some(0o755)))]);
        copy(from.path(), &of(items), to.path()).unwrap();
        let found = fs::metadata(to.path().join("conf.d/a")).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, 0o755);
        assert!(!to.path().join("Dockerfile").exists());
    }

    #[test]
    fn items_that_cannot_be_are_the_contexts_fault() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        mounted(from.path());
        let none = BTreeMap::from([("a".to_owned(), ("none".to_owned(), None))]);
        let failed = copy(from.path(), &of(none), to.path()).unwrap_err();
        assert_eq!(failed.reason, BuildFailure::ContextInvalid);
        assert!(failed.message.contains("no key \"none\""), "{failed}");
        let item = || ("Dockerfile".to_owned(), None);
        let nested = BTreeMap::from([("a".to_owned(), item()), ("a/b".to_owned(), item())]);
        assert_eq!(
            copy(from.path(), &of(nested), to.path()).unwrap_err().reason,
            BuildFailure::ContextInvalid
        );
    }

    #[test]
    fn other_files_than_the_build_began_with_are_not_taken_and_it_is_tried_again() {
        let files = [("Dockerfile", &b"FROM scratch"[..]), ("logo.png", b"\x89\0\xff"), ("conf.d__a", b"x")];
        let source = ConfigMapSource { digest: Some(files_digest(files)), ..ConfigMapSource::default() };
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        mounted(from.path());
        copy(from.path(), &source, to.path()).unwrap();
        let items = BTreeMap::from([("a".to_owned(), ("none".to_owned(), None))]);
        let without_key = ConfigMapSource { items, digest: Some(files_digest([("a", &b""[..])])) };
        let to = tempfile::tempdir().unwrap();
        assert_eq!(copy(from.path(), &without_key, to.path()).unwrap_err().reason, BuildFailure::Interrupted);
        fs::write(from.path().join("..data/conf.d__a"), "y").unwrap();
        let failed = copy(from.path(), &source, to.path()).unwrap_err();
        assert_eq!(failed.reason, BuildFailure::Interrupted);
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0, "nothing is written");
    }
}
