//! A folder as a ConfigMap: what few small files are, which need no login to a registry.

use std::collections::BTreeMap;

use imgop_core::api::{ConfigMapContext, ConfigMapItem, Context};
use imgop_registry::reference::Digest;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;

use super::{LARGEST, LocalContext, LocalFile};
use crate::cli_error::CliError;
use crate::cluster::build_inputs::CONTEXT_LABEL;

/// Bytes of all files: written as base64 they fit into the 1 MiB that Kubernetes stores of an object.
const MAX_BYTES: u64 = 700 << 10;
/// Files of a context; the API takes as many items.
const MAX_FILES: usize = 256;

impl LocalContext {
    /// Returns why the folder does not fit into a ConfigMap, if it does not.
    pub(super) fn not_for_config_map(&self) -> Option<&'static str> {
        match self {
            _ if self.files.iter().any(|file| file.target.is_some()) => Some("it has links"),
            _ if self.size() > MAX_BYTES => Some("it has more than 700 KiB"),
            _ if self.files.len() > MAX_FILES => Some("it has more than 256 files"),
            _ => None,
        }
    }

    /// Returns what a ConfigMap cannot hold and the build does without.
    pub fn losses(&self) -> Vec<String> {
        let closed = self.files.iter().filter(|file| file.is_closed()).map(|file| file.path.as_str());
        let empty = self.empty.iter().map(String::as_str);
        let named = |paths: Vec<&str>| match paths.as_slice() {
            [] => None,
            [first, others @ ..] if others.len() < LARGEST => {
                Some(others.iter().fold((*first).to_owned(), |all, path| all + ", " + path))
            }
            [first, others @ ..] => Some(format!("{first} and {} more", others.len())),
        };
        let empty = named(empty.collect()).map(|paths| {
            format!("folders without files are not sent: {paths}; make them in the Dockerfile: RUN mkdir")
        });
        let closed = named(closed.collect()).map(|paths| {
            format!(
                "permissions become 0644, or 0755 where the owner may execute: {paths}; set others in the Dockerfile: \
                 COPY --chmod"
            )
        });
        empty.into_iter().chain(closed).collect()
    }

    /// Returns the context, and the ConfigMap that holds it.
    pub fn into_config_map(self, builder: &str) -> Result<(Context, ConfigMap), CliError> {
        let (mut items, mut data) = (Vec::new(), BTreeMap::new());
        let mut hashed = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            let content = std::fs::read(self.root.join(&file.path))
                .map_err(|error| CliError::failed(format!("cannot read {}: {error}", file.path)))?;
            let mode = if file.is_executable() { 0o755 } else { 0o644 };
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
        Ok((Context { config_map: Some(config_map), ..Context::default() }, object))
    }
}

impl LocalFile {
    fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Returns whether not everybody may read it, or it runs with the rights of its owner.
    fn is_closed(&self) -> bool {
        self.mode & 0o7004 != 0o4
    }
}

/// Returns the key of a file: its number, since keys have no slashes, and as much of its path as is legible.
fn key(number: usize, path: &str) -> String {
    let legible = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("{number:03}.{}", path.chars().take(200).map(legible).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::super::tests::folder;
    use super::*;

    fn context(root: &tempfile::TempDir) -> (Context, ConfigMap) {
        let dockerfile = root.path().join("Dockerfile");
        LocalContext::list(root.path(), Some(&dockerfile), Origin::Folder)
            .unwrap()
            .into_config_map("api")
            .unwrap()
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

    #[cfg(unix)]
    #[test]
    fn what_a_config_map_cannot_hold_is_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = folder(&[("a", ""), ("key", ""), ("left/out", ""), (".dockerignore", "left")]);
        std::fs::create_dir_all(root.path().join("logs/old")).unwrap();
        std::fs::set_permissions(root.path().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::set_permissions(root.path().join("a"), std::fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(
            LocalContext::list(root.path(), None, Origin::Folder).unwrap().losses(),
            [
                "folders without files are not sent: logs; make them in the Dockerfile: RUN mkdir",
                "permissions become 0644, or 0755 where the owner may execute: key; set others in the Dockerfile: COPY --chmod",
            ]
        );
    }
}
