//! The images in what `helm template` has written, as the report of the container. The chart is foreign, and so is what it
//! makes: it is read within limits.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use imgop_core::sources::charts::report::{TooManyImages, to_message};
use imgop_core::sources::charts::{ChartImages, images_in};

/// Files that are read.
const MAX_FILES: usize = 10_000;
/// Bytes of all files.
const MAX_BYTES: u64 = 64 << 20;
/// Folders within folders.
const MAX_DEPTH: usize = 32;

/// Why the images are not known.
#[derive(Debug, thiserror::Error)]
pub enum ImagesOfError {
    /// A file or folder is not readable, or no text.
    #[error("cannot read {0}: {1}")]
    Unreadable(String, std::io::Error),
    /// A file is no YAML.
    #[error("{0} is no YAML: {1}")]
    NoYaml(String, String),
    /// More than is read.
    #[error("the chart makes more than {MAX_FILES} files or {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// More than the report can hold.
    #[error(transparent)]
    TooMany(#[from] TooManyImages),
}

/// Returns the report of the images in the files of a folder. A chart that makes nothing has no folder.
///
/// # Errors
/// Where not all of them are known.
pub fn images_of(folder: &Path) -> Result<String, ImagesOfError> {
    let mut images = ChartImages::default();
    if folder.exists() {
        let mut reader = Reader { root: folder, files: 0, left: MAX_BYTES, images: &mut images };
        reader.folder(folder, 0)?;
    }
    Ok(to_message(&images)?)
}

struct Reader<'a> {
    root: &'a Path,
    files: usize,
    left: u64,
    images: &'a mut ChartImages,
}

impl Reader<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), ImagesOfError> {
        let unreadable = |error| ImagesOfError::Unreadable(self.name(folder), error);
        if depth > MAX_DEPTH {
            return Err(ImagesOfError::TooLarge);
        }
        let mut entries: Vec<_> = fs::read_dir(folder).and_then(Iterator::collect).map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type());
            let kind = kind.map_err(|error| ImagesOfError::Unreadable(self.name(&path), error))?;
            if kind.is_dir() {
                self.folder(&path, depth + 1)?;
            } else if kind.is_file() {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), ImagesOfError> {
        self.files += 1;
        let mut text = String::new();
        let file = File::open(path).and_then(|file| file.take(self.left + 1).read_to_string(&mut text));
        file.map_err(|error| ImagesOfError::Unreadable(self.name(path), error))?;
        match self.left.checked_sub(text.len() as u64) {
            Some(left) if self.files <= MAX_FILES => self.left = left,
            _ => return Err(ImagesOfError::TooLarge),
        }
        let found = images_in(&text, false).map_err(|why| ImagesOfError::NoYaml(self.name(path), why))?;
        self.images.add(found);
        Ok(())
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::sources::charts::report::of_message;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_images_of_all_files_are_reported_each_once() {
        let files = [
            (
                "web/templates/all.yaml",
                "---\nspec: {image: 'ghcr.io/a/web:1'}\n---\nspec: {image: untagged}\n",
            ),
            (
                "web/charts/db/templates/db.yaml",
                "a: {image: 'ghcr.io/a/db:2'}\nb: {image: 'ghcr.io/a/web:1'}\n",
            ),
        ];
        let folder = folder(&files);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("web/link.yaml")).unwrap();
        let report = of_message(&images_of(folder.path()).unwrap()).unwrap();
        let lines =
            ["ghcr.io/a/db:2", "ghcr.io/a/web:1", "untagged"].map(|image| format!("- image: {image:?}\n"));
        assert_eq!(report, lines.concat());
        let nothing = images_of(&folder.path().join("none")).unwrap();
        assert_eq!(of_message(&nothing).unwrap(), "");
    }

    #[test]
    fn a_file_that_is_no_yaml_is_named() {
        let error = images_of(folder(&[("web/x.yaml", "a: [\n")]).path()).unwrap_err().to_string();
        assert!(error.starts_with("web/x.yaml is no YAML: line "), "{error}");
    }

    #[test]
    #[ignore = "needs Helm, which is compiled: make test-registries"]
    fn real_helm_what_it_writes_is_read_with_subcharts_and_hooks() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed/helm");
        let helm = std::process::Command::new(script).output().unwrap();
        let helm = String::from_utf8(helm.stdout).unwrap();
        let [web, db] = ["web", "db"].map(|name| format!("apiVersion: v2\nversion: 1.2.3\nname: {name}\n"));
        let folder = folder(&[
            ("web/Chart.yaml", web.as_str()),
            ("web/values.yaml", "tag: '1'\n"),
            ("web/templates/a.yaml", "kind: A\nspec: {image: 'ghcr.io/a/web:{{ .Values.tag }}'}\n"),
            (
                "web/templates/hook.yaml",
                "kind: B\nmetadata: {annotations: {helm.sh/hook: pre-install}}\nspec: {image: 'ghcr.io/a/hook:3'}\n",
            ),
            ("web/charts/db/Chart.yaml", db.as_str()),
            ("web/charts/db/templates/a.yaml", "kind: A\nspec: {image: 'ghcr.io/a/db:2'}\n"),
        ]);
        let location = imgop_core::sources::ChartLocation::Directory(folder.path().display().to_string());
        let chart = imgop_core::sources::Chart { name: "web".to_owned(), ..Default::default() };
        let charts = imgop_core::sources::HelmCharts { location, charts: vec![chart], ..Default::default() };
        let rendered = folder.path().join("rendered");
        let arguments = charts.runs()[0].template_arguments_into(&rendered.display().to_string());
        let home = folder.path().join("home");
        let ended =
            std::process::Command::new(helm.trim_end()).args(arguments).env("HOME", home).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let report = of_message(&images_of(&rendered).unwrap()).unwrap();
        for image in ["ghcr.io/a/web:1", "ghcr.io/a/hook:3", "ghcr.io/a/db:2"] {
            assert!(report.contains(image), "{report}");
        }
    }
}
