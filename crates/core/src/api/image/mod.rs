//! `Image`: which tags should be where.
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use std::borrow::Cow;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Credentials, EndpointRef, Side, Tls, is_default};
use super::engine::Engine;
use super::job_template::JobTemplateSpec;
use super::rules as shared_rules;
use super::schedule::Frequency;
use crate::selection::few_of;

mod destination;
mod rules;
mod status;

pub use destination::{Destination, Overwrite, Prune, PrunePolicy, Publish};
pub(super) use rules::{min_age, min_age_maximum, min_age_minimum};
pub use status::{Counts, FailureReason, HistoryEntry, ImageStatus, PruneStatus, TagFailure, WaitingTag};

/// An image, or all tags of it that match a pattern, kept at a destination registry.
#[derive(Debug, Clone, PartialEq, Eq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "skopeo.io",
    version = "v1alpha1",
    kind = "Image",
    namespaced,
    doc = "An image, or all tags of it that match a pattern, kept at a destination registry.",
    status = "ImageStatus",
    derive = "PartialEq",
    shortname = "simg",
    category = "imgop",
    selectable = ".spec.mode",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.source.version"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Synced", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Last-Change", type_ = "date", json_path = ".status.lastSyncTime"),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.source.name", priority = 1),
    printcolumn(name = "Destination", type_ = "string", json_path = ".spec.destination.name", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::no_fixed_version_for_a_pattern(),
    validation = rules::no_pattern_but_the_sources(),
    validation = rules::a_tag_for_a_digest(),
    validation = rules::no_fixed_version_for_tags(),
    validation = rules::something_to_copy(),
    validation = shared_rules::frequency_or_schedule(),
    validation = shared_rules::time_zone_of_a_schedule(),
    validation = rules::schedule_of_what_recurs(),
    validation = rules::prune_of_what_recurs(),
)]
pub struct ImageSpec {
    /// OneShot copies once and is done; OnceByTag copies each matching tag once, new ones as they
    /// appear; Recurrent also copies tags again whose content changed at the source.
    pub mode: Mode,

    /// How often the source is checked in the modes OnceByTag and Recurrent: whole numbers with
    /// s, m, h, d or w, such as 30s, 5m, 1h30m or 1d. At least 10s.
    #[serde(default = "Frequency::default_text")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = shared_rules::frequency(),
        validation = shared_rules::frequency_minimum(),
        validation = shared_rules::frequency_maximum(),
    )]
    pub frequency: String,

    /// At which times the source is checked in the modes OnceByTag and Recurrent, in place of frequency: cron's five
    /// fields (minute, hour, day of the month, month, day of the week), such as 0 3 * * * or */15 8-18 * * MON-FRI, or
    /// one of @hourly, @daily, @weekly, @monthly and @yearly. An Image that is new or changed is synced at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = shared_rules::schedule())]
    pub schedule: Option<String>,

    /// The time zone of schedule, by its name in the IANA database, such as Europe/Berlin; UTC without it. A time that the
    /// clock skips comes right after the gap, one that it shows twice comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = shared_rules::time_zone())]
    pub time_zone: Option<String>,

    /// Set to true to start no more syncs; what runs is finished.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suspend: bool,

    /// Also select pre-releases: for a pattern release candidates (-rc and one or two digits, in any
    /// spelling), for a range and * also alpha, beta, dev, pre, preview, snapshot, nightly and canary,
    /// and what Python (3.14.0a7) and Java projects (7.0.0-M1, 25-ea) write.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_candidate_release: bool,

    /// The platforms to take, as os/architecture or os/architecture/variant: linux/amd64, linux/arm/v7.
    /// Without one, all. Tags with only some of the source's platforms are indexes of their own at the
    /// destination, with other digests than at the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    #[x_kube(validation = shared_rules::platforms())]
    pub platforms: Vec<String>,

    /// Whether signatures, attestations and SBOMs go with the tags: None (the default), or All for
    /// whatever refers to a tag's content at the source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub referrers: Referrers,

    /// Where the image comes from.
    pub source: Source,

    /// Where the image goes to. Without it, below the default destination of the namespace.
    #[serde(default)]
    pub destination: Destination,

    /// Which program copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,

    /// What its Jobs have besides: where they run, with which priority, for how long, and what each of their
    /// containers may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub job_template: JobTemplateSpec,
}

impl ImageSpec {
    /// A spec that leaves everything else at its default.
    pub fn new(mode: Mode, source: Source, destination: Destination) -> Self {
        Self {
            mode,
            frequency: Frequency::default_text(),
            schedule: None,
            time_zone: None,
            suspend: false,
            allow_candidate_release: false,
            platforms: Vec::new(),
            referrers: Referrers::default(),
            source,
            destination,
            engine: None,
            job_template: JobTemplateSpec::default(),
        }
    }

    /// Returns how one side is reached.
    pub fn endpoint(&self, side: Side) -> EndpointRef<'_> {
        let Self { source, destination, .. } = self;
        match side {
            Side::Source => EndpointRef {
                name: &source.name,
                credentials: source.credentials.as_ref(),
                use_aws_irsa: source.use_aws_irsa,
                tls: &source.tls,
            },
            Side::Destination => EndpointRef {
                name: &destination.name,
                credentials: destination.credentials.as_ref(),
                use_aws_irsa: destination.use_aws_irsa,
                tls: destination.tls.as_ref().unwrap_or(&Tls::DEFAULT),
            },
        }
    }
}

/// When an Image is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Mode {
    /// Once.
    #[cfg_attr(feature = "clap", value(name = "OneShot", help = "Once"))]
    OneShot,
    /// Each tag once.
    #[cfg_attr(
        feature = "clap",
        value(name = "OnceByTag", help = "Each matching tag once, including tags that appear later")
    )]
    OnceByTag,
    /// Whenever the source differs.
    #[cfg_attr(
        feature = "clap",
        value(
            name = "Recurrent",
            help = "Each matching tag, and again whenever its content changes at the source"
        )
    )]
    Recurrent,
}

/// Whether what refers to an image is copied with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Referrers {
    /// Only the image.
    #[default]
    #[cfg_attr(feature = "clap", value(name = "None", help = "Only the tags themselves (the default)"))]
    None,
    /// Everything that refers to it at the source.
    #[cfg_attr(
        feature = "clap",
        value(name = "All", help = "Everything at the source that refers to the tags")
    )]
    All,
}

/// Where an image comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::version_or_tags(), validation = rules::no_selection_of_tags())]
pub struct Source {
    /// The repository, without a tag: quay.io/argoproj/argocd.
    #[schemars(length(max = 255))]
    #[x_kube(
        validation = Rule::new("self != ''").message("source.name must not be empty; give a repository such as quay.io/argoproj/argocd"),
        validation = shared_rules::repository("source.name", "quay.io/argoproj/argocd"),
    )]
    pub name: String,

    /// A tag (v2.13.1), a pattern (v2.13.x, 2.x.0, 2.13.x-alpine), a range (>=2.13 <2.15, ~2.13, ^2), * for every
    /// tag but pre-releases and what is named after a content, or a digest (sha256:…). Either this or tags.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = Rule::new("self != ''").message("source.version must not be empty; give a tag (v2.13.1), a pattern (v2.13.x), a range (>=2.13 <2.15), * for every tag but pre-releases, or a digest"),
        validation = rules::source_version(),
        validation = rules::readable_pattern(),
        validation = rules::readable_range(),
    )]
    pub version: String,

    /// Tags one by one, in place of version, in any order: a tag (1.27), this content under this tag
    /// (1.27@sha256:…), or this content under the tag pin-sha256- with the digest's 64 digits (sha256:…). The
    /// source's tags are not listed for them. One that the source does not have fails alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 200), regex(pattern = rules::EXACT_TAG)))]
    pub tags: Vec<String>,

    /// Narrows the tags that a pattern, a range or * selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Select>,

    /// Tags, patterns or ranges (* for all) whose tags never move at the source. That the destination
    /// has such a tag is then enough, and the source is not asked about it; a change of platforms does
    /// not reach it either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 128)))]
    #[x_kube(validation = rules::immutable_tags())]
    pub immutable_tags: Vec<String>,

    /// Take credentials from AWS (IRSA or pod identity) for this registry.
    #[serde(default, rename = "useAwsIRSA", skip_serializing_if = "is_default")]
    pub use_aws_irsa: bool,

    /// Credentials for this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// How the connection to this registry is secured.
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
}

impl Source {
    /// Returns a source that leaves everything else at its default.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), ..Self::default() }
    }

    /// Returns what the spec selects, for people: the version as it is written, or the first of the tags.
    pub fn selected(&self) -> Cow<'_, str> {
        if self.tags.is_empty() { Cow::Borrowed(&self.version) } else { Cow::Owned(few_of(&self.tags)) }
    }
}

/// What narrows the tags that a pattern, a range or `*` selects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Select {
    /// Regular expressions of which one must match the whole tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 256)))]
    pub include: Vec<String>,

    /// Regular expressions of which none may match the whole tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 256)))]
    pub exclude: Vec<String>,

    /// Only this many of the newest versions, each in one spelling, counted after everything else but
    /// minAge: a repository that releases more often than minAge never gets a tag with latest 1. Leave
    /// it out there, or raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self > 0").message("source.select.latest must be at least 1; leave it out for all tags"))]
    pub latest: Option<u32>,

    /// Only tags that have shown the same content for this long, such as 72h or 3d; at least 1m, at most
    /// 365d. Counted from the push that the registry reports, else from when the image says that it was
    /// made, else from when the agent first saw it; once a tag waits, only an earlier push changes that.
    /// Applied after latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = rules::min_age("source.select.minAge"),
        validation = rules::min_age_minimum("source.select.minAge"),
        validation = rules::min_age_maximum("source.select.minAge"),
    )]
    pub min_age: Option<String>,
}
