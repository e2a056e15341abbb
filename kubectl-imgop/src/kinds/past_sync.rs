//! The earlier syncs of an object, whatever its kind: as a table, and as a part of a document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::first_few;

/// How many tags a row names.
const MAX_TAGS: usize = 4;

/// Something that a kind counts in its syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Its column in a table.
    pub column: &'static str,
    /// Its name in a document.
    pub name: &'static str,
}

/// One sync that had something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastSync {
    /// When it ended.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// How it ended.
    pub result: SyncResult,
    /// How many of each thing that the kind counts: copied and failed tags of an Image. A number that is not recorded
    /// is absent.
    pub counts: BTreeMap<&'static str, u32>,
    /// The first few of the tags that it wrote, as the status names them.
    pub tags: Vec<String>,
    /// How many tags it wrote besides.
    pub tags_beyond: u32,
    /// Why something failed, in one word. It is known only of the last sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why something failed. It is known only of the last sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncResult {
    /// Everything is where it should be.
    Succeeded,
    /// Some of it is.
    Partial,
    /// Nothing of it is.
    Failed,
    /// The record does not say.
    Unknown,
}

/// Which columns a table of syncs has.
#[derive(Debug, Clone, Copy)]
pub struct PastColumns {
    /// Times in place of ages, and every tag that the status names.
    pub wide: bool,
    /// Why the last sync failed.
    pub reasons: bool,
}

impl SyncResult {
    /// Returns how a sync ended that did `done` and failed at `failed`.
    pub fn of(done: Option<u32>, failed: Option<u32>) -> Self {
        match (done, failed) {
            (_, None) => Self::Unknown,
            (_, Some(0)) => Self::Succeeded,
            (Some(1..), Some(_)) => Self::Partial,
            (_, Some(_)) => Self::Failed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Partial => "Partial",
            Self::Failed => "Failed",
            Self::Unknown => "<unknown>",
        }
    }
}

/// Returns the table of some syncs, in their order.
pub fn table(counted: &[Counted], syncs: &[PastSync], columns: PastColumns, now: Timestamp) -> Table {
    let mut header = vec!["SYNC", "RESULT"];
    header.extend(counted.iter().map(|counted| counted.column));
    header.push("TAGS");
    header.extend(if columns.reasons { &["REASON", "MESSAGE"][..] } else { &[] });
    let mut table = Table::new(header);
    let none = || "<none>".to_owned();
    for sync in syncs {
        let time = Time(sync.time);
        let ago = || format!("{} ago", since(Some(&time), now));
        let mut cells = vec![if columns.wide { time.0.to_string() } else { ago() }];
        cells.push(sync.result.word().to_owned());
        cells.extend(counted.iter().map(|counted| {
            sync.counts.get(counted.name).map_or_else(|| "<unknown>".to_owned(), u32::to_string)
        }));
        cells.push(tags(sync, if columns.wide { usize::MAX } else { MAX_TAGS }));
        if columns.reasons {
            cells.extend([&sync.reason, &sync.message].map(|text| text.clone().unwrap_or_else(none)));
        }
        table.row(cells);
    }
    table
}

fn tags(sync: &PastSync, max: usize) -> String {
    match first_few(&sync.tags, max, usize::try_from(sync.tags_beyond).unwrap_or(usize::MAX)) {
        none if none.is_empty() => "<none>".to_owned(),
        tags => tags,
    }
}
