//! Answers of GitHub's API, decoded. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::memory::Known;
use super::{Answer, Release};

/// How long a limit lasts that names no end, as GitHub advises.
const UNNAMED_PAUSE: SignedDuration = SignedDuration::from_mins(1);

#[derive(Deserialize)]
#[serde(untagged)]
enum Page {
    Several(Vec<Release>),
    One(Release),
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    message: String,
}

/// Reads releases, one or several, and where the next ones are.
pub(super) fn decode(answer: &Answer) -> Result<Known, String> {
    let releases = match serde_json::from_slice(&answer.body).map_err(|error| error.to_string())? {
        Page::Several(releases) => releases,
        Page::One(release) => vec![release],
    };
    Ok(Known::Releases { releases, next: answer.link.as_deref().and_then(next).map(str::to_owned) })
}

/// Returns the address of the next page from a header `link`.
fn next(link: &str) -> Option<&str> {
    link.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |parameter: &str| matches!(parameter.trim(), "rel=\"next\"" | "rel=next");
        parameters.split(';').any(is_next).then_some(address)
    })
}

/// Returns until when GitHub takes no requests, if that is why it refused this one.
pub(super) fn limited_until(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    if !matches!(answer.status, 403 | 429) {
        return None;
    }
    if let Some(seconds) = answer.retry_after {
        return Some(now.saturating_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(now));
    }
    if answer.remaining == Some(0) {
        let reset = answer.reset.and_then(|seconds| Timestamp::from_second(seconds).ok());
        return Some(reset.unwrap_or_else(|| later(now)));
    }
    (answer.status == 429 || message(&answer.body).contains("rate limit")).then(|| later(now))
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(UNNAMED_PAUSE).unwrap_or(now)
}

/// Returns what GitHub says about an error.
pub(super) fn message(body: &[u8]) -> String {
    let message = serde_json::from_slice(body).map(|Message { message }| message).unwrap_or_default();
    imgop_registry::printable(&message).chars().take(200).collect()
}
