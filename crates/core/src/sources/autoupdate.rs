//! `autoupdate.yaml` of rancher/artifact-mirror (formerly image-mirror), in all forms that it has had. Its canonical form is
//! [`crate::formats::autoupdate`]'s.

mod charts;
mod read;

pub use read::read;

use super::{Matching, Update};

/// How its entries match those of the inventory.
pub const MATCHING: Matching = Matching::SourceAndName;

/// What `autoupdate.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoupdate {
    /// Its entries, in their order.
    pub entries: Vec<AutoupdateEntry>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoupdateEntry {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// What it says.
    pub update: Update,
}

#[cfg(test)]
mod tests;
