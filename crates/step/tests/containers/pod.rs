//! A pod of a build: its volumes, and its containers one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgop_core::api::Format;
use imgop_core::build::step::{
    ConfigMapSource, DEFAULT_LOG_BYTES, StepContext, StepInput, StepReport, place,
};
use imgop_core::build::{BuildFailure, DockerfilePlace};
use imgop_step::{EndRequest, Failed, Places, build, prepare, push};

use crate::built_image::BuiltImage;
use crate::registry::{self, folder};

/// A pod whose volumes are below a folder of its own.
pub struct Pod {
    pub input: StepInput,
    pub root: PathBuf,
    pub places: Places,
}

/// How a container ended.
pub struct Ended {
    pub report: StepReport,
    pub failed: Option<Failed>,
}

impl Ended {
    /// Returns the report of a container that succeeded.
    pub fn succeeded(self) -> StepReport {
        if let Some(failed) = &self.failed {
            panic!("{:?}: {failed} {:?}", failed.reason, failed.last_lines);
        }
        self.report
    }

    /// Returns why a container failed.
    pub fn failed(self) -> Failed {
        self.failed.expect("the container fails")
    }
}

impl Pod {
    /// Returns a pod that builds this Dockerfile for linux/amd64 and has no context.
    pub fn of(dockerfile: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let root = folder().join(format!("pod-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let places = Places::below(&root);
        for folder in [place::WORK, place::PREPARED, place::SECRETS, "/tmp"] {
            fs::create_dir_all(root.join(folder.trim_start_matches('/'))).unwrap();
        }
        let input = StepInput {
            platform: "linux/amd64".parse().unwrap(),
            dockerfile: DockerfilePlace::Inline(dockerfile.to_owned()),
            context: StepContext::Empty,
            sub_path: None,
            target: None,
            arguments: BTreeMap::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            format: Format::Docker,
            timestamp: None,
            secrets: BTreeSet::new(),
            bases: BTreeMap::new(),
            repository: registry::new_repository(registry::shared()).parse().unwrap(),
            tls_modes: BTreeMap::new(),
            cache: None,
            buildah: None,
            log_bytes: DEFAULT_LOG_BYTES,
        };
        Self { input, root, places }
    }

    /// Gives it a context of these files, as a ConfigMap: a key for each, whatever its path.
    pub fn with_files(mut self, files: &[(&str, &str)]) -> Self {
        let items = files.iter().enumerate().map(|(i, (path, text))| {
            self.write(place::CONFIG_MAP, &format!("key-{i}"), text);
            ((*path).to_owned(), (format!("key-{i}"), None))
        });
        self.input.context = StepContext::ConfigMap(ConfigMapSource { items: items.collect(), digest: None });
        self
    }

    /// Writes a file of a volume.
    pub fn write(&self, volume: &str, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(volume.trim_start_matches('/')).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs the first container.
    pub fn prepare(&self) -> Ended {
        run(|report| block_on(prepare(&self.input, &self.places, report)))
    }

    /// Runs the second container.
    pub fn build(&self) -> Ended {
        run(|report| build::build(&self.input, &self.places, &EndRequest::default(), report))
    }

    /// Runs the third container.
    pub fn push(&self) -> Ended {
        run(|report| block_on(push::push(&self.input, &self.places, report)))
    }

    /// Runs all of them and returns the image that is at the registry then.
    pub fn image(&self) -> BuiltImage {
        self.prepare().succeeded();
        self.build().succeeded();
        let pushed = self.push().succeeded().image.unwrap();
        BuiltImage::read(&format!("{}@{}", self.input.repository, pushed.digest), None)
    }

    /// Runs the first container, which fails, and returns why.
    pub fn fails_early(&self) -> (BuildFailure, String) {
        let failed = self.prepare().failed();
        (failed.reason, failed.message)
    }

    /// Runs the first two containers, of which the second fails, and returns why.
    pub fn fails_late(&self) -> Failed {
        self.prepare().succeeded();
        self.build().failed()
    }

    /// Returns a file of a volume.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path).strip_prefix("/").unwrap())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Of a pod that is gone nothing is left either, what a failed Buildah leaves mounted included.
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let own = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
        for mount in own.filter(|mount| Path::new(mount).starts_with(&self.root)) {
            let _ = Command::new("umount").args(["--lazy", mount]).status();
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn run(container: impl FnOnce(&mut StepReport) -> Result<(), Failed>) -> Ended {
    let mut report = StepReport::default();
    let failed = container(&mut report).err();
    Ended { report, failed }
}

/// Runs what is asynchronous to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
