//! Pages of the bulk APIs.

use jiff::Timestamp;
use serde::Deserialize;

/// One page of a response.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) tags: Vec<PageEntry>,
    /// How to request the next page, if there is one.
    pub(super) next: Option<Next>,
}

/// A tag on a page; its name and its digest are unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PageEntry {
    pub(super) name: String,
    pub(super) digest: Option<String>,
    /// When the tag was pushed; `None` if the API does not say it or it cannot be read.
    pub(super) pushed: Option<Timestamp>,
    /// Bytes to pull; `None` if the API does not say it.
    pub(super) size: Option<u64>,
    /// The platforms; none if the API does not say them.
    pub(super) platforms: Vec<String>,
}

/// A time as an API writes it: RFC 3339, or seconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Time {
    Text(String),
    Seconds(f64),
    /// Nothing, or something that no API has sent so far: no reason to refuse the page.
    Other(serde::de::IgnoredAny),
}

impl Default for Time {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

impl Time {
    pub(super) fn read(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Seconds(seconds) => {
                let wait = jiff::SignedDuration::try_from_secs_f64(*seconds).ok()?;
                Timestamp::from_duration(wait).ok()
            }
            Self::Other(_) => None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Next {
    /// The next number.
    Number,
    /// The API's token for the next page.
    Token(String),
}

/// Which page to request.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) number: usize,
    pub(super) token: Option<String>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { number: 1, token: None }
    }
}

impl Cursor {
    pub(super) fn next(&self, next: Next) -> Self {
        let token = match next {
            Next::Number => None,
            Next::Token(token) => Some(token),
        };
        Self { number: self.number + 1, token }
    }
}
