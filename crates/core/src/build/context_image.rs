//! The image whose files are the context of a build.

use imgop_registry::reference::Repository;

use super::ImageReference;

/// Returns that the image of a context is not at its registry, and what to do. What has no tag and is in the repository
/// that is built for is a folder that `kubectl imgop build` has pushed.
pub fn context_not_found(image: &ImageReference, destination: &Repository) -> String {
    if image.is_pinned() && image.tag.is_none() && image.repository == *destination {
        return format!(
            "spec.context.image.name: the folder of this build is not at its registry any more, as {image}; a registry \
             may remove what has no tag. Run the same kubectl imgop build again, which sends it and builds; for what is \
             rebuilt for months, build from git"
        );
    }
    format!("spec.context.image.name: {image} is not at its registry; name one that is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushed_folder_that_is_gone_is_sent_again_and_any_other_image_is_named() {
        let message = |image: &str| {
            context_not_found(&image.parse().unwrap(), &"r.example.com/team/app".parse().unwrap())
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let pushed = message(&format!("r.example.com/team/app@{digest}"));
        assert!(pushed.contains("kubectl imgop build again") && pushed.contains(&digest), "{pushed}");
        for other in ["r.example.com/team/app:1".to_owned(), format!("r.example.com/team/files@{digest}")] {
            assert!(message(&other).ends_with("name one that is"), "{other}");
        }
    }
}
