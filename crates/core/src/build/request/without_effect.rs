//! Fields that are valid and change nothing: whoever sets one learns it, and what to set in its place.

use imgop_registry::git::is_commit;

use super::{BuildCache, BuildContext, BuildRequest};
use crate::api::{Publish, REQUESTED_AT_ANNOTATION, RebuildOn};

impl BuildRequest {
    /// Returns which fields have no effect, each with what has the effect that it looks like. Each begins with `spec.`.
    pub fn without_effect(&self) -> Vec<String> {
        let mut fields = Vec::new();
        if matches!(self.cache, BuildCache::Volume { .. }) {
            fields.push(
                "spec.cache.mode: Volume is not offered: each build runs without a cache; set Registry, and \
                 cache.repository"
                    .to_owned(),
            );
        }
        if self.destination.publish == Publish::Direct {
            fields.push(
                "spec.image.publish: Direct is as Staged: what is built is pushed by digest, and tags are set last; \
                 leave it out, and let the registry keep what has no tag for as long as a build takes"
                    .to_owned(),
            );
        }
        if self.rebuild_on.contains(&RebuildOn::Source) && self.is_source_hidden() {
            fields.push(format!(
                "spec.rebuildOn: Source sees no commit over ssh, which only pods of builds speak; give \
                 context.git.url as https://…, or have each push end with kubectl imgop sync, which sets the annotation \
                 {REQUESTED_AT_ANNOTATION}: what is built then is the newest commit"
            ));
        }
        fields
    }

    /// Returns whether only a pod can find out which commit the context is.
    fn is_source_hidden(&self) -> bool {
        let BuildContext::Git { url, revision, .. } = &self.context else { return false };
        url.starts_with("ssh://") && !revision.as_deref().is_some_and(is_commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ImageBuilder;

    fn fields(spec: &serde_json::Value) -> Vec<String> {
        let builder = serde_json::json!({ "apiVersion": "buildah.io/v1alpha1", "kind": "ImageBuilder",
            "metadata": { "name": "a" }, "spec": spec });
        let builder: ImageBuilder = serde_json::from_value(builder).unwrap();
        let fields = BuildRequest::parse(&builder.spec).unwrap().without_effect();
        fields.iter().map(|field| field.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect()
    }

    #[test]
    fn what_changes_nothing_is_named() {
        let image = serde_json::json!({ "name": "r.example.com/a", "version": "1" });
        let plain = serde_json::json!({ "architecture": "amd64", "image": image, "source": "FROM scratch" });
        assert_eq!(fields(&plain), Vec::<String>::new());
        let mut spec = plain.clone();
        spec["cache"] = serde_json::json!({ "mode": "Volume", "volume": { "size": "20Gi" } });
        spec["image"]["publish"] = "Direct".into();
        let named = fields(&spec);
        assert!(named[0].starts_with("spec.cache.mode: Volume"), "{named:?}");
        assert!(named[1].starts_with("spec.image.publish: Direct"), "{named:?}");
    }

    #[test]
    fn a_source_that_only_pods_can_ask_is_not_watched_unless_it_is_a_commit() {
        let of = |url: &str, revision: Option<&str>| {
            fields(&serde_json::json!({ "architecture": "amd64", "rebuildOn": ["Source"],
                "image": { "name": "r.example.com/a", "version": "1" },
                "context": { "git": { "url": url, "revision": revision } } }))
        };
        assert_eq!(of("ssh://git@git.example.com/a.git", Some("main")).len(), 1);
        assert_eq!(of("ssh://git@git.example.com/a.git", None).len(), 1);
        assert_eq!(of("ssh://git@git.example.com/a.git", Some(&"0".repeat(40))).len(), 0);
        assert_eq!(of("https://git.example.com/a.git", Some("main")).len(), 0);
    }
}
