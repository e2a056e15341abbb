//! The flags that become fields of an Image's spec.

use clap::{Arg, Args};
use imgop_core::api::{Engine, Mode, Overwrite, Publish, Referrers};

use super::endpoints::EndpointArgs;
use super::job::JobArgs;
use super::schedule::ScheduleArgs;

/// What an Image copies, when, and how its registries are reached.
#[derive(Debug, Clone, Default, Args)]
pub struct ImageArgs {
    /// Versions to select, instead of a version after SOURCE: a tag, a pattern (v2.13.x), a range
    /// (">=2.13 <2.15", "~2.13", "^2"), "*" for every tag but pre-releases, or a digest
    #[arg(long, value_name = "VERSIONS")]
    pub versions: Option<String>,

    /// Tags one by one, instead of a version after SOURCE: TAG, TAG@sha256:… for this content under this tag, or
    /// sha256:… for this content under the tag pin-sha256-…; separate several by commas, or repeat the flag
    #[arg(long, value_name = "TAGS", value_delimiter = ',', conflicts_with = "versions")]
    pub tags: Vec<String>,

    /// Include pre-releases of the selected versions: for a pattern release candidates (-rc1, -rc.2), for a
    /// range and "*" also alphas, betas and the like
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true)]
    pub allow_candidate_release: Option<bool>,

    /// Select only tags that match one of these regular expressions as a whole
    #[arg(long, value_name = "REGEX")]
    pub include: Vec<String>,

    /// Skip tags that match one of these regular expressions as a whole
    #[arg(long, value_name = "REGEX")]
    pub exclude: Vec<String>,

    /// Select only the N newest versions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub latest: Option<u32>,

    /// Select only tags whose content has not changed for this long, such as 72h or 3d; --latest counts younger
    /// ones too
    #[arg(long, value_name = "DURATION")]
    pub min_age: Option<String>,

    /// Tags, patterns or ranges ("*" for all) that never change at the source, which is then not asked
    /// about tags that the destination has
    #[arg(long, value_name = "VERSIONS")]
    pub immutable_tags: Vec<String>,

    /// Select only these platforms, as os/architecture or os/architecture/variant; separate several by
    /// commas, or repeat the flag
    #[arg(long, alias = "platform", value_name = "PLATFORMS", value_delimiter = ',')]
    pub platforms: Vec<String>,

    /// Whether to include signatures, attestations and SBOMs
    #[arg(long, value_enum, ignore_case = true, value_name = "WHICH")]
    pub referrers: Option<Referrers>,

    /// What to do with a tag that exists at the destination with other content
    #[arg(long, value_enum, ignore_case = true, value_name = "POLICY")]
    pub overwrite: Option<Overwrite>,

    /// When to copy; by default OneShot for tags or a digest (Recurrent for tags with --frequency or --schedule), and
    /// OnceByTag for a pattern or a range
    #[arg(long, value_enum, ignore_case = true)]
    pub mode: Option<Mode>,

    #[command(flatten)]
    pub schedule: ScheduleArgs,

    /// How to write a tag at the destination
    #[arg(long, value_enum, ignore_case = true, value_name = "WAY")]
    pub publish: Option<Publish>,

    #[command(flatten)]
    pub endpoints: EndpointArgs,

    /// Which program copies; by default the one that the agent's administrator has set
    #[arg(long, value_enum, ignore_case = true, help_heading = "Jobs")]
    pub engine: Option<Engine>,

    #[command(flatten)]
    pub jobs: JobArgs,
}

/// Returns a flag, which is not listed if it is one of these: they have no effect on a verb, and are accepted so
/// that it takes the arguments of a copy as they are.
pub fn unlisted(argument: Arg, names: &[&str]) -> Arg {
    let is_hidden = argument.is_hide_set() || names.contains(&argument.get_id().as_str());
    argument.hide(is_hidden)
}

impl ImageArgs {
    /// Returns whether flags select versions, and not SOURCE.
    pub fn has_versions(&self) -> bool {
        self.versions.is_some() || !self.tags.is_empty()
    }

    /// Returns the first flag that is given and stands for a field which an Image has itself.
    pub fn first_of_a_spec(&self) -> Option<&'static str> {
        let given = [
            ("--versions", self.versions.is_some()),
            ("--tags", !self.tags.is_empty()),
            ("--allow-candidate-release", self.allow_candidate_release.is_some()),
            ("--include", !self.include.is_empty()),
            ("--exclude", !self.exclude.is_empty()),
            ("--latest", self.latest.is_some()),
            ("--min-age", self.min_age.is_some()),
            ("--immutable-tags", !self.immutable_tags.is_empty()),
            ("--platforms", !self.platforms.is_empty()),
            ("--referrers", self.referrers.is_some()),
            ("--overwrite", self.overwrite.is_some()),
            ("--mode", self.mode.is_some()),
            ("--publish", self.publish.is_some()),
            ("--engine", self.engine.is_some()),
        ];
        let given = given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        let given = given.or_else(|| self.schedule.first()).or_else(|| self.endpoints.first_of_a_spec());
        given.or_else(|| self.jobs.first())
    }
}
