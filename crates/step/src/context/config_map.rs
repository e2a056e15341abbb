//! A context of the keys of a ConfigMap.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use imgop_core::build::BuildFailure;

use crate::Failed;

/// The permissions of a file for which none are given.
const MODE: u32 = 0o644;

/// Writes the keys of a mounted ConfigMap as plain files: the mount has links in place of them. `items` are the keys
/// by the paths of their files, with permissions; without them each key is a file of its own name.
pub fn copy(
    mounted: &Path,
    items: &BTreeMap<String, (String, Option<u32>)>,
    context: &Path,
) -> Result<(), Failed> {
    if !items.is_empty() {
        return items
            .iter()
            .try_for_each(|(path, (key, mode))| copy_key(mounted, key, *mode, &context.join(path)));
    }
    let keys = fs::read_dir(mounted).map_err(|error| Failed::at("read", mounted, &error))?;
    for key in keys {
        let key = key.map_err(|error| Failed::at("read", mounted, &error))?.file_name();
        let key = key.to_string_lossy();
        // `..data` and the folder that it leads to are the mount's own; no key begins so.
        if !key.starts_with("..") {
            copy_key(mounted, &key, None, &context.join(&*key))?;
        }
    }
    Ok(())
}

fn copy_key(mounted: &Path, key: &str, mode: Option<u32>, path: &Path) -> Result<(), Failed> {
    let bytes = fs::read(mounted.join(key)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let message = format!("the ConfigMap has no key {key:?}, which context.configMap.items names");
            Failed::new(BuildFailure::ContextInvalid, message)
        }
        _ => Failed::at("read", &mounted.join(key), &error),
    })?;
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    let mode = fs::Permissions::from_mode(mode.unwrap_or(MODE));
    written.and_then(|()| fs::set_permissions(path, mode)).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => {
            let message =
                format!("context.configMap.items has {key:?} below the path of another item: {error}");
            Failed::new(BuildFailure::ContextInvalid, message)
        }
        _ => Failed::at("write", path, &error),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

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
        copy(from.path(), &BTreeMap::new(), to.path()).unwrap();
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
        copy(from.path(), &items, to.path()).unwrap();
        let found = fs::metadata(to.path().join("conf.d/a")).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, 0o755);
        assert!(!to.path().join("Dockerfile").exists());
    }

    #[test]
    fn items_that_cannot_be_are_the_contexts_fault() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        mounted(from.path());
        let none = BTreeMap::from([("a".to_owned(), ("none".to_owned(), None))]);
        let failed = copy(from.path(), &none, to.path()).unwrap_err();
        assert_eq!(failed.reason, BuildFailure::ContextInvalid);
        assert!(failed.message.contains("no key \"none\""), "{failed}");
        let item = || ("Dockerfile".to_owned(), None);
        let nested = BTreeMap::from([("a".to_owned(), item()), ("a/b".to_owned(), item())]);
        assert_eq!(copy(from.path(), &nested, to.path()).unwrap_err().reason, BuildFailure::ContextInvalid);
    }
}
