//! What the APIs have in common.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::{docker_hub, ecr_public, quay};
use crate::error::{Failure, Reason};
use crate::exchange::Call;
use crate::reference::RegistryHost;

/// An API that tells the digests of many tags at once, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkApi {
    /// What it speaks.
    pub kind: BulkKind,
    /// Its address, up to and with the slash before its own paths.
    pub base: String,
}

/// What an API speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkKind {
    /// Docker Hub's list of tags (Docker documentation, "Docker Hub API", list repository tags).
    DockerHub,
    /// Quay's list of tags (`listRepoTags`); any Quay has it.
    Quay,
    /// `describeImageTags` of the Amazon ECR Public Gallery.
    EcrPublic,
}

/// One page as it was told.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) tags: Vec<Told>,
    /// What leads to the next page, if there is one.
    pub(super) next: Option<Next>,
}

/// What a page says of a tag: the name and the digest are unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) digest: Option<String>,
    /// When the tag was pushed; none if that is not said, or cannot be read.
    pub(super) pushed: Option<Timestamp>,
}

/// A time as an API writes it: RFC 3339, or seconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Time {
    Text(String),
    Seconds(f64),
    /// Nothing, or something that no API has said so far: no reason to refuse the page.
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
    /// What the API calls the next page.
    Token(String),
}

/// Which page is asked for.
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

impl BulkApi {
    /// The public registries that have such an API.
    pub fn public() -> BTreeMap<RegistryHost, Self> {
        [
            ("docker.io", BulkKind::DockerHub, "https://hub.docker.com/"),
            ("quay.io", BulkKind::Quay, "https://quay.io/"),
            ("public.ecr.aws", BulkKind::EcrPublic, "https://api.us-east-1.gallery.ecr.aws/"),
        ]
        .into_iter()
        .filter_map(|(host, kind, base)| Some((host.parse().ok()?, Self { kind, base: base.to_owned() })))
        .collect()
    }

    pub(super) fn base(&self) -> Result<Url, Failure> {
        self.base.parse().map_err(|_| Failure::new(Reason::Settings, "the bulk API has no address"))
    }
}

impl BulkKind {
    /// Tags of a page.
    pub(super) fn page_size(self) -> usize {
        match self {
            Self::DockerHub | Self::Quay => 100,
            Self::EcrPublic => 1000,
        }
    }

    /// Pages that are given to those without an account. Docker Hub: 403 "pagination offset too large
    /// for anonymous requests" beyond 1,000 tags since August 2026, and beyond 500 at times.
    pub(super) fn most_pages(self) -> usize {
        match self {
            Self::DockerHub => 10,
            Self::Quay | Self::EcrPublic => usize::MAX,
        }
    }

    /// Whether it can be asked for the tags only that contain a text.
    pub(super) fn filters(self) -> bool {
        matches!(self, Self::DockerHub | Self::Quay)
    }

    /// The question for one page. It is asked once: what it does not bring, the registry will tell.
    pub(super) fn call(
        self,
        base: &Url,
        path: &str,
        filter: &str,
        at: &Cursor,
        limit: usize,
    ) -> Result<Call, Failure> {
        let call = match self {
            Self::DockerHub => docker_hub::url(base, path, filter, at).map(|url| Call::get(url, limit)),
            Self::Quay => quay::url(base, path, filter, at).map(|url| Call::get(url, limit)),
            Self::EcrPublic => ecr_public::call(base, path, at, limit),
        };
        let call = call.ok_or_else(|| Failure::new(Reason::Settings, "no question for the bulk API"))?;
        Ok(Call { once: true, accept: Some("application/json"), ..call })
    }

    pub(super) fn read(self, body: &[u8]) -> Result<Page, serde_json::Error> {
        match self {
            Self::DockerHub => docker_hub::read(body),
            Self::Quay => quay::read(body),
            Self::EcrPublic => ecr_public::read(body),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [BulkKind; 3] = [BulkKind::DockerHub, BulkKind::Quay, BulkKind::EcrPublic];

    #[test]
    fn every_public_api_has_an_address() {
        let apis = BulkApi::public();
        assert_eq!(
            apis.keys().map(RegistryHost::as_str).collect::<Vec<_>>(),
            ["docker.io", "public.ecr.aws", "quay.io"]
        );
        assert!(apis.values().all(|api| api.base().is_ok()));
    }

    #[test]
    fn an_error_object_is_no_empty_page() {
        for kind in KINDS {
            for bad in ["", "null", "{}", "[]", r#"{"message":"no"}"#, r#"{"errors":[]}"#, "<html>"] {
                assert!(kind.read(bad.as_bytes()).is_err(), "{kind:?} {bad}");
            }
        }
    }

    #[test]
    fn every_api_tells_when_a_tag_was_pushed_and_garbage_is_no_time() {
        let hub = |time: &str| {
            (BulkKind::DockerHub, format!(r#"{{"results":[{{"name":"1","tag_last_pushed":{time}}}]}}"#))
        };
        let quay = |time: &str| {
            (
                BulkKind::Quay,
                format!(r#"{{"has_additional":false,"tags":[{{"name":"1","start_ts":{time}}}]}}"#),
            )
        };
        let ecr = |time: &str| {
            let detail = format!(r#"{{"imageTag":"1","imageDetail":{{"imagePushedAt":{time}}}}}"#);
            (BulkKind::EcrPublic, format!(r#"{{"imageTagDetails":[{detail}]}}"#))
        };
        let pushed = |(kind, body): (BulkKind, String)| kind.read(body.as_bytes()).unwrap().tags[0].pushed;
        let time: Timestamp = "2023-11-14T22:13:20Z".parse().unwrap();
        for told in [
            hub(r#""2023-11-14T22:13:20Z""#),
            quay("1700000000"),
            ecr(r#""2023-11-14T22:13:20Z""#),
            ecr("1700000000.0"),
        ] {
            assert_eq!(pushed(told.clone()), Some(time), "{told:?}");
        }
        for garbage in ["null", r#""""#, r#""soon""#, "[]", "{}", "true", "1e300", "-1e300"] {
            for told in [hub(garbage), quay(garbage), ecr(garbage)] {
                assert_eq!(pushed(told.clone()), None, "{told:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(
            body in r#"([{}\[\]",:]|results|tags|imageTagDetails|"name"|digest|null|true|[a-z0-9]|[ -~]){0,60}"#,
        ) {
            for kind in KINDS {
                let _ = kind.read(body.as_bytes());
            }
        }

        #[test]
        fn any_part_of_a_page_is_read_without_a_panic_and_only_the_whole_is_taken(
            tags in prop::collection::vec(
                ("[ -~]{0,20}", prop::option::of("[ -~]{0,80}"), prop::option::of("[0-9TZ:.-]{0,30}")), 0..5,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            let hub: Vec<_> = tags
                .iter()
                .map(|(name, digest, pushed)| {
                    serde_json::json!({"name": name, "digest": digest, "tag_last_pushed": pushed, "images": [{"x": 1}]})
                })
                .collect();
            let body = serde_json::json!({"count": 1, "next": null, "results": hub}).to_string();
            let read = docker_hub::read(body.as_bytes()).unwrap().tags;
            let read: Vec<_> = read.into_iter().map(|told| (told.name, told.digest)).collect();
            let tags: Vec<_> = tags.into_iter().map(|(name, digest, _)| (name, digest)).collect();
            prop_assert_eq!(read, tags);
            prop_assert!(docker_hub::read(&body.as_bytes()[..cut.index(body.len())]).is_err());
        }
    }
}
