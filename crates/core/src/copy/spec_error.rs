//! What can be wrong with a spec.

use std::fmt;

/// What is wrong with a spec: every problem, each with the field and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// At least one.
    pub problems: Vec<SpecProblem>,
}

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// The field.
    pub field: SpecField,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// A field of the spec that can be wrong. It is displayed as in the spec: `source.version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecField {
    /// `frequency`
    Frequency,
    /// `platforms`
    Platforms,
    /// `source.name`
    SourceName,
    /// `source.version`
    SourceVersion,
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
}

impl fmt::Display for SpecField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frequency => "frequency",
            Self::Platforms => "platforms",
            Self::SourceName => "source.name",
            Self::SourceVersion => "source.version",
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
        })
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}spec.{}: {}", problem.field, problem.message)?;
        }
        Ok(())
    }
}

/// Collects problems, so that a user sees all of them at once.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<SpecProblem>);

impl Problems {
    /// Returns what was read, or notes the problem.
    pub(super) fn keep<T, E: fmt::Display>(&mut self, field: SpecField, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(SpecProblem { field, message: error.to_string() });
                None
            }
        }
    }
}
