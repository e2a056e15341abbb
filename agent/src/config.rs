//! The agent's settings: flags, or the environment variables beside them. The names in capitals
//! that are image-operator's keep their meaning.

mod builds;
mod copies;
mod election;
pub mod given_credentials;
pub mod image_operator;
mod jobs;
mod metrics;
mod namespaces;
mod notifications;
mod process;
pub mod refused_keys;
mod version_sources;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use imgop_core::api::{DefaultDestination, JobTemplateSpec};
use imgop_core::copy::{Cooldown, MAX_TAGS_PER_IMAGE};
use imgop_core::default_destination::{Defaults, DestinationPrefix, InvalidDefaults, Origin, PrefixError};
use imgop_core::job_proxies::InPlaceOfOwn;
pub use imgop_core::job_proxies::{Proxies, ProxyError};
use imgop_registry::{LoopbackAddresses, PrivateAddresses, Settings, TokenServers, parse_token_servers};

use crate::jobs::template::JobOptions;
pub use builds::{BuildSettings, BuildTier};
pub use copies::CopySettings;
pub use election::ElectionSettings;
pub use jobs::JobSettings;
pub use metrics::MetricsSettings;
pub use namespaces::Namespaces;
use namespaces::parse_namespaces;
pub use notifications::{NotificationEvent, NotificationSettings};
pub use process::{ProcessSettings, SettingsError};
pub use version_sources::VersionSourceSettings;

/// imgop's agent: turns Image resources into Skopeo Jobs, and ImageBuilder resources into Buildah Jobs.
#[derive(Debug, Clone, Parser)]
#[command(name = "imgop-agent", version)]
pub struct Config {
    /// Namespaces whose Images and `ImageBuilders` are handled, separated by commas; * is all of them.
    #[arg(long, env = "WATCH_NAMESPACES", value_parser = parse_namespaces)]
    pub watch_namespaces: Namespaces,

    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Which of several agents works.
    #[command(flatten)]
    pub election: ElectionSettings,

    /// Image of the Jobs with the engine Skopeo; it holds skopeo in its PATH.
    #[arg(long, env = "SKOPEO_IMAGE")]
    pub skopeo_image: String,

    /// Tag that is put behind the image of the Jobs, where it has none.
    #[arg(long, env = "SKOPEO_VERSION")]
    pub skopeo_version: Option<String>,

    /// The namespace of Jobs that use what administrators lend with a `RegistryAccess`: tenants must have no rights there.
    /// The agent's own if empty.
    #[arg(long, env = "JOB_NAMESPACE", default_value = "")]
    pub job_namespace: String,

    /// Seconds that a finished Job is kept, so that its logs can be read.
    #[arg(long, env = "JOB_DELETION_DELAY_SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(0..=MAX_SECONDS))]
    pub job_deletion_delay_seconds: u32,

    /// Seconds after which a Job is ended.
    #[arg(long, env = "JOB_DEADLINE_SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(60..=MAX_SECONDS))]
    pub job_deadline_seconds: u32,

    /// Seconds that a Job may wait for a node, as while an autoscaler adds one, before it is given up.
    #[arg(long, env = "JOB_PENDING_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(60..=MAX_SECONDS))]
    pub job_pending_seconds: u32,

    /// What all Jobs have.
    #[command(flatten)]
    pub jobs: JobSettings,

    /// How builds are run.
    #[command(flatten)]
    pub builds: BuildSettings,

    /// How copies are made.
    #[command(flatten)]
    pub copies: CopySettings,

    /// Tags that one Job of Skopeo copies at most.
    #[arg(long, env = "TAGS_PER_JOB", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub tags_per_job: u16,

    /// Unfinished Jobs of one Image at most.
    #[arg(long, env = "MAX_JOBS_PER_IMAGE", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_jobs_per_image: u16,

    /// Unfinished Jobs of one namespace at most.
    #[arg(long, env = "MAX_JOBS_PER_NAMESPACE", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_jobs_per_namespace: u16,

    /// Unfinished Jobs in all at most.
    #[arg(long, env = "MAX_JOBS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_jobs: u16,

    /// Tags that one Image may select at most.
    #[arg(long, env = "MAX_TAGS_PER_IMAGE", default_value_t = MAX_TAGS_PER_IMAGE, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_tags_per_image: u16,

    /// Most bytes that are kept of the objects of one namespace, all kinds together; a thousand small Images take about
    /// one and a half million. What does not fit is `InvalidSpec` until there is room.
    #[arg(long, env = "MAX_OBJECT_BYTES_PER_NAMESPACE", default_value_t = 24 << 20, value_parser = clap::value_parser!(u32).range(1 << 20..))]
    pub max_object_bytes_per_namespace: u32,

    /// Most bytes that are kept of all objects, all kinds together. A namespace has an eighth of its own bound in any
    /// case.
    #[arg(long, env = "MAX_OBJECT_BYTES", default_value_t = 40 << 20, value_parser = clap::value_parser!(u32).range(1 << 20..))]
    pub max_object_bytes: u32,

    /// Images that are handled at once, in all namespaces together. One namespace gets half of them at most, and
    /// one registry of it a third, so that some stay free for others.
    #[arg(long, env = "MAX_CONCURRENT_RECONCILES", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_concurrent_reconciles: u16,

    /// Namespace and name of the agent's own service account, for the advice that conditions give.
    #[arg(long, env = "SERVICE_ACCOUNT", default_value = DEFAULT_SERVICE_ACCOUNT)]
    pub service_account: String,

    /// The namespace that this process runs in, once that is known.
    #[arg(skip)]
    own_namespace: Option<String>,

    /// Requests to one registry at once.
    #[arg(long, env = "REQUESTS_PER_REGISTRY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub requests_per_registry: u16,

    /// Pulls that are left to others where a registry counts them, as Docker Hub does; 0 uses all up.
    #[arg(long, env = "PULL_RESERVE", default_value_t = 10)]
    pub pull_reserve: u32,

    /// Minutes for which a tag is left alone once five tries to copy it have failed; 0 tries again and again, with pauses
    /// that grow to a quarter of an hour. Other tags of its Image go on, and kubectl imgop sync NAME --retry tries at
    /// once.
    #[arg(long, env = "FAILURE_COOLDOWN_MINUTES", default_value_t = Cooldown::DEFAULT_MINUTES, value_parser = clap::value_parser!(u32).range(0..=Cooldown::MAX_MINUTES.into()))]
    pub failure_cooldown_minutes: u32,

    /// Seconds for which one tag list of a destination serves all Images that copy there; 0 lists
    /// for each of them.
    #[arg(long, env = "SHARE_LISTS_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=300))]
    pub share_lists_seconds: u16,

    /// Whether Docker Hub, Quay and ECR Public are asked for the digests of many tags at once,
    /// through APIs of their own; false asks for each tag by HEAD.
    #[arg(long, env = "BULK_APIS", default_value_t = true, action = clap::ArgAction::Set)]
    pub bulk_apis: bool,

    /// What /metrics shows.
    #[command(flatten)]
    pub metrics: MetricsSettings,

    /// Where new versions are announced.
    #[command(flatten)]
    pub version_sources: VersionSourceSettings,

    /// Where notifications go, and which.
    #[command(flatten)]
    pub notifications: NotificationSettings,

    /// Most tags of one repository that are listed.
    #[arg(long, env = "REGISTRY_MAX_TAGS", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tags: u32,

    /// Most pages of one tag list; some registries send 100 tags a page.
    #[arg(long, env = "REGISTRY_MAX_TAG_PAGES", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tag_pages: u32,

    /// Most bytes of one tag list, all pages together.
    #[arg(long, env = "REGISTRY_MAX_TAG_LIST_BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tag_list_bytes: u32,

    /// Seconds for the pages of one tag list behind the first, all together.
    #[arg(long, env = "REGISTRY_LIST_TIMEOUT", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub registry_list_timeout: u32,

    /// Most bytes of the tags of all lists that are held at a time; one list may have a quarter of them, and the lists
    /// of one registry half.
    #[arg(long, env = "REGISTRY_MAX_TAG_MEMORY", default_value_t = 32 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tag_memory: u32,

    /// Which hosts may have private addresses: registries, with the hosts of their domains and listed token servers;
    /// everywhere, which adds hosts that a registry names for tokens and blobs; or nowhere.
    #[arg(long, env = "REGISTRY_PRIVATE_ADDRESSES", default_value = "registries")]
    pub registry_private_addresses: PrivateAddresses,

    /// Whether a registry that is written as localhost, or with a loopback address, is looked for at the agent's own: for
    /// an agent outside of pods. Without, only where a `RegistryAccess` allows such addresses.
    #[arg(long, env = "REGISTRY_LOOPBACK", default_value_t = false, action = clap::ArgAction::Set)]
    pub registry_loopback: bool,

    /// The addresses of the agent's pod, separated by commas: no registry is there, unless a `RegistryAccess` lists
    /// them, or the node has them too.
    #[arg(long, env = "POD_ADDRESSES", default_value = "", value_parser = parse_addresses)]
    pub pod_addresses: BTreeSet<IpAddr>,

    /// The addresses of the agent's node, likewise separated: registries that Images name may be there, and hosts that
    /// only a registry names may not.
    #[arg(long, env = "NODE_ADDRESSES", default_value = "", value_parser = parse_addresses)]
    pub node_addresses: BTreeSet<IpAddr>,

    /// Token servers on other domains that may receive the credentials of a registry, separated by commas:
    /// registry.example.com=auth.example.org.
    #[arg(long, env = "REGISTRY_TOKEN_SERVERS", default_value = "", value_parser = parse_token_servers)]
    pub registry_token_servers: TokenServers,

    /// Where images go that name no registry as their destination, in namespaces to which no `RegistryAccess` gives a
    /// default: a registry, with or without the beginning of a path, such as registry.example.com/{namespace}; none if
    /// empty.
    #[arg(long, env = "DESTINATION_DEFAULT_REGISTRY", default_value = "", value_parser = parse_prefix)]
    pub destination_default_registry: DefaultRegistry,

    /// Whether credentials for `DESTINATION_DEFAULT_REGISTRY` come from AWS, as if each resource said useAwsIRSA.
    #[arg(long, env = "DESTINATION_DEFAULT_AWS_IRSA_USAGE", default_value_t = false, action = clap::ArgAction::Set)]
    pub destination_default_aws_irsa_usage: bool,
}

/// Where images go that name no registry, if that is set.
pub type DefaultRegistry = Option<DestinationPrefix>;

/// The agent's service account as `manifests/agent.yaml` has it.
const DEFAULT_SERVICE_ACCOUNT: &str = "imgop-system:imgop-agent";

/// The longest time that Kubernetes takes for a Job, a signed number of 32 bits.
const MAX_SECONDS: i64 = i32::MAX as i64;

/// Reads a list of addresses, which may be empty.
fn parse_addresses(text: &str) -> Result<BTreeSet<IpAddr>, String> {
    let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
    let parse = |address: &str| address.parse().map_err(|_| format!("{address:?} is no IP address"));
    addresses.map(parse).collect()
}

/// Reads where destinations begin; nothing is no default.
fn parse_prefix(text: &str) -> Result<DefaultRegistry, PrefixError> {
    Some(text).filter(|text| !text.is_empty()).map(str::parse).transpose()
}

/// Returns a number of the settings as a limit of this machine.
pub fn as_limit(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Config {
    /// How registries are asked.
    pub fn registries(&self) -> Settings {
        let mut settings = Settings {
            user_agent: format!("imgop-agent/{}", env!("CARGO_PKG_VERSION")),
            concurrency_per_registry: self.requests_per_registry.into(),
            pull_reserve: self.pull_reserve.into(),
            tag_list_ttl: Duration::from_secs(self.share_lists_seconds.into()),
            max_tags: as_limit(self.registry_max_tags),
            max_pages: as_limit(self.registry_max_tag_pages),
            max_list_bytes: as_limit(self.registry_max_tag_list_bytes),
            max_tag_memory: as_limit(self.registry_max_tag_memory),
            private_addresses: self.registry_private_addresses,
            own_addresses: self.pod_addresses.iter().chain(&self.node_addresses).copied().collect(),
            pod_addresses: self.pod_addresses.difference(&self.node_addresses).copied().collect(),
            loopback: if self.registry_loopback {
                LoopbackAddresses::Written
            } else {
                LoopbackAddresses::Nowhere
            },
            list_timeout: Duration::from_secs(self.registry_list_timeout.into()),
            token_servers: self.registry_token_servers.clone(),
            ..Settings::default()
        };
        if !self.bulk_apis {
            settings.bulk_apis.clear();
        }
        settings
    }

    /// How long a tag is left alone that keeps failing.
    pub fn failure_cooldown(&self) -> Cooldown {
        Cooldown::of_minutes(self.failure_cooldown_minutes)
    }

    /// Returns these settings with what Jobs have of the agent's own proxies; `variable` returns those of its environment.
    pub fn with_proxies(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let JobSettings { job_http_proxy, job_https_proxy, job_no_proxy, .. } = &self.jobs;
        let settings = InPlaceOfOwn { http: job_http_proxy, https: job_https_proxy, no_proxy: job_no_proxy };
        self.jobs.proxies = Proxies::new(settings, variable)?;
        Ok(self)
    }

    /// What the Jobs of an object with this template have besides what their kind needs.
    pub fn job_options(&self, template: &JobTemplateSpec) -> JobOptions {
        JobOptions::merged(&self.jobs.defaults(), template)
    }

    /// The default destination of namespaces to which no `RegistryAccess` gives one.
    ///
    /// # Errors
    /// If its settings contradict each other.
    pub fn default_destination(&self) -> Result<Option<Defaults>, InvalidDefaults> {
        let Some(prefix) = &self.destination_default_registry else { return Ok(None) };
        let written = DefaultDestination {
            prefix: prefix.to_string(),
            use_aws_irsa: self.destination_default_aws_irsa_usage,
            ..DefaultDestination::default()
        };
        Defaults::read(&written, Origin::Setting).map(Some)
    }

    /// Returns these settings for a process that runs in this namespace, which is where its client says. What a setting
    /// claims is for messages alone: the namespace that it names may be a tenant's.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        if self.service_account == DEFAULT_SERVICE_ACCOUNT {
            self.service_account = DEFAULT_SERVICE_ACCOUNT.replace("imgop-system", namespace);
        } else if self.agent_namespace() != namespace {
            let service_account = &self.service_account;
            tracing::warn!(
                service_account,
                namespace,
                "SERVICE_ACCOUNT names another namespace than that of the agent: what is lent, and the Jobs that use it, \
                 are in the latter"
            );
        }
        self.own_namespace = Some(namespace.to_owned());
        self
    }

    /// The agent's own namespace: that of its service account, as long as nothing else is known.
    pub fn agent_namespace(&self) -> &str {
        let of_account =
            || self.service_account.split_once(':').map_or("imgop-system", |(namespace, _)| namespace);
        self.own_namespace.as_deref().unwrap_or_else(of_account)
    }

    /// The namespace of Jobs that use what administrators lend.
    pub fn lent_namespace(&self) -> &str {
        if self.job_namespace.is_empty() { self.agent_namespace() } else { &self.job_namespace }
    }

    /// Returns what an administrator should know of the namespace of those Jobs, where it is not the agent's own.
    pub fn notice_of_lent_namespace(&self) -> Option<String> {
        let lent = self.lent_namespace();
        (lent != self.agent_namespace()).then(|| {
            format!(
                "JOB_NAMESPACE is {lent}, which is not the agent's own: whoever may read Secrets, or create pods or Jobs, \
                 there has what RegistryAccess lends; give rights there to administrators alone"
            )
        })
    }

    /// The image of the Jobs, with its tag.
    pub fn job_image(&self) -> String {
        let image = &self.skopeo_image;
        let last_part = image.rsplit('/').next().unwrap_or(image);
        match &self.skopeo_version {
            Some(version) if !last_part.contains([':', '@']) => format!("{image}:{version}"),
            _ => image.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
