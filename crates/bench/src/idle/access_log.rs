//! What a registry was asked, counted by kind.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::report::Counts;

/// A line is written when its answer is, or a moment later.
const SETTLED: Duration = Duration::from_millis(500);

/// The access log of a registry.
pub struct AccessLog {
    file: PathBuf,
}

/// A place in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl AccessLog {
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The end of the log, as soon as it does not grow.
    pub async fn mark(&self) -> anyhow::Result<Mark> {
        let length = || Ok::<_, std::io::Error>(std::fs::metadata(&self.file)?.len());
        let mut before = length()?;
        loop {
            tokio::time::sleep(SETTLED).await;
            let now = length()?;
            if now == before {
                return Ok(Mark(now));
            }
            before = now;
        }
    }

    /// Counts the requests between two places.
    pub fn count(&self, from: Mark, to: Mark) -> anyhow::Result<Counts> {
        let bytes =
            std::fs::read(&self.file).with_context(|| format!("no access log {}", self.file.display()))?;
        let range = usize::try_from(from.0)?..usize::try_from(to.0)?;
        let text = String::from_utf8_lossy(bytes.get(range).context("the access log became shorter")?);
        let mut counts = Counts::new();
        for kind in text.lines().filter_map(kind) {
            *counts.entry(kind).or_default() += 1;
        }
        Ok(counts)
    }
}

/// Reads a line in Apache's combined format, such as
/// `10.0.0.1 - - [21/Nov/2026:10:52:33 +0000] "GET /v2/a/tags/list?n=1 HTTP/1.1" 200 2 "" "x"`.
/// An answer that is no success is a kind of its own.
fn kind(line: &str) -> Option<String> {
    let mut quoted = line.split('"').skip(1);
    let (request, answer) = (quoted.next()?, quoted.next()?);
    let mut request = request.split(' ');
    let (method, path) = (request.next()?, request.next()?);
    let what = match path {
        "/v2/" => "/v2/",
        _ if path.contains("/tags/list") => "tags/list",
        _ if path.contains("/manifests/") => "manifests",
        _ if path.contains("/blobs/") => "blobs",
        _ => path,
    };
    let status = answer.split_whitespace().next()?;
    Some(if status.starts_with('2') {
        format!("{method} {what}")
    } else {
        format!("{method} {what} ({status})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind() {
        let line = |request: &str, status: &str| {
            kind(&format!(r#"::1 - - [21/Nov/2026:10:52:33 +0000] "{request} HTTP/1.1" {status} 2 "" "x""#))
        };
        assert_eq!(line("GET /v2/a/b/tags/list?n=1", "200").unwrap(), "GET tags/list");
        assert_eq!(line("HEAD /v2/a/manifests/1.0.0", "200").unwrap(), "HEAD manifests");
        assert_eq!(line("GET /v2/", "401").unwrap(), "GET /v2/ (401)");
        assert_eq!(kind("listening on [::]:5000"), None);
    }
}
