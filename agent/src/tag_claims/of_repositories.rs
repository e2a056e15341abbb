//! Objects of a namespace that create one repository: which of them sets its policies goes by what each says of it.

use std::cmp::Ordering;

use imgop_core::access::AccessPolicy;
use imgop_core::api::{Image, ImageBuilder};
use imgop_core::build::BuildRequest;
use imgop_core::copy::{CopyRequest, holds_claims};
use imgop_core::creation::{Creation, OtherCreation};
use imgop_registry::reference::Repository;
use kube::Resource;
use kube::api::ObjectMeta;

use super::{is_building, is_older, name_of};

/// Returns what other objects of the namespace say of a repository that they create, the oldest first. What is suspended or
/// being deleted says nothing, nor does an Image of mode `OneShot` that is completed, nor what administrators do not let
/// create it as it asks: it sets no policy.
pub fn other_creations(
    this: &ObjectMeta,
    repository: &Repository,
    policy: &AccessPolicy,
    may_create: impl Fn(&Creation) -> bool,
    images: impl Iterator<Item = Image>,
    builders: impl Iterator<Item = ImageBuilder>,
) -> Vec<OtherCreation> {
    // An object is neither older nor younger than itself.
    let is_other = |other: &ObjectMeta| {
        other.namespace == this.namespace && (is_older(other, this) || is_older(this, other))
    };
    let is_here = |other: &Repository| policy.is_one_repository(other, repository);
    let mut others = Vec::new();
    for image in images.filter(|image| is_other(&image.metadata) && holds_claims(image)) {
        let request = CopyRequest::parse(&image.spec).ok().filter(|request| is_here(&request.destination));
        others.extend(request.and_then(|request| of(&image, request.create)));
    }
    for builder in builders.filter(|builder| is_other(&builder.metadata) && is_building(builder)) {
        let request = BuildRequest::parse(&builder.spec).ok();
        let request = request.filter(|request| request.destination.repositories().into_iter().any(is_here));
        others.extend(request.and_then(|request| of(&builder, request.destination.create)));
    }
    others.retain(|other| may_create(&other.creation));
    others.sort_by(|one, other| by_age(&one.metadata, &other.metadata));
    let seen_from_this = |Other { metadata, object, creation }| OtherCreation {
        object,
        is_older: is_older(&metadata, this),
        creation,
    };
    others.into_iter().map(seen_from_this).collect()
}

/// Another object that creates the repository.
struct Other {
    metadata: ObjectMeta,
    /// Its kind and name, for messages.
    object: String,
    creation: Creation,
}

fn of<K: Resource<DynamicType = ()>>(object: &K, creation: Option<Box<Creation>>) -> Option<Other> {
    Some(Other { metadata: object.meta().clone(), object: name_of(object), creation: *creation? })
}

fn by_age(one: &ObjectMeta, other: &ObjectMeta) -> Ordering {
    match (is_older(one, other), is_older(other, one)) {
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use imgop_core::api::{
        BuiltImage, CreationPolicy, Destination, ImageBuilderSpec, ImageSpec, ImageStatus, Mode, Phase,
        RepositoryCreation, Source,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::image::tests::fixtures::now;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/mirror/app";

    fn create() -> RepositoryCreation {
        let policy = CreationPolicy::IfMissing;
        RepositoryCreation { policy, ..RepositoryCreation::default() }
    }

    /// The metadata of an object that is this many hours old.
    fn metadata(name: &str, hours: u64) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("team-a".to_owned()),
            uid: Some(format!("uid of {name}")),
            generation: Some(1),
            creation_timestamp: Some(Time(now() - Duration::from_hours(hours))),
            ..ObjectMeta::default()
        }
    }

    fn image(name: &str, hours: u64) -> Image {
        let to =
            Destination { use_aws_irsa: true, create: Some(Box::new(create())), ..Destination::new(ECR) };
        let spec = ImageSpec::new(Mode::OneShot, Source::new("quay.io/a/app", "1"), to);
        Image { metadata: metadata(name, hours), ..Image::new(name, spec) }
    }

    fn builder(name: &str, hours: u64) -> ImageBuilder {
        let image =
            BuiltImage { use_aws_irsa: true, create: Some(Box::new(create())), ..BuiltImage::new(ECR, "1") };
        let spec = ImageBuilderSpec {
            platforms: vec!["linux/amd64".into()],
            source: Some("FROM scratch".into()),
            ..ImageBuilderSpec::new(image)
        };
        ImageBuilder { metadata: metadata(name, hours), ..ImageBuilder::new(name, spec) }
    }

    /// What is known of others to an Image that is five hours old, each with whether it is older.
    fn known(images: Vec<Image>, builders: Vec<ImageBuilder>) -> Vec<(String, bool)> {
        let (this, repository) = (metadata("this", 5), ECR.parse().unwrap());
        let policy = AccessPolicy::default();
        let may_create = |creation: &Creation| creation.role_arn.is_none();
        let (images, builders) = (images.into_iter(), builders.into_iter());
        let others = other_creations(&this, &repository, &policy, may_create, images, builders);
        others.into_iter().map(|other| (other.object, other.is_older)).collect()
    }

    #[test]
    fn objects_of_both_kinds_are_known_with_their_ages_the_oldest_first_and_one_does_not_know_itself() {
        let known = known(vec![image("a", 1), image("b", 9), image("this", 5)], vec![builder("c", 7)]);
        let named = |name: &str, is_older| (name.to_owned(), is_older);
        let expected = [(r#"Image "b""#, true), (r#"ImageBuilder "c""#, true), (r#"Image "a""#, false)];
        assert_eq!(known, expected.map(|(name, is_older)| named(name, is_older)));
    }

    #[test]
    fn what_is_suspended_being_deleted_completed_for_good_of_another_namespace_or_not_allowed_says_nothing() {
        let of_image = |edit: fn(&mut Image)| {
            let mut image = image("a", 9);
            edit(&mut image);
            known(vec![image], Vec::new()).len()
        };
        let of_builder = |edit: fn(&mut ImageBuilder)| {
            let mut builder = builder("a", 9);
            edit(&mut builder);
            known(Vec::new(), vec![builder]).len()
        };
        assert_eq!((of_image(|_| ()), of_builder(|_| ())), (1, 1));
        assert_eq!(of_image(|image| image.spec.suspend = true), 0);
        assert_eq!(of_builder(|builder| builder.spec.suspend = true), 0);
        assert_eq!(of_image(|image| image.metadata.deletion_timestamp = Some(Time(now()))), 0);
        assert_eq!(of_builder(|builder| builder.metadata.deletion_timestamp = Some(Time(now()))), 0);
        assert_eq!(of_image(|image| image.metadata.namespace = Some("team-b".into())), 0);
        let completed = |image: &mut Image| {
            let phase = Some(Phase::Completed);
            image.status =
                Some(ImageStatus { observed_generation: Some(1), phase, ..ImageStatus::default() });
        };
        assert_eq!(of_image(completed), 0);
        let with_role = |create: &mut Option<Box<RepositoryCreation>>| {
            let role_arn = Some("arn:aws:iam::123456789012:role/create".to_owned());
            create.as_mut().unwrap().role_arn = role_arn;
        };
        let (mut image, mut builder) = (image("a", 9), builder("a", 9));
        with_role(&mut image.spec.destination.create);
        with_role(&mut builder.spec.image.create);
        assert_eq!(known(vec![image], vec![builder]), []);
    }
}
