//! The flags that are fields of the spec.

use clap::{Args, ValueEnum};
use imgop_core::api::TlsMode;

/// Flags that say which tags are meant and how the registries are reached.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// Which versions to take, in place of a version behind SOURCE: a tag, a pattern (v2.13.x), a
    /// range (">=2.13 <2.15", "~2.13", "^2"), "*" for every tag, or a digest
    #[arg(long, value_name = "VERSIONS")]
    pub versions: Option<String>,

    /// Also take release candidates (-rc1, -rc.2) of the versions that the pattern means
    #[arg(long)]
    pub allow_candidate_release: bool,

    /// Only tags that one of these regular expressions matches from end to end
    #[arg(long, value_name = "REGEX")]
    pub include: Vec<String>,

    /// No tags that one of these regular expressions matches from end to end
    #[arg(long, value_name = "REGEX")]
    pub exclude: Vec<String>,

    /// Only this many of the newest versions, those included that are too young for --min-age
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub latest: Option<u32>,

    /// Only tags that have shown the same content for this long, such as 72h or 3d; of those that --latest
    /// leaves
    #[arg(long, value_name = "DURATION")]
    pub min_age: Option<String>,

    /// Tags, patterns or ranges ("*" for all) that never move at the source: it is not asked about those
    /// that the destination has
    #[arg(long, value_name = "VERSIONS")]
    pub immutable_tags: Vec<String>,

    /// Only these platforms, as os/architecture or os/architecture/variant; several with commas, or with
    /// the flag repeated
    #[arg(long, value_name = "PLATFORMS", value_delimiter = ',')]
    pub platforms: Vec<String>,

    /// Whether signatures, attestations and SBOMs go with the tags
    #[arg(long, value_enum, ignore_case = true, value_name = "WHICH")]
    pub referrers: Option<ReferrersArg>,

    /// What to do with a tag that exists at the destination with other content
    #[arg(long, value_enum, ignore_case = true, value_name = "POLICY")]
    pub overwrite: Option<OverwriteArg>,

    /// Secret (kubernetes.io/dockerconfigjson) with the credentials for the source
    #[arg(long, alias = "src-credentials", value_name = "SECRET", help_heading = "Registries",
        value_parser = crate::kinds::object_name::parse_name)]
    pub source_credentials: Option<String>,

    /// Secret (kubernetes.io/dockerconfigjson) with the credentials for the destination
    #[arg(long, alias = "dest-credentials", value_name = "SECRET", help_heading = "Registries",
        value_parser = crate::kinds::object_name::parse_name)]
    pub destination_credentials: Option<String>,

    /// Take the agent's AWS credentials for the source, a registry of Amazon ECR
    #[arg(long, help_heading = "Registries", conflicts_with = "source_credentials")]
    pub source_use_aws_irsa: bool,

    /// Take the agent's AWS credentials for the destination, a registry of Amazon ECR
    #[arg(long, help_heading = "Registries", conflicts_with = "destination_credentials")]
    pub destination_use_aws_irsa: bool,

    /// How the connection to the source is secured
    #[arg(long, value_enum, ignore_case = true, value_name = "MODE", help_heading = "Registries")]
    pub source_tls: Option<TlsArg>,

    /// How the connection to the destination is secured
    #[arg(long, value_enum, ignore_case = true, value_name = "MODE", help_heading = "Registries")]
    pub destination_tls: Option<TlsArg>,

    /// Secret whose key ca.crt holds more certificates (PEM) to trust at the source
    #[arg(long, value_name = "SECRET", help_heading = "Registries", value_parser = crate::kinds::object_name::parse_name)]
    pub source_ca_secret: Option<String>,

    /// Secret whose key ca.crt holds more certificates (PEM) to trust at the destination
    #[arg(long, value_name = "SECRET", help_heading = "Registries", value_parser = crate::kinds::object_name::parse_name)]
    pub destination_ca_secret: Option<String>,
}

impl SelectionArgs {
    /// The first flag that is given and stands for a field which an Image has itself. How the
    /// connections are secured is not among them: that may differ for this machine.
    pub fn first_of_a_spec(&self) -> Option<&'static str> {
        let given = [
            ("--versions", self.versions.is_some()),
            ("--allow-candidate-release", self.allow_candidate_release),
            ("--include", !self.include.is_empty()),
            ("--exclude", !self.exclude.is_empty()),
            ("--latest", self.latest.is_some()),
            ("--min-age", self.min_age.is_some()),
            ("--immutable-tags", !self.immutable_tags.is_empty()),
            ("--platforms", !self.platforms.is_empty()),
            ("--referrers", self.referrers.is_some()),
            ("--overwrite", self.overwrite.is_some()),
            ("--source-credentials", self.source_credentials.is_some()),
            ("--destination-credentials", self.destination_credentials.is_some()),
            ("--source-use-aws-irsa", self.source_use_aws_irsa),
            ("--destination-use-aws-irsa", self.destination_use_aws_irsa),
            ("--source-ca-secret", self.source_ca_secret.is_some()),
            ("--destination-ca-secret", self.destination_ca_secret.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

/// Flags that say when and how tags are copied.
#[derive(Debug, Clone, Default, Args)]
pub struct ScheduleArgs {
    /// When to copy; OneShot for one tag or digest, OnceByTag for a pattern or a range, unless given
    #[arg(long, value_enum, ignore_case = true)]
    pub mode: Option<ModeArg>,

    /// How often to look at the source (OnceByTag and Recurrent), such as 30s, 5m, 1h30m or 1d; 5m
    /// unless given
    #[arg(long, value_name = "DURATION")]
    pub frequency: Option<String>,

    /// Start no syncs until the Image is resumed
    #[arg(long)]
    pub suspend: bool,

    /// How a tag is written at the destination
    #[arg(long, value_enum, ignore_case = true, value_name = "WAY")]
    pub publish: Option<PublishArg>,
}

/// A `spec.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Once
    #[value(name = "OneShot")]
    OneShot,
    /// Each matching tag once, new ones as they appear
    #[value(name = "OnceByTag")]
    OnceByTag,
    /// Also again when a tag's content changed at the source
    #[value(name = "Recurrent")]
    Recurrent,
}

/// A `spec.referrers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReferrersArg {
    /// Only the tags (the default)
    #[value(name = "None")]
    None,
    /// Also whatever refers to them at the source
    #[value(name = "All")]
    All,
}

/// A `spec.destination.overwrite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OverwriteArg {
    /// Replace it (the default)
    #[value(name = "IfDifferent")]
    IfDifferent,
    /// Keep it
    #[value(name = "IfMissing")]
    IfMissing,
}

/// A `spec.destination.publish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PublishArg {
    /// Content by digest first, the tag last (the default)
    #[value(name = "Staged")]
    Staged,
    /// By tag at once, for registries that drop untagged content
    #[value(name = "Direct")]
    Direct,
}

/// A `tls.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsArg {
    /// HTTPS with a trusted certificate (the default)
    #[value(name = "Verify")]
    Verify,
    /// HTTPS with any certificate
    #[value(name = "SkipVerify")]
    SkipVerify,
    /// HTTP
    #[value(name = "PlainHTTP")]
    PlainHttp,
}

impl From<TlsArg> for TlsMode {
    fn from(arg: TlsArg) -> Self {
        match arg {
            TlsArg::Verify => Self::Verify,
            TlsArg::SkipVerify => Self::SkipVerify,
            TlsArg::PlainHttp => Self::PlainHttp,
        }
    }
}
