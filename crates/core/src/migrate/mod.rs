//! What other tools' objects become here, and what of them changes on the way. Pure.

mod autoupdate;
mod copycat;
mod daily;
mod image_operator;
mod image_operator_frequency;
mod image_operator_settings;
mod lent;
mod manager_flags;
mod on_the_fly;

use std::fmt;

pub use autoupdate::mirror_update;
pub use copycat::{CopycatInput, MigratedCopycat, is_copycat_variable, migrate_copycat};
pub use daily::{Daily, follow_daily};
pub use image_operator::migrate as migrate_image_operator;
pub use image_operator_settings::{
    MigratedOperator, is_operator_setting, migrate_operator_settings, operator_chart_changes,
};
pub use on_the_fly::image_operator_values;

/// An object as it is applied here.
#[derive(Debug, Clone, PartialEq)]
pub struct Migrated {
    /// The object.
    pub object: serde_json::Value,
    /// What became of its fields; nothing where all are carried as they are.
    pub changes: Vec<Change>,
}

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field: `spec.frequency`.
    pub field: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, or what to do.
    pub reason: String,
}

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It says something else now.
    Changed,
    /// It is the same, and means something else, or needs something first.
    Kept,
    /// It is not there any more.
    NotCarried,
    /// It cannot be used as it is.
    Unusable,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "changed",
            Self::Kept => "carried",
            Self::NotCarried => "not carried",
            Self::Unusable => "cannot be used",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.field, self.outcome, self.reason)
    }
}
