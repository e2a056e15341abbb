//! The flags that become fields of an Image's spec.

use clap::Args;
use imgop_core::api::{Mode, Overwrite, Publish, Referrers, TlsMode};

/// Flags that select tags and say how the registries are reached.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// Versions to copy, instead of a version after SOURCE: a tag, a pattern (v2.13.x), a range
    /// (">=2.13 <2.15", "~2.13", "^2"), "*" for every tag, or a digest
    #[arg(long, value_name = "VERSIONS")]
    pub versions: Option<String>,

    /// Include release candidates (-rc1, -rc.2) of the selected versions
    #[arg(long)]
    pub allow_candidate_release: bool,

    /// Copy only tags that match one of these regular expressions as a whole
    #[arg(long, value_name = "REGEX")]
    pub include: Vec<String>,

    /// Skip tags that match one of these regular expressions as a whole
    #[arg(long, value_name = "REGEX")]
    pub exclude: Vec<String>,

    /// Copy only the N newest versions; versions that are too young for --min-age count too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub latest: Option<u32>,

    /// Copy only tags whose content has not changed for this long, such as 72h or 3d; applied after
    /// --latest
    #[arg(long, value_name = "DURATION")]
    pub min_age: Option<String>,

    /// Tags, patterns or ranges ("*" for all) that never change at the source, which is then not asked
    /// about tags that the destination has
    #[arg(long, value_name = "VERSIONS")]
    pub immutable_tags: Vec<String>,

    /// Copy only these platforms, as os/architecture or os/architecture/variant; separate several by
    /// commas, or repeat the flag
    #[arg(long, value_name = "PLATFORMS", value_delimiter = ',')]
    pub platforms: Vec<String>,

    /// Whether to copy signatures, attestations and SBOMs too
    #[arg(long, value_enum, ignore_case = true, value_name = "WHICH")]
    pub referrers: Option<Referrers>,

    /// What to do with a tag that exists at the destination with other content
    #[arg(long, value_enum, ignore_case = true, value_name = "POLICY")]
    pub overwrite: Option<Overwrite>,

    /// Secret (kubernetes.io/dockerconfigjson) with the credentials for the source
    #[arg(long, alias = "src-credentials", value_name = "SECRET", help_heading = "Registries")]
    pub source_credentials: Option<String>,

    /// Secret (kubernetes.io/dockerconfigjson) with the credentials for the destination
    #[arg(long, alias = "dest-credentials", value_name = "SECRET", help_heading = "Registries")]
    pub destination_credentials: Option<String>,

    /// Use the agent's AWS identity for the source, an Amazon ECR registry
    #[arg(long, help_heading = "Registries", conflicts_with = "source_credentials")]
    pub source_use_aws_irsa: bool,

    /// Use the agent's AWS identity for the destination, an Amazon ECR registry
    #[arg(long, help_heading = "Registries", conflicts_with = "destination_credentials")]
    pub destination_use_aws_irsa: bool,

    /// How to secure the connection to the source
    #[arg(long, value_enum, ignore_case = true, value_name = "MODE", help_heading = "Registries")]
    pub source_tls: Option<TlsMode>,

    /// How to secure the connection to the destination
    #[arg(long, value_enum, ignore_case = true, value_name = "MODE", help_heading = "Registries")]
    pub destination_tls: Option<TlsMode>,

    /// Secret whose key ca.crt holds additional CA certificates (PEM) for the source
    #[arg(long, value_name = "SECRET", help_heading = "Registries")]
    pub source_ca_secret: Option<String>,

    /// Secret whose key ca.crt holds additional CA certificates (PEM) for the destination
    #[arg(long, value_name = "SECRET", help_heading = "Registries")]
    pub destination_ca_secret: Option<String>,
}

impl SelectionArgs {
    /// Returns the first flag that is given and stands for a field which an Image has itself. How the
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

/// Flags that say when and how to copy.
#[derive(Debug, Clone, Default, Args)]
pub struct ScheduleArgs {
    /// When to copy; by default OneShot for one tag or digest (Recurrent for one tag with --frequency), and
    /// OnceByTag for a pattern or a range
    #[arg(long, value_enum, ignore_case = true)]
    pub mode: Option<Mode>,

    /// How often to check the source (OnceByTag and Recurrent), such as 30s, 5m, 1h30m or 1d; 5m by
    /// default
    #[arg(long, value_name = "DURATION")]
    pub frequency: Option<String>,

    /// Create the Image suspended: no sync starts until it is resumed
    #[arg(long)]
    pub suspend: bool,

    /// How to write a tag at the destination
    #[arg(long, value_enum, ignore_case = true, value_name = "WAY")]
    pub publish: Option<Publish>,
}

impl ScheduleArgs {
    /// Returns the first flag that is given.
    pub fn first_of_a_spec(&self) -> Option<&'static str> {
        let given = [
            ("--mode", self.mode.is_some()),
            ("--frequency", self.frequency.is_some()),
            ("--suspend", self.suspend),
            ("--publish", self.publish.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}
