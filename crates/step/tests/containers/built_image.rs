//! An image as a registry has it, unpacked.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::GzDecoder;
use imgop_registry::reference::Digest;
use serde_json::Value;

use crate::registry::folder;

/// An image: its documents, and its layers unpacked over each other.
pub struct BuiltImage {
    pub manifest: Value,
    pub config: Value,
    /// The root of its files.
    pub root: PathBuf,
    /// Its layers, as they were pushed.
    layers: Vec<PathBuf>,
}

impl BuiltImage {
    /// Reads an image with Skopeo and tar.
    pub fn read(name: &str, auth_file: Option<&Path>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = folder().join(format!("image-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let (blobs, root) = (folder.join("blobs"), folder.join("root"));
        fs::create_dir_all(&root).unwrap();
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--src-tls-verify=false"]);
        skopeo.args(auth_file.iter().map(|file| format!("--src-authfile={}", file.display())));
        run(skopeo.args([format!("docker://{name}"), format!("dir:{}", blobs.display())]));
        let document = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let manifest = document(&blobs.join("manifest.json"));
        let blob = |of: &Value| blobs.join(of["digest"].as_str().unwrap().trim_start_matches("sha256:"));
        let layers: Vec<PathBuf> = manifest["layers"].as_array().unwrap().iter().map(blob).collect();
        for layer in &layers {
            run(Command::new("tar").arg("--extract").arg("--file").arg(layer).arg("--directory").arg(&root));
        }
        let config = document(&blob(&manifest["config"]));
        Self { manifest, config, root, layers }
    }

    /// Returns what each layer holds, but for times: path, type, mode, owner, target, and the digest of the content.
    pub fn layers(&self) -> Vec<Vec<String>> {
        let read = |layer: &PathBuf| {
            let mut archive = tar::Archive::new(GzDecoder::new(File::open(layer).unwrap()));
            let entries = archive.entries().unwrap().map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                let (header, target) = (entry.header(), entry.link_name().unwrap());
                format!(
                    "{} {:?} {:o} {}:{} {target:?} {}",
                    entry.path().unwrap().display(),
                    header.entry_type(),
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                    Digest::of(&content)
                )
            });
            entries.collect()
        };
        self.layers.iter().map(read).collect()
    }

    /// Returns a file's text; an empty one if there is no such file.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// Returns `mode owner:group` of a file.
    pub fn owner(&self, path: &str) -> String {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs::symlink_metadata(self.root.join(path)).unwrap();
        format!("{:04o} {}:{}", found.mode() & 0o7777, found.uid(), found.gid())
    }

    /// Whether a text is in a document or a file of it.
    pub fn holds(&self, text: &str) -> bool {
        let found = Command::new("grep").args(["-rqF", "--", text]).arg(&self.root).status().unwrap();
        found.success() || self.config.to_string().contains(text) || self.manifest.to_string().contains(text)
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
