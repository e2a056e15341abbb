//! A folder of this machine: what its ignore file leaves in.
//!
//! ```text
//! config_map  few small files go into the cluster, a key a file
//! archive     everything else goes to the registry, as the layer of an image
//! ```

mod archive;
mod config_map;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use imgop_core::build::IgnoreFile;

pub use self::archive::ContextArchive;
use super::unpacked_archive;
use crate::cli_error::CliError;
use crate::output::text::{bytes, count, shell_word};

/// Bytes of all files of a folder.
const MAX_BYTES: u64 = 1 << 30;
/// How many of the largest folders an error names.
const LARGEST: usize = 3;

/// Where a folder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is one of the user.
    Folder,
    /// It is what was unpacked of an archive, of which nothing may lead elsewhere.
    Archive,
}

/// A file of the folder, or a link in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalFile {
    /// Its path below the folder, with slashes.
    path: String,
    size: u64,
    /// Its permissions, without what others than the owner may write: that differs with the umask.
    mode: u32,
    /// Where it leads, if it is a link.
    target: Option<PathBuf>,
}

/// What a folder is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// It has no files.
    Nothing,
    /// A ConfigMap.
    ConfigMap,
    /// An image; because of what.
    Image(&'static str),
}

/// The files of a folder.
#[derive(Debug)]
pub struct LocalContext {
    origin: Origin,
    root: PathBuf,
    /// Sorted by their paths.
    files: Vec<LocalFile>,
    /// The folders without files, sorted.
    empty: Vec<String>,
    /// The ignore file, for advice.
    ignore_file: String,
}

impl LocalContext {
    /// Lists what is taken of a folder. `dockerfile` is a Dockerfile of this machine, wherever it is.
    pub fn list(root: &Path, dockerfile: Option<&Path>, origin: Origin) -> Result<Self, CliError> {
        let (ignore_file, rules) = ignore_file(root, dockerfile, origin)?;
        let (files, empty) = (Vec::new(), Vec::new());
        let mut context = Self { origin, root: root.to_owned(), files, empty, ignore_file };
        context.walk("", &rules)?;
        // A folder is listed in another order on another file system.
        context.files.sort_by(|a, b| a.path.cmp(&b.path));
        context.empty.sort();
        leave_out_other_rules(&mut context.files, &context.ignore_file);
        Ok(context)
    }

    /// Returns what the folder is sent as. Fails if it is too large for either.
    pub fn carrier(&self) -> Result<Carrier, CliError> {
        if self.size() > MAX_BYTES {
            return Err(self.too_large());
        }
        Ok(match self.not_for_config_map() {
            _ if self.files.is_empty() => Carrier::Nothing,
            Some(why) => Carrier::Image(why),
            None => Carrier::ConfigMap,
        })
    }

    fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Takes the files below a folder. Returns whether there are any.
    fn walk(&mut self, below: &str, rules: &IgnoreFile) -> Result<bool, CliError> {
        let folder = self.root.join(below);
        let name = self.origin.name(&self.root, &folder);
        let unreadable = |error: std::io::Error| CliError::failed(format!("cannot read {name}: {error}"));
        let mut has_files = false;
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let Ok(name) = entry.file_name().into_string() else {
                let message = format!("the name of {} is not UTF-8; leave it out", entry.path().display());
                return Err(CliError::failed(message));
            };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let metadata = entry.metadata().map_err(unreadable)?;
            // History is never part of an image, and often the largest of all.
            if path == ".git" || metadata.is_dir() && rules.ignores_all_in(&path) {
                continue;
            }
            if metadata.is_dir() {
                let is_filled = self.walk(&path, rules)?;
                if !is_filled && !rules.ignores(&path) {
                    self.empty.retain(|inner| !inner.starts_with(&format!("{path}/")));
                    self.empty.push(path);
                }
                has_files |= is_filled;
            } else if !rules.ignores(&path) {
                let taken = file(&entry.path(), path.clone(), &metadata).map_err(unreadable)?;
                self.files.push(taken.ok_or_else(|| self.cannot_hold(&path))?);
                has_files = true;
            }
        }
        Ok(has_files)
    }

    fn cannot_hold(&self, path: &str) -> CliError {
        CliError::failed(format!("{path} is neither a file nor a folder nor a link, and cannot be sent"))
            .hinted(format!("leave it out: {}", self.leave_out(path)))
    }

    /// Returns a command that leaves a path out.
    fn leave_out(&self, path: &str) -> String {
        if self.origin == Origin::Archive {
            return format!("tar --exclude={} …", shell_word(path));
        }
        let file = place(&self.root, &self.ignore_file);
        format!("echo {} >> {}", shell_word(path), shell_word(&file.display().to_string()))
    }

    /// Returns that there is too much, with what is largest and how it is left out.
    fn too_large(&self) -> CliError {
        let message = format!(
            "{} has {} with {}; a folder of this machine may have {}. Most of it is in{}",
            self.origin.name(&self.root, &self.root),
            count(self.files.len(), "file"),
            bytes(self.size()),
            bytes(MAX_BYTES),
            self.largest_lines(),
        );
        CliError::failed(message)
            .hinted(self.leave_out_largest())
            .hinted("a larger context comes from git: kubectl imgop build https://host/app.git#branch -t …")
    }

    /// Returns a line for each of the largest files and folders directly below.
    fn largest_lines(&self) -> String {
        let line = |(name, size, files): (String, u64, usize)| {
            format!("\n  {name}: {}, {}", bytes(size), count(files, "file"))
        };
        self.largest().into_iter().map(line).collect()
    }

    /// Returns the advice to leave out what is largest.
    fn leave_out_largest(&self) -> String {
        let largest = self.largest();
        let ignored = largest.first().map(|(name, ..)| name.as_str()).unwrap_or_default();
        format!("leave out what the build does not need, such as: {}", self.leave_out(ignored))
    }

    /// Returns the largest files and folders directly below, with their sizes and how many files they have.
    fn largest(&self) -> Vec<(String, u64, usize)> {
        let mut sums: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
        for file in &self.files {
            let first = file.path.split('/').next().unwrap_or_default();
            let sum = sums.entry(first).or_default();
            *sum = (sum.0 + file.size, sum.1 + 1);
        }
        let mut sums: Vec<(String, u64, usize)> =
            sums.into_iter().map(|(name, (size, files))| (name.to_owned(), size, files)).collect();
        sums.sort_by_key(|(_, size, _)| std::cmp::Reverse(*size));
        sums.truncate(LARGEST);
        sums
    }
}

impl Origin {
    /// Returns what a path of the folder is called in messages.
    fn name(self, root: &Path, path: &Path) -> String {
        match self {
            Self::Folder => path.display().to_string(),
            Self::Archive if path == root => unpacked_archive::NAME.to_owned(),
            Self::Archive => {
                let below = path.strip_prefix(root).unwrap_or(path);
                format!("{} in {}", below.display(), unpacked_archive::NAME)
            }
        }
    }
}

/// Returns the ignore file of a folder: its name, and its rules. That of the Dockerfile goes before that of all.
fn ignore_file(
    root: &Path,
    dockerfile: Option<&Path>,
    origin: Origin,
) -> Result<(String, IgnoreFile), CliError> {
    let dockerfile = dockerfile.and_then(Path::to_str);
    for name in IgnoreFile::names(dockerfile) {
        let path = place(root, &name);
        let shown = origin.name(root, &path);
        if origin == Origin::Archive && path.is_symlink() {
            return Err(CliError::failed(format!("{shown} is a link; put the file itself there")));
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let rules = IgnoreFile::parse(&text)
                    .map_err(|error| CliError::failed(format!("{shown}: {error}")))?;
                return Ok((name, rules));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(CliError::failed(format!("cannot read {shown}: {error}")));
            }
        }
    }
    Ok((".dockerignore".to_owned(), IgnoreFile::default()))
}

/// Returns where an ignore file is: that of a Dockerfile beside it, that of all in the folder.
fn place(root: &Path, name: &str) -> PathBuf {
    if IgnoreFile::names(None).iter().any(|of_all| of_all == name) {
        root.join(name)
    } else {
        PathBuf::from(name)
    }
}

/// Leaves out the ignore files for all Dockerfiles unless one of them was `applied` and goes along. The Dockerfile is
/// sent without its name, so that the build applies the first of these that it finds: it must be the same one.
fn leave_out_other_rules(files: &mut Vec<LocalFile>, applied: &str) {
    let of_all = IgnoreFile::names(None);
    let is_sent = files.iter().any(|file| file.path == applied);
    if !is_sent || !of_all.iter().any(|name| name == applied) {
        files.retain(|file| !of_all.contains(&file.path));
    }
}

/// Returns a file or a link. None for what is neither.
fn file(at: &Path, path: String, metadata: &Metadata) -> std::io::Result<Option<LocalFile>> {
    let mode = permissions(metadata);
    Ok(match metadata {
        file if file.is_file() => Some(LocalFile { size: metadata.len(), mode, target: None, path }),
        link if link.is_symlink() => {
            Some(LocalFile { size: 0, mode, target: Some(std::fs::read_link(at)?), path })
        }
        _ => None,
    })
}

#[cfg(unix)]
fn permissions(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o7755
}

#[cfg(not(unix))]
fn permissions(_: &Metadata) -> u32 {
    0o644
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    pub(super) fn list(
        root: &tempfile::TempDir,
        dockerfile: Option<&Path>,
    ) -> Result<LocalContext, CliError> {
        LocalContext::list(root.path(), dockerfile, Origin::Folder)
    }

    fn paths(root: &tempfile::TempDir) -> Vec<String> {
        let dockerfile = root.path().join("Dockerfile");
        let list = list(root, Some(&dockerfile)).unwrap();
        list.files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn the_ignore_file_of_the_dockerfile_goes_first() {
        let root =
            folder(&[("a", ""), ("b", ""), (".dockerignore", "a"), ("Dockerfile.dockerignore", "*\n!a")]);
        assert_eq!(paths(&root), ["a"]);
        let elsewhere = folder(&[("api", ""), ("api.dockerignore", "b\n.dockerignore\nDocker*")]);
        let list = list(&root, Some(&elsewhere.path().join("api"))).unwrap();
        assert_eq!(list.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_build_finds_no_other_ignore_file_than_the_one_that_was_applied() {
        let files = [("a", ""), ("b", ""), (".dockerignore", "a")];
        assert_eq!(paths(&folder(&files)), [".dockerignore", "b"]);
        let root = folder(&[&files[..], &[("Dockerfile.dockerignore", "b")]].concat());
        assert_eq!(paths(&root), ["Dockerfile.dockerignore", "a"], "a would be left out by the build");
        let root = folder(&[&files[..], &[(".containerignore", "b\n.containerignore")]].concat());
        assert_eq!(paths(&root), ["a"]);
    }

    fn carrier(root: &tempfile::TempDir) -> Result<Carrier, CliError> {
        list(root, None).unwrap().carrier()
    }

    #[test]
    fn what_is_too_large_is_an_error_with_what_is_largest() {
        let root = folder(&[("Dockerfile", "FROM a"), ("data/big", ""), ("docs/a", "text")]);
        // A file with a hole takes no room on this machine.
        let big = std::fs::File::options().write(true).open(root.path().join("data/big")).unwrap();
        big.set_len((1 << 30) + 1).unwrap();
        let error = carrier(&root).unwrap_err();
        assert!(error.message.contains("3 files with 1.0 GiB"), "{error}");
        assert!(error.message.contains("\n  data: 1.0 GiB, 1 file\n"), "{error}");
        let file = root.path().join(".dockerignore");
        assert!(error.hints[0].ends_with(&format!("echo data >> {}", file.display())), "{:?}", error.hints);
        std::fs::write(file, "data").unwrap();
        assert_eq!(carrier(&root), Ok(Carrier::ConfigMap));
    }

    #[test]
    fn a_folder_that_no_config_map_holds_is_an_image() {
        assert_eq!(carrier(&folder(&[("left", ""), (".dockerignore", "*")])), Ok(Carrier::Nothing));
        let big = folder(&[("big", &"x".repeat(800 << 10))]);
        assert_eq!(carrier(&big), Ok(Carrier::Image("it has more than 700 KiB")));
        let many: Vec<(String, String)> = (0..5_000).map(|n| (format!("m/{n}"), String::new())).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(carrier(&folder(&many)), Ok(Carrier::Image("it has more than 256 files")));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_taken_as_it_is_and_what_is_no_file_is_refused_unless_it_is_left_out() {
        let root = folder(&[("a", "")]);
        std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
        assert_eq!(carrier(&root), Ok(Carrier::Image("it has links")));
        let socket = root.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = list(&root, None).unwrap_err();
        assert!(error.message.starts_with("socket is neither"), "{error}");
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(root.path().join(".dockerignore"), "socket").unwrap();
        let error = list(&root, None).unwrap_err();
        assert!(error.message.starts_with("pipe is neither"), "{error}");
        std::fs::write(root.path().join(".dockerignore"), "socket\npipe").unwrap();
        assert!(list(&root, None).is_ok());
    }
}
