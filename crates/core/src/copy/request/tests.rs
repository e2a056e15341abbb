//! Specs that are read, and what is wrong with others.

use super::*;
use crate::api::{Credentials, Tls, TlsMode};
use crate::copy::fixtures::spec;

fn problem(edit: impl FnOnce(&mut ImageSpec)) -> String {
    let mut spec = spec("quay.io/a/b", "v2.13.x");
    edit(&mut spec);
    CopyRequest::parse(&spec).unwrap_err().to_string()
}

#[test]
fn every_problem_is_reported_at_once() {
    let all = problem(|s| {
        s.frequency = "1.5d".into();
        s.source.name = "docker://x".into();
        s.source.version = "2.x.y".into();
        s.source.select = Some(Select { min_age: Some("3 days".into()), ..Select::default() });
        s.destination.name = String::new();
    });
    for field in [
        "spec.frequency:",
        "spec.source.name:",
        "spec.source.version:",
        "spec.source.select.minAge:",
        "spec.destination.name:",
    ] {
        assert!(all.contains(field), "{field} in {all}");
    }
}

#[test]
fn a_schedule_that_is_wrong_is_reported_with_its_field_and_the_part() {
    let with = |schedule: &str, edit: fn(&mut ImageSpec)| {
        problem(|s| {
            s.schedule = Some(schedule.into());
            edit(s);
        })
    };
    let said = [
        with("0 25 * * *", |_| ()),
        with("@daily", |s| s.time_zone = Some("Europe/Berln".into())),
        with("@daily", |s| s.frequency = "1h".into()),
        with("@daily", |s| s.mode = Mode::OneShot),
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    spec.schedule: "25" is no hour; write * or numbers from 0 to 23, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    spec.timeZone: "Europe/Berln" is no time zone of the IANA database; write a name such as Europe/Berlin
    spec.schedule: it does not go with frequency; leave one of them out
    spec.schedule: it goes with the modes OnceByTag and Recurrent; OneShot copies once, so leave schedule out
    "#);
}

#[test]
fn what_the_api_server_refuses_is_refused_here_too() {
    let secret = |name: &str| Some(Credentials { secret_name: name.into() });
    for name in ["", "A/../b", "../x", "user:pw", "-a", "a.", &"a".repeat(254)] {
        let said = problem(|s| s.source.credentials = secret(name));
        assert_eq!(
            said,
            "spec.source.credentials.secretName: it must be the name of a Secret in the same namespace"
        );
        let said = problem(|s| {
            s.destination.tls = Some(Tls { ca_secret_name: Some(name.into()), ..Tls::DEFAULT });
        });
        assert!(said.starts_with("spec.destination.tls.caSecretName: it must be the name"), "{said}");
    }
    let said = problem(|s| {
        s.source.tls.mode = TlsMode::SkipVerify;
        s.source.tls.ca_secret_name = Some("ca".into());
    });
    assert_eq!(said, "spec.source.tls: caSecretName goes with mode Verify only; leave one of them out");
    let select = |edit: fn(&mut Select)| {
        let mut select = Select::default();
        edit(&mut select);
        problem(|s| s.source.select = Some(select))
    };
    let latest = select(|s| s.latest = Some(0));
    assert_eq!(latest, "spec.source.select: latest must be at least 1; leave it out for all tags");
    let many = select(|s| s.include = vec!["a".into(); 17]);
    assert_eq!(many, "spec.source.select: include has 17 entries; at most 16 are taken");
    let long = select(|s| s.exclude = vec!["a".repeat(257)]);
    assert_eq!(long, "spec.source.select: an entry of exclude has 257 characters; at most 256 are taken");
    assert!(problem(|s| s.platforms = vec!["linux/amd64".into(); 17]).contains("at most 16"));
    assert!(problem(|s| s.source.immutable_tags = vec!["v1".into(); 17]).contains("at most 16"));
    let mut good = spec("quay.io/a/b", "v2.13.x");
    good.source.credentials = secret("my.secret-1");
    good.source.tls.ca_secret_name = Some("ca".into());
    good.source.select = Some(Select { include: vec!["a".repeat(256); 2], ..Select::default() });
    assert!(CopyRequest::parse(&good).is_ok());
}

#[test]
fn tags_stand_in_the_place_of_a_version_and_are_not_selected_among() {
    let with = |edit: fn(&mut ImageSpec)| {
        problem(|s| {
            (s.source.version, s.source.tags) = (String::new(), vec!["1.0".into(), "1.1".into()]);
            edit(s);
        })
    };
    let said = [
        with(|s| s.source.version = "1.x".into()),
        with(|s| s.source.tags.push("1.0".into())),
        with(|s| s.source.select = Some(Select { latest: Some(1), ..Select::default() })),
        with(|s| s.destination.version = Some("stable".into())),
        with(|s| {
            s.source.tags[0] = "a".repeat(120);
            s.destination.version = Some("mirrored-{tag}".into());
        }),
        with(|s| s.destination.name = s.source.name.clone()),
    ];
    insta::assert_snapshot!(said.join("\n").replace(&"a".repeat(120), "aaa…"), @r#"
    spec.source.tags: source.version is given too; leave one of them out
    spec.source.tags: "1.0" and "1.0" are one tag at the destination; leave one of them out
    spec.source.select: include, exclude and latest go with source.version only; leave tags out of source.tags instead
    spec.destination.version: "stable" would put all of source.tags onto one; leave it out to keep each tag, or use {tag}
    spec.destination.version: it makes a name of "aaa…" that is too long for a tag, which has at most 128 characters
    spec.destination.name: source and destination are the same repository and tag; there is nothing to copy
    "#);
    let many = with(|s| s.source.tags = (0..1001).map(|n| n.to_string()).collect());
    assert_eq!(many, "spec.source.tags: tags has 1001 entries; at most 1000 are taken");
    assert!(with(|s| s.source.tags[0] = "a".repeat(201)).contains("at most 200 are taken"));
    let mut good = spec("quay.io/a/b", "");
    good.source.tags = vec!["1.0".into()];
    good.source.select = Some(Select { min_age: Some("3d".into()), ..Select::default() });
    good.destination.version = Some("mirrored-{tag}".into());
    assert!(matches!(CopyRequest::parse(&good).unwrap().version, Version::Tags(_)));
}

#[test]
fn a_bad_expression_is_no_reason_to_ask_for_what_is_there() {
    let all = problem(|s| {
        s.destination.version = Some("stable".into());
        let (latest, include) = (Some(1), vec!["(".into()]);
        s.source.select = Some(Select { include, latest, ..Select::default() });
    });
    assert!(all.contains("not a regular expression") && !all.contains("every tag"), "{all}");
}

#[test]
fn a_route_is_written_as_it_was_when_jobs_were_created() {
    let mut spec = spec("quay.io/a/b", "v1");
    let route = |spec: &ImageSpec| CopyRequest::parse(spec).unwrap().route();
    assert_eq!(route(&spec), "quay.io/a/b -> registry.example.com/mirror (Staged)");
    spec.destination.publish = Publish::Direct;
    assert_eq!(route(&spec), "quay.io/a/b -> registry.example.com/mirror (Direct)");
}

#[test]
fn aws_credentials_go_with_ecr_and_without_a_secret() {
    let ecr = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/a";
    for name in [ecr, "public.ecr.aws/nginx/nginx"] {
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        (spec.destination.name, spec.destination.use_aws_irsa) = (name.into(), true);
        assert!(CopyRequest::parse(&spec).is_ok(), "{name}");
    }
    insta::assert_snapshot!(problem(|s| s.source.use_aws_irsa = true), @"spec.source.useAwsIRSA: it goes with registries of Amazon ECR only, such as 123456789012.dkr.ecr.eu-west-3.amazonaws.com; leave it out, or name a Secret in credentials");
    insta::assert_snapshot!(problem(|s| {
        (s.destination.name, s.destination.use_aws_irsa) = (ecr.into(), true);
        s.destination.credentials = Some(Credentials { secret_name: "push".into() });
    }), @"spec.destination.useAwsIRSA: it does not go with credentials; leave one of them out");
}

#[test]
fn copying_a_repository_onto_itself_is_refused_unless_tags_change() {
    assert!(problem(|s| s.destination.name = "quay.io/a/b".into()).contains("nothing to copy"));
    assert!(problem(|s| s.destination.name = "quay.io:443/a/b".into()).contains("nothing to copy"));
    let mut spec = spec("quay.io/a/b", "v2.13.x");
    spec.destination.name = "quay.io/a/b".into();
    spec.destination.version = Some("mirror-{tag}".into());
    assert!(CopyRequest::parse(&spec).is_ok());
}
