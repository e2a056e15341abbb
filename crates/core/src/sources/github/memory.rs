//! What GitHub answered before, by address, so that it need not answer again (`ETag`).

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::Release;

/// Answers that are remembered. Beyond this none is added: an answer that is not known is only asked for anew.
const MAX_ANSWERS: usize = 200;
/// Bytes of a file that is remembered.
const MAX_REMEMBERED_FILE: usize = 8 << 10;

/// What GitHub answered before. It may be lost at any moment.
#[derive(Debug, Default)]
pub struct GithubMemory(Mutex<BTreeMap<String, Remembered>>);

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
        self.0.lock().get(url).cloned()
    }

    pub(super) fn put(&self, url: &str, answer: Remembered) {
        if matches!(&answer.known, Known::Text(text) if text.len() > MAX_REMEMBERED_FILE) {
            return;
        }
        let mut answers = self.0.lock();
        if answers.len() < MAX_ANSWERS || answers.contains_key(url) {
            answers.insert(url.to_owned(), answer);
        }
    }
}
