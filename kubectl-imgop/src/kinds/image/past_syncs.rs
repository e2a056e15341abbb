//! The history in the status of an Image.

use imgop_core::api::{HistoryEntry, ImageStatus};

use crate::kinds::past_sync::{Counted, PastColumn, PastLayout, PastSync, SyncResult};

/// What the history shows.
pub const LAYOUT: PastLayout = PastLayout {
    title: "SYNC",
    columns: &[
        PastColumn::Count(Counted { column: "COPIED", name: "copied" }),
        PastColumn::Count(Counted { column: "FAILED", name: "failed" }),
        PastColumn::Tags,
    ],
    none_yet: "has copied nothing yet",
};

/// Returns the syncs that copied something, the newest first.
pub fn past_syncs(status: &ImageStatus) -> Vec<PastSync> {
    let mut entries: Vec<&HistoryEntry> = status.history.iter().collect();
    entries.sort_by(|a, b| b.performed_at.cmp(&a.performed_at));
    entries.into_iter().map(|entry| past_sync(entry, status)).collect()
}

fn past_sync(entry: &HistoryEntry, status: &ImageStatus) -> PastSync {
    let counts = [("copied", entry.copied), ("failed", entry.failed)];
    let named = u32::try_from(entry.tags.len()).unwrap_or(u32::MAX);
    let mut sync = PastSync {
        time: entry.performed_at.0,
        result: SyncResult::of(entry.copied, entry.failed),
        counts: counts.into_iter().filter_map(|(name, count)| Some((name, count?))).collect(),
        tags: entry.tags.clone(),
        tags_beyond: entry.copied.unwrap_or_default().saturating_sub(named),
        ..PastSync::default()
    };
    // The failures of a status are those of its last sync, which is not always in the history.
    let is_last = status.last_sync_time.as_ref() == Some(&entry.performed_at);
    if let Some(first) = status.failures.first().filter(|_| is_last && entry.failed != Some(0)) {
        let others = match entry.failed.unwrap_or_default() {
            0 | 1 => String::new(),
            failed => format!(" (and {} more)", failed - 1),
        };
        sync.reason = Some(format!("{:?}", first.reason));
        sync.message = Some(format!("{}: {}{others}", first.tag, first.message));
    }
    sync
}
