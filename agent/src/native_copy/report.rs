//! What a container of the agent's own program reports, small enough for a termination message.

use imgop_copier::OpenUpload;
use imgop_core::text::shorten;
use imgop_registry::printable;
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;

/// Bytes of a report. Kubernetes keeps 4 KiB of a container's message.
const MAX_BYTES: usize = 4000;
/// Bytes that words leave to uploads where there are some.
const FOR_UPLOADS: usize = 1200;
/// Bytes of one message, where there is room and where there is little.
const MESSAGE_BYTES: [usize; 3] = [480, 240, 120];
/// Of how many failures the words are kept where not all fit: one after the other is tried.
const KEPT_WORDS: [usize; 9] = [80, 40, 30, 20, 15, 10, 6, 3, 1];
/// What is said of failures that find no room.
const OMITTED: &str = "it could not be copied; the log of its Job says why (kubectl imgop logs)";

/// What became of the items of a container, as far as it got. It is written again and again, so that it is there
/// whatever ends the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyReport {
    /// The items that are at the destination.
    pub done: Numbers,
    /// Those whose turn had not come when the time was over.
    #[serde(default, skip_serializing_if = "Numbers::is_empty")]
    pub left: Numbers,
    /// Those that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedItems>,
    /// Uploads that a later try may go on with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<OpenUpload>,
}

/// Items that failed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedItems {
    /// Which.
    pub items: Numbers,
    /// Why.
    pub message: String,
}

impl CopyReport {
    /// Reads what [`Self::to_message`] returned; `None` for any other text.
    pub fn read(message: &str) -> Option<Self> {
        serde_json::from_str(message.trim()).ok()
    }

    /// Adds an item that failed.
    pub fn fail(&mut self, item: u32, message: &str) {
        if let Some(failed) = self.failed.iter_mut().find(|failed| failed.message == message) {
            failed.items.insert(item);
        } else {
            let mut items = Numbers::default();
            items.insert(item);
            self.failed.push(FailedItems { items, message: message.to_owned() });
        }
    }

    /// How many items have failed.
    pub fn failures(&self) -> usize {
        self.failed.iter().map(|failed| failed.items.len()).sum()
    }

    /// Returns why an item failed, if it has.
    pub fn failure(&self, item: u32) -> Option<&str> {
        let failed = self.failed.iter().find(|failed| failed.items.contains(item))?;
        Some(&failed.message)
    }

    /// Returns the report as a termination message. What became of each item is always in it; words and uploads are as
    /// far as there is room.
    pub fn to_message(&self) -> String {
        let room = if self.uploads.is_empty() { MAX_BYTES } else { MAX_BYTES - FOR_UPLOADS };
        let mut report = self.with_fewer_words(room);
        let mut text = report.to_json();
        for upload in &self.uploads {
            report.uploads.push(upload.clone());
            let longer = report.to_json();
            if longer.len() > MAX_BYTES {
                report.uploads.pop();
            } else {
                text = longer;
            }
        }
        text
    }

    /// Returns the report without uploads and with as many words as fit.
    fn with_fewer_words(&self, room: usize) -> Self {
        let fits = |report: &Self| report.to_json().len() <= room;
        let shortened = MESSAGE_BYTES.map(|bytes| self.shortened(bytes));
        if let Some(report) = shortened.iter().find(|report| fits(report)) {
            return report.clone();
        }
        let [.., shortest] = shortened;
        let fitting = KEPT_WORDS.iter().map(|kept| shortest.merged(*kept)).find(fits);
        fitting.unwrap_or_else(|| shortest.merged(0))
    }

    /// Returns the report on one line, with messages of this number of bytes at most.
    fn shortened(&self, bytes: usize) -> Self {
        let mut report = Self { done: self.done.clone(), left: self.left.clone(), ..Self::default() };
        for FailedItems { items, message } in &self.failed {
            let message = shorten(&printable(message), bytes).into_owned();
            match report.failed.iter_mut().find(|failed| failed.message == message) {
                Some(failed) => failed.items.extend(items),
                None => report.failed.push(FailedItems { items: items.clone(), message }),
            }
        }
        report
    }

    /// Returns the report with the words of the first failures alone.
    fn merged(&self, kept: usize) -> Self {
        let (first, others) = self.failed.split_at(kept.min(self.failed.len()));
        let mut failed = first.to_vec();
        let mut items = Numbers::default();
        for other in others {
            items.extend(&other.items);
        }
        if !items.is_empty() {
            failed.push(FailedItems { items, message: OMITTED.to_owned() });
        }
        Self { done: self.done.clone(), left: self.left.clone(), failed, uploads: Vec::new() }
    }

    fn to_json(&self) -> String {
        // Numbers and texts are always written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use imgop_registry::reference::Digest;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_that_went_well_needs_a_line_and_failures_alike_need_words_once() {
        let mut report = CopyReport::default();
        (0..100).filter(|item| item % 50 != 7).for_each(|item| report.done.insert(item));
        report.fail(7, "403 denied");
        report.fail(57, "403 denied");
        insta::assert_snapshot!(report.to_message(), @r#"{"done":"0-6,8-56,58-99","failed":[{"items":"7,57","message":"403 denied"}]}"#);
        assert_eq!(CopyReport::read(&report.to_message()), Some(report));
    }

    #[test]
    fn what_was_left_stands_beside_what_is_done_and_what_failed() {
        let mut report = CopyReport::default();
        report.done.insert(0);
        report.fail(1, "the time was over");
        (2..40).for_each(|item| report.left.insert(item));
        insta::assert_snapshot!(report.to_message(), @r#"{"done":"0","left":"2-39","failed":[{"items":"1","message":"the time was over"}]}"#);
        assert_eq!(CopyReport::read(&report.to_message()), Some(report));
    }

    #[test]
    fn what_is_no_report_is_none() {
        for text in ["", "{}", "panicked at …", r#"{"done":"0-9999999"}"#, r#"{"done":"","more":1}"#] {
            assert_eq!(CopyReport::read(text), None, "{text}");
        }
    }

    #[test]
    fn where_all_fail_differently_each_is_still_told_and_uploads_have_their_room() {
        let mut report = CopyReport::default();
        for item in 0..500 {
            report.fail(item, &format!("the blob {} is denied\n", Digest::of(&item.to_be_bytes())));
        }
        let upload = |n: u8| OpenUpload {
            blob: Digest::of(&[n]),
            place: format!("https://r/u?s={}", "x".repeat(300)),
        };
        report.uploads = (0..9).map(upload).collect();
        let message = report.to_message();
        let read = CopyReport::read(&message).unwrap();
        assert!(message.len() <= MAX_BYTES, "{}", message.len());
        assert!(read.uploads.len() >= 2, "{}", read.uploads.len());
        assert!(read.failure(0).unwrap().contains("is denied") && read.failure(499) == Some(OMITTED));
    }

    proptest! {
        // Each case is some ten kilobytes.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_item_keeps_its_outcome_whatever_the_words(
            outcomes in proptest::collection::vec(proptest::option::of(".{0,160}"), 0..200),
        ) {
            let mut report = CopyReport::default();
            for (item, outcome) in (0..).zip(&outcomes) {
                match outcome {
                    None => report.done.insert(item),
                    Some(message) => report.fail(item, message),
                }
            }
            let message = report.to_message();
            prop_assert!(message.len() <= MAX_BYTES, "{} bytes", message.len());
            let read = CopyReport::read(&message).unwrap();
            for (item, outcome) in (0..).zip(&outcomes) {
                prop_assert_eq!(read.done.contains(item), outcome.is_none());
                prop_assert_eq!(read.failure(item).is_some(), outcome.is_some());
            }
        }
    }
}
