//! The volumes of a build's pod, and which container sees which of them.

use imgop_core::api::{CA_KEY, DOCKER_CONFIG_KEY, ImageBuilderSpec, StorageMedium, Tls, TlsMode};
use imgop_core::build::step::{TlsOfHosts, place, tls_of_hosts};
use imgop_core::build::{BuildCache, BuildContext, BuildRequest};
use imgop_registry::reference::RegistryHost;
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, ImageVolumeSource, KeyToPath, ProjectedVolumeSource,
    SecretProjection, SecretVolumeSource, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::job::Part;
use crate::config::Config;
use crate::registry_access::aws;

/// The size of the folder for all that is large, unless the spec says another.
const DEFAULT_SIZE: &str = "20Gi";
/// The size of the folder for what `push` trusts.
const PREPARED_SIZE: &str = "256Mi";
/// Secrets are read by whoever runs in the one container that has them: the user of a container is no secret's owner
/// in a user namespace.
const READABLE: i32 = 0o444;

/// The volumes of a pod, and what each container mounts.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// All of them.
    pub all: Vec<Volume>,
    /// What `prepare` mounts.
    pub prepare: Vec<VolumeMount>,
    /// What `build` mounts.
    pub build: Vec<VolumeMount>,
    /// What `push` mounts.
    pub push: Vec<VolumeMount>,
}

/// Which container mounts a volume.
#[derive(Clone, Copy)]
enum In {
    Prepare,
    Build,
    Push,
}

impl Volumes {
    /// Returns the volumes of a part.
    pub(super) fn of(part: &Part<'_>, config: &Config) -> Self {
        let mut volumes = Self::default();
        volumes.add_folders(part.spec);
        volumes.add_context(part);
        volumes.add_credentials(part);
        volumes.add_certificates(part);
        if config.builds.buildah_image().is_some() {
            volumes.add_program(config);
        }
        volumes
    }

    fn add_folders(&mut self, spec: &ImageBuilderSpec) {
        let size = spec.storage.size_limit.as_deref().unwrap_or(DEFAULT_SIZE);
        let is_memory = spec.storage.medium == StorageMedium::Memory;
        let folder = |name: &str, size: &str, is_memory: bool| Volume {
            name: name.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity(size.to_owned())),
                medium: is_memory.then(|| "Memory".to_owned()),
            }),
            ..Volume::default()
        };
        self.all.push(folder("work", size, is_memory));
        self.all.push(folder("prepared", PREPARED_SIZE, false));
        let writable = |name: &str, path: &str| VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        };
        let read_only = |name, path| VolumeMount { read_only: Some(true), ..writable(name, path) };
        self.prepare.extend([writable("work", place::WORK), writable("prepared", place::PREPARED)]);
        self.build.push(writable("work", place::WORK));
        self.push.extend([read_only("work", place::WORK), read_only("prepared", place::PREPARED)]);
    }

    fn add_context(&mut self, part: &Part<'_>) {
        match &part.request.context {
            BuildContext::Git { secret: Some(secret), .. } => {
                let volume = Volume { secret: Some(whole(secret)), ..Volume::default() };
                self.add("git", volume, place::GIT_SECRET, In::Prepare);
            }
            BuildContext::ConfigMap { name, .. } => {
                let source = ConfigMapVolumeSource {
                    name: name.clone(),
                    default_mode: Some(READABLE),
                    optional: Some(false),
                    items: None,
                };
                let volume = Volume { config_map: Some(source), ..Volume::default() };
                self.add("config-map", volume, place::CONFIG_MAP, In::Prepare);
            }
            _ => {}
        }
        let secrets = part.request.secrets.iter();
        let secrets = secrets.map(|(id, reference)| projected(&reference.name, &reference.key, id.clone()));
        self.add_projected("secrets", secrets.collect(), place::SECRETS, In::Build);
    }

    fn add_credentials(&mut self, part: &Part<'_>) {
        let image = &part.spec.image;
        let push = if image.use_aws_irsa {
            Some(aws::secret_name(part.owner, "image"))
        } else {
            image.credentials.as_ref().map(|named| named.secret_name.clone())
        };
        let cache = part.spec.cache.credentials.as_ref().map(|named| named.secret_name.clone());
        let pull = part.pull_auth.secret().map(str::to_owned);
        for (name, secret, file, container) in [
            ("pull-auth", pull, place::PULL_AUTH_FILE, In::Prepare),
            ("push-auth", push, place::PUSH_AUTH_FILE, In::Push),
            ("cache-auth", cache, place::CACHE_AUTH_FILE, In::Build),
        ] {
            let (Some(secret), Some((folder, file))) = (secret, file.rsplit_once('/')) else { continue };
            let item = KeyToPath { key: DOCKER_CONFIG_KEY.to_owned(), path: file.to_owned(), mode: None };
            let source = SecretVolumeSource { items: Some(vec![item]), ..whole(&secret) };
            self.add(name, Volume { secret: Some(source), ..Volume::default() }, folder, container);
        }
    }

    fn add_certificates(&mut self, part: &Part<'_>) {
        let (pulls, push) = tls_of_hosts(part.spec, part.request);
        let cache = tls_of_cache(part.request, &pulls, &push);
        for (name, hosts, container) in [
            ("pull-certificates", pulls, In::Prepare),
            ("cache-certificates", cache, In::Build),
            ("push-certificates", push, In::Push),
        ] {
            let of_host = |(host, tls): (RegistryHost, &Tls)| {
                let secret = tls.ca_secret_name.as_deref().filter(|_| tls.mode == TlsMode::Verify)?;
                Some(projected(secret, CA_KEY, format!("{host}/{CA_KEY}")))
            };
            let sources = hosts.into_iter().filter_map(of_host).collect();
            self.add_projected(name, sources, place::CERTIFICATES, container);
        }
    }

    /// Adds the program of the step for a container whose image does not have it.
    fn add_program(&mut self, config: &Config) {
        let source = ImageVolumeSource {
            reference: Some(config.builds.builder_image.clone()),
            pull_policy: Some("IfNotPresent".to_owned()),
        };
        self.add("program", Volume { image: Some(source), ..Volume::default() }, "/imgop", In::Build);
    }

    fn add_projected(&mut self, name: &str, sources: Vec<VolumeProjection>, path: &str, container: In) {
        if sources.is_empty() {
            return;
        }
        let source = ProjectedVolumeSource { default_mode: Some(READABLE), sources: Some(sources) };
        self.add(name, Volume { projected: Some(source), ..Volume::default() }, path, container);
    }

    fn add(&mut self, name: &str, volume: Volume, path: &str, container: In) {
        self.all.push(Volume { name: name.to_owned(), ..volume });
        let mount = VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        };
        match container {
            In::Prepare => self.prepare.push(mount),
            In::Build => self.build.push(mount),
            In::Push => self.push.push(mount),
        }
    }
}

fn whole(secret: &str) -> SecretVolumeSource {
    SecretVolumeSource {
        secret_name: Some(secret.to_owned()),
        default_mode: Some(READABLE),
        optional: Some(false),
        items: None,
    }
}

fn projected(secret: &str, key: &str, path: String) -> VolumeProjection {
    VolumeProjection {
        secret: Some(SecretProjection {
            name: secret.to_owned(),
            items: Some(vec![KeyToPath { key: key.to_owned(), path, mode: None }]),
            optional: Some(false),
        }),
        ..VolumeProjection::default()
    }
}

/// Returns how the registry of the cache is reached: as that of the image, or of `registries`, which it is.
fn tls_of_cache<'a>(request: &BuildRequest, pulls: &TlsOfHosts<'a>, push: &TlsOfHosts<'a>) -> TlsOfHosts<'a> {
    let BuildCache::Registry { repository, .. } = &request.cache else { return TlsOfHosts::new() };
    let host = repository.host();
    let tls = push.get(host).or_else(|| pulls.get(host));
    tls.map(|tls| (host.clone(), *tls)).into_iter().collect()
}
