//! Uploads that are under way, so that a later process goes on with them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use imgop_registry::Upload;
use imgop_registry::reference::{Digest, Repository};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Registries drop uploads after some days.
const MAX_AGE_SECONDS: i64 = 3 * 24 * 3600;
/// Uploads that are remembered.
const MAX_UPLOADS: usize = 200;

/// The uploads that are under way.
#[derive(Default)]
pub struct Journal {
    file: Option<Held>,
    uploads: Mutex<BTreeMap<String, Entry>>,
    watcher: Option<Box<Watcher>>,
}

type Watcher = dyn Fn(Vec<OpenUpload>) + Send + Sync;

/// An upload that is under way, for a process that goes on with it where this one has no file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenUpload {
    /// The blob.
    pub blob: Digest,
    /// The place of the upload at its registry.
    pub place: String,
}

/// A file that no other process has meanwhile: two that go on with one upload would spoil it.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// Locked until it is closed.
    _lock: File,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    place: String,
    at: Timestamp,
}

impl Journal {
    /// Returns a journal that ends with this process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Reads the journal of a file, which need not exist. It is written as soon as there is something to remember, for
    /// this user's eyes only. What cannot be read is forgotten: then blobs are sent from their beginning. While another
    /// process has it, nothing is remembered.
    pub fn of_file(file: &Path, now: Timestamp) -> Self {
        let lock = match locked(&file.with_extension("lock")) {
            Ok(lock) => lock,
            Err(error) => {
                tracing::debug!(file = %file.display(), %error, "uploads are not remembered");
                return Self::in_memory();
            }
        };
        let read = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut uploads: BTreeMap<String, Entry> = read.unwrap_or_default();
        uploads.retain(|_, entry| now.as_second().saturating_sub(entry.at.as_second()) < MAX_AGE_SECONDS);
        let file = Some(Held { path: file.to_owned(), _lock: lock });
        Self { file, uploads: Mutex::new(uploads), watcher: None }
    }

    /// Adds uploads to one destination that an earlier process has left.
    #[must_use]
    pub fn resuming(self, destination: &Repository, uploads: &[OpenUpload], now: Timestamp) -> Self {
        let added = uploads
            .iter()
            .take(MAX_UPLOADS)
            .map(|upload| (key(destination, &upload.blob), Entry { place: upload.place.clone(), at: now }));
        // What the file holds is younger.
        added.for_each(|(key, entry)| _ = self.uploads.lock().entry(key).or_insert(entry));
        self
    }

    /// Lets `watcher` have all uploads whenever one of them changes, the oldest first.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(Vec<OpenUpload>) + Send + Sync + 'static) -> Self {
        Self { watcher: Some(Box::new(watcher)), ..self }
    }

    /// Whether a later process finds what is remembered.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some() || self.watcher.is_some()
    }

    /// Returns where the upload of a blob is, if one broke off.
    pub(crate) fn place(&self, destination: &Repository, blob: &Digest) -> Option<String> {
        self.uploads.lock().get(&key(destination, blob)).map(|entry| entry.place.clone())
    }

    /// Remembers an upload, unless it is elsewhere than at its registry.
    pub(crate) fn record(&self, destination: &Repository, blob: &Digest, upload: &Upload, now: Timestamp) {
        let Some(place) = upload.place() else { return };
        let mut uploads = self.uploads.lock();
        if uploads.len() >= MAX_UPLOADS
            && let Some(oldest) = uploads.iter().min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone())
        {
            uploads.remove(&oldest);
        }
        uploads.insert(key(destination, blob), Entry { place: place.to_owned(), at: now });
        self.write(&uploads);
    }

    /// Forgets an upload that has ended.
    pub(crate) fn forget(&self, destination: &Repository, blob: &Digest) {
        let mut uploads = self.uploads.lock();
        if uploads.remove(&key(destination, blob)).is_some() {
            self.write(&uploads);
        }
    }

    fn write(&self, uploads: &BTreeMap<String, Entry>) {
        if let Some(watcher) = &self.watcher {
            let mut open: Vec<(&String, &Entry)> = uploads.iter().collect();
            open.sort_by_key(|(_, entry)| entry.at);
            let open = open.into_iter().filter_map(|(key, Entry { place, .. })| {
                let blob = key.rsplit_once('@')?.1.parse().ok()?;
                Some(OpenUpload { blob, place: place.clone() })
            });
            watcher(open.collect());
        }
        let Some(Held { path: file, .. }) = &self.file else { return };
        if let Err(error) = write(file, uploads) {
            // It is of use only after a break.
            tracing::debug!(file = %file.display(), %error, "uploads are not remembered");
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("file", &self.file).finish_non_exhaustive()
    }
}

fn key(destination: &Repository, blob: &Digest) -> String {
    format!("{destination}@{blob}")
}

/// Locks a file, which stays where it is. Fails if another process has locked it.
fn locked(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = options().open(path)?;
    file.try_lock()?;
    Ok(file)
}

/// Returns how files are opened: for this user alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes the file as a whole, so that one that is broken off leaves the old one.
fn write(file: &Path, uploads: &BTreeMap<String, Entry>) -> io::Result<()> {
    if uploads.is_empty() {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let partial = file.with_extension("partial");
    let mut written = options().open(&partial)?;
    written.write_all(&serde_json::to_vec(uploads)?)?;
    fs::rename(&partial, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_one_process_has_the_file_another_one_remembers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache/uploads.json");
        let first = Journal::of_file(&file, Timestamp::UNIX_EPOCH);
        assert!(first.is_kept());
        assert!(!Journal::of_file(&file, Timestamp::UNIX_EPOCH).is_kept());
        drop(first);
        assert!(Journal::of_file(&file, Timestamp::UNIX_EPOCH).is_kept(), "it has ended");
    }
}
