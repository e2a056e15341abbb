//! From arguments to the spec of an Image, or to everything that is wrong with them.

use imgop_core::api::{Credentials, Destination, Frequency, ImageSpec, Mode, Select, Source, Tls, TlsMode};
use imgop_core::copy::{CopyRequest, SpecField};
use imgop_core::selection::Version;

use super::image::ImageArgs;
use super::job::flag_of_job;
use super::written::Written;
use crate::cli_error::CliError;
use crate::output::wording::Wording;

/// Returns the spec that the arguments ask for, or everything that is wrong with them.
pub fn image_spec(
    source: &str,
    destination: &str,
    args: &ImageArgs,
) -> Result<(ImageSpec, CopyRequest), CliError> {
    let mut problems = Vec::new();
    let (source, destination) = (Written::read(source), Written::read(destination));
    let version = version(&source, args, &mut problems);
    for (argument, written) in [("SOURCE", &source), ("DESTINATION", &destination)] {
        problems.extend(written.problem.iter().map(|problem| format!("{argument}: {problem}")));
    }
    let spec = spec(
        source.name,
        version.clone().unwrap_or_default(),
        destination.name,
        destination.version.or(source.tag),
        args,
    );
    problems.extend(args.endpoints.secret_problems());
    let without_effect = recurrence_problem(&spec, args);
    let is_without_effect = without_effect.is_some();
    problems.extend(without_effect);
    let parsed = CopyRequest::parse(&spec);
    for problem in parsed.as_ref().err().into_iter().flat_map(|error| &error.problems) {
        let is_known = match problem.field {
            SpecField::SourceName => source.problem.is_some(),
            SpecField::DestinationName => destination.problem.is_some(),
            SpecField::SourceVersion | SpecField::SourceTags => version.is_none(),
            SpecField::Schedule => is_without_effect,
            // The flags' own messages say how to create one.
            SpecField::SourceSecret
            | SpecField::DestinationSecret
            | SpecField::SourceCaSecret
            | SpecField::DestinationCaSecret => true,
            _ => false,
        };
        if !is_known {
            let message = Wording::Flags.of(&problem.message);
            problems.push(format!("{}: {message}", argument_of(problem.field, args)));
        }
    }
    match (parsed, problems.as_slice()) {
        (Ok(request), []) => Ok((spec, request)),
        (_, [problem]) => Err(CliError::usage(problem)),
        (_, problems) => Err(CliError::usage(format!("invalid arguments:\n  {}", problems.join("\n  ")))),
    }
}

/// Returns that `--frequency` or `--schedule` has no effect, if so: what is copied once is not checked again.
fn recurrence_problem(spec: &ImageSpec, args: &ImageArgs) -> Option<String> {
    let flag = args.schedule.recurrence()?;
    let is_digest = matches!(spec.source.version.parse(), Ok(Version::Digest(_)));
    match (args.mode, spec.mode) {
        (Some(Mode::OneShot), _) => {
            Some(format!("{flag}: mode OneShot copies once; use --mode Recurrent, or omit {flag}"))
        }
        (_, Mode::OneShot) if is_digest => {
            Some(format!("{flag}: a digest never changes, so it is copied once; omit {flag}"))
        }
        _ => None,
    }
}

/// Returns the version after SOURCE or of `--versions`, if that is no problem.
fn version(source: &Written, args: &ImageArgs, problems: &mut Vec<String>) -> Option<String> {
    match (&source.version, &args.versions) {
        (Some(_), Some(_)) => {
            problems.push("--versions: SOURCE has a version too; give only one of them".to_owned());
            None
        }
        (Some(_), None) if !args.tags.is_empty() => {
            problems.push("--tags: SOURCE has a version too; give only one of them".to_owned());
            None
        }
        (Some(version), None) | (None, Some(version)) => Some(version.clone()),
        (None, None) if !args.tags.is_empty() => Some(String::new()),
        (None, None) if source.problem.is_some() => None,
        (None, None) => {
            let name = &source.typed;
            problems.push(format!(
                "SOURCE: a version is required: a tag ({name}:1.2.3), a pattern ({name}:1.2.x), a digest \
                 ({name}@sha256:…), --versions or --tags"
            ));
            None
        }
    }
}

fn spec(
    source: String,
    version: String,
    destination: String,
    destination_version: Option<String>,
    args: &ImageArgs,
) -> ImageSpec {
    let mode = args.mode.unwrap_or_else(|| default_mode(&version, args));
    ImageSpec {
        mode,
        frequency: args.schedule.frequency.clone().unwrap_or_else(|| Frequency::DEFAULT_TEXT.to_owned()),
        schedule: args.schedule.cron.schedule.clone(),
        time_zone: args.schedule.cron.time_zone.clone(),
        suspend: args.schedule.suspend.unwrap_or_default(),
        allow_candidate_release: args.allow_candidate_release.unwrap_or_default(),
        platforms: args.platforms.clone(),
        referrers: args.referrers.unwrap_or_default(),
        source: Source {
            name: source,
            version,
            tags: args.tags.clone(),
            select: select(args),
            immutable_tags: args.immutable_tags.clone(),
            use_aws_irsa: args.endpoints.source_use_aws_irsa.unwrap_or_default(),
            credentials: credentials(args.endpoints.source_credentials.as_ref()),
            tls: tls(args.endpoints.source_tls, args.endpoints.source_ca_secret.as_ref()),
        },
        destination: Destination {
            name: destination,
            version: destination_version,
            overwrite: args.overwrite.unwrap_or_default(),
            publish: args.publish.unwrap_or_default(),
            use_aws_irsa: args.endpoints.destination_use_aws_irsa.unwrap_or_default(),
            credentials: credentials(args.endpoints.destination_credentials.as_ref()),
            tls: given_tls(args.endpoints.destination_tls, args.endpoints.destination_ca_secret.as_ref()),
            create: None,
            prune: None,
        },
        engine: args.engine,
        job_template: args.jobs.template(),
    }
}

/// Returns the mode of a version without `--mode`.
fn default_mode(version: &str, args: &ImageArgs) -> Mode {
    match version.parse::<Version>() {
        _ if !args.tags.is_empty() && args.schedule.recurrence().is_some() => Mode::Recurrent,
        Ok(version) if version.is_selector() => Mode::OnceByTag,
        // One tag that is checked again and again can only be expected to change.
        Ok(Version::Exact(_)) if args.schedule.recurrence().is_some() => Mode::Recurrent,
        _ => Mode::OneShot,
    }
}

fn select(args: &ImageArgs) -> Option<Select> {
    let select = Select {
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        latest: args.latest,
        min_age: args.min_age.clone(),
    };
    (select != Select::default()).then_some(select)
}

fn credentials(secret: Option<&String>) -> Option<Credentials> {
    secret.map(|name| Credentials { secret_name: name.clone() })
}

fn tls(mode: Option<TlsMode>, ca_secret: Option<&String>) -> Tls {
    given_tls(mode, ca_secret).unwrap_or_default()
}

/// Returns how the connection is secured, if the arguments say so.
fn given_tls(mode: Option<TlsMode>, ca_secret: Option<&String>) -> Option<Tls> {
    let is_given = mode.is_some() || ca_secret.is_some();
    is_given.then(|| Tls { mode: mode.unwrap_or_default(), ca_secret_name: ca_secret.cloned() })
}

/// Returns the argument that a field of the spec comes from.
fn argument_of(field: SpecField, args: &ImageArgs) -> &'static str {
    match field {
        SpecField::SourceVersion if args.versions.is_some() => "--versions",
        SpecField::SourceTags => "--tags",
        SpecField::SourceName | SpecField::SourceVersion => "SOURCE",
        SpecField::Select => "--include or --exclude",
        SpecField::MinAge => "--min-age",
        SpecField::ImmutableTags => "--immutable-tags",
        SpecField::Frequency => "--frequency",
        SpecField::Schedule => "--schedule",
        SpecField::TimeZone => "--time-zone",
        SpecField::DestinationName => "DESTINATION",
        SpecField::DestinationVersion => "DESTINATION:VERSION",
        SpecField::Platforms => "--platforms",
        SpecField::SourceAws => "--source-use-aws-irsa",
        SpecField::DestinationAws => "--destination-use-aws-irsa",
        SpecField::SourceSecret => "--source-credentials",
        SpecField::DestinationSecret => "--destination-credentials",
        SpecField::SourceCaSecret => "--source-ca-secret",
        SpecField::DestinationCaSecret => "--destination-ca-secret",
        SpecField::SourceTls => "--source-tls",
        SpecField::DestinationTls => "--destination-tls",
        SpecField::Create(field) => field,
        SpecField::Prune => "destination.prune",
        SpecField::PruneMinAge => "destination.prune.minAge",
        SpecField::JobTemplate(field) => flag_of_job(field),
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Referrers;

    use super::super::endpoints::EndpointArgs;
    use super::super::schedule::{CronArgs, ScheduleArgs};
    use super::*;

    fn made(source: &str, destination: &str, args: &ImageArgs) -> Result<ImageSpec, String> {
        image_spec(source, destination, args).map(|(spec, _)| spec).map_err(|error| error.message)
    }

    fn problem(source: &str, destination: &str) -> String {
        made(source, destination, &ImageArgs::default()).unwrap_err()
    }

    #[test]
    fn the_mode_follows_from_the_version_unless_given() {
        let mode = |source: &str| made(source, "r.example.com/a:stable", &ImageArgs::default()).unwrap().mode;
        assert_eq!(mode("quay.io/a/b:1.2.3"), Mode::OneShot);
        let digest = imgop_registry::reference::Digest::of(b"x");
        assert_eq!(mode(&format!("quay.io/a/b@{digest}")), Mode::OneShot);
        let pattern = made("quay.io/a/b:1.2.x", "r.example.com/a", &ImageArgs::default()).unwrap();
        assert_eq!(pattern.mode, Mode::OnceByTag);
    }

    #[test]
    fn a_frequency_means_that_one_tag_is_copied_again_or_is_refused_with_what_to_add() {
        let with = |source: &str, mode: Option<Mode>| {
            let schedule = ScheduleArgs { frequency: Some("30s".into()), ..ScheduleArgs::default() };
            let args = ImageArgs { mode, schedule, ..ImageArgs::default() };
            let made = image_spec(source, "r.example.com/a:stable", &args);
            made.map(|(spec, _)| spec.mode).map_err(|error| error.message)
        };
        assert_eq!(with("quay.io/a/b:latest", None), Ok(Mode::Recurrent));
        assert_eq!(with("quay.io/a/b:latest", Some(Mode::OnceByTag)), Ok(Mode::OnceByTag));
        let at = |source: &str, mode: Option<Mode>| {
            let cron = CronArgs { schedule: Some("@daily".into()), time_zone: None };
            let schedule = ScheduleArgs { cron, ..ScheduleArgs::default() };
            let args = ImageArgs { mode, schedule, ..ImageArgs::default() };
            image_spec(source, "r.example.com/a", &args).map(|(spec, _)| (spec.mode, spec.schedule))
        };
        assert_eq!(at("quay.io/a/b:latest", None).unwrap(), (Mode::Recurrent, Some("@daily".into())));
        insta::assert_snapshot!(at("quay.io/a/b:latest", Some(Mode::OneShot)).unwrap_err(), @"--schedule: mode OneShot copies once; use --mode Recurrent, or omit --schedule");
        insta::assert_snapshot!(with("quay.io/a/b:latest", Some(Mode::OneShot)).unwrap_err(), @"--frequency: mode OneShot copies once; use --mode Recurrent, or omit --frequency");
        let digest = imgop_registry::reference::Digest::of(b"x");
        insta::assert_snapshot!(with(&format!("quay.io/a/b@{digest}"), None).unwrap_err(), @"--frequency: a digest never changes, so it is copied once; omit --frequency");
    }

    #[test]
    fn a_tag_beside_a_digest_names_the_content_at_the_destination() {
        let digest = imgop_registry::reference::Digest::of(b"x");
        let source = format!("r.example.com:5000/nginx:1.27@{digest}");
        let spec = made(&source, "r.example.com/web/nginx", &ImageArgs::default()).unwrap();
        assert_eq!(
            (spec.source.name.as_str(), spec.source.version),
            ("r.example.com:5000/nginx", digest.to_string())
        );
        assert_eq!(spec.destination.version.as_deref(), Some("1.27"));
        let named = made(&source, "r.example.com/web/nginx:stable", &ImageArgs::default()).unwrap();
        assert_eq!(named.destination.version.as_deref(), Some("stable"));
        let bare = made(&format!("nginx@{digest}"), "r.example.com/nginx", &ImageArgs::default());
        assert!(bare.unwrap_err().starts_with("DESTINATION:VERSION: "));
    }

    #[test]
    fn a_credential_in_place_of_a_secret_is_refused_and_never_printed() {
        let selection = ImageArgs {
            endpoints: EndpointArgs {
                destination_credentials: Some("user:hunter2".into()),
                source_ca_secret: Some("-----BEGIN hunter2".into()),
                ..EndpointArgs::default()
            },
            ..ImageArgs::default()
        };
        let error = made("quay.io/a/b:1", "r.example.com/a", &selection).unwrap_err();
        assert!(!error.contains("hunter2"));
        insta::assert_snapshot!(error, @"
        invalid arguments:
          --destination-credentials: this is not the name of a Secret; create one with: kubectl create secret docker-registry NAME
          --source-ca-secret: this is not the name of a Secret; create one with: kubectl create secret generic NAME --from-file=ca.crt=FILE
        ");
    }

    #[test]
    fn names_are_written_out() {
        let spec = made("nginx:1.27", "Registry.Example.com:5000/web/nginx", &ImageArgs::default()).unwrap();
        assert_eq!(spec.source.name, "docker.io/library/nginx");
        assert_eq!(spec.destination.name, "registry.example.com:5000/web/nginx");
        assert_eq!(spec.destination.version, None);
    }

    #[test]
    fn versions_take_the_place_of_the_tag() {
        let versions = ImageArgs { versions: Some("v2.13.x".into()), ..ImageArgs::default() };
        let spec = made("quay.io/argoproj/argocd", "r.example.com/a", &versions).unwrap();
        assert_eq!((spec.source.version.as_str(), spec.mode), ("v2.13.x", Mode::OnceByTag));
        insta::assert_snapshot!(made("quay.io/a/b:1", "r.example.com/a", &versions).unwrap_err(), @"--versions: SOURCE has a version too; give only one of them");
    }

    #[test]
    fn tags_take_the_place_of_a_version() {
        let tags = |texts: &[&str], frequency: Option<&str>| ImageArgs {
            tags: texts.iter().map(ToString::to_string).collect(),
            schedule: ScheduleArgs { frequency: frequency.map(str::to_owned), ..ScheduleArgs::default() },
            ..ImageArgs::default()
        };
        let spec = made("quay.io/a/b", "r.example.com/a", &tags(&["1.0", "1.1"], None)).unwrap();
        assert_eq!((spec.source.version.as_str(), spec.source.tags.len(), spec.mode), ("", 2, Mode::OneShot));
        let again = made("quay.io/a/b", "r.example.com/a", &tags(&["1.0"], Some("1h"))).unwrap();
        assert_eq!(again.mode, Mode::Recurrent);
        insta::assert_snapshot!(made("quay.io/a/b:1", "r.example.com/a", &tags(&["1.0"], None)).unwrap_err(), @"--tags: SOURCE has a version too; give only one of them");
        insta::assert_snapshot!(made("quay.io/a/b", "r.example.com/a", &tags(&["1.0", "1.0"], None)).unwrap_err(), @r#"--tags: "1.0" and "1.0" are one tag at the destination; leave one of them out"#);
    }

    #[test]
    fn a_minimum_age_goes_into_the_spec_and_a_bad_one_is_named_by_its_flag() {
        let with = |text: &str| {
            let selection = ImageArgs { min_age: Some(text.into()), ..ImageArgs::default() };
            made("quay.io/a/b:1.2.x", "r.example.com/a", &selection)
        };
        assert_eq!(with("3d").unwrap().source.select.unwrap().min_age.as_deref(), Some("3d"));
        insta::assert_snapshot!(with("3 days").unwrap_err(), @r#"--min-age: "3 days" is no minimum age; write whole numbers with s, m, h, d or w, such as 72h or 3d"#);
        insta::assert_snapshot!(with("30s").unwrap_err(), @r#"--min-age: "30s" is less than 1m, the shortest minimum age; leave it out to take tags at once"#);
    }

    #[test]
    fn platforms_and_referrers_are_fields_of_the_spec() {
        let platforms = |texts: &[&str]| ImageArgs {
            platforms: texts.iter().map(ToString::to_string).collect(),
            referrers: Some(Referrers::All),
            ..ImageArgs::default()
        };
        let spec = made("quay.io/a/b:1", "r.example.com/a", &platforms(&["linux/amd64"])).unwrap();
        assert_eq!((spec.platforms, spec.referrers), (vec!["linux/amd64".to_owned()], Referrers::All));
        insta::assert_snapshot!(made("quay.io/a/b:1", "r.example.com/a", &platforms(&["amd64"])).unwrap_err(), @r#"--platforms: "amd64" is no platform; write os/architecture or os/architecture/variant in lower case, such as linux/amd64 or linux/arm/v7"#);
    }

    #[test]
    fn aws_credentials_for_another_registry_are_named_by_their_flag() {
        let aws = EndpointArgs {
            source_use_aws_irsa: Some(true),
            destination_use_aws_irsa: Some(true),
            ..EndpointArgs::default()
        };
        let aws = ImageArgs { endpoints: aws, ..ImageArgs::default() };
        let error = made("quay.io/a/b:1", "r.example.com/a", &aws).unwrap_err();
        let blamed: Vec<_> =
            error.lines().skip(1).filter_map(|line| line.trim().split(": ").next()).collect();
        assert_eq!(blamed, ["--source-use-aws-irsa", "--destination-use-aws-irsa"], "{error}");
    }

    #[test]
    fn problems_are_explained_in_terms_of_arguments() {
        insta::assert_snapshot!(problem("quay.io/a/b", "r.example.com/a"), @"SOURCE: a version is required: a tag (quay.io/a/b:1.2.3), a pattern (quay.io/a/b:1.2.x), a digest (quay.io/a/b@sha256:…), --versions or --tags");
        insta::assert_snapshot!(problem("docker://quay.io/a/b:1", "r.example.com/a"), @r#"SOURCE: "docker://quay.io/a/b" starts with a scheme; leave "docker://" out"#);
        insta::assert_snapshot!(problem("quay.io/a/b:2.x.y", "localhost:5000"), @r#"
        invalid arguments:
          DESTINATION: "localhost:5000" is a registry; write a repository in it, such as localhost:5000/argoproj/argocd
          SOURCE: "2.x.y" is not a tag pattern; write dotted numbers with x for any number, such as 2.13.x, v2.x.0 or 2.13.x-alpine
        "#);
        insta::assert_snapshot!(problem("quay.io/a/b:2.x", "r.example.com/a:stable"), @r#"DESTINATION:VERSION: "stable" would put every tag that matches "2.x" onto one; leave it out, repeat the pattern, use {tag}, or give --latest 1"#);
        insta::assert_snapshot!(problem("quay.io/a/b:2.x", "quay.io/a/b"), @"DESTINATION: source and destination are the same repository and tag; there is nothing to copy");
    }
}
