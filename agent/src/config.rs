//! The agent's settings: flags, or the environment variables beside them. The names in capitals
//! that are image-operator's keep their meaning.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use imgop_registry::{Settings, TokenServers, parse_token_servers};

/// imgop's agent: turns Image resources into Skopeo Jobs.
#[derive(Debug, Clone, Parser)]
#[command(name = "imgop-agent", version)]
pub struct Config {
    /// Namespaces whose Images are handled, separated by commas; * is all of them.
    #[arg(long, env = "WATCH_NAMESPACES", value_parser = parse_namespaces)]
    pub watch_namespaces: Namespaces,

    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Image of the Jobs; it holds skopeo in its PATH.
    #[arg(long, env = "SKOPEO_IMAGE")]
    pub skopeo_image: String,

    /// Tag that is put behind the image of the Jobs, where it has none.
    #[arg(long, env = "SKOPEO_VERSION")]
    pub skopeo_version: Option<String>,

    /// Seconds that a finished Job is kept, so that its logs can be read.
    #[arg(long, env = "JOB_DELETION_DELAY_SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(0..=MAX_SECONDS))]
    pub job_deletion_delay_seconds: u32,

    /// Seconds after which a Job is ended.
    #[arg(long, env = "JOB_DEADLINE_SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(60..=MAX_SECONDS))]
    pub job_deadline_seconds: u32,

    /// Tags that one Job copies at most.
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

    /// Tags that one Image may mean at most.
    #[arg(long, env = "MAX_TAGS_PER_IMAGE", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_tags_per_image: u16,

    /// Images that are handled at once, in all namespaces together.
    #[arg(long, env = "MAX_CONCURRENT_RECONCILES", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_concurrent_reconciles: u16,

    /// Namespace and name of the agent's own service account, for the advice that conditions give.
    #[arg(long, env = "SERVICE_ACCOUNT", default_value = "imgop-system:imgop-agent")]
    pub service_account: String,

    /// Requests to one registry at once.
    #[arg(long, env = "REQUESTS_PER_REGISTRY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub requests_per_registry: u16,

    /// Pulls that are left to others where a registry counts them, as Docker Hub does; 0 uses all up.
    #[arg(long, env = "PULL_RESERVE", default_value_t = 10)]
    pub pull_reserve: u32,

    /// Seconds for which one tag list of a destination serves all Images that copy there; 0 lists
    /// for each of them.
    #[arg(long, env = "SHARE_LISTS_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=300))]
    pub share_lists_seconds: u16,

    /// Whether Docker Hub, Quay and ECR Public are asked for the digests of many tags at once,
    /// through APIs of their own; false asks for each tag by HEAD.
    #[arg(long, env = "BULK_APIS", default_value_t = true, action = clap::ArgAction::Set)]
    pub bulk_apis: bool,

    /// Most tags of one repository that are listed.
    #[arg(long, env = "REGISTRY_MAX_TAGS", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tags: u32,

    /// Most pages of one tag list; some registries send 100 tags a page.
    #[arg(long, env = "REGISTRY_MAX_TAG_PAGES", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tag_pages: u32,

    /// Most bytes of one tag list, all pages together.
    #[arg(long, env = "REGISTRY_MAX_TAG_LIST_BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub registry_max_tag_list_bytes: u32,

    /// Token servers on other domains that may receive the credentials of a registry, separated by commas:
    /// registry.example.com=auth.example.org.
    #[arg(long, env = "REGISTRY_TOKEN_SERVERS", default_value = "", value_parser = parse_token_servers)]
    pub registry_token_servers: TokenServers,
}

/// The longest time that Kubernetes takes for a Job, a signed number of 32 bits.
const MAX_SECONDS: i64 = i32::MAX as i64;

/// Which namespaces are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them; must be asked for with `*`.
    All,
    /// These.
    Named(BTreeSet<String>),
}

/// Reads a list of namespaces. What names nothing is refused: it must never widen to everything
/// (copycat's bug C2).
fn parse_namespaces(text: &str) -> Result<Namespaces, String> {
    if text.trim() == "*" {
        return Ok(Namespaces::All);
    }
    let names: BTreeSet<String> =
        text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        return Err("it names no namespace; write * for all of them".to_owned());
    }
    let is_label = |name: &str| {
        name.len() <= 63
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match names.iter().find(|name| !is_label(name)) {
        Some(bad) => Err(format!("{bad:?} is not the name of a namespace; * stands alone or not at all")),
        None => Ok(Namespaces::Named(names)),
    }
}

fn as_limit(number: u32) -> usize {
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
            token_servers: self.registry_token_servers.clone(),
            ..Settings::default()
        };
        if !self.bulk_apis {
            settings.bulk_apis.clear();
        }
        settings
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
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, String> {
        let all = ["imgop-agent", "--skopeo-image=quay.io/skopeo/stable:v1"].iter().chain(arguments);
        Config::try_parse_from(all).map_err(|e| e.to_string())
    }

    /// k8s-copycat read `requestTimeout` and `registryRetryBackoff` from its file and ignored them, and
    /// any name that it did not know.
    #[test]
    fn c1_no_setting_is_ignored_and_each_can_be_set_by_its_flag_and_by_its_variable() {
        let with = |flag: &str, value: &str| {
            let given = format!("--{flag}={value}");
            let required = ["--watch-namespaces=*", "--skopeo-image=quay.io/skopeo/stable:v1"];
            let others = required.into_iter().filter(|other| !other.starts_with(&format!("--{flag}=")));
            Config::try_parse_from(["x"].into_iter().chain(others).chain([given.as_str()]))
        };
        let usual = format!("{:?}", config(&["--watch-namespaces=*"]).unwrap());
        let mut number = 0;
        for setting in Config::command().get_arguments() {
            let Some(flag) = setting.get_long().filter(|flag| !matches!(*flag, "help" | "version")) else {
                continue;
            };
            let variable = setting.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            assert_eq!(variable, flag.to_uppercase().replace('-', "_"));
            let values = ["7", "77", "true", "false", "a", "a:b", "127.0.0.1:1", "a.io=b.io"];
            let is_read = |value: &&str| with(flag, value).is_ok_and(|set| format!("{set:?}") != usual);
            assert!(values.iter().any(is_read), "--{flag} changes nothing");
            number += 1;
        }
        assert!(number > 10);
        for unknown in ["--request-timeout=5", "--watch-namespace=a", "--max-job=5", "a"] {
            let error = config(&["--watch-namespaces=*", unknown]).unwrap_err();
            assert!(error.contains("unexpected argument"), "{error}");
        }
    }

    #[test]
    fn c1_the_variables_of_the_manifests_are_settings() {
        let manifests = include_str!("../../manifests/agent.yaml");
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(manifests).unwrap();
        let names: Vec<&str> = documents
            .iter()
            .filter_map(|document| document.pointer("/spec/template/spec/containers/0/env")?.as_array())
            .flatten()
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        let command = Config::command();
        let known: Vec<&str> =
            command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
        assert!(names.contains(&"WATCH_NAMESPACES"), "{names:?}");
        assert!(names.iter().all(|name| known.contains(name)), "{names:?} of {known:?}");
    }

    #[test]
    fn c2_no_namespace_never_means_every_namespace() {
        assert_eq!(config(&["--watch-namespaces=*"]).unwrap().watch_namespaces, Namespaces::All);
        for bad in ["", ",", " ", "team-*", "a,*", "A", "-a"] {
            let error = config(&[&format!("--watch-namespaces={bad}")]).unwrap_err();
            assert!(error.contains("--watch-namespaces"), "{error}");
        }
        let two = config(&["--watch-namespaces=b, a,"]).unwrap().watch_namespaces;
        assert_eq!(two, Namespaces::Named(["a".to_owned(), "b".to_owned()].into()));
    }

    #[test]
    fn b3_the_deletion_delay_is_a_number_of_seconds_and_is_kept() {
        let set = config(&["--watch-namespaces=*", "--job-deletion-delay-seconds=30"]).unwrap();
        assert_eq!(set.job_deletion_delay_seconds, 30);
        for bad in ["soon", "-1", "2147483648"] {
            assert!(
                config(&["--watch-namespaces=*", &format!("--job-deletion-delay-seconds={bad}")]).is_err()
            );
        }
        assert!(config(&["--watch-namespaces=*", "--job-deadline-seconds=0"]).is_err());
    }

    #[test]
    fn politeness_is_on_unless_it_is_switched_off() {
        let settings = config(&["--watch-namespaces=*"]).unwrap().registries();
        assert_eq!((settings.pull_reserve, settings.tag_list_ttl), (10, Duration::from_secs(10)));
        assert_eq!(settings.bulk_apis.len(), 3);
        let off = ["--pull-reserve=0", "--share-lists-seconds=0", "--bulk-apis=false"];
        let settings = config(&[&["--watch-namespaces=*"][..], &off].concat()).unwrap().registries();
        assert_eq!((settings.pull_reserve, settings.tag_list_ttl), (0, Duration::ZERO));
        assert!(settings.bulk_apis.is_empty());
        assert!(config(&["--watch-namespaces=*", "--bulk-apis=perhaps"]).is_err());
    }

    #[test]
    fn the_seeds_version_is_put_behind_an_image_without_one() {
        let with = |image: &str| {
            let image = format!("--skopeo-image={image}");
            Config::try_parse_from(["x", "--watch-namespaces=*", &image, "--skopeo-version=v9"])
                .unwrap()
                .job_image()
        };
        assert_eq!(with("quay.io/containers/skopeo"), "quay.io/containers/skopeo:v9");
        assert_eq!(with("localhost:5000/skopeo"), "localhost:5000/skopeo:v9");
        assert_eq!(with("quay.io/skopeo/stable:v1"), "quay.io/skopeo/stable:v1");
    }
}
