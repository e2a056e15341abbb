//! Which tag belongs to which Image or ImageBuilder of the files. In a cluster the oldest has a tag; here it is the first.

use std::collections::HashMap;

use imgop_core::access::AccessPolicy;
use imgop_core::api::{Image, ImageBuilder};
use imgop_core::build::BuildRequest;
use imgop_core::copy::OlderImage;
use imgop_registry::reference::{Repository, Tag};
use kube::ResourceExt as _;

use super::files::{Build, Item, NotRun};
use crate::local_copy::behind_all;
use crate::preview::targets::{BuiltBefore, Target};

/// What stands before an object, by the repositories that it writes to.
#[derive(Default)]
struct Before {
    images: HashMap<Repository, Vec<Image>>,
    builds: HashMap<Repository, Vec<BuiltBefore>>,
}

/// Notes for each Image which others with its destination stand before it, and for each ImageBuilder whose tag it would
/// take.
pub fn note_order(items: &mut [Result<Item, NotRun>]) {
    let mut before = Before::default();
    for (place, item) in items.iter_mut().enumerate() {
        match item {
            Ok(Item::Copy(target)) => before.add_image(place, target),
            Ok(Item::Build(build)) => before.add_build(build),
            Err(_) => {}
        }
    }
}

impl Before {
    fn add_image(&mut self, place: usize, target: &mut Target) {
        let destination = &target.request.destination;
        target.built_before = self.builds.get(destination).cloned().unwrap_or_default();
        let known = self.images.entry(destination.clone()).or_default();
        target.before.clone_from(known);
        let mut image = Image::new(&target.name(), target.spec.clone());
        image.metadata.uid = Some(format!("{place:08}"));
        known.push(image);
    }

    /// A suspended one has no tag, and one whose tag another one has gets none of its tags.
    fn add_build(&mut self, build: &mut Build) {
        let request = BuildRequest::parse(&build.builder.spec).ok().filter(|_| !build.builder.spec.suspend);
        let Some(request) = request else { return };
        let tags = &request.destination.tags;
        build.conflict =
            tags.iter().find_map(|(repository, tag)| self.conflict(&build.builder, repository, tag));
        if build.conflict.is_some() {
            return;
        }
        for (repository, tag) in tags {
            let of_builder = BuiltBefore { tag: tag.clone(), builder: build.builder.name_any() };
            self.builds.entry(repository.clone()).or_default().push(of_builder);
        }
    }

    /// Returns the message for people, where a tag belongs to what stands before the builder.
    fn conflict(&self, builder: &ImageBuilder, repository: &Repository, tag: &Tag) -> Option<String> {
        let owner = self.image(builder, repository, tag).or_else(|| {
            let built = self.builds.get(repository)?.iter().find(|built| built.tag == *tag)?;
            Some(format!("ImageBuilder {}, which stands before it", built.builder))
        })?;
        Some(format!("{repository}:{tag} belongs to {owner}; give one of them another tag"))
    }

    fn image(&self, builder: &ImageBuilder, repository: &Repository, tag: &Tag) -> Option<String> {
        let (before, policy) = (self.images.get(repository)?, AccessPolicy::default());
        let last = behind_all(&builder.name_any());
        let all = OlderImage::all(&last, repository, before.iter(), &policy);
        let owner = all.into_iter().find(|older| older.request.claim(tag).is_some())?;
        let (name, source) = (owner.image.name_any(), owner.request.source);
        Some(format!("Image {name}, which stands before it and copies from {source}"))
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Destination, ImageSpec, Mode, Source};
    use jiff::Timestamp;

    use super::*;

    fn image(name: &str, version: &str) -> Item {
        let source = Source::new("quay.io/a/b".to_owned(), version);
        let spec = ImageSpec::new(Mode::OneShot, source, Destination::new("r.example.com/app".to_owned()));
        let target = Target::of_image(Image::new(name, spec), Timestamp::UNIX_EPOCH).unwrap();
        Item::Copy(Box::new(target))
    }

    fn builder(name: &str, more: &str) -> Item {
        let text = format!(
            "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: {name}}}\nspec: {{architecture: amd64, \
             source: FROM scratch, image: {{name: r.example.com/app, version: v1}}{more}}}"
        );
        let builder = Box::new(serde_saphyr::from_str(&text).unwrap());
        Item::Build(Build { builder, conflict: None })
    }

    fn conflicts(items: Vec<Item>) -> Vec<Option<String>> {
        let mut items: Vec<Result<Item, NotRun>> = items.into_iter().map(Ok).collect();
        note_order(&mut items);
        let builds = items.into_iter().filter_map(|item| match item {
            Ok(Item::Build(build)) => Some(build.conflict),
            _ => None,
        });
        builds.collect()
    }

    #[test]
    fn a_tag_belongs_to_the_first_that_copies_or_builds_it() {
        let [one, two] = [
            conflicts(vec![image("copy", "v1"), builder("app", "")]),
            conflicts(vec![builder("app", ""), builder("other", "")]),
        ];
        let said = "r.example.com/app:v1 belongs to Image copy, which stands before it and copies from quay.io/a/b; give one \
                    of them another tag";
        assert_eq!(one, [Some(said.to_owned())]);
        let said = "r.example.com/app:v1 belongs to ImageBuilder app, which stands before it; give one of them another tag";
        assert_eq!(two, [None, Some(said.to_owned())]);
    }

    #[test]
    fn a_builder_that_stands_before_an_image_has_the_tag_and_is_named_for_it() {
        let mut items = vec![Ok(builder("app", "")), Ok(image("copy", "v1"))];
        note_order(&mut items);
        let Ok(Item::Copy(target)) = &items[1] else { panic!("{items:?}") };
        let built = BuiltBefore { tag: "v1".parse().unwrap(), builder: "app".to_owned() };
        assert_eq!(target.built_before, [built]);
    }

    #[test]
    fn other_tags_and_what_is_suspended_conflict_with_no_builder() {
        assert_eq!(conflicts(vec![image("copy", "v2"), builder("app", "")]), [None]);
        assert_eq!(conflicts(vec![builder("app", ", suspend: true"), builder("other", "")]), [None, None]);
    }
}
