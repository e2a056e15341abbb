//! What the APIs have in common.

use std::collections::BTreeMap;

use url::Url;

use super::{docker_hub, ecr_public, quay};
use crate::reference::RegistryHost;
use crate::registry::error::{Failure, Reason};
use crate::registry::exchange::Call;

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

/// One page as it was told: names and digests are unchecked.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) tags: Vec<(String, Option<String>)>,
    /// What leads to the next page, if there is one.
    pub(super) next: Option<Next>,
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
            tags in prop::collection::vec(("[ -~]{0,20}", prop::option::of("[ -~]{0,80}")), 0..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let hub: Vec<_> = tags
                .iter()
                .map(|(name, digest)| serde_json::json!({"name": name, "digest": digest, "images": [{"x": 1}]}))
                .collect();
            let body = serde_json::json!({"count": 1, "next": null, "results": hub}).to_string();
            prop_assert_eq!(&docker_hub::read(body.as_bytes()).unwrap().tags, &tags);
            prop_assert!(docker_hub::read(&body.as_bytes()[..cut.index(body.len())]).is_err());
        }
    }
}
