//! Which default a namespace has, and what it adds to a spec.

use proptest::prelude::*;

use super::*;
use crate::api::{
    BuiltImage, DefaultedDestination, Destination, Image, ImageBuilder, ImageBuilderSpec, ImageSpec,
    ImageStatus, Mode, Source, TlsMode,
};

fn secret(name: &str) -> Credentials {
    Credentials { secret_name: name.to_owned() }
}

fn written(prefix: &str) -> DefaultDestination {
    DefaultDestination {
        prefix: prefix.to_owned(),
        credentials: Some(secret("push")),
        tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some("corp-ca".into()) }),
        ..DefaultDestination::default()
    }
}

fn defaults() -> Defaults {
    let origin = Origin::RegistryAccess("corp".to_owned());
    Defaults::read(&written("r.example.com/mirror/{namespace}/"), origin).unwrap()
}

fn image(source: &str, destination: Destination) -> Image {
    Image::new("a", ImageSpec::new(Mode::OneShot, Source::new(source, "1"), destination))
}

fn completed<K: WithDestination>(object: &K) -> (K, Option<Completion>) {
    let Completed { object, completion } = complete(object, "team-a", Ok(Some(&defaults()))).unwrap();
    (object.into_owned(), completion)
}

fn refused<K: WithDestination>(object: &K, defaults: Result<Option<&Defaults>, &DefaultsError>) -> String {
    complete(object, "team-a", defaults).map(drop).unwrap_err().to_string()
}

#[test]
fn without_a_destination_an_image_goes_below_the_prefix_with_its_sources_path_and_without_its_sources_registry()
 {
    for (source, expected) in [
        ("quay.io/argoproj/argocd", "r.example.com/mirror/team-a/argoproj/argocd"),
        ("ghcr.io:443/a/b/c", "r.example.com/mirror/team-a/a/b/c"),
        // One image has one destination, however it is written.
        ("nginx", "r.example.com/mirror/team-a/library/nginx"),
        ("docker.io/library/nginx", "r.example.com/mirror/team-a/library/nginx"),
    ] {
        let (image, completion) = completed(&image(source, Destination::default()));
        assert_eq!(image.spec.destination.name, expected);
        let completion = completion.unwrap();
        assert_eq!(completion.repository.unwrap().to_string(), expected);
        assert!(completion.credentials && completion.tls);
        assert_eq!(completion.origin.to_string(), "RegistryAccess/corp");
        assert_eq!(image.spec.destination.credentials, Some(secret("push")));
        assert_eq!(image.spec.destination.tls.unwrap().ca_secret_name.as_deref(), Some("corp-ca"));
    }
}

#[test]
fn a_destination_without_a_registry_has_its_path_below_the_prefix() {
    let (image, _) = completed(&image("quay.io/a/b", Destination::new("team/app")));
    assert_eq!(image.spec.destination.name, "r.example.com/mirror/team-a/team/app");
    let mut built = BuiltImage::new("app", "1");
    built.additional_tags = ["latest", "other/app:2", "r.example.com/x/y"].map(str::to_owned).into();
    let builder = ImageBuilder::new("a", ImageBuilderSpec::new(built));
    let (builder, completion) = completed(&builder);
    assert_eq!(builder.spec.image.name, "r.example.com/mirror/team-a/app");
    assert_eq!(
        builder.spec.image.additional_tags,
        ["latest", "r.example.com/mirror/team-a/other/app:2", "r.example.com/x/y"]
    );
    assert!(completion.unwrap().credentials);
}

#[test]
fn what_a_spec_says_goes_before_the_default_field_by_field() {
    let own_tls = Tls { mode: TlsMode::Verify, ca_secret_name: None };
    let destination = Destination {
        credentials: Some(secret("own")),
        tls: Some(own_tls.clone()),
        ..Destination::default()
    };
    let (own, completion) = completed(&image("quay.io/a/b", destination));
    assert_eq!(
        (own.spec.destination.credentials, own.spec.destination.tls),
        (Some(secret("own")), Some(own_tls))
    );
    let completion = completion.unwrap();
    assert!(completion.repository.is_some() && !completion.credentials && !completion.tls);
    let with_credentials = Destination { credentials: Some(secret("own")), ..Destination::default() };
    let (own, completion) = completed(&image("quay.io/a/b", with_credentials));
    assert_eq!(own.spec.destination.credentials, Some(secret("own")));
    let completion = completion.unwrap();
    assert!(!completion.credentials && completion.tls);
    // A place of its own at the same registry is reached as the default says.
    let (own, completion) = completed(&image("quay.io/a/b", Destination::new("R.example.com:443/x/y")));
    assert_eq!(own.spec.destination.name, "R.example.com:443/x/y");
    assert_eq!(own.spec.destination.credentials, Some(secret("push")));
    assert_eq!(completion.unwrap().repository, None);
    let aws = Destination { use_aws_irsa: true, ..Destination::default() };
    let (own, _) = completed(&image("quay.io/a/b", aws));
    assert_eq!(own.spec.destination.credentials, None);
}

#[test]
fn the_defaults_credentials_are_sent_in_no_other_way_than_its_administrator_has_decided() {
    let ways = [
        (TlsMode::PlainHttp, None, None),
        (TlsMode::SkipVerify, None, None),
        (TlsMode::Verify, Some("own-ca"), None),
        (TlsMode::Verify, Some("corp-ca"), Some(secret("push"))),
    ];
    for (mode, ca, credentials) in ways {
        let tls = Some(Tls { mode, ca_secret_name: ca.map(str::to_owned) });
        let destination = Destination { tls: tls.clone(), ..Destination::default() };
        let (image, completion) = completed(&image("quay.io/a/b", destination));
        assert_eq!(image.spec.destination.tls, tls);
        assert_eq!(completion.unwrap().credentials, credentials.is_some(), "{tls:?}");
        assert_eq!(image.spec.destination.credentials, credentials, "{tls:?}");
    }
}

#[test]
fn no_other_registry_gets_the_defaults_credentials() {
    for name in ["quay.io/x/y", "docker.io/x/y", "r.example.com.evil.io/x/y", "r.example.com:5000/x/y"] {
        let before = image("quay.io/a/b", Destination::new(name));
        let (after, completion) = completed(&before);
        assert_eq!((after, completion), (before, None), "{name}");
    }
}

#[test]
fn without_a_default_everything_is_as_it_is_written() {
    for destination in [Destination::new("team/app"), Destination::new("r.example.com/a")] {
        let image = image("quay.io/a/b", destination);
        let completed = complete(&image, "team-a", Ok(None)).unwrap();
        assert_eq!((completed.object.as_ref(), completed.completion), (&image, None));
    }
}

#[test]
fn what_went_to_a_default_that_is_gone_goes_nowhere_until_somewhere_is_named() {
    let mut image = image("quay.io/a/b", Destination::new("team/app"));
    image.status = Some(ImageStatus {
        destination: Some(DefaultedDestination {
            repository: "r.example.com/mirror/team/app".into(),
            defaults_from: "RegistryAccess/corp".into(),
        }),
        ..ImageStatus::default()
    });
    insta::assert_snapshot!(refused(&image, Ok(None)), @r#"spec.destination.name is "team/app", which went to r.example.com/mirror/team/app by the default destination of this namespace, and that is gone; write the registry before it (r.example.com/mirror/team/app, or docker.io/team/app), or ask an administrator for the default"#);
    image.spec.destination.name = "docker.io/team/app".into();
    assert!(complete(&image, "team-a", Ok(None)).is_ok());
}

#[test]
fn a_missing_destination_is_reported_with_the_field_and_what_an_administrator_can_set() {
    let missing = image("quay.io/a/b", Destination::default());
    insta::assert_snapshot!(refused(&missing, Ok(None)), @"spec.destination.name is missing, and no administrator has set a default destination for this namespace; give a repository such as registry.example.com/team/app, or ask for a RegistryAccess with spec.defaultDestination that selects this namespace");
    let long = image("quay.io/a/b", Destination::new("a/".repeat(120) + "b"));
    let said = refused(&long, Ok(Some(&defaults())));
    assert!(
        said.starts_with("spec.destination.name: below the default destination of RegistryAccess/corp: "),
        "{said}"
    );
}

#[test]
fn two_registry_accesses_that_differ_are_both_named_and_neither_is_taken() {
    let (one, two) = (written("r.example.com"), written("s.example.com"));
    let error = Defaults::of_namespace([("b", &one), ("a", &two)], None).unwrap_err();
    assert_eq!(error, DefaultsError::Conflict("a".into(), "b".into()));
    let missing = image("quay.io/a/b", Destination::default());
    insta::assert_snapshot!(refused(&missing, Err(&error)), @r#"spec.destination.name names no registry, and the default does not help: RegistryAccess "a" and RegistryAccess "b" give this namespace different default destinations; an administrator must take spec.defaultDestination out of one of them or narrow its namespaceSelector"#);
    // What names its registry needs no default.
    let named = image("quay.io/a/b", Destination::new("r.example.com/a"));
    assert!(complete(&named, "team-a", Err(&error)).is_ok());
    let same = Defaults::of_namespace([("b", &one), ("a", &one.clone())], None).unwrap().unwrap();
    assert_eq!(same.origin, Origin::RegistryAccess("a".into()));
}

#[test]
fn a_registry_access_goes_before_the_setting_and_one_that_cannot_be_used_before_it_too() {
    let of_all = Defaults::read(
        &DefaultDestination { prefix: "all.example.com".into(), ..Default::default() },
        Origin::Setting,
    )
    .unwrap();
    let of = |written: &[(&str, DefaultDestination)]| {
        Defaults::of_namespace(written.iter().map(|(name, written)| (*name, written)), Some(&of_all))
    };
    assert_eq!(of(&[]).unwrap().unwrap().origin.to_string(), "DESTINATION_DEFAULT_REGISTRY");
    let corp = of(&[("corp", written("r.example.com"))]).unwrap().unwrap();
    assert_eq!(corp.prefix.host().as_str(), "r.example.com");
    insta::assert_snapshot!(of(&[("corp", written("mirror"))]).unwrap_err(), @r#"spec.defaultDestination of RegistryAccess "corp" cannot be used: prefix: "mirror" names no registry; give one, with or without a path, such as registry.example.com/mirror"#);
    let aws = DefaultDestination { use_aws_irsa: true, credentials: None, ..written("r.example.com") };
    insta::assert_snapshot!(of(&[("corp", aws)]).unwrap_err(), @r#"spec.defaultDestination of RegistryAccess "corp" cannot be used: useAwsIRSA goes with registries of Amazon ECR only, and r.example.com is none"#);
    let ecr = "123456789012.dkr.ecr.eu-west-3.amazonaws.com";
    let both = DefaultDestination { use_aws_irsa: true, ..written(ecr) };
    assert!(of(&[("corp", both)]).unwrap_err().to_string().contains("leave one of them out"));
}

#[test]
fn where_the_default_is_not_known_the_status_says_where_tags_go() {
    let mut open = image("quay.io/a/b", Destination::default());
    assert_eq!(as_reported(open.clone()), open);
    let destination =
        DefaultedDestination { repository: "r.example.com/a/b".into(), defaults_from: "x".into() };
    open.status = Some(ImageStatus { destination: Some(destination), ..ImageStatus::default() });
    assert_eq!(as_reported(open.clone()).spec.destination.name, "r.example.com/a/b");
    open.spec.destination.name = "s.example.com/x".into();
    assert_eq!(as_reported(open.clone()), open, "it is of an earlier spec");
}

proptest! {
    #[test]
    fn what_is_completed_stays_as_it_is_when_it_is_completed_again(
        name in "([a-z]{1,5}([.]io|:5000)?/)?[a-z]{1,5}(/[a-z]{1,5})?"
    ) {
        let (once, _) = completed(&image("quay.io/a/b", Destination::new(name)));
        let (twice, completion) = completed(&once);
        prop_assert_eq!(once, twice);
        prop_assert_eq!(completion, None);
    }
}
