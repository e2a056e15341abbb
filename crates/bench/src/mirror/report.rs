//! What comes out.

use imgop_bench::registry_of_tags::Counts;
use std::io::Write as _;

use serde::Serialize;

/// Everything that was measured.
#[derive(Serialize)]
pub struct Measured {
    pub entries: usize,
    /// Images.
    pub children: usize,
    /// Tags at all targets together.
    pub rows: usize,
    /// Writes of Images until all were there.
    pub writes: usize,
    pub most_writes_in_a_second: usize,
    pub seconds_until_ready: u64,
    /// What registries were asked until then.
    pub first_pass_requests: Counts,
    /// Resident memory after a minute of rest.
    pub rss_mb: f64,
    /// The part of it that is not the program's file.
    pub rss_anonymous_mb: f64,
    /// The most resident memory from the start to the end.
    pub hwm_mb: f64,
    pub writes_of_another_order: usize,
    pub deleted_with_an_entry: usize,
    pub other_writes_with_it: usize,
    pub children_of_that_entry: usize,
    /// What registries are asked by a sync of all that finds nothing to do.
    pub sync_requests: Counts,
    pub export_regsync_seconds: f64,
    pub export_rancher_seconds: f64,
}

/// Returns megabytes, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "no program has that many bytes")]
pub fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1e5).round() / 10.0
}

/// Progress, for whoever waits.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}"); // standard error may be closed
}

/// The table.
pub fn print(measured: &Measured) -> std::io::Result<()> {
    let Measured { entries, children, rows, writes, most_writes_in_a_second, seconds_until_ready, .. } =
        measured;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{entries} entries, {rows} rows: {children} Images, ready after {seconds_until_ready} s")?;
    writeln!(out, "writes of Images: {writes}, at most {most_writes_in_a_second} in a second (target: 20)")?;
    for (kind, count) in &measured.first_pass_requests {
        writeln!(out, "  {count} × {kind}")?;
    }
    writeln!(
        out,
        "resident: {:.1} MB (target: 60), {:.1} of it not the program's file, peak {:.1}",
        measured.rss_mb, measured.rss_anonymous_mb, measured.hwm_mb
    )?;
    writeln!(out, "another order: {} writes of Images (target: 0)", measured.writes_of_another_order)?;
    writeln!(
        out,
        "an entry less: {} of {} Images deleted, {} other writes",
        measured.deleted_with_an_entry, measured.children_of_that_entry, measured.other_writes_with_it
    )?;
    writeln!(out, "a sync of all that finds nothing to do:")?;
    for (kind, count) in &measured.sync_requests {
        writeln!(out, "  {count} × {kind}")?;
    }
    writeln!(
        out,
        "export: {} s as regsync.yaml, {} s as config.yaml (target: 0.2)",
        measured.export_regsync_seconds, measured.export_rancher_seconds
    )
}
