//! Settings of builds. The names that are image-operator's keep their meaning.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use imgop_core::api::{Amounts, Resources};
use imgop_core::build::dockerfile::BuildahVersion;
use imgop_core::build::step::DEFAULT_LOG_BYTES;
use imgop_registry::oci::PlatformSelector;
use serde::{Deserialize, Serialize};

use super::jobs::{given, parse_quantity};

/// The version of Buildah in the image of builds that is released with this agent.
const RELEASED_BUILDAH: BuildahVersion = BuildahVersion { major: 1, minor: 28 };

/// How builds are run.
#[derive(Debug, Clone, Args)]
pub struct BuildSettings {
    /// Image of the pods of builds: imgop-step, git, Buildah and Skopeo.
    #[arg(long, env = "BUILDER_IMAGE", default_value = concat!("ghcr.io/imgop/builder:", env!("CARGO_PKG_VERSION")))]
    pub builder_image: String,

    /// Image of the container that runs the Dockerfile, in place of `BUILDER_IMAGE`, from which it takes imgop-step through
    /// an image volume (Kubernetes 1.35 or newer); empty for `BUILDER_IMAGE`.
    #[arg(long, env = "BUILDAH_IMAGE", default_value = "")]
    pub buildah_image: String,

    /// Tag that is put behind `BUILDAH_IMAGE`, where it has none, and the version of Buildah for which Dockerfiles are
    /// checked, such as v1.37.5.
    #[arg(long, env = "BUILDAH_VERSION")]
    pub buildah_version: Option<String>,

    /// Whether the container that runs the Dockerfile is privileged: root on the node for whoever may create
    /// `ImageBuilders`. It goes before `BUILD_TIERS`.
    #[arg(long, env = "BUILDAH_PRIVILEGED_CONTAINER", default_value_t = false, action = clap::ArgAction::Set)]
    pub buildah_privileged_container: bool,

    /// How the pods of builds get what Buildah needs, separated by commas, each tried where the one before it starts no
    /// pod: a1 (user namespace and `SYS_ADMIN` in it), a2 (user namespace and `BUILD_SECCOMP_PROFILE`), b (no user
    /// namespace, newuidmap and `BUILD_SECCOMP_PROFILE`). What has started a pod in a namespace is
    /// tried first there for an hour; where none does, the next in turn every 10 minutes.
    #[arg(long, env = "BUILD_TIERS", default_value = "a1", value_delimiter = ',')]
    pub build_tiers: Vec<BuildTier>,

    /// Unfinished Jobs of builds in all at most, and half of them in one namespace; they also count for `MAX_JOBS` and
    /// `MAX_JOBS_PER_NAMESPACE`.
    #[arg(long, env = "MAX_BUILDS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_builds: u16,

    /// CPU that the container that runs the Dockerfile requests, where its `ImageBuilder` says nothing; none if empty.
    #[arg(long, env = "BUILD_CPU_REQUEST", default_value = "200m", value_parser = parse_quantity)]
    pub build_cpu_request: String,

    /// Most CPU of the container that runs the Dockerfile, likewise; none if empty.
    #[arg(long, env = "BUILD_CPU_LIMIT", default_value = "", value_parser = parse_quantity)]
    pub build_cpu_limit: String,

    /// Memory that the container that runs the Dockerfile requests, likewise; none if empty.
    #[arg(long, env = "BUILD_MEMORY_REQUEST", default_value = "256Mi", value_parser = parse_quantity)]
    pub build_memory_request: String,

    /// Most memory of the container that runs the Dockerfile, likewise; none if empty.
    #[arg(long, env = "BUILD_MEMORY_LIMIT", default_value = "8Gi", value_parser = parse_quantity)]
    pub build_memory_limit: String,

    /// The seccomp profile of tiers a2 and b, as a path below the kubelet's folder of profiles on each node.
    #[arg(long, env = "BUILD_SECCOMP_PROFILE", default_value = "imgop/buildah.json")]
    pub build_seccomp_profile: String,

    /// Most bytes of each of the two outputs of a build's commands that go into its log; of what is more, the end of each
    /// step is shown. A node keeps about 10 MiB of a log, so that more gets lost there.
    #[arg(long, env = "BUILD_LOG_BYTES", default_value_t = DEFAULT_LOG_BYTES, value_parser = clap::value_parser!(u32).range(1 << 16..))]
    pub build_log_bytes: u32,

    /// Platforms that every node emulates, separated by commas, such as linux/arm64. Builds for others wait for a node
    /// of their architecture.
    #[arg(long, env = "EMULATE", default_value = "", value_parser = parse_platforms)]
    pub emulate: Platforms,
}

/// Platforms of a setting.
pub type Platforms = BTreeSet<PlatformSelector>;

/// How the pod of a build gets what Buildah needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BuildTier {
    /// A user namespace, and `SYS_ADMIN` in it.
    A1,
    /// A user namespace, and a seccomp profile that lies on the nodes.
    A2,
    /// No user namespace: newuidmap, and a seccomp profile that lies on the nodes.
    B,
    /// A privileged container.
    #[value(skip)]
    Privileged,
}

impl BuildSettings {
    /// Returns the image of the container that runs the Dockerfile, if it is another one than that of the others.
    pub fn buildah_image(&self) -> Option<String> {
        let image = Some(&self.buildah_image).filter(|image| !image.is_empty())?;
        let last_part = image.rsplit('/').next().unwrap_or(image);
        Some(match &self.buildah_version {
            Some(version) if !last_part.contains([':', '@']) => format!("{image}:{version}"),
            _ => image.clone(),
        })
    }

    /// Returns the version of Buildah for which Dockerfiles are checked.
    pub fn buildah(&self) -> BuildahVersion {
        let of_another = self.buildah_version.as_deref().filter(|_| !self.buildah_image.is_empty());
        of_another.and_then(|version| version.parse().ok()).unwrap_or(RELEASED_BUILDAH)
    }

    /// Returns what the container that runs the Dockerfile may use, where nothing else is said.
    pub fn resources(&self) -> Resources {
        let amounts = |cpu: &str, memory: &str| Amounts {
            cpu: given(cpu),
            memory: given(memory),
            ..Amounts::default()
        };
        Resources {
            limits: amounts(&self.build_cpu_limit, &self.build_memory_limit),
            requests: amounts(&self.build_cpu_request, &self.build_memory_request),
        }
    }

    /// Returns the tiers that are tried, in the administrator's order.
    pub fn tiers(&self) -> &[BuildTier] {
        if self.buildah_privileged_container { &[BuildTier::Privileged] } else { &self.build_tiers }
    }
}

/// Reads a list of platforms, which may be empty.
fn parse_platforms(text: &str) -> Result<Platforms, String> {
    let platforms = text.split(',').map(str::trim).filter(|platform| !platform.is_empty());
    let parse = |text: &str| text.parse().map(|platform: PlatformSelector| platform.normalized());
    platforms.map(parse).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        builds: BuildSettings,
    }

    fn settings(arguments: &[&str]) -> BuildSettings {
        Only::parse_from(["x"].iter().chain(arguments)).builds
    }

    #[test]
    fn buildah_image_and_version_are_those_of_image_operator() {
        assert_eq!(settings(&[]).buildah_image(), None);
        assert_eq!(settings(&["--buildah-version=v1.37.5"]).buildah(), RELEASED_BUILDAH);
        let both = settings(&["--buildah-image=quay.io/buildah/stable", "--buildah-version=v1.37.5"]);
        assert_eq!(both.buildah_image().as_deref(), Some("quay.io/buildah/stable:v1.37.5"));
        assert_eq!(both.buildah(), BuildahVersion { major: 1, minor: 37 });
        let tagged = settings(&["--buildah-image=r:5000/buildah:v1.40", "--buildah-version=v1.37.5"]);
        assert_eq!(tagged.buildah_image().as_deref(), Some("r:5000/buildah:v1.40"));
    }

    #[test]
    fn tiers_are_tried_in_the_administrators_order() {
        assert_eq!(settings(&["--build-tiers=a2,a1"]).tiers(), [BuildTier::A2, BuildTier::A1]);
        assert_eq!(settings(&[]).tiers(), [BuildTier::A1]);
        assert_eq!(settings(&["--buildah-privileged-container=true"]).tiers(), [BuildTier::Privileged]);
        let emulate = settings(&["--emulate=linux/aarch64, linux/arm/v7"]).emulate;
        assert_eq!(
            emulate.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["linux/arm/v7", "linux/arm64"]
        );
    }
}
