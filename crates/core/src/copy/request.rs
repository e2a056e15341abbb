//! A spec, parsed: the edge behind which nothing is a plain string.

use imgop_registry::oci::Platforms;
use imgop_registry::reference::Repository;

use super::Naming;
use super::spec_field::{SpecError, SpecField};
use super::spec_limits::check_limits;
use crate::api::{
    EndpointRef, ImageSpec, MinAge, MinAgeError, Mode, Overwrite, Publish, Referrers, Select, Side, Source,
};
use crate::schedule::{Recurrence, RecurrenceFields};
use crate::selection::{ExactTags, Filter, FilterError, ImmutableTags, Version};
use crate::spec_error::{EndpointFields, Problems, aws_credentials, check_endpoint};

/// What an `Image` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// When tags are copied.
    pub mode: Mode,
    /// When the source is checked again.
    pub recurrence: Recurrence,
    /// Where tags come from.
    pub source: Repository,
    /// Which tags.
    pub version: Version,
    /// Whether pre-releases are selected too.
    pub candidates: bool,
    /// What narrows the tags.
    pub filter: Filter,
    /// How long a tag must have shown the same content.
    pub min_age: Option<MinAge>,
    /// Which of them never move.
    pub immutable: ImmutableTags,
    /// Which platforms of them.
    pub platforms: Platforms,
    /// Whether what refers to them is copied too.
    pub referrers: Referrers,
    /// Where tags go to.
    pub destination: Repository,
    /// Which tag each of them becomes there.
    pub naming: Naming,
    /// What happens to tags that exist with other content.
    pub overwrite: Overwrite,
    /// How a tag is written.
    pub publish: Publish,
}

impl CopyRequest {
    /// Parses a spec.
    pub fn parse(spec: &ImageSpec) -> Result<Self, SpecError> {
        let mut problems = Problems::default();
        let recurrence = recurrence(spec, &mut problems);
        let source = problems.keep(SpecField::SourceName, spec.source.name.parse::<Repository>());
        let version = version(&spec.source, &mut problems);
        let destination =
            problems.keep(SpecField::DestinationName, spec.destination.name.parse::<Repository>());
        let filter = problems.keep(SpecField::Select, filter(spec.source.select.as_ref()));
        let min_age = problems.keep(SpecField::MinAge, min_age(spec.source.select.as_ref()));
        let immutable =
            problems.keep(SpecField::ImmutableTags, ImmutableTags::new(&spec.source.immutable_tags));
        let platforms = problems.keep(SpecField::Platforms, Platforms::parse(&spec.platforms));
        // As it is written: an expression that cannot be read is a problem of its own.
        let one_tag = spec.source.select.as_ref().is_some_and(|select| select.latest == Some(1));
        let naming = version.as_ref().and_then(|version| {
            problems.keep(SpecField::DestinationVersion, Naming::parse(&spec.destination, version, one_tag))
        });
        check_limits(spec, &mut problems);
        check_endpoints(spec, &mut problems);
        check_aws(spec, source.as_ref(), destination.as_ref(), &mut problems);
        check_change(source.as_ref(), destination.as_ref(), naming.as_ref(), version.as_ref(), &mut problems);
        let narrowed = filter.zip(immutable).zip(min_age).zip(platforms);
        match (recurrence, source, version, narrowed, destination, naming) {
            (
                Some(recurrence),
                Some(source),
                Some(version),
                Some((((filter, immutable), min_age), platforms)),
                Some(destination),
                Some(naming),
            ) if problems.0.is_empty() => Ok(Self {
                mode: spec.mode,
                recurrence,
                source,
                version,
                candidates: spec.allow_candidate_release,
                filter,
                min_age,
                immutable,
                platforms,
                referrers: spec.referrers,
                destination,
                naming,
                overwrite: spec.destination.overwrite,
                publish: spec.destination.publish,
            }),
            _ => Err(SpecError { problems: problems.0 }),
        }
    }
}

impl CopyRequest {
    /// Returns between which repositories tags are copied, and how; the outcome of a Job is of no use for
    /// another route.
    pub fn route(&self) -> String {
        format!("{} -> {} ({})", self.source, self.destination, self.publish.as_str())
    }

    /// Returns whether Jobs of this route put tags by themselves, and not the agent for them.
    pub fn is_direct(route: &str) -> bool {
        route.ends_with(&format!("({:?})", Publish::Direct))
    }

    /// Returns what the tags in `status.tagAlreadySynced` were copied from, to and as: for anything else
    /// they are not synced.
    pub fn synced_from(&self, spec: &ImageSpec) -> String {
        let mut text = self.route();
        if let Some(version) = spec.destination.version.as_deref().filter(|version| !version.is_empty()) {
            text = format!("{text} as {version}");
        }
        if !self.platforms.selects_all() {
            text = format!("{text} for {}", self.platforms);
        }
        text
    }
}

/// Reads which tags are selected: `source.version`, or `source.tags` in its place.
fn version(source: &Source, problems: &mut Problems<SpecField>) -> Option<Version> {
    if source.tags.is_empty() {
        return problems.keep(SpecField::SourceVersion, source.version.parse());
    }
    if !source.version.is_empty() {
        problems.report(SpecField::SourceTags, "source.version is given too; leave one of them out");
    }
    let select = source.select.as_ref();
    if select.is_some_and(|s| !s.include.is_empty() || !s.exclude.is_empty() || s.latest.is_some()) {
        problems.report(
            SpecField::Select,
            "include, exclude and latest go with source.version only; leave tags out of source.tags instead",
        );
    }
    problems.keep(SpecField::SourceTags, ExactTags::new(&source.tags)).map(Version::Tags)
}

/// Reads when the source is checked again.
fn recurrence(spec: &ImageSpec, problems: &mut Problems<SpecField>) -> Option<Recurrence> {
    if spec.schedule.is_some() && spec.mode == Mode::OneShot {
        problems.report(
            SpecField::Schedule,
            "it goes with the modes OnceByTag and Recurrent; OneShot copies once, so leave schedule out",
        );
    }
    let fields = RecurrenceFields {
        frequency: SpecField::Frequency,
        schedule: SpecField::Schedule,
        time_zone: SpecField::TimeZone,
    };
    Recurrence::read(spec.recurrence(), fields, problems)
}

/// Reports sides whose fields do not go together, or that name what no Secret can be called.
fn check_endpoints(spec: &ImageSpec, problems: &mut Problems<SpecField>) {
    let (source, destination) = (
        EndpointFields {
            secret: SpecField::SourceSecret,
            ca_secret: SpecField::SourceCaSecret,
            tls: SpecField::SourceTls,
        },
        EndpointFields {
            secret: SpecField::DestinationSecret,
            ca_secret: SpecField::DestinationCaSecret,
            tls: SpecField::DestinationTls,
        },
    );
    check_endpoint(spec.endpoint(Side::Source), source, problems);
    check_endpoint(spec.endpoint(Side::Destination), destination, problems);
}

/// Reports sides that ask for credentials of AWS where those make no sense.
fn check_aws(
    spec: &ImageSpec,
    source: Option<&Repository>,
    destination: Option<&Repository>,
    problems: &mut Problems<SpecField>,
) {
    let sides = [
        (SpecField::SourceAws, Side::Source, source),
        (SpecField::DestinationAws, Side::Destination, destination),
    ];
    for (field, side, repository) in sides {
        let EndpointRef { credentials, use_aws_irsa, .. } = spec.endpoint(side);
        if use_aws_irsa {
            problems.keep(field, aws_credentials(repository, credentials));
        }
    }
}

/// Reports a request that changes neither the repository nor the tag.
fn check_change(
    source: Option<&Repository>,
    destination: Option<&Repository>,
    naming: Option<&Naming>,
    version: Option<&Version>,
    problems: &mut Problems<SpecField>,
) {
    if let (Some(source), Some(destination), Some(naming)) = (source, destination, naming)
        && source.is_same_place(destination)
        && !naming.changes(version)
    {
        problems.report(
            SpecField::DestinationName,
            "source and destination are the same repository and tag; there is nothing to copy",
        );
    }
}

/// Compiles `source.select`.
fn filter(select: Option<&Select>) -> Result<Filter, FilterError> {
    let Some(select) = select else { return Ok(Filter::default()) };
    let latest = select.latest.map(|latest| usize::try_from(latest).unwrap_or(usize::MAX));
    Filter::new(&select.include, &select.exclude, latest)
}

/// Reads `source.select.minAge`; an empty text is none.
fn min_age(select: Option<&Select>) -> Result<Option<MinAge>, MinAgeError> {
    let text = select.and_then(|select| select.min_age.as_deref()).filter(|text| !text.is_empty());
    text.map(str::parse).transpose()
}

#[cfg(test)]
mod tests {
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
}
