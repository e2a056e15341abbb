//! A folder of this machine as a ConfigMap: what its ignore file leaves in, a key a file.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use imgop_core::api::{ConfigMapContext, ConfigMapItem, Context};
use imgop_core::build::IgnoreFile;
use imgop_registry::reference::Digest;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::cli_error::CliError;
use crate::cluster::build_inputs::CONTEXT_LABEL;
use crate::output::text::{bytes, count};

/// Bytes of all files: written as base64 they fit into the 1 MiB that Kubernetes stores of an object.
const MAX_BYTES: u64 = 700 << 10;
/// Files of a context; the API takes as many items.
const MAX_FILES: usize = 256;
/// How many of the largest folders an error names.
const LARGEST: usize = 3;

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalFile {
    /// Its path below the folder, with slashes.
    path: String,
    size: u64,
    is_executable: bool,
}

/// The files of a folder.
#[derive(Debug)]
pub struct LocalContext {
    root: PathBuf,
    /// Sorted by their paths.
    files: Vec<LocalFile>,
    /// The name of the ignore file, for advice.
    ignore_file: String,
}

impl LocalContext {
    /// Lists what is taken of a folder. `dockerfile` is a Dockerfile of this machine, wherever it is.
    pub fn list(root: &Path, dockerfile: Option<&Path>) -> Result<Self, CliError> {
        let (ignore_file, rules) = ignore_file(root, dockerfile)?;
        let mut files = Vec::new();
        walk(root, "", &rules, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        leave_out_other_rules(&mut files, &ignore_file);
        Ok(Self { root: root.to_owned(), files, ignore_file })
    }

    /// Returns the context, and the ConfigMap that holds it; none if there is no file.
    pub fn into_config_map(self, builder: &str) -> Result<Option<(Context, ConfigMap)>, CliError> {
        self.check_size()?;
        if self.files.is_empty() {
            return Ok(None);
        }
        let (mut items, mut data) = (Vec::new(), BTreeMap::new());
        let mut hashed = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            let content = std::fs::read(self.root.join(&file.path))
                .map_err(|error| CliError::failed(format!("cannot read {}: {error}", file.path)))?;
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            hashed.extend(format!("{} {mode:o} {}\n", file.path, Digest::of(&content)).into_bytes());
            let key = key(number, &file.path);
            items.push(ConfigMapItem { key: key.clone(), path: file.path.clone(), mode: Some(mode) });
            data.insert(key, ByteString(content));
        }
        // The same files have the same name, so that nothing is built again.
        let name = format!("{builder}-context-{}", &Digest::of(&hashed).hex()[..12]);
        let config_map = ConfigMapContext { name: name.clone(), items };
        let mut object = ConfigMap { binary_data: Some(data), immutable: Some(true), ..ConfigMap::default() };
        object.metadata.name = Some(name);
        object.metadata.labels = Some([(CONTEXT_LABEL.to_owned(), builder.to_owned())].into());
        Ok(Some((Context { config_map: Some(config_map), ..Context::default() }, object)))
    }

    /// Fails if it is too large, with what is largest and how it is left out.
    fn check_size(&self) -> Result<(), CliError> {
        let size: u64 = self.files.iter().map(|file| file.size).sum();
        if size <= MAX_BYTES && self.files.len() <= MAX_FILES {
            return Ok(());
        }
        let largest = self.largest();
        let lines: Vec<String> = largest
            .iter()
            .map(|(name, size, files)| format!("\n  {name}: {}, {}", bytes(*size), count(*files, "file")))
            .collect();
        let message = format!(
            "{} has {} with {}; a folder of this machine may have {MAX_FILES} files with {}, as much as a ConfigMap \
             holds. Most of it is in{}",
            self.root.display(),
            count(self.files.len(), "file"),
            bytes(size),
            bytes(MAX_BYTES),
            lines.concat(),
        );
        let ignored = largest.first().map(|(name, ..)| name.as_str()).unwrap_or_default();
        Err(CliError::failed(message)
            .hinted(format!("leave out what the build does not need, such as: echo {ignored} >> {}", self.ignore_file))
            .hinted(
                "a larger context comes from git: kubectl imgop build https://host/app.git#branch -t …; to push it as \
                 an image is not offered yet",
            ))
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
        let many =
            self.files.len() > MAX_FILES && self.files.iter().map(|file| file.size).sum::<u64>() <= MAX_BYTES;
        sums.sort_by_key(|(_, size, files)| std::cmp::Reverse(if many { *files as u64 } else { *size }));
        sums.truncate(LARGEST);
        sums
    }
}

/// Returns the ignore file of a folder: its name, and its rules. That of the Dockerfile goes before that of all.
fn ignore_file(root: &Path, dockerfile: Option<&Path>) -> Result<(String, IgnoreFile), CliError> {
    let dockerfile = dockerfile.and_then(Path::to_str);
    let of_all = IgnoreFile::names(None);
    for name in IgnoreFile::names(dockerfile) {
        let path = if of_all.contains(&name) { root.join(&name) } else { PathBuf::from(&name) };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let rules = IgnoreFile::parse(&text)
                    .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
                return Ok((name, rules));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(CliError::failed(format!("cannot read {}: {error}", path.display())));
            }
        }
    }
    Ok((".dockerignore".to_owned(), IgnoreFile::default()))
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

fn walk(root: &Path, below: &str, rules: &IgnoreFile, files: &mut Vec<LocalFile>) -> Result<(), CliError> {
    let folder = root.join(below);
    let unreadable =
        |error: std::io::Error| CliError::failed(format!("cannot read {}: {error}", folder.display()));
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else {
            let name = entry.path();
            return Err(CliError::failed(format!(
                "the name of {} is not UTF-8; leave it out",
                name.display()
            )));
        };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        // History is never part of an image, and often the largest of all.
        if path == ".git" {
            continue;
        }
        let metadata = entry.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            if !rules.ignores_all_in(&path) {
                walk(root, &path, rules, files)?;
            }
        } else if !rules.ignores(&path) {
            files.push(file(path, &metadata)?);
        }
    }
    Ok(())
}

fn file(path: String, metadata: &Metadata) -> Result<LocalFile, CliError> {
    if metadata.is_file() {
        return Ok(LocalFile { size: metadata.len(), is_executable: is_executable(metadata), path });
    }
    let what = if metadata.is_symlink() { "a link" } else { "neither a file nor a folder" };
    Err(CliError::failed(format!("{path} is {what}, which a ConfigMap cannot hold"))
        .hinted(format!("leave it out: echo {path} >> .dockerignore"))
        .hinted(
            "or build from git, where links stay links: kubectl imgop build https://host/app.git#branch -t …",
        ))
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

/// Returns the key of a file: its number, since keys have no slashes, and as much of its path as is legible.
fn key(number: usize, path: &str) -> String {
    let legible = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("{number:03}.{}", path.chars().take(200).map(legible).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn context(root: &tempfile::TempDir) -> (Context, ConfigMap) {
        let dockerfile = root.path().join("Dockerfile");
        LocalContext::list(root.path(), Some(&dockerfile)).unwrap().into_config_map("api").unwrap().unwrap()
    }

    #[test]
    fn a_folder_without_what_is_ignored_is_a_config_map_that_is_named_by_its_content() {
        let files = [("Dockerfile", "FROM a"), ("src/main.go", "m"), (".env", "CANARY"), (".git/HEAD", "x")];
        let root = folder(&files);
        std::fs::write(root.path().join(".dockerignore"), ".env\n.dockerignore\n").unwrap();
        let (taken, config_map) = context(&root);
        let items = taken.config_map.unwrap().items;
        let paths: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(paths, ["Dockerfile", "src/main.go"]);
        assert_eq!(items[1].key, "001.src_main.go");
        assert!(!serde_json::to_string(&config_map).unwrap().contains("Q0FOQVJZ"), "base64 of CANARY");
        let again = folder(&[("Dockerfile", "FROM a"), ("src/main.go", "m")]);
        assert_eq!(context(&again).1.metadata.name, config_map.metadata.name);
        std::fs::write(again.path().join("src/main.go"), "other").unwrap();
        assert_ne!(context(&again).1.metadata.name, config_map.metadata.name);
    }

    fn paths(root: &tempfile::TempDir) -> Vec<String> {
        context(root).0.config_map.unwrap().items.into_iter().map(|item| item.path).collect()
    }

    #[test]
    fn the_ignore_file_of_the_dockerfile_goes_first() {
        let root =
            folder(&[("a", ""), ("b", ""), (".dockerignore", "a"), ("Dockerfile.dockerignore", "*\n!a")]);
        assert_eq!(paths(&root), ["a"]);
        let elsewhere = folder(&[("api", ""), ("api.dockerignore", "b\n.dockerignore\nDocker*")]);
        let list = LocalContext::list(root.path(), Some(&elsewhere.path().join("api"))).unwrap();
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

    #[test]
    fn what_is_too_large_is_an_error_with_what_is_largest() {
        let root =
            folder(&[("Dockerfile", "FROM a"), ("data/big", &"x".repeat(800 << 10)), ("docs/a", "text")]);
        let error = LocalContext::list(root.path(), None).unwrap().into_config_map("api").unwrap_err();
        assert!(error.message.contains("3 files with 800.0 KiB"), "{error}");
        assert!(error.message.contains("\n  data: 800.0 KiB, 1 file\n"), "{error}");
        assert!(error.hints[0].ends_with("echo data >> .dockerignore"), "{:?}", error.hints);
        let many: Vec<(String, String)> = (0..300).map(|n| (format!("m/{n}"), String::new())).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let root = folder(&many);
        assert!(LocalContext::list(root.path(), None).unwrap().into_config_map("api").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_refused_unless_it_is_left_out() {
        let root = folder(&[("a", "")]);
        std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
        let error = LocalContext::list(root.path(), None).unwrap_err();
        assert!(error.message.starts_with("link is a link"), "{error}");
        std::fs::write(root.path().join(".dockerignore"), "link").unwrap();
        assert!(LocalContext::list(root.path(), None).is_ok());
    }
}
