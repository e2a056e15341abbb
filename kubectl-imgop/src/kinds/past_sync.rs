//! The earlier syncs of an object, whatever its kind: as a table, and as a part of a document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::age::{human, since};
use crate::output::table::Table;
use crate::output::text::{first_few, none};

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

/// What a table shows of a kind's syncs.
#[derive(Debug, Clone, Copy)]
pub struct PastLayout {
    /// The column of their times: what one is called.
    pub title: &'static str,
    /// The columns between result and reason.
    pub columns: &'static [PastColumn],
    /// What is said of an object without any.
    pub none_yet: &'static str,
}

impl PastLayout {
    /// Of a kind that records no syncs.
    pub const NOTHING: Self = Self { title: "", columns: &[], none_yet: "has no history" };
}

/// A column of a table of syncs.
#[derive(Debug, Clone, Copy)]
pub enum PastColumn {
    /// A number of something.
    Count(Counted),
    /// The tags that it wrote.
    Tags,
    /// Its number.
    Number,
    /// Why it was started.
    Cause,
    /// What was new.
    Changes,
    /// How long it took.
    Duration,
    /// What it made.
    Digest,
}

/// One sync that had something to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastSync {
    /// When it ended; a build: when it began.
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
    /// The number of a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Why a build was started, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What was new for a build, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// The digest of the image that was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How long a build took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Why something failed, in one word. Of the syncs of an Image it is known only of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why something failed. Of the syncs of an Image it is known only of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncResult {
    /// Everything is where it should be.
    Succeeded,
    /// Some of it is.
    Partial,
    /// Nothing of it is.
    Failed,
    /// A user ended it.
    Cancelled,
    /// A newer one took its place.
    Superseded,
    /// The record does not say.
    #[default]
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
            Self::Cancelled => "Cancelled",
            Self::Superseded => "Superseded",
            Self::Unknown => "<unknown>",
        }
    }
}

/// Returns the table of some syncs, in their order.
pub fn table(layout: PastLayout, syncs: &[PastSync], columns: PastColumns, now: Timestamp) -> Table {
    let mut header = vec![layout.title, "RESULT"];
    header.extend(layout.columns.iter().map(|column| column.title()));
    header.extend(if columns.reasons { &["REASON", "MESSAGE"][..] } else { &[] });
    let mut table = Table::new(header);
    for sync in syncs {
        let time = Time(sync.time);
        let ago = || format!("{} ago", since(Some(&time), now));
        let mut cells = vec![if columns.wide { time.0.to_string() } else { ago() }];
        cells.push(sync.result.word().to_owned());
        cells.extend(layout.columns.iter().map(|column| column.cell(sync, columns.wide)));
        if columns.reasons {
            cells.extend([&sync.reason, &sync.message].map(|text| text.clone().unwrap_or_else(none)));
        }
        table.row(cells);
    }
    table
}

impl PastColumn {
    fn title(self) -> &'static str {
        match self {
            Self::Count(counted) => counted.column,
            Self::Tags => "TAGS",
            Self::Number => "NUMBER",
            Self::Cause => "CAUSE",
            Self::Changes => "CHANGES",
            Self::Duration => "DURATION",
            Self::Digest => "DIGEST",
        }
    }

    fn cell(self, sync: &PastSync, wide: bool) -> String {
        let unknown = || "<unknown>".to_owned();
        match self {
            Self::Count(counted) => sync.counts.get(counted.name).map_or_else(unknown, u32::to_string),
            Self::Tags => tags(sync, if wide { usize::MAX } else { MAX_TAGS }),
            Self::Number => sync.number.map_or_else(unknown, |number| number.to_string()),
            Self::Cause => sync.cause.clone().unwrap_or_else(unknown),
            Self::Changes => sync.changes.clone().unwrap_or_else(none),
            Self::Duration => sync.seconds.map_or_else(none, |seconds| human(seconds.into())),
            Self::Digest if wide => sync.digest.clone().unwrap_or_else(none),
            // As much of it as tells one image from another.
            Self::Digest => {
                sync.digest.as_ref().map_or_else(none, |digest| digest.chars().take(19).collect())
            }
        }
    }
}

fn tags(sync: &PastSync, max: usize) -> String {
    match first_few(&sync.tags, max, usize::try_from(sync.tags_beyond).unwrap_or(usize::MAX)) {
        none if none.is_empty() => "<none>".to_owned(),
        tags => tags,
    }
}
