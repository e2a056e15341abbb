//! The report of a container, written whenever something changes.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use imgop_copier::OpenUpload;
use parking_lot::Mutex;

use super::report::CopyReport;

/// Writes the report of a container to where Kubernetes looks for it.
#[derive(Debug)]
pub struct Reporter {
    file: PathBuf,
    report: Mutex<CopyReport>,
}

impl Reporter {
    /// Returns a reporter that has nothing to report yet.
    pub fn new(file: PathBuf) -> Self {
        Self { file, report: Mutex::default() }
    }

    /// An item is at the destination.
    pub fn done(&self, item: u32) {
        self.change(|report| report.done.insert(item));
    }

    /// An item has failed.
    pub fn failed(&self, item: u32, why: &str) {
        self.change(|report| report.fail(item, why));
    }

    /// These uploads are under way.
    pub fn uploads(&self, mut uploads: Vec<OpenUpload>) {
        // Where there is no room for all, the newest is worth most.
        uploads.reverse();
        self.change(|report| report.uploads = uploads);
    }

    /// Returns how many items are done, and how many have failed.
    pub fn counts(&self) -> (usize, usize) {
        let report = self.report.lock();
        (report.done.len(), report.failures())
    }

    /// Returns whether nothing is known of an item yet.
    pub fn is_open(&self, item: u32) -> bool {
        is_open(&self.report.lock(), item)
    }

    /// The time is over: of all items from 0 to `items` that nothing is known of, those that were begun have failed, and the
    /// others are left.
    pub fn time_is_over(&self, items: u32, begun: &HashSet<u32>, why: &str) {
        self.change(|report| {
            let open: Vec<u32> = (0..items).filter(|item| is_open(report, *item)).collect();
            for item in open {
                if begun.contains(&item) {
                    report.fail(item, why);
                } else {
                    report.left.insert(item);
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut CopyReport)) {
        let mut report = self.report.lock();
        change(&mut report);
        // Where it cannot be written, the exit code and the log still tell.
        let _ = fs::write(&self.file, report.to_message());
    }
}

fn is_open(report: &CopyReport, item: u32) -> bool {
    !report.done.contains(item) && report.failure(item).is_none()
}
