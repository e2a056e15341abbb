//! What the APIs have in common.

use url::Url;

use super::page::{Cursor, Page};
use super::{docker_hub, ecr_public, quay};
use crate::error::{Failure, Reason};
use crate::settings::{BulkApi, BulkKind};
use crate::transport::Request;

impl BulkApi {
    pub(super) fn base(&self) -> Result<Url, Failure> {
        self.base.parse().map_err(|_| Failure::new(Reason::Settings, "the bulk API has no address"))
    }
}

impl BulkKind {
    /// Returns the number of tags on a page.
    pub(super) fn page_size(self) -> usize {
        match self {
            Self::DockerHub | Self::Quay => 100,
            Self::EcrPublic => 1000,
        }
    }

    /// Returns how many pages are served without an account. Docker Hub: 403 "pagination offset too large
    /// for anonymous requests" beyond 1,000 tags since August 2026, and beyond 500 at times.
    pub(super) fn max_pages(self) -> usize {
        match self {
            Self::DockerHub => 10,
            Self::Quay | Self::EcrPublic => usize::MAX,
        }
    }

    /// Whether it can return only the tags that contain a text.
    pub(super) fn filters(self) -> bool {
        matches!(self, Self::DockerHub | Self::Quay)
    }

    /// Returns the request for one page. It is sent once: the registry has what this does not bring.
    pub(super) fn request(
        self,
        base: &Url,
        path: &str,
        filter: &str,
        at: &Cursor,
        limit: usize,
    ) -> Result<Request, Failure> {
        let request = match self {
            Self::DockerHub => docker_hub::url(base, path, filter, at).map(|url| Request::get(url, limit)),
            Self::Quay => quay::url(base, path, filter, at).map(|url| Request::get(url, limit)),
            Self::EcrPublic => ecr_public::request(base, path, at, limit),
        };
        let request = request.ok_or_else(|| Failure::new(Reason::Settings, "no request for the bulk API"))?;
        Ok(Request { is_single_attempt: true, accept: Some("application/json"), ..request })
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
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::reference::RegistryHost;

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
    fn every_api_says_when_a_tag_was_pushed_and_garbage_is_no_time() {
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
        for sent in [
            hub(r#""2023-11-14T22:13:20Z""#),
            quay("1700000000"),
            ecr(r#""2023-11-14T22:13:20Z""#),
            ecr("1700000000.0"),
        ] {
            assert_eq!(pushed(sent.clone()), Some(time), "{sent:?}");
        }
        for garbage in ["null", r#""""#, r#""soon""#, "[]", "{}", "true", "1e300", "-1e300"] {
            for sent in [hub(garbage), quay(garbage), ecr(garbage)] {
                assert_eq!(pushed(sent.clone()), None, "{sent:?}");
            }
        }
    }

    #[test]
    fn sizes_and_platforms_are_read_where_an_api_has_them_and_garbage_is_none() {
        let read = |kind: BulkKind, body: serde_json::Value| {
            let entry = kind.read(body.to_string().as_bytes()).unwrap().tags.remove(0);
            (entry.size, entry.platforms.join(","))
        };
        let hub = |images: serde_json::Value| {
            read(BulkKind::DockerHub, json!({ "results": [{ "name": "1", "images": images }] }))
        };
        let image = |architecture: &str, variant: Option<&str>, size: u64| {
            json!({ "os": if architecture == "unknown" { "unknown" } else { "linux" }, "architecture": architecture,
                "variant": variant, "size": size, "digest": "sha256:00", "status": "active" })
        };
        let images =
            json!([image("amd64", None, 10), image("arm", Some("v7"), 5), image("unknown", None, 1)]);
        assert_eq!(hub(images), (Some(15), "linux/amd64,linux/arm/v7".to_owned()));
        assert_eq!(hub(json!([image("amd64", Some(""), 10)])), (Some(10), "linux/amd64".to_owned()));
        for garbage in [json!(null), json!(5), json!([{ "size": "x" }])] {
            assert_eq!(hub(garbage), (None, String::new()));
        }
        let quay = |size: serde_json::Value| {
            read(BulkKind::Quay, json!({ "has_additional": false, "tags": [{ "name": "1", "size": size }] }))
                .0
        };
        assert_eq!((quay(json!(7)), quay(json!(null)), quay(json!("x"))), (Some(7), None, None));
        let detail = json!({ "imageTag": "1", "imageDetail": { "imageSizeInBytes": 9 } });
        assert_eq!(read(BulkKind::EcrPublic, json!({ "imageTagDetails": [detail] })).0, Some(9));
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
            let read: Vec<_> = read.into_iter().map(|entry| (entry.name, entry.digest)).collect();
            let tags: Vec<_> = tags.into_iter().map(|(name, digest, _)| (name, digest)).collect();
            prop_assert_eq!(read, tags);
            prop_assert!(docker_hub::read(&body.as_bytes()[..cut.index(body.len())]).is_err());
        }
    }
}
