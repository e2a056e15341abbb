//! Which fields of an Image's spec can be wrong.

use std::fmt;

/// What is wrong with the spec of an Image.
pub type SpecError = crate::spec_error::SpecError<SpecField>;

/// A field of the spec that can be wrong. It is displayed as in the spec: `source.version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecField {
    /// `frequency`
    Frequency,
    /// `schedule`
    Schedule,
    /// `timeZone`
    TimeZone,
    /// `platforms`
    Platforms,
    /// `source.name`
    SourceName,
    /// `source.version`
    SourceVersion,
    /// `source.tags`
    SourceTags,
    /// `source.select`
    Select,
    /// `source.select.minAge`
    MinAge,
    /// `source.immutableTags`
    ImmutableTags,
    /// `source.useAwsIRSA`
    SourceAws,
    /// `source.credentials.secretName`
    SourceSecret,
    /// `source.tls.caSecretName`
    SourceCaSecret,
    /// `source.tls`
    SourceTls,
    /// `destination.name`
    DestinationName,
    /// `destination.version`
    DestinationVersion,
    /// `destination.useAwsIRSA`
    DestinationAws,
    /// `destination.credentials.secretName`
    DestinationSecret,
    /// `destination.tls.caSecretName`
    DestinationCaSecret,
    /// `destination.tls`
    DestinationTls,
    /// `destination.create`, or a field of it
    Create(&'static str),
    /// `destination.prune`
    Prune,
    /// `destination.prune.minAge`
    PruneMinAge,
    /// A field of `jobTemplate`
    JobTemplate(&'static str),
}

impl fmt::Display for SpecField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frequency => "frequency",
            Self::Schedule => "schedule",
            Self::TimeZone => "timeZone",
            Self::Platforms => "platforms",
            Self::SourceName => "source.name",
            Self::SourceVersion => "source.version",
            Self::SourceTags => "source.tags",
            Self::Select => "source.select",
            Self::MinAge => "source.select.minAge",
            Self::ImmutableTags => "source.immutableTags",
            Self::SourceAws => "source.useAwsIRSA",
            Self::SourceSecret => "source.credentials.secretName",
            Self::SourceCaSecret => "source.tls.caSecretName",
            Self::SourceTls => "source.tls",
            Self::DestinationName => "destination.name",
            Self::DestinationVersion => "destination.version",
            Self::DestinationAws => "destination.useAwsIRSA",
            Self::DestinationSecret => "destination.credentials.secretName",
            Self::DestinationCaSecret => "destination.tls.caSecretName",
            Self::DestinationTls => "destination.tls",
            Self::Prune => "destination.prune",
            Self::PruneMinAge => "destination.prune.minAge",
            Self::Create(field) | Self::JobTemplate(field) => field,
        })
    }
}
