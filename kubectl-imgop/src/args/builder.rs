//! The flags of an ImageBuilder's spec: those of `docker build`, and some of its own.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use imgop_core::api::{Format, RebuildOn, TlsMode};

use super::job::JobArgs;
use super::schedule::CronArgs;
use crate::kinds::object_name::parse_name;

/// What is built, from what, and where it goes.
#[derive(Debug, Clone, Default, Args)]
pub struct BuilderArgs {
    /// Repository and tag of the image; repeat it for more tags. Without :TAG it is latest
    #[arg(short = 't', long = "tag", value_name = "NAME[:TAG]")]
    pub tags: Vec<String>,

    /// The Dockerfile: a file of this machine beside a folder, else a path in the context; - reads stdin
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,

    /// Value for an ARG of the Dockerfile; without =VALUE that of this environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub build_args: Vec<String>,

    /// Stage to build, by its name or number; the last one without it
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,

    /// Platforms to build for, such as linux/amd64,linux/arm64; without it that of the cluster's nodes
    #[arg(
        long = "platform",
        alias = "platforms",
        value_delimiter = ',',
        value_name = "PLATFORM",
        env = "DOCKER_DEFAULT_PLATFORM"
    )]
    pub platforms: Vec<String>,

    /// Label of the image
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub labels: Vec<String>,

    /// Annotation of the manifest; the format is OCI then
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    pub annotations: Vec<String>,

    /// Secret for RUN --mount=type=secret: a file or a variable of this machine, which become a Secret of the
    /// ImageBuilder, or a Secret that exists
    #[arg(long = "secret", value_name = "id=ID,src=FILE|env=NAME|secret=NAME[/KEY]")]
    pub secrets: Vec<String>,

    /// Repository with the layers of earlier builds
    #[arg(long = "cache-to", visible_alias = "cache-from", value_name = "REPOSITORY")]
    pub cache: Vec<String>,

    /// Secret (kubernetes.io/dockerconfigjson) with the credentials to push with
    #[arg(
        long,
        visible_alias = "registry-secret",
        alias = "destination-credentials",
        value_name = "SECRET",
        help_heading = "Registries"
    )]
    pub credentials: Option<String>,

    /// How to secure the connection to the registry that is pushed to
    #[arg(long, value_enum, ignore_case = true, value_name = "MODE", help_heading = "Registries")]
    pub tls: Option<TlsMode>,

    /// Secret with the CA certificates (ca.crt) of the registry that is pushed to
    #[arg(long, value_name = "SECRET", help_heading = "Registries", value_parser = parse_name)]
    pub ca_secret: Option<String>,

    /// How a registry is reached that the Dockerfile pulls from
    #[arg(
        long = "registry",
        value_name = "HOST[,credentials=SECRET][,tls=MODE][,ca-secret=SECRET]",
        help_heading = "Registries"
    )]
    pub registries: Vec<String>,

    /// Git repository with the context; the same as a URL as the first argument
    #[arg(long, value_name = "URL", help_heading = "Context", conflicts_with = "config_map")]
    pub git: Option<String>,

    /// Branch, tag or commit of the git repository
    #[arg(long, value_name = "REVISION", help_heading = "Context")]
    pub revision: Option<String>,

    /// Secret (kubernetes.io/basic-auth or ssh-auth) with the credentials of the git repository
    #[arg(long, value_name = "SECRET", help_heading = "Context", value_parser = parse_name)]
    pub git_credentials: Option<String>,

    /// ConfigMap whose keys are the files of the context
    #[arg(long, value_name = "NAME", help_heading = "Context", value_parser = parse_name)]
    pub config_map: Option<String>,

    /// Folder of the context that COPY sees
    #[arg(long, value_name = "PATH", help_heading = "Context")]
    pub sub_path: Option<String>,

    /// What starts a build by itself beside a change of the spec
    #[arg(long, value_delimiter = ',', value_name = "CAUSE", value_parser = cause(), ignore_case = true, help_heading = "Schedule")]
    pub rebuild_on: Vec<RebuildOn>,

    /// How often to check what --rebuild-on names, such as 5m or 1d; 5m by default. A build begins --min-interval after
    /// the last one at the earliest
    #[arg(long, value_name = "DURATION", help_heading = "Schedule")]
    pub frequency: Option<String>,

    #[command(flatten)]
    pub cron: CronArgs,

    /// How long to wait after the beginning of a build before what --rebuild-on names, or --schedule, begins another one;
    /// 5m by default
    #[arg(long, value_name = "DURATION", help_heading = "Schedule")]
    pub min_interval: Option<String>,

    /// Time that the image and its files bear, in seconds since 1970: the same inputs give the same digest
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub source_date_epoch: Option<String>,

    /// Format of the image: docker, or oci
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub format: Option<Format>,

    #[command(flatten)]
    pub jobs: JobArgs,
}

/// Returns the parser of causes, which completion and help list.
fn cause() -> impl TypedValueParser<Value = RebuildOn> {
    let causes = [PossibleValue::new("Source"), PossibleValue::new("BaseImage").alias("base-image")];
    PossibleValuesParser::new(causes).try_map(|text| parse_cause(&text))
}

fn parse_cause(text: &str) -> Result<RebuildOn, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "source" => Ok(RebuildOn::Source),
        "baseimage" | "base-image" => Ok(RebuildOn::BaseImage),
        _ => Err("write Source, BaseImage, or both"),
    }
}

fn parse_format(text: &str) -> Result<Format, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "docker" => Ok(Format::Docker),
        "oci" => Ok(Format::Oci),
        _ => Err("write docker or oci"),
    }
}
