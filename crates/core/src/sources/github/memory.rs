//! What GitHub answered before, by address, so that it need not answer again (`ETag`), and until when it takes no requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::Release;

/// Answers that are remembered. Beyond this none is added: an answer that is not known is only asked for anew.
const MAX_ANSWERS: usize = 200;
/// Bytes of a file that is remembered.
const MAX_REMEMBERED_FILE: usize = 8 << 10;

/// What GitHub answered before. It may be lost at any moment.
#[derive(Debug, Default)]
pub struct GithubMemory(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answers: BTreeMap<String, Remembered>,
    limited_until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) etag: String,
    pub(super) known: Known,
}

/// An answer as far as it matters.
#[derive(Debug, Clone)]
pub(super) enum Known {
    Releases {
        releases: Vec<Release>,
        /// The address of the next page.
        next: Option<String>,
    },
    Text(String),
}

impl GithubMemory {
    pub(super) fn get(&self, url: &str) -> Option<Remembered> {
        self.0.lock().answers.get(url).cloned()
    }

    pub(super) fn put(&self, url: &str, answer: Remembered) {
        if matches!(&answer.known, Known::Text(text) if text.len() > MAX_REMEMBERED_FILE) {
            return;
        }
        let answers = &mut self.0.lock().answers;
        if answers.len() < MAX_ANSWERS || answers.contains_key(url) {
            answers.insert(url.to_owned(), answer);
        }
    }

    pub(super) fn limit(&self, until: Timestamp) {
        self.0.lock().limited_until = Some(until);
    }

    /// Returns until when GitHub takes no requests, if it takes none now.
    pub fn limited_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.lock().limited_until.filter(|until| *until > now)
    }
}
