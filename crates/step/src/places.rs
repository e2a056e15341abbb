//! Where files are.

use std::path::{Path, PathBuf};

use imgop_core::build::step::place;
use imgop_registry::reference::RegistryHost;

/// Where the volumes of a container are. Each container has only some of them.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder that all others are below; `/` in a container.
    root: PathBuf,
    /// For files that only this container needs.
    scratch: PathBuf,
}

impl Places {
    /// Returns the places of a container. `scratch` is a folder of its own.
    pub fn of_container(scratch: impl Into<PathBuf>) -> Self {
        Self { root: PathBuf::from("/"), scratch: scratch.into() }
    }

    /// Returns the same places below a folder.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { scratch: root.join("tmp"), root }
    }

    fn at(&self, place: &str) -> PathBuf {
        self.root.join(place.trim_start_matches('/'))
    }

    fn work(&self, name: &str) -> PathBuf {
        self.at(place::WORK).join(name)
    }

    /// Returns the volume for all that is large.
    pub fn volume(&self) -> PathBuf {
        self.at(place::WORK)
    }

    /// Returns the folder for files that only this container needs.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Returns the folder for large files that are needed for a while.
    pub fn temporary(&self) -> PathBuf {
        self.work("tmp")
    }

    /// Returns the root of the context, whatever part of it is taken.
    pub fn context(&self) -> PathBuf {
        self.work("context")
    }

    /// Returns the Dockerfile with pinned images.
    pub fn dockerfile(&self) -> PathBuf {
        self.work("Dockerfile")
    }

    /// Returns what `prepare` hands to `build`.
    pub fn build_handover(&self) -> PathBuf {
        self.work("build.json")
    }

    /// Returns what `prepare` hands to `push`.
    pub fn push_handover(&self) -> PathBuf {
        self.at(place::PREPARED).join("push.json")
    }

    /// Returns the root of Buildah's storage.
    pub fn storage(&self) -> PathBuf {
        self.work("storage")
    }

    /// Returns the folder of Buildah's state.
    pub fn storage_state(&self) -> PathBuf {
        self.work("state")
    }

    /// Returns the folder with the blobs of base images, as their registries have them.
    pub fn base_blobs(&self) -> PathBuf {
        self.work("blobs")
    }

    /// Returns the image that was built.
    pub fn output(&self) -> PathBuf {
        self.work("out")
    }

    /// Returns the file with the id of an image that was built into the storage.
    pub fn image_id(&self) -> PathBuf {
        self.work("image-id")
    }

    /// Returns the folder with the container's cgroup.
    pub fn cgroups(&self) -> PathBuf {
        self.at("/sys/fs/cgroup")
    }

    /// Returns the folder with git's credentials.
    pub fn git_secret(&self) -> PathBuf {
        self.at(place::GIT_SECRET)
    }

    /// Returns the folder with the ConfigMap of the context.
    pub fn config_map(&self) -> PathBuf {
        self.at(place::CONFIG_MAP)
    }

    /// Returns the file with the credentials for pulling.
    pub fn pull_auth_file(&self) -> PathBuf {
        self.at(place::PULL_AUTH_FILE)
    }

    /// Returns the file with the credentials for pushing.
    pub fn push_auth_file(&self) -> PathBuf {
        self.at(place::PUSH_AUTH_FILE)
    }

    /// Returns the file with the credentials for layers of earlier builds.
    pub fn cache_auth_file(&self) -> PathBuf {
        self.at(place::CACHE_AUTH_FILE)
    }

    /// Returns the file of a secret of the build.
    pub fn secret(&self, id: &str) -> PathBuf {
        self.at(place::SECRETS).join(id)
    }

    /// Returns the folder with the certificates for a registry.
    pub fn certificates(&self, host: &RegistryHost) -> PathBuf {
        self.at(place::CERTIFICATES).join(host.as_str())
    }
}
